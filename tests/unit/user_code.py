"""Functions that python nodes of the tests call, in a worker."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path


def look():
    return {
        "cores": sorted(os.sched_getaffinity(0)),
        "threads": int(os.environ["OMP_NUM_THREADS"]),
        "pid": os.getpid(),
        "parent": os.getppid(),
        "main": hasattr(__import__("__main__"), "MARK_OF_THE_MAIN_MODULE"),
    }


def meet(folder, name, others):
    """Return where this runs, while the others run."""
    Path(folder, name).touch()
    deadline = time.monotonic() + 60
    while not all(Path(folder, other).exists() for other in others):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{others} did not come")
        time.sleep(0.02)
    return look()


def overlap(folder, name, until=0.3):
    """Note when this begins and ends."""
    with Path(folder, "log").open("a") as stream:
        stream.write(f"+{name}\n")
    time.sleep(until)
    with Path(folder, "log").open("a") as stream:
        stream.write(f"-{name}\n")
    return look()


def stuck_in_c():
    return bool(re.match(r"(a+)+$", "a" * 60 + "b"))


def stuck_with_child(folder):
    child = subprocess.Popen(["sleep", "1000"])
    Path(folder, "child").write_text(str(child.pid))
    stuck_in_c()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    os._exit(3)


def hog():
    kept = []
    while len(kept) < 400:
        kept.append(bytes(10_000_000))
    return len(kept)
