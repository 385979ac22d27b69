"""Jobs that are submitted again: after a lost machine on another one, with more memory, with more time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ComputationError, ResourceError
from physlab.lab import Lab
from physlab.model.job import JobResources, JobStatus
from physlab.service.jobs.attempts import more_resources
from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_parts
from tests.system.conftest import call

slurm = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    """A cluster whose machines kill what takes more memory than it asked for."""
    with SlurmCluster.start(ClusterPlan(nodes=2, extra=("JobAcctGatherParams=OverMemoryKill",))) as cluster:
        yield cluster


def submit(lab: Lab, folder: Path, script: str, **more: Any) -> dict[str, Any]:
    return call(lab, folder, tool="job_submit", script=f"#!/bin/bash\n{script}\n", **more)


@slurm
def test_a_failure_costs_its_own_retries(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    script = f"echo x >>{tmp_path}/tries; [ $(wc -l <{tmp_path}/tries) -ge 3 ] || exit 3; echo 42 >answer.txt"
    body = submit(lab, tmp_path, script, retries=2)
    assert body["state"] == "completed" and body["meta"]["attempts"] == 3
    (tmp_path / "tries").unlink()
    with pytest.raises(ComputationError, match=r"exit code 3.*submitted 2 times"):
        submit(lab, tmp_path, script, retries=1)


@slurm
def test_too_little_memory_is_answered_with_more(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    script = "python3 -c 'import time; x = b\"x\" * 300_000_000; time.sleep(6)'; echo $SLURM_MEM_PER_NODE >memory.txt"
    with pytest.raises(ResourceError, match="ended as out_of_memory"):
        submit(lab, tmp_path, f"set -e\n{script}", resources={"memory": "100MiB"})
    body = submit(lab, tmp_path, f"set -e\n{script}", resources={"memory": "100MiB"}, retries=1)
    assert body["meta"]["attempts"] == 2, "the measured peak was enough of a hint"
    assert 400 < int(Path(body["returned_artifacts"][0]).read_text()) < 700


@slurm
def test_a_lost_machine_is_left_out_and_costs_nothing(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    dead: list[str] = []

    def kill() -> None:
        near.wait("it runs", lambda: "RUNNING" in near.queue().values())
        dead.append(near.run("squeue", "-h", "-o", "%N").strip())
        near.kill_node(dead[0])

    killer = threading.Thread(target=kill)
    killer.start()
    script = f"[ -e {tmp_path}/second ] || {{ touch {tmp_path}/second; sleep 300; }}; echo $SLURMD_NODENAME >where.txt"
    try:
        body = submit(lab, tmp_path, script, retries=1)
    finally:
        killer.join()
        near.start_node(dead[0])
    assert body["meta"]["attempts"] == 2 and body["meta"]["machines"] != dead
    assert Path(body["returned_artifacts"][0]).read_text().strip() not in dead


@slurm
def test_too_little_time_is_answered_with_more_when_asked(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    def end_first() -> None:
        near.wait("it runs", lambda: "RUNNING" in near.queue().values())
        [job] = near.queue()
        near.run("scontrol", "update", f"jobid={job}", "TimeLimit=0")

    ender = threading.Thread(target=end_first)
    ender.start()
    script = (
        f"[ -e {tmp_path}/second ] || {{ touch {tmp_path}/second; sleep 300; }}; squeue -h -j $SLURM_JOB_ID -o %l >t"
    )
    body = submit(lab, tmp_path, script, retries=1, most_time="0:15:00", resources={"time": "0:10:00"})
    ender.join()
    assert Path(body["returned_artifacts"][0]).read_text().strip() == "15:00", "twice would be more than the most"


@slurm
def test_only_what_failed_of_many_is_tried_again(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    jobs = [{"name": f"n{n}", "script": f"#!/bin/sh\necho {n} >n; [ {n} -ne 1 -o -e {tmp_path}/1 ] || "
             f"{{ touch {tmp_path}/1; exit 5; }}\n"} for n in range(3)]  # fmt: skip
    body = call(lab, tmp_path, tool="job_submit", jobs=jobs, retries=1)
    assert [Path(path).read_text() for path in body["returned_artifacts"]] == ["0\n", "1\n", "2\n"]
    assert len(list((tmp_path / "home" / "jobs").iterdir())) == 2


@slurm
def test_a_failed_step_is_tried_again_with_those_behind_it(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    once = f"[ -e {tmp_path}/once ] || {{ touch {tmp_path}/once; exit 5; }}; cat a >b; echo 2 >>b"
    steps = [
        {"step": "one", "command": ["sh", "-c", f"echo 1 >a; echo x >>{tmp_path}/runs"], "outputs": ["a"]},
        {"step": "two", "command": ["sh", "-c", once], "dependencies": ["a"], "outputs": ["b"]},
        {"step": "three", "command": ["sh", "-c", "cat b >c; echo 3 >>c"], "dependencies": ["b"]},
    ]
    body = call(lab, tmp_path, tool="job_submit", workflow=steps, retries=1)
    assert Path(body["returned_artifacts"][-1]).read_text() == "1\n2\n3\n"
    assert (tmp_path / "runs").read_text() == "x\n", "what had succeeded was not run again"
    steps[1]["command"] = ["false"]
    with pytest.raises(ComputationError, match=r"step 'two' failed.*submitted 2 times") as caught:
        call(lab, tmp_path, tool="job_submit", workflow=steps, retries=1)
    assert caught.value.details["not_run"] == ["three"] and not near.queue()


def test_what_a_job_asks_for_next() -> None:
    asked = JobResources(walltime_s=600, exclude=("n0",))
    lost = JobStatus(job_id="1", state="node_fail", machines=("n1", "n2"))
    assert more_resources(asked, lost, None) == {"exclude": ("n0", "n1", "n2")}
    slow = JobStatus(job_id="1", state="timeout", elapsed_s=600)
    assert more_resources(asked, slow, None) == {}
    assert more_resources(asked, slow, 3600) == {"walltime_s": 1200}
    assert more_resources(asked, slow, 600) == {}
    assert more_resources(JobResources(), slow, 900) == {"walltime_s": 900}
