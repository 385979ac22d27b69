"""Running somebody else's program: its own session, its log in a file, a time limit that kills, no orphans."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physlab.errors import ConfigurationError, TimeLimitError

GRACE_S = 2.0
# A worker that is killed outright runs no `finally`. So a tiny shell in a session of its own reads a pipe from the
# worker: the first line names the process group; then either "done" comes, or the pipe closes because the worker died,
# and the group is killed. Unlike PR_SET_PDEATHSIG this reaches grandchildren, needs no preexec_fn (unsafe with
# threads), adds no child that the program itself could wait for, and works on every POSIX system.
_OWN_GUARDS: list[subprocess.Popen[bytes]] = []  # their pipes stay open as long as this process lives
_GUARD = 'read -r group || exit 0; read -r _ || { kill -s KILL -- "-$group"; [ $# -eq 0 ] || "$@"; }'


@dataclass
class Warn:
    """That a program is to save where it is.

    Attributes:
        before_s: So long before its limit, if it has not been told earlier [s].
        given: It was told.
    """

    before_s: float
    given: bool = False


_WARNABLE: dict[int, Warn] = {}


def search_path() -> str:
    """Return where programs are looked for, as a PATH."""
    return os.pathsep.join(os.get_exec_path())


def run_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None,
    log: Path,
    stdin: Path | None = None,
    limit_s: float,
    warning: Warn | None = None,
    cleanup: Sequence[str] = (),
    grace_s: float = GRACE_S,
) -> int:
    """Run a program to its end, appending what it prints (stdout and stderr) to a file.

    Whatever it left running in its process group is killed when it ends, when the limit is reached, when this call is
    interrupted, and when this process dies.

    Args:
        argv: Program and arguments; no shell reads them.
        cwd: Its working directory.
        env: Its whole environment; None inherits ours.
        log: The file that gets its output.
        stdin: The file it reads; None for nothing.
        limit_s: Time limit [s].
        warning: It gets SIGUSR1 so long before the limit, or when `warn_programs` is called; None warns it not.
        cleanup: A command that removes what outlives the process group (a container), run after a kill.
        grace_s: Time between SIGTERM and SIGKILL [s].

    Returns:
        The exit code; the negative signal number when a signal ended it.

    Raises:
        TimeLimitError: It ran longer than `limit_s`.
        ConfigurationError: It cannot be started.
    """
    with log.open("ab") as sink, (stdin or Path(os.devnull)).open("rb") as source, _guarded(cleanup) as watch:
        process = None
        try:
            with _undisturbed():  # who is stopped between the two would leave a program that nobody knows of
                process = _begin(argv, cwd=cwd, env=env, stdin=source, stdout=sink, stderr=sink)
                watch(process.pid)
            if warning is None:
                return process.wait(timeout=limit_s)
            return _wait_and_warn(process, limit_s, warning)
        except subprocess.TimeoutExpired as error:
            raise TimeLimitError(
                f"'{Path(argv[0]).name}' ran longer than its time limit of {limit_s:g} s and was stopped.",
                hint="Raise resources.walltime_s of this node, or make the work smaller.",
                details={"limit_s": limit_s},
            ) from error
        finally:
            if process is not None:
                _WARNABLE.pop(process.pid, None)
                _stop(process, grace_s, cleanup)


def _wait_and_warn(process: subprocess.Popen[bytes], limit_s: float, warning: Warn) -> int:
    before_s = min(warning.before_s, limit_s)
    _WARNABLE[process.pid] = warning
    try:
        return process.wait(timeout=limit_s - before_s)
    except subprocess.TimeoutExpired:
        warn_programs(only=process.pid)
    return process.wait(timeout=before_s)


def warn_programs(only: int | None = None) -> None:
    """Tell the programs of this process that can save where they are, or one of them, to do so: SIGUSR1."""
    for group, warning in list(_WARNABLE.items()):
        if only in (None, group) and not warning.given:
            warning.given = True
            _signal(group, signal.SIGUSR1)


def _begin(argv: Sequence[str], **given: Any) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(list(argv), start_new_session=True, **given)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The program '{argv[0]}' cannot be started: {getattr(error, 'strerror', None) or error}.",
            hint=f"Install it, or give its full path. Looked in {search_path()}.",
            details={"program": argv[0]},
        ) from error


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off what SIGTERM and SIGINT do in this process until the block ends; the programs it starts see nothing."""
    numbers = [number for number in (signal.SIGTERM, signal.SIGINT) if callable(signal.getsignal(number))]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # it is not in this thread that a handler raises
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def describe_exit(code: int) -> str:
    """Say how a program ended: `exit code 3`, or `signal SIGSEGV`."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"


def find_program(names: Sequence[str]) -> str | None:
    """Return the full path of the first of these programs that is installed."""
    return next((found for name in names if (found := shutil.which(name))), None)


def guard_own_group() -> None:
    """Have whatever this process leaves in its process group killed when it ends, however it ends."""
    guard = _start_guard(())
    _tell(guard, os.getpgrp())
    _OWN_GUARDS.append(guard)


def _start_guard(cleanup: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "physlab-guard", *cleanup],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


def _tell(guard: subprocess.Popen[bytes], line: object) -> None:
    if guard.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.write(f"{line}\n".encode())
            guard.stdin.flush()


@contextlib.contextmanager
def _guarded(cleanup: Sequence[str]) -> Iterator[Callable[[object], None]]:
    guard = _start_guard(cleanup)
    try:
        yield lambda line: _tell(guard, line)
    finally:
        _tell(guard, "done")
        guard.communicate()


def _stop(process: subprocess.Popen[bytes], grace_s: float, cleanup: Sequence[str]) -> None:
    """End a process group: at once what a finished program left behind, after a grace what is still at work."""
    finished = process.poll() is not None
    try:
        if not finished:
            _signal(process.pid, signal.SIGTERM)
            _signal(process.pid, signal.SIGCONT)
            _await_end(process, grace_s)
    finally:
        if _signal(process.pid, signal.SIGKILL):
            _await_end(process, grace_s)
        if cleanup and not finished:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(list(cleanup), capture_output=True, timeout=30, check=False)


def _await_end(process: subprocess.Popen[bytes], limit_s: float) -> None:
    end = time.monotonic() + limit_s
    while (process.poll() is None or _has_members(process.pid)) and time.monotonic() < end:
        time.sleep(0.01)


def _signal(group: int, number: int) -> bool:
    """Signal a process group; say whether there was one."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # all gone, or a set-uid member
        return False
    return True


def _has_members(group: int) -> bool:
    """Say whether a process group is still at work; zombies, which a container's first process may keep, are not."""
    import psutil

    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getpgid(pid) == group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return True
    return False
