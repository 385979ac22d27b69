"""The inside of a worker process. Imports nothing heavy at the top: threads are limited before NumPy is loaded."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_PR_SET_PDEATHSIG = 1
GRACE_S = 15.0  # what a tool that keeps its own time may take to stop its processes


def start(threads: int, parent: int) -> None:
    """Prepare a fresh worker: thread limits, a death that follows its parent's, and that of all it starts its own.

    Args:
        threads: Threads that numeric libraries may use.
        parent: Process id of the conductor.
    """
    limit_threads(threads)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, _warn)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a mere SIGTERM waits while C code runs
        if os.getppid() != parent:
            os._exit(1)  # nobody is left to hear why
    from physlab.tools.process import guard_own_group

    guard_own_group()


def limit_threads(threads: int) -> None:
    """Let numeric libraries that are loaded from now on use so many threads."""
    for name in _THREAD_SETTINGS:
        os.environ[name] = str(threads)


_at_work = False


def _leave(number: int, frame: FrameType | None) -> None:
    """End: in the middle of a node through its `finally` blocks; otherwise, perhaps while leaving already, at once."""
    if _at_work:
        raise SystemExit(128 + number)
    os._exit(128 + number)


def _warn(number: int, frame: FrameType | None) -> None:
    """Pass on that the machine is wanted back."""
    from physlab.tools.process import warn_programs

    warn_programs()


def run(work_json: str, cores: Sequence[int], memory_gb: float | None) -> str:
    """Run one piece of work under its limits and return its result as JSON.

    The clock starts when the tool is loaded. It is the kernel's own alarm: it ends a worker stuck in C code, and one
    whose conductor is gone.
    """
    global _at_work
    import importlib
    import resource

    from physlab.model import Work
    from physlab.plugins import all_tools
    from physlab.sites.usage import Usage
    from physlab.tools.execute import execute

    work = Work.model_validate_json(work_json)
    method = all_tools().find(work.tool, work.method)
    for name in method.imports:
        importlib.import_module(name)
    if cores and sys.platform == "linux":
        os.sched_setaffinity(0, cores)
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    signal.setitimer(signal.ITIMER_REAL, work.time_limit_s + (GRACE_S if method.keeps_time else 0.0))
    _at_work = True
    try:
        if memory_gb is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (int(memory_gb * 1e9), hard))
        usage = Usage()
        result = execute(work)
        return result.model_copy(update={"meta": {**result.meta, **usage.taken()}}).model_dump_json()
    finally:
        _at_work = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
