"""Workflows of jobs: steps chained by the files that they make, on a real Slurm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ComputationError, ValidationError
from physlab.lab import Lab
from physlab.testing.slurm import SlurmCluster, missing_parts
from tests.system.conftest import call

slurm = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")
SEED = [
    {"step": "data_preprocessing", "script": "preprocess.py", "dependencies": ["raw_data.csv"]},
    {"step": "analysis", "script": "analyze.py", "dependencies": ["preprocessed_data.h5"]},
    {"step": "visualization", "script": "plot_results.py", "dependencies": ["analysis_results.json"]},
]


def write(folder: Path, **scripts: str) -> None:
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text)


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    (tmp_path / "raw_data.csv").write_text("1\n2\n3\n")
    write(
        tmp_path,
        preprocess="rows = [int(line) for line in open('raw_data.csv')]\n"
        "open('preprocessed_data.h5', 'w').write(' '.join(map(str, rows)))\nprint('read', len(rows))\n",
        analyze="import json\nrows = [int(word) for word in open('preprocessed_data.h5').read().split()]\n"
        "json.dump({'sum': sum(rows)}, open('analysis_results.json', 'w'))\n",
        plot_results="import json\nprint('sum is', json.load(open('analysis_results.json'))['sum'])\n"
        "open('figure.txt', 'w').write('a figure')\n",
    )
    return tmp_path


def spec(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"tool": "distributed_collaboration", "params": {"action": "job_submit", "workflow": list(steps)}}


@slurm
def test_steps_hand_their_files_on(lab: Lab, near: SlurmCluster, scripts: Path) -> None:
    body = call(lab, scripts, **spec(*SEED))
    assert [job["name"] for job in body["jobs"]] == [step["step"] for step in SEED]
    assert {job["state"] for job in body["jobs"]} == {"completed"}
    assert Path(body["jobs"][2]["log_stream_path"]).read_text() == "sum is 6\n"
    made = [[Path(path).name for path in job["returned_artifacts"]] for job in body["jobs"]]
    assert made == [["preprocessed_data.h5"], ["analysis_results.json"], ["figure.txt"]], "what was taken is no result"


@slurm
def test_a_failed_step_stops_those_behind_it(lab: Lab, near: SlurmCluster, scripts: Path) -> None:
    write(scripts, analyze="import sys\nprint('preprocessed_data.h5 is odd')\n# analysis_results.json\nsys.exit(4)\n")
    with pytest.raises(ComputationError, match=r"step 'analysis' failed.*exit code 4.*is odd") as caught:
        call(lab, scripts, **spec(*SEED))
    assert "Not run: visualization" in caught.value.hint and caught.value.details["not_run"] == ["visualization"]
    states = {name: status["state"] for name, status in caught.value.details["steps"].items()}
    assert states == {"data_preprocessing": "completed", "analysis": "failed", "visualization": "cancelled"}
    assert not near.queue()


@slurm
def test_a_step_that_does_not_make_what_it_should_fails_itself(lab: Lab, near: SlurmCluster, scripts: Path) -> None:
    write(scripts, analyze="# analysis_results.json is written tomorrow\n")
    with pytest.raises(ComputationError, match=r"'analysis' failed.*75.*ended without making analysis_results.json"):
        call(lab, scripts, **spec(*SEED))


@slurm
def test_steps_that_meet_again(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    steps = [
        {"step": "join", "job_spec": {"command": ["sh", "-c", "cat left.txt sub/right.txt >both.txt"]},
         "dependencies": ["left.txt", "sub/right.txt"]},
        {"step": "left", "command": ["sh", "-c", "echo $WHO >left.txt"], "env": {"WHO": "l"}, "outputs": ["left.txt"]},
        {"step": "right", "script": "#!/bin/sh\nmkdir sub; echo r >sub/right.txt\n", "outputs": ["sub/right.txt"]},
        {"step": "last", "command": ["sh", "-c", "echo end >end.txt"], "dependencies": ["join"]},
    ]  # fmt: skip
    body = call(lab, tmp_path, **spec(*steps))
    both = next(job for job in body["jobs"] if job["name"] == "join")
    assert [Path(path).read_text() for path in both["returned_artifacts"]] == ["l\nr\n"]
    assert body["jobs"][-1]["name"] == "last"


@slurm
def test_a_refused_step_leaves_nothing_behind(lab: Lab, near: SlurmCluster, scripts: Path) -> None:
    with pytest.raises(ValidationError, match="invalid partition"):
        call(lab, scripts, **spec(*SEED[:2], {**SEED[2], "resources": {"partition": "nowhere"}}))
    assert not near.queue()


def test_a_workflow_can_be_looked_at(lab: Lab, scripts: Path) -> None:
    body = call(lab, scripts, tool="job_submit", workflow=SEED, dry_run=True)
    assert "# step analysis; starts after: data_preprocessing\n" in body["script"]
    assert "preprocessed_data.h5 ./preprocessed_data.h5 || exit 74\n" in body["script"]
    assert json.dumps(body) and not (scripts / "home" / "jobs").exists()


@pytest.mark.parametrize(("steps", "said"), [
    ([{"step": "a", "command": ["true"], "dependencies": ["gone.h5"]}], r"step 'a' depends on 'gone.h5', which no"),
    ([{"step": "a", "command": ["true"]}, {"step": "a", "command": ["true"]}], "two steps are called 'a'"),
    ([{"step": "a", "command": ["true"], "dependencies": ["y"], "outputs": ["x"]},
      {"step": "b", "command": ["true"], "dependencies": ["x"], "outputs": ["y"]}], "each other: [ab] → [ab] → "),
    ([{"step": "a", "command": ["true"], "dependencies": ["x"], "outputs": ["x"]}], "which it makes itself"),
    ([{"step": "a", "command": ["true"], "outputs": ["x"]}, {"step": "b", "command": ["true"], "outputs": ["x"]},
      {"step": "c", "command": ["true"], "dependencies": ["x"]}], "a and b both make 'x'"),
    ([{"step": "a", "command": ["true"], "outputs": ["../x"]}], "no path inside"),
    ([{"step": "a", "command": ["../x"]}, {"step": "b", "command": ["true"], "dependencies": ["../x"]}], "no path in"),
    ([{"step": "a"}], "either a command or a script"),
    ([{"script": "x"}], "workflow.0.step"),
    ([{"step": "a", "script": "gone.py"}], "script 'gone.py' does not exist"),
])  # fmt: skip
def test_wrong_workflows_name_the_step(lab: Lab, tmp_path: Path, steps: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        call(lab, tmp_path, **spec(*steps))
    assert not (tmp_path / "home" / "jobs").exists()
