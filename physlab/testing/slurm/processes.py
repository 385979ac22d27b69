"""Which processes belong to a cluster, and how all of them end: daemons, job steps, jobs and what those started."""

from __future__ import annotations

import os
import shutil
import signal
import time
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


def belonging(base: Path, node: str | None = None) -> set[int]:
    """Return the processes of a cluster: those that work in its folder, those of its jobs, and what all these started.

    Args:
        base: The cluster's folder.
        node: Only the jobs of this node, and the steps that they run in.
    """
    found = {pid for pid in _all() if _is_of(pid, base, node)}
    children: dict[int, list[int]] = {}
    for pid in _all():
        children.setdefault(_parent(pid), []).append(pid)
    stack = list(found)
    while stack:  # some hide their environment: what started them, or what they started, tells
        for child in children.get(stack.pop(), ()):
            if child not in found:
                found.add(child)
                stack.append(child)
    return found - {os.getpid(), os.getppid()}


def _is_of(pid: int, base: Path, node: str | None) -> bool:
    if pid in (os.getpid(), os.getppid()) or birth(pid) is None:
        return False
    try:
        folder = os.readlink(f"/proc/{pid}/cwd")
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    inside = folder == str(base) or folder.startswith(f"{base}/")
    conf = b"SLURM_CONF=" + os.fsencode(base / "slurm.conf")
    job = conf in environment and any(item.startswith(b"SLURM_JOB_ID=") for item in environment)
    if node is None:
        return inside or job
    if job:
        return b"SLURMD_NODENAME=" + node.encode() in environment
    return inside and _name(pid).startswith("slurmstepd") and f"slurmd-{node}.log" in _opened(pid)


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _opened(pid: int) -> set[str]:
    """Return the names of the files that a process has open."""
    names = set()
    with suppress(OSError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                names.add(os.path.basename(os.readlink(f"/proc/{pid}/fd/{entry}")))
    return names


def sweep(base: Path, node: str | None = None) -> None:
    """Kill what belongs to a cluster (or to one node of it) until nothing is left.

    Raises:
        TimeoutError: Something cannot be killed.
    """
    begun = time.monotonic()
    while left := sorted(belonging(base, node), key=_is_job):  # a step that outlives its job would report its end
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() - begun > 10:
            raise TimeoutError(f"cannot kill {left}")
        time.sleep(0.02)


def _is_job(pid: int) -> bool:
    return not _name(pid).startswith("slurm")


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
