"""Jobs from the laptop's words to files that are hashed and kept, on a real Slurm."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ComputationError, PhyslabError, ResourceError, ValidationError
from physlab.expressions import parse
from physlab.lab import Lab
from physlab.model import NodeRecord
from physlab.testing.slurm import SlurmCluster, missing_parts
from tests.system.conftest import call

slurm = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


@slurm
def test_a_command_runs_and_its_files_come_back_hashed(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    script = "mkdir results; echo $WHO $SLURM_CPUS_PER_TASK >results/a.txt; echo b >b.txt; echo done"
    body = call(
        lab, tmp_path, tool="distributed_collaboration", method="job_submit", backend="slurm", artifacts_path="results",
        job_spec={"command": ["sh", "-c", script], "resources": {"cpu": 3, "memory": "100MB", "time_limit": "0:05:00"},
                  "env": {"WHO": "a b"}},
    )  # fmt: skip
    assert (body["state"], body["exit_code"]) == ("completed", 0)
    [path] = map(Path, body["returned_artifacts"])
    assert path.name == "a.txt" and path.read_text() == "a b 3\n"
    assert Path(body["log_stream_path"]).read_text() == "done\n"
    [kept] = body["artifacts"]
    digest = hashlib.sha256(b"a b 3\n").hexdigest()
    assert kept["sha256"] == f"sha256:{digest}" and lab.store.blobs.read(digest) == b"a b 3\n"
    assert body["meta"]["backend"] == "slurm" and body["meta"]["machines"][0] in near.nodes


@slurm
def test_what_is_hostile_arrives_as_it_is(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    nasty = [
        "a b",
        "$(touch /tmp/owned)",
        "`id`",
        "'",
        '"',
        "\\",
        "x\n#SBATCH --wrap=id\ny",
        "*",
        "${HOME}",
        ";id",
        "ü",
        "",
    ]
    say = "import json, os, sys; json.dump([sys.argv[1:], [os.environ[f'V{i}'] for i in range(12)]], open('seen', 'w'))"
    spec = {"command": [sys.executable, "-c", say, *nasty], "env": {f"V{i}": text for i, text in enumerate(nasty)}}
    body = call(lab, tmp_path, tool="job_submit", job_spec=spec)
    assert json.loads(Path(body["returned_artifacts"][0]).read_text()) == [nasty, nasty]


@slurm
def test_a_script_with_its_own_directives_and_input_files(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    (tmp_path / "input.csv").write_text("1\n2\n3\n")
    theirs = (
        "#!/bin/bash\n#SBATCH --job-name=physics_analysis\n#SBATCH --constraint=slow\n"
        "awk '{s += $1} END {print s}' input.csv > sum.txt\necho $SLURM_JOB_NAME\n"
    )
    body = call(
        lab, tmp_path, tool="distributed_collaboration",
        params={"action": "job_submit", "job_type": "slurm", "script": theirs, "artifacts": ["input.csv"],
                "resources": {"nodes": 1, "cpus_per_node": 2, "memory": "64MB", "time": "0:02:00"}},
    )  # fmt: skip
    assert [Path(path).name for path in body["returned_artifacts"]] == ["sum.txt"], "what it was given is no result"
    assert Path(body["returned_artifacts"][0]).read_text() == "6\n"
    assert Path(body["log_stream_path"]).read_text() == "physics_analysis\n"
    assert body["meta"]["machines"] == [near.nodes[1]], "the only slow one"


@slurm
def test_a_job_is_a_node_and_its_files_are_its_ports(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    (tmp_path / "collect.sh").write_text("#!/bin/sh\nprintf 't [s],x [m]\\n0,0\\n1,4.9\\n2,19.6\\n' >collected.csv\n")
    steps = [
        {"id": "collect", "tool": "distributed_collaboration", "action": "job_submit", "script": "collect.sh"},
        {"id": "data", "tool": "data", "action": "import_csv", "file": "from:collect.files.collected"},
        {"id": "mean", "tool": "data", "action": "statistics", "values": "from:data.columns.x"},
    ]
    ran = call(lab, tmp_path, tool="experiment_orchestrator", params={"action": "run_dag", "dag_id": {"dag": steps}})
    run = lab.find_run(ran["run_id"])
    records = {node.id: NodeRecord.model_validate(lab.store.record(str(node.record))) for node in run.nodes}
    assert records["mean"].fields["mean"] == pytest.approx((0 + 4.9 + 19.6) / 3)
    assert records["collect"].artifacts[0].name == "collected.csv"


@slurm
def test_the_research_workflow_from_job_to_law(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    """Collect on the cluster, import, find the law: the workflow's last step, versioning, comes with its method."""
    pytest.importorskip("pyoperon", reason="pyoperon is not installed: pip install 'physlab[ml]'")
    (tmp_path / "collect_data.py").write_text(
        "#!/usr/bin/env python3\n"
        "rows = [(t / 20, 4.905 * (t / 20) ** 2) for t in range(1, 61)]\n"
        "open('collected_data.csv', 'w').write('t,s\\n' + ''.join(f'{t},{s}\\n' for t, s in rows))\n"
    )
    steps = [
        {"id": "collect", "tool": "distributed_collaboration", "action": "job_submit", "script": "collect_data.py"},
        {"id": "data", "tool": "data", "action": "import_csv", "file": "from:collect.files.collected_data"},
        {"id": "law", "tool": "ml_ai_augmentation", "action": "symbolic_regression_train", "ops": ["+", "*"],
         "X": {"t": "from:data.columns.t"}, "y": "from:data.columns.s", "generations": 15},
    ]  # fmt: skip
    ran = call(lab, tmp_path, tool="experiment_orchestrator", params={"action": "run_dag", "dag_id": {"dag": steps}})
    law = next(node for node in lab.find_run(ran["run_id"]).nodes if node.id == "law")
    found = NodeRecord.model_validate(lab.store.record(str(law.record)))
    t = parse(found.fields["expression_sympy"]).evaluate(t=2.0)
    assert float(t) == pytest.approx(4.905 * 4, rel=1e-6)


