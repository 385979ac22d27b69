"""Which processes belong to a cluster, and how all of them end: daemons, job steps, jobs and what those started."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from physlab.testing.slurm.plan import MEMORY

PREFIX = "physlab-slurm-"
OWNER = "owner"
CGROUPS = Path("/sys/fs/cgroup")


def birth(pid: int) -> str | None:
    """Return when a process began, in the system's own count, so that a reused number is told apart; None for none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def belonging(base: Path, node: str | None = None) -> Iterator[int]:
    """Yield the processes of a cluster: those that work in its folder, and those of its jobs.

    Args:
        base: The cluster's folder.
        node: Only the jobs of this node, and the steps that they run in.
    """
    here, conf = os.fsencode(base), b"SLURM_CONF=" + os.fsencode(base / "slurm.conf")
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if pid in (os.getpid(), os.getppid()) or birth(pid) is None:
            continue
        try:
            folder = os.fsencode(os.readlink(f"/proc/{pid}/cwd"))
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        job = conf in environment and any(item.startswith(b"SLURM_JOB_ID=") for item in environment)
        if node is None:
            if folder == here or folder.startswith(here + b"/") or job:
                yield pid
        elif job and b"SLURMD_NODENAME=" + node.encode() in environment:
            yield pid
            yield from _steps_above(pid)


def _steps_above(pid: int) -> Iterator[int]:
    """Yield the job steps that a process runs in: they hide their environment, but not their children."""
    while True:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            pid = int(fields[1])
            if not Path(f"/proc/{pid}/comm").read_text().startswith("slurmstepd"):
                return
        except (OSError, ValueError, IndexError):
            return
        yield pid


def sweep(base: Path, node: str | None = None) -> None:
    """Kill what belongs to a cluster (or to one node of it) until nothing is left.

    Raises:
        TimeoutError: Something cannot be killed.
    """
    begun = time.monotonic()
    while left := sorted(set(belonging(base, node)), key=_is_job):  # a step that outlives its job would report its end
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() - begun > 10:
            raise TimeoutError(f"cannot kill {left}")
        time.sleep(0.02)


def _is_job(pid: int) -> bool:
    try:
        return not Path(f"/proc/{pid}/comm").read_text().startswith("slurm")
    except OSError:
        return True


def remove(base: Path) -> None:
    """Remove a cluster's folders, and the control groups of its nodes."""
    for node in (base / "spool").glob("*"):
        for group in CGROUPS.glob(f"*/slurm_{node.name}"):
            for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):
                    folder.rmdir()
            with suppress(OSError):
                group.rmdir()
    shutil.rmtree(base, ignore_errors=True)
    shutil.rmtree(MEMORY / f"{base.name}-db", ignore_errors=True)


def claim(base: Path) -> None:
    """Write down that this process owns a cluster."""
    (base / OWNER).write_text(f"{os.getpid()} {birth(os.getpid())}")


def sweep_abandoned(parent: Path) -> None:
    """End and remove clusters whose owner was killed."""
    for base in parent.glob(f"{PREFIX}*"):
        try:
            pid, begun = (base / OWNER).read_text().split()
        except (OSError, ValueError):
            continue
        if birth(int(pid)) != begun:
            sweep(base)
            remove(base)
