"""Whenever a process that commits runs is killed: the next one completes it, and nothing is lost or twice there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from physlab.dvcrepo.programs import dvc
from physlab.service.dvc import commit_records, commit_runs, queued_runs, repository_of, verify_data
from tests.unit.conftest import open_lab
from tests.unit.dvcrepo.conftest import git, run

ROOT = Path(__file__).parents[2]
STEPS = 50  # a commit of three runs has more


def start(folder: Path, step: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.system.dvc_kill", str(folder), str(step)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def prepare(folder: Path) -> list[str]:
    folder.mkdir()
    with open_lab(folder) as lab:
        return [run(lab, n=4000, title="One"), run(lab, n=4001, title="One"), run(lab, n=4002, title="Two")]


def require_complete(folder: Path, runs: list[str], *, with_dvc: bool = False) -> None:
    """Commit what is left, and look at all of it."""
    with open_lab(folder) as lab:
        commit_runs(lab, every=True)
        log = git(lab, "log", "--format=%s", "--reverse", "--", "runs").splitlines()
        assert [line.split()[2].rstrip(":") for line in log] == runs, "each once, in their order"
        assert sorted(git(lab, "tag").split()) == sorted(f"run/{one}" for one in runs)
        assert sorted(record["run_id"] for record in commit_records(lab)) == sorted(runs)
        assert queued_runs(lab) == [] and verify_data(lab)["ok"]
        git(lab, "fsck", "--strict")
        repository = repository_of(lab)
        assert git(lab, "status", "--porcelain") == ""
        assert not list(repository.folder.glob("runs/*/.*.tmp")) and not list(repository.scratch.glob("show-*"))
        if with_dvc:
            assert dvc(repository.folder, repository.own, ["status"]).strip() == "Data and pipelines are up to date."


def test_a_kill_between_any_two_steps_is_made_good(tmp_path: Path, toy_tools: None, drill_seed: int) -> None:
    choose = random.Random(drill_seed)
    runs = prepare(tmp_path / "lab")
    for step in sorted(choose.sample(range(1, STEPS), 2)):  # the same lab again, killed further on
        process = start(tmp_path / "lab", step)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it came to that step"
    require_complete(tmp_path / "lab", runs, with_dvc=drill_seed == 0)


def test_processes_that_commit_at_once_lose_nothing(tmp_path: Path, toy_tools: None) -> None:
    runs = prepare(tmp_path / "lab")
    processes = [start(tmp_path / "lab", 0) for _ in range(2)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
    require_complete(tmp_path / "lab", runs)


@pytest.mark.drill
def test_a_kill_at_any_time_is_made_good(tmp_path: Path, toy_tools: None, drill_seed: int) -> None:
    """The whole group is killed, git with it: it leaves locks of its own."""
    choose = random.Random(drill_seed)
    runs = prepare(tmp_path / "lab")
    for _ in range(2):
        command = [sys.executable, "-m", "tests.system.dvc_kill", str(tmp_path / "lab"), "0"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
        repository = tmp_path / "lab" / "home" / "repository"
        while process.poll() is None and not repository.exists():
            time.sleep(0.01)
        time.sleep(choose.uniform(0, 0.5))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    require_complete(tmp_path / "lab", runs)
