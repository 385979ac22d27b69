"""What the kernel says of a job's memory, for whoever is inside it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
UNLIMITED = 2**60  # the first kind of cgroups writes a number for none
TABLE = Path("/proc/self/cgroup")


def oom_kills(table: Path = TABLE, root: Path = ROOT) -> int:
    """Return how many processes of this group of processes the kernel has killed for want of memory; 0 if unknown."""
    folder = _folder(table, root)
    for name in ("memory.events", "memory.oom_control"):
        for line in _lines(folder / name) if folder else ():
            word, _, number = line.partition(" ")
            if word == "oom_kill" and number.isdigit():
                return int(number)
    return 0


def peak_mb(table: Path = TABLE, root: Path = ROOT) -> float | None:
    """Return the largest memory this group of processes has used so far [MB, 2^20 bytes]; None if unknown."""
    folder = _folder(table, root)
    for name in ("memory.peak", "memory.max_usage_in_bytes"):
        for line in _lines(folder / name) if folder else ():
            if line.isdigit():
                return int(line) / 2**20
    return None


def is_limited(table: Path = TABLE, root: Path = ROOT) -> bool:
    """Say whether the kernel limits the memory of this job, at any of the levels that a job has."""
    folder = _folder(table, root)
    while folder is not None:
        for name in ("memory.max", "memory.limit_in_bytes"):
            if any(line.isdigit() and int(line) < UNLIMITED for line in _lines(folder / name)):
                return True
        folder = None if folder.name.startswith("job_") else folder.parent
    return False


def _folder(table: Path, root: Path) -> Path | None:
    """Return the folder of this job's memory group, of the first or second kind of cgroups; None outside of a job."""
    for line in _lines(table):
        _, controllers, path = line.split(":", 2)
        if "/job_" not in path:
            continue
        if "memory" in controllers.split(","):
            return root / "memory" / path.lstrip("/")
        if not controllers and (root / path.lstrip("/") / "memory.events").exists():
            return root / path.lstrip("/")
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
