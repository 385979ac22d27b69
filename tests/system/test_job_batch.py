"""Many jobs at once: arrays by shape, from a call or a file, with the cluster's own settings."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ComputationError, ConfigurationError, PhyslabError, TimeLimitError, ValidationError
from physlab.lab import Lab
from physlab.model import NodeRecord
from physlab.settings import load_settings
from physlab.testing.slurm import SlurmCluster, missing_parts
from tests.system.commandline import CommandLine
from tests.system.conftest import call

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


def site(tmp_path: Path, **settings: Any) -> Lab:
    overrides = {"home": str(tmp_path / "home"), "sites.slurm": {"hpc": settings}}
    return Lab(load_settings(tmp_path, overrides=overrides, environ={}))


def test_a_site_says_what_a_job_leaves_open(near: SlurmCluster, tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    settings = {"folder": str(tmp_path / "jobs"), "partition": "main", "gpu_partition": "gpu", "constraint": "slow",
                "prologue": ["export FROM_SITE='a site'", "module() { echo loaded $2; }",
                "module load python"]}  # fmt: skip
    show = "echo $FROM_SITE $SLURM_JOB_PARTITION; pwd"
    with site(tmp_path, **settings) as lab:
        body = call(lab, tmp_path, tool="job_submit", site="hpc", job_spec={"command": ["sh", "-c", show]})
        log = Path(body["log_stream_path"]).read_text()
        assert log == f"loaded python\na site main\n{body['folder']}\n"
        assert body["meta"]["site"] == "hpc" and body["meta"]["machines"] == [near.nodes[1]], "the slow one"
        asked = {"gpu": 2, "cpu": 3, "memory": "300MiB", "constraint": "fast", "time": "0:05:00", "nodes": 1}
        show = "echo $SLURM_JOB_PARTITION $SLURM_CPUS_PER_TASK $SLURM_MEM_PER_NODE $CUDA_VISIBLE_DEVICES"
        body = call(lab, tmp_path, tool="job_submit", job_spec={"command": ["sh", "-c", show], "resources": asked})
        assert Path(body["log_stream_path"]).read_text() == "loaded python\ngpu 3 300 0,1\n"
        body = call(lab, tmp_path, tool="job_submit", job_spec={"command": ["true"]}, dry_run=True,
                    resources={"exclude": ["n1", "n2"], "account": "phys", "qos": "high"})  # fmt: skip
        for word in ("--exclude=n1,n2", "--account=phys", "--qos=high", "--constraint=slow", "--partition=main"):
            assert f"#SBATCH {word}\n" in body["script"]
    with site(tmp_path, partition="a b") as lab, pytest.raises(ConfigurationError, match="partition = 'a b'"):
        call(lab, tmp_path, tool="job_submit", job_spec={"command": ["true"]})


def test_a_command_runs_once_on_each_machine(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    spec = {"command": ["sh", "-c", "echo $SLURMD_NODENAME"], "resources": {"nodes": 2, "memory": "50MB"}}
    body = call(lab, tmp_path, tool="job_submit", job_spec=spec)
    assert sorted(Path(body["log_stream_path"]).read_text().split()) == sorted(near.nodes)
    assert sorted(body["meta"]["machines"]) == sorted(near.nodes)


def test_jobs_of_one_shape_are_one_array(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("7\n")
    jobs: list[dict[str, Any]] = [
        {"name": f"run-{n}", "command": ["sh", "-c", "cat data.csv >out.txt; echo $N >>out.txt"],
         "env": {"N": f"$({n})"}, "artifacts": ["data.csv"]} for n in range(3)
    ]  # fmt: skip
    jobs.insert(
        1, {"name": "big", "script": "#!/bin/sh\necho $SLURM_CPUS_PER_TASK >big.txt\n", "resources": {"cpu": 3}}
    )
    body = call(lab, tmp_path, tool="job_submit", jobs=jobs, resources={"memory": "50MB"})
    assert [job["name"] for job in body["jobs"]] == ["run-0", "big", "run-1", "run-2"]
    assert body["state"] == "completed" and len(body["job_id"].split(",")) == 2
    texts = [Path(job["returned_artifacts"][0]).read_text() for job in body["jobs"]]
    assert texts == ["7\n$(0)\n", "3\n", "7\n$(1)\n", "7\n$(2)\n"]
    assert all(lab.store.blobs.intact(item["sha256"].removeprefix("sha256:")) for item in body["artifacts"])


def test_some_of_many_fail(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    jobs = [{"name": f"n{n}", "command": ["sh", "-c", f"echo {n} >out; echo at {n}; exit {n % 2}"]} for n in range(4)]
    with pytest.raises(ComputationError, match=r"2 of 4 jobs did not succeed.*exit code 1.*at 1") as caught:
        call(lab, tmp_path, tool="job_submit", jobs=jobs)
    states = [status["state"] for status in caught.value.details["jobs"].values()]
    assert states == ["completed", "failed", "completed", "failed"]


def test_one_refused_shape_refuses_all(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    jobs = [{"command": ["true"]}, {"command": ["true"], "resources": {"partition": "nowhere"}}]
    with pytest.raises(ValidationError, match="invalid partition"):
        call(lab, tmp_path, tool="job_submit", jobs=jobs)
    assert not near.queue() and not (tmp_path / "home" / "jobs").exists()


def test_a_thousand_jobs_from_a_file(near: SlurmCluster, tmp_path: Path) -> None:
    line = CommandLine(tmp_path, {"SLURM_CONF": str(near.conf), "PATH": near.environment["PATH"]})
    jobs = [{"name": f"n{n}", "command": ["sleep", "300"], "env": {"N": str(n)}} for n in range(1000)]
    (tmp_path / "many.yaml").write_text(json.dumps({"jobs": jobs, "resources": {"cpu": 4}}))
    begun = time.monotonic()
    accepted = line.json("job", "batch", "many.yaml", "--throttle", "1", "--json")
    took = time.monotonic() - begun
    print(f"1,000 jobs accepted in {took:.2f} s, with the start of the program")
    assert took < 5 + 3 and len(accepted["jobs"]) == 1000
    begun = time.monotonic()
    listed = line.json("job", "list", "-n", "1000", "--json")["jobs"]
    print(f"1,000 jobs listed in {time.monotonic() - begun:.2f} s")
    assert [job["name"] for job in listed] == [f"n{n}" for n in range(1000)]
    assert sum(job["state"] == "running" for job in listed) <= 1
    array = accepted["job_id"]
    assert line.run("job", "status", f"{array}_7").returncode == 0
    cancelled = line.json("job", "cancel", array, "--json")["jobs"]
    assert {job["state"] for job in cancelled} == {"cancelled"}
    assert "is an array of 1000 jobs" in line.run("job", "logs", array, code=1).stderr


def test_a_file_of_jobs_waits_or_only_shows(near: SlurmCluster, tmp_path: Path) -> None:
    line = CommandLine(tmp_path, {"SLURM_CONF": str(near.conf), "PATH": near.environment["PATH"]})
    (tmp_path / "two.yaml").write_text("- command: [sh, -c, 'echo 1 >a.txt']\n- command: [sh, -c, 'echo 2 >a.txt']\n")
    shown = line.run("job", "batch", "two.yaml", "--dry-run").stdout
    assert (
        shown.count("#!/bin/bash\n") == 1
        and "#SBATCH --array=0-1\n" in shown
        and not (tmp_path / "home" / "jobs").exists()
    )
    done = line.json("job", "batch", "two.yaml", "--wait", "--json")
    assert [Path(path).read_text() for path in done["returned_artifacts"]] == ["1\n", "2\n"]
    (tmp_path / "bad.yaml").write_text("jobs: [{comand: [true]}]\n")
    assert "jobs.0.comand" in line.run("job", "batch", "bad.yaml", code=1).stderr
    assert "no file" in line.run("job", "batch", "none.yaml", code=1).stderr


def test_a_job_starts_after_others(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    first = call(lab, tmp_path, tool="job_submit", job_spec={"command": ["sh", "-c", "sleep 1; exit 3"]}, wait=False)
    with pytest.raises(PhyslabError, match="ended as cancelled"):
        call(lab, tmp_path, tool="job_submit", job_spec={"command": ["true"]}, after=[int(first["job_id"])])


def test_waiting_ends_and_the_job_goes_on(
    lab: Lab, near: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from physlab.service.jobs import persist

    asked = persist.watch
    monkeypatch.setattr(persist, "watch", lambda cluster, jobs, timeout_s, **more: asked(cluster, jobs, 1.0, **more))
    with pytest.raises(TimeLimitError, match=r"did not end within 1 s; it is (running|pending)"):
        call(lab, tmp_path, tool="job_submit", job_spec={"command": ["sleep", "300"]})
    assert list(near.queue().values()) == ["RUNNING"] or list(near.queue().values()) == ["PENDING"]


def test_a_container_gets_the_words_as_they_are(near: SlurmCluster, tmp_path: Path) -> None:
    """The program that stands in for Apptainer writes down its words, and runs what comes after the image."""
    stand_in = tmp_path / "bin" / "apptainer"
    stand_in.parent.mkdir()
    stand_in.write_text(
        f"#!{sys.executable}\nimport json, os, sys\njson.dump(sys.argv[1:], open('words.json', 'w'))\n"
        "at = sys.argv.index('docker://python:3.11')\nos.execvp(sys.argv[at + 1], sys.argv[at + 1:])\n"
    )
    stand_in.chmod(0o755)
    spec = {"command": ["printenv", "GIVEN"], "container": "python:3.11", "env": {"GIVEN": "a $(b)\n'c'"},
            "mounts": [{"source": "/data $(x)", "target": "/data", "readonly": True}]}  # fmt: skip
    with site(tmp_path, prologue=[f"PATH={stand_in.parent}:$PATH"]) as lab:
        body = call(lab, tmp_path, tool="job_submit", job_spec=spec)
    folder = body["folder"]
    assert json.loads((Path(folder) / "words.json").read_text()) == [
        "exec", "--bind", f"{folder}:{folder}", "--pwd", folder, "--bind", "/data $(x):/data:ro",
        "docker://python:3.11", "printenv", "GIVEN",
    ]  # fmt: skip
    assert Path(body["log_stream_path"]).read_text() == "a $(b)\n'c'\n"


def test_several_jobs_are_one_node(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    jobs = [{"command": ["sh", "-c", f"printf 'x\\n{n}\\n' >out.csv"]} for n in (3, 4)]
    steps = [
        {"id": "sweep", "tool": "distributed_collaboration", "method": "job_submit", "params": {"jobs": jobs}},
        {"id": "second", "tool": "data", "action": "import_csv", "file": "from:sweep.files.physlab-1_out_csv"},
    ]
    ran = call(lab, tmp_path, tool="experiment_orchestrator", params={"action": "run_dag", "dag_id": {"dag": steps}})
    run = lab.find_run(ran["run_id"])
    records = {node.id: NodeRecord.model_validate(lab.store.record(str(node.record))) for node in run.nodes}
    assert [item.name for item in records["sweep"].artifacts] == ["physlab-0/out.csv", "physlab-1/out.csv"]
    assert records["second"].fields["columns"] == {"x": [4.0]}
    assert set(records["sweep"].fields["files"]) == {"physlab-0_out_csv", "physlab-1_out_csv"}