@slurm
def test_a_job_that_fails_says_how(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    spec = {"command": ["sh", "-c", "echo diverged at step 7; exit 3"]}
    with pytest.raises(ComputationError, match=r"exit code 3.*diverged at step 7") as caught:
        call(lab, tmp_path, tool="job_submit", backend="slurm", job_spec=spec)
    assert caught.value.details["job"]["exit_code"] == 3
    with pytest.raises(ValidationError, match="invalid partition"):
        call(lab, tmp_path, tool="job_submit", job_spec={"command": ["true"], "resources": {"partition": "nowhere"}})
    assert len(list((tmp_path / "home" / "jobs").iterdir())) == 1, "a refused job leaves no folder"


@slurm
def test_jobs_are_listed_followed_and_cancelled(near: SlurmCluster, tmp_path: Path) -> None:
    environment = {**near.environment, "PHYSLAB_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "COLUMNS": "150"}

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-m", "physlab", *words], cwd=tmp_path, env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def run(*words: str) -> tuple[int, str]:
        process = start(*words)
        out, err = process.communicate(timeout=100)
        assert "Traceback" not in out + err
        return process.returncode, out + err

    assert "No job was submitted yet" in run("job", "list")[1]
    good = 'job_spec={"command": ["sh", "-c", "echo one; sleep 2; echo two"]}'
    assert run("call", "distributed_collaboration.job_submit", good)[0] == 0
    long = start("call", "distributed_collaboration.job_submit", 'job_spec={"command": ["sleep", "300"]}', "name=long")
    near.wait("it runs", lambda: "RUNNING" in near.queue().values())
    listed = json.loads(run("job", "list", "--json")[1])["jobs"]
    assert [(job["name"], job["state"]) for job in listed] == [("long", "running"), ("physlab", "completed")]
    assert run("job", "logs", listed[1]["job_id"], "--follow") == (0, "one\ntwo\n")
    assert run("job", "status", listed[1]["job_id"])[0] == 0
    assert "is cancelled" in run("job", "cancel", listed[0]["job_id"])[1]
    out, _ = long.communicate(timeout=60)
    assert long.returncode == 1 and "ended as cancelled" in json.loads(out)["error"]["message"]
    code, said = run("job", "status", "latest")
    assert code == 1 and "cancelled" in said
    code, said = run("job", "logs", "999")
    assert code == 1 and "no job '999'" in said


def test_a_dry_run_shows_the_script_and_submits_nothing(lab: Lab, tmp_path: Path) -> None:
    spec = {"command": ["python3", "a b.py"], "resources": {"memory": "4Gi", "gpu": 1, "time_limit": "2:00:00"}}
    body = call(lab, tmp_path, tool="job_submit", backend="slurm", job_spec=spec, dry_run=True)
    assert "#SBATCH --mem=4096M" in body["script"] and "#SBATCH --time=02:00:00" in body["script"]
    assert "python3 'a b.py'" in body["script"] and not (tmp_path / "home" / "jobs").exists()


@pytest.mark.parametrize(("params", "said"), [
    ({"backend": "pbs", "job_spec": {"command": ["true"]}}, "'pbs' is no kind of cluster"),
    ({}, "either a command or a script"),
    ({"job_spec": {"command": ["true"], "image": "--bind=/"}}, "image = '--bind=/'"),
    ({"job_spec": {"command": ["true"], "mounts": [{"source": "/a", "target": "/b"}]}}, "mounts without an image"),
    ({"job_spec": {"command": ["true"], "image": "a", "mounts": [{"source": "a:b", "target": "/b"}]}}, "mounts.0.sour"),
    ({"jobs": [{"command": ["true"]}], "script": "x.sh"}, "jobs and script do not go together"),
    ({"jobs": []}, "jobs = "),
    ({"jobs": [{"command": ["true"], "colour": 1}]}, "jobs.0.colour"),
    ({"jobs": [{"command": ["true"]}, {}]}, "either a command or a script"),
    ({"job_spec": {"command": ["true"]}, "after": ["x; rm"]}, "after.0 = 'x; rm'"),
    ({"job_spec": {"command": ["true"], "env": {"A B": "1"}}}, "A B"),
    ({"job_spec": {"command": ["true"], "env": {"A": "\0"}}}, "cannot hold a NUL"),
    ({"job_spec": {"command": ["true"]}, "artifacts": ["."]}, "'.' is a folder"),
    ({"job_spec": {"command": ["true"]}, "most_time": "1:00:00"}, "most_time without retries"),
    ({"job_spec": {"command": ["true"]}, "throttle": 2}, "a single job and throttle do not go together"),
    ({"workflow": [{"step": "a", "command": ["true"]}], "throttle": 1}, "workflow and throttle do not go together"),
    ({"job_spec": {"command": ["true"]}, "retries": 1, "most_time": "soon"}, "most_time = 'soon' is no time"),
    ({"job_spec": {"command": ["true"]}, "retries": 11}, "retries = 11"),
    ({"job_spec": {"command": ["true"]}, "site": "nowhere"}, "no cluster 'nowhere'"),
    ({"job_spec": {"command": ["true"], "resources": {"cpus": 2, "colour": 3}}}, "resources knows no 'colour'"),
    ({"job_spec": {"command": ["true"], "resources": {"memory": "much"}}}, "memory = 'much' is no size"),
    ({"job_spec": {"command": ["true"], "resources": {"time": "soon"}}}, "time = 'soon' is no time"),
    ({"job_spec": {"command": ["true"], "resources": {"partition": "a; rm"}}}, "partition"),
    ({"job_spec": {"command": ["true"]}, "artifacts": ["gone.csv"]}, "'gone.csv' does not exist"),
    ({"job_spec": {"command": ["true"]}, "timeout_sec": 5}, "timeout_sec = 5"),
    ({"job_spec": {"command": ["true"]}, "wrokflow": []}, "unknown parameter 'wrokflow'"),
    ({"job_spec": {"command": "ls -l"}}, "command = 'ls -l'"),
    ({"job_spec": {"command": ["true"], "env": 3}}, "env = 3"),
    ({"job_spec": {"command": ["true"]}, "resources": [1]}, "resources"),
    ({"job_spec": {"command": ["true"]}, "timeout_sec": "abc"}, "timeout_sec = 'abc'"),
    ({"job_spec": {"command": ["true"]}, "artifacts_path": "../x"}, "leaves the job's folder"),
    ({"script": "collect.py"}, "script 'collect.py' does not exist"),
    ({"job_spec": {"command": ["true"], "colour": 1}}, "(?s)parameter 'job_spec.colour'.*Known: command, env, image"),
    ({"job_spec": {"command": ["true"], "resources": {"memory": "0"}}}, "memory = '0' is less than a megabyte"),
    ({"backend": "k8s", "job_spec": {"command": ["true"], "mounts": [{"source": "x", "target": "/y"}]}},
     "(?s)mounts.0.source = 'x'.*claim:NAME"),
    ({"backend": "k8s", "job_spec": {"command": ["true"], "schedule": "at night"}}, "(?s)schedule.*five fields"),
])  # fmt: skip
def test_wrong_requests_are_refused_before_anything_is_made(
    lab: Lab, tmp_path: Path, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(PhyslabError, match=said):
        call(lab, tmp_path, tool="job_submit", **params)
    assert not (tmp_path / "home" / "jobs").exists()


def test_without_a_cluster_the_words_are_clear(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises((PhyslabError, ResourceError), match="sbatch is not installed here"):
        call(lab, tmp_path, tool="job_submit", job_spec={"command": ["true"]})


@slurm
def test_a_job_knows_nothing_of_the_lab(
    lab: Lab, near: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "secret-of-mine")
    monkeypatch.setenv("PHYSLAB_EXPORT__GITHUB_TOKEN", "secret-of-mine")
    body = call(lab, tmp_path, tool="job_submit", job_spec={"command": ["env"]})
    assert "secret-of-mine" not in Path(body["log_stream_path"]).read_text()
