"""The client dies at the worst moments; whatever the scheduler accepted is found again and finished."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from physlab.service.jobs import reconcile
from physlab.testing.slurm import SlurmCluster, missing_parts
from tests.system.commandline import CommandLine
from tests.system.test_cli_signals import heard

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")
Physlab = Callable[..., subprocess.CompletedProcess[str]]
SPEC = 'job_spec={"command": ["sh", "-c", "echo a log; sleep 1; echo 42 >answer.txt"]}'


@pytest.fixture
def physlab(near: SlurmCluster, tmp_path: Path) -> Physlab:
    """The command line; with `dies`, in the moment when sbatch has answered, or before it is asked."""

    def run(*words: str, dies: str = "") -> subprocess.CompletedProcess[str]:
        path = near.environment["PATH"]
        if dies:
            path = f"{_sbatch_that_kills(tmp_path, dies, near)}:{path}"
        environment = {**near.environment, "PHYSLAB_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "PATH": path}
        command = [sys.executable, "-m", "physlab", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


def _sbatch_that_kills(folder: Path, when: str, near: SlurmCluster) -> Path:
    """Make an sbatch that kills who called it, right before or right after the real one."""
    real = shutil.which("sbatch", path=near.environment["PATH"])
    parts = [f'{real} "$@" >/dev/null', "kill -9 $PPID"]
    lines = [
        "#!/bin/sh",
        f'case "$*" in *test-only*) exec {real} "$@" ;; esac',
        *(parts if when == "after" else parts[1:]),
    ]
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "sbatch").write_text("\n".join(lines) + "\n")
    (folder / "bin" / "sbatch").chmod(0o755)
    return folder / "bin"


def listed(physlab: Physlab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(physlab("job", "list", "--json").stdout)["jobs"]
    return found


def test_killed_after_the_scheduler_accepted(physlab: Physlab, near: SlurmCluster, tmp_path: Path) -> None:
    assert physlab("call", "distributed_collaboration.job_submit", SPEC, "name=lost", dies="after").returncode == -9
    [job] = listed(physlab)
    assert job["name"] == "lost" and job["job_id"].isdigit() and job["state"] in ("pending", "running", "completed")
    followed = physlab("job", "logs", "latest", "--follow")
    assert (followed.returncode, followed.stdout) == (0, "a log\n")
    fetched = json.loads(physlab("job", "fetch", job["job_id"], "--json").stdout)
    assert fetched["state"] == "completed"
    [artifact] = fetched["artifacts"]
    assert Path(artifact["path"]).read_text() == "42\n" and artifact["sha256"].startswith("sha256:")
    [kept] = listed(physlab)
    assert kept["artifacts"] == [artifact], "it is in the ledger now"
    assert json.loads(physlab("job", "fetch", "latest", "--json").stdout)["artifacts"] == [artifact]


def test_an_array_is_found_as_well(physlab: Physlab, tmp_path: Path) -> None:
    (tmp_path / "many.json").write_text(json.dumps([{"command": ["sh", "-c", f"echo {n} >n"]} for n in range(3)]))
    assert physlab("job", "batch", "many.json", dies="after").returncode == -9
    jobs = listed(physlab)
    array = jobs[0]["job_id"].partition("_")[0]
    assert [job["job_id"] for job in jobs] == [f"{array}_{n}" for n in range(3)]
    for job in jobs:
        assert physlab("job", "logs", job["job_id"], "--follow").returncode == 0
    fetched = json.loads(physlab("job", "fetch", array, "--json").stdout)["jobs"]
    assert [Path(item["returned_artifacts"][0]).read_text() for item in fetched] == ["0\n", "1\n", "2\n"]


def test_killed_before_the_scheduler_was_asked(
    physlab: Physlab, near: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert physlab("call", "distributed_collaboration.job_submit", SPEC, dies="before").returncode == -9
    [job] = listed(physlab)
    assert (job["state"], job["reason"]) == ("pending", reconcile.ON_ITS_WAY), "sbatch might still be at work"
    [folder] = (tmp_path / "home" / "jobs").iterdir()
    near.wait("the grace is over", lambda: listed(physlab)[0]["state"] != "pending", timeout_s=60)
    [job] = listed(physlab)
    assert (job["state"], job["reason"], job["job_id"]) == ("rejected", reconcile.NEVER, "")
    assert not folder.exists()
    said = physlab("job", "status", "latest")
    assert said.returncode == 1 and "never accepted" in said.stdout
    assert physlab("job", "fetch", job["token"]).returncode == 1


def test_the_watcher_dies_and_another_finishes(physlab: Physlab, near: SlurmCluster, tmp_path: Path) -> None:
    script = f"#!/bin/sh\nuntil [ -e {tmp_path}/go ]; do sleep 0.2; done; echo 42 >answer.txt\n"
    words = ("distributed_collaboration.job_submit", f"script={script}", "wait=false")
    accepted = json.loads(physlab("call", *words).stdout)
    assert accepted["state"] == "pending"
    early = physlab("job", "fetch", accepted["job_id"])
    assert early.returncode == 1 and "has not ended" in early.stderr
    (tmp_path / "go").touch()
    near.wait("it ended", lambda: not near.queue())
    fetched = physlab("job", "fetch", "latest")
    assert fetched.returncode == 0 and "answer.txt" in fetched.stdout


def test_stopped_by_hand_the_job_goes_on(near: SlurmCluster, tmp_path: Path) -> None:
    line = CommandLine(tmp_path, {"SLURM_CONF": str(near.conf), "PATH": near.environment["PATH"]})
    script = f"#!/bin/sh\nuntil [ -e {tmp_path}/go ]; do sleep 0.2; done; echo 42 >answer.txt\n"
    process = line.start(
        "call", "distributed_collaboration.job_submit", f"script={script}", preexec_fn=lambda: heard(signal.SIGINT)
    )
    near.wait("it runs", lambda: "RUNNING" in near.queue().values())
    process.send_signal(signal.SIGINT)
    said = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 130 and "goes on: physlab job list" in said["error"]["hint"]
    (tmp_path / "go").touch()
    near.wait("it ended", lambda: not near.queue())
    assert len(line.json("job", "fetch", "latest", "--json")["artifacts"]) == 1


@pytest.mark.drill
def test_killed_at_any_moment_nothing_is_lost_or_doubled(near: SlurmCluster, tmp_path: Path, drill_seed: int) -> None:
    line = CommandLine(tmp_path, {"SLURM_CONF": str(near.conf), "PATH": near.environment["PATH"]})
    moments = random.Random(drill_seed)
    for number in range(8):
        jobs = [{"name": f"r{number}-{n}", "command": ["sh", "-c", f"echo {number} {n} >out"]} for n in range(3)]
        (tmp_path / "jobs.json").write_text(json.dumps(jobs))
        process = line.start("job", "batch", "jobs.json", *(["--wait"] if number % 2 else []))
        time.sleep(moments.uniform(0.3, 2.0))
        process.kill()
        process.communicate()
    near.wait("all ended", lambda: not near.queue())

    def known() -> list[dict[str, Any]]:
        return list(line.json("job", "list", "-n", "100", "--json")["jobs"])

    near.wait("all is settled", lambda: all(job["state"] in ("completed", "rejected") for job in known()))
    ran = [job for job in known() if job["state"] == "completed"]
    folders = near.run("squeue", "-h", "-r", "-t", "all", "-o", "%i %Z").splitlines()
    mine = {text.split()[0] for text in folders if str(tmp_path) in text}
    assert {job["job_id"] for job in ran} == mine, "what Slurm ran is what the ledger knows"
    assert len({job["name"] for job in ran}) == len(ran), "and none of it twice"
    for job in ran:
        [artifact] = line.json("job", "fetch", job["job_id"], "--json")["artifacts"]
        assert Path(artifact["path"]).read_text().split() == re.findall(r"\d+", job["name"])
    left = {path.name for path in (tmp_path / "home" / "jobs").iterdir()} if ran else set()
    assert left == {Path(job["folder"]).parent.name for job in ran}, "nothing is left of what was never accepted"
    print(f"seed {drill_seed}: {len(ran)} of 24 jobs were accepted")
