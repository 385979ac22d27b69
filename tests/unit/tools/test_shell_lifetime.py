"""A user's own command: nothing of it outlives its limit or its worker."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from physlab.errors import TimeLimitError
from physlab.model import Visuals
from physlab.plugins import all_tools
from physlab.tools.call import call_method
from physlab.tools.context import Context


def group_of(pid_file: Path) -> list[psutil.Process]:
    """Return the living processes whose ids a test command wrote down."""
    found = []
    for pid in map(int, pid_file.read_text().split()):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


STUBBORN = "trap '' TERM; sleep 1000 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; while :; do sleep 1000; done"


def call(workdir: Path, command: str, limit_s: float) -> dict[str, Any]:
    context = Context(lambda: workdir, Visuals(static=False, series=False, animation=False), time_limit_s=limit_s)
    return call_method(all_tools().find("shell"), {"command": command}, context)


def test_the_time_limit_kills_the_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    (tmp_path / "w").mkdir()
    with pytest.raises(TimeLimitError, match=r"(?s)longer than its time limit of 0\.5 s.*said this"):
        call(tmp_path / "w", "echo said this; " + STUBBORN.format(pids=pids), 0.5)
    assert group_of(pids) == []


def test_a_polite_program_gets_time_to_finish(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    command = "trap 'echo saved; exit' TERM; echo ready; while :; do sleep 0.05; done"
    with pytest.raises(TimeLimitError, match="saved"):
        call(tmp_path / "w", command, 0.5)


def test_what_a_finished_command_left_running_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    (tmp_path / "w").mkdir()
    call(tmp_path / "w", f"sleep 1000 & echo $! > {pids}", 30)
    wait_until(lambda: group_of(pids) == [])


EARLY = """
import os, signal, subprocess, sys
from pathlib import Path
from tests.unit.tools.test_shell_lifetime import call
def leave(number, frame):
    raise SystemExit(143)
signal.signal(signal.SIGTERM, leave)
begin = subprocess.Popen.__init__
def stopped(self, argv, *more, **given):
    begin(self, argv, *more, **given)
    if "sleep 1000" in argv[-1]:  # the worst moment: the program runs, and nobody has been told of it
        os.kill(os.getpid(), signal.SIGTERM)
subprocess.Popen.__init__ = stopped
call(Path(sys.argv[1]), sys.argv[2], 1000)
"""


def test_who_is_stopped_at_the_worst_moment_leaves_nothing_either(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    (tmp_path / "w").mkdir()
    command = [sys.executable, "-c", EARLY, str(tmp_path / "w"), STUBBORN.format(pids=pids)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 143
    marker = str(pids).encode()
    left = [one for one in psutil.process_iter(["cmdline"]) if marker in " ".join(one.info["cmdline"] or ()).encode()]
    assert left == []


WORKER = """
import signal, sys
from pathlib import Path
from tests.unit.tools.test_shell_lifetime import call
def leave(number, frame):
    raise SystemExit(143)
signal.signal(signal.SIGTERM, leave)
call(Path(sys.argv[1]), sys.argv[2], 1000)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_its_worker(tmp_path: Path, number: signal.Signals) -> None:
    pids = tmp_path / "pids"
    (tmp_path / "w").mkdir()
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path / "w"), STUBBORN.format(pids=pids)])
    wait_until(pids.exists)
    members = group_of(pids)
    assert len(members) == 2
    worker.send_signal(number)
    assert worker.wait(timeout=30) == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    wait_until(lambda: not set(members).intersection(group_of(pids)))  # a number may be another process's by then
