"""What a job writes is told while it runs: on the terminal, in order, to the last byte."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from physlab.testing.slurm import SlurmCluster, missing_parts
from tests.empty_base import furnish
from tests.system.commandline import CommandLine

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")
SLOW = '{"command": ["sh", "-c", "for i in 1 2 3 4; do echo line $i; sleep 1; done; printf half-é"]}'


@pytest.fixture
def line(near: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    folder = tmp_path_factory.mktemp("lab")
    return CommandLine(folder, {"SLURM_CONF": str(near.conf), "PATH": near.environment["PATH"]})


def test_the_log_streams_while_the_job_runs(line: CommandLine) -> None:
    with line.start("call", "distributed_collaboration.job_submit", f"job_spec={SLOW}", "stream_logs=true") as process:
        assert process.stderr is not None
        came = [(time.monotonic(), text) for text in process.stderr]
    assert [text for _, text in came] == [*(f"line {n}\n" for n in range(1, 5)), "half-é\n"]
    assert came[3][0] - came[0][0] > 1.5, "they came as they were written"
    process = line.start("call", "distributed_collaboration.job_submit", f"job_spec={SLOW}", "stream_logs=false")
    assert process.communicate(timeout=60)[1] == ""


def test_two_follow_one_log(line: CommandLine) -> None:
    accepted = line.json("call", "distributed_collaboration.job_submit", f"job_spec={SLOW}", "wait=false")
    said: dict[int, str] = {}

    def follow(number: int) -> None:
        said[number] = line.run("job", "logs", accepted["job_id"], "--follow").stdout

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = "line 1\nline 2\nline 3\nline 4\nhalf-é"
    assert said == {0: whole, 1: whole}
    assert line.json("job", "logs", "latest", "--json")["log"] == whole


def test_a_long_log_is_whole(line: CommandLine) -> None:
    spec = '{"command": ["sh", "-c", "seq 400000; sleep 1; seq 5"]}'
    accepted = line.json("call", "distributed_collaboration.job_submit", f"job_spec={spec}", "wait=false")
    said = line.run("job", "logs", accepted["job_id"], "--follow").stdout.split()
    assert said == [*map(str, range(1, 400_001)), *map(str, range(1, 6))]


def test_the_log_of_a_job_is_the_log_of_its_task_run(line: CommandLine, prefect_base: Path) -> None:
    furnish(line.home, prefect_base)
    node = {"id": "job", "tool": "distributed_collaboration", "method": "job_submit",
            "params": {"script": "#!/bin/sh\nfor i in 1 2 3; do echo hello $i; sleep 1; done\n"}}  # fmt: skip
    (line.folder / "graph.json").write_text(json.dumps({"nodes": [node]}))
    asked = "SELECT message, task_run_id IS NOT NULL, timestamp FROM log WHERE name = 'physlab.job' ORDER BY timestamp"
    try:
        line.json("run", "graph.json", "--json")
        [database] = line.home.rglob("prefect.db")
        for _ in range(100):
            with contextlib.closing(sqlite3.connect(database)) as connection:
                told = connection.execute(asked).fetchall()
            if len(told) == 3:
                break
            time.sleep(0.2)
    finally:
        line.run("server", "down")
    assert [(text, of_task) for text, of_task, _ in told] == [(f"hello {n}", 1) for n in (1, 2, 3)]
    assert told[0][2] < told[2][2]
    verbose = line.run("run", "graph.json", "--no-server", "-v")
    assert "hello 2\n" in verbose.stderr
