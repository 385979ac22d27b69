"""Which processes belong to a cluster, and how all of them end."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "physlab-kubernetes-"
OWNER = "owner"


def birth(pid: int) -> str | None:
    """Return when a process began, in the system's own count, so that a reused number is told apart; None for none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def belonging(base: Path) -> set[int]:
    """Return the processes of a cluster's containers, and what runs them: those that name its folder."""
    found, mark = set(), os.fsencode(base)
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in (os.getpid(), os.getppid()) or birth(int(name)) is None:
            continue
        with suppress(OSError):
            place = Path(f"/proc/{name}")
            said = place.joinpath("environ").read_bytes() + place.joinpath("cmdline").read_bytes()
            if mark in said or os.readlink(place / "cwd").startswith(str(base)):
                found.add(int(name))
    return found


def sweep(base: Path) -> None:
    """Kill what belongs to a cluster until nothing is left.

    Raises:
        TimeoutError: Something cannot be killed.
    """
    begun = time.monotonic()
    while left := belonging(base):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() - begun > 10:
            raise TimeoutError(f"cannot kill {left}")
        time.sleep(0.02)


def claim(base: Path) -> None:
    """Write down that this process owns a cluster."""
    (base / OWNER).write_text(f"{os.getpid()} {birth(os.getpid())}")


def remove(base: Path) -> None:
    """Remove a cluster's folder."""
    shutil.rmtree(base, ignore_errors=True)


def sweep_abandoned(parent: Path) -> None:
    """End and remove clusters whose owner was killed."""
    for base in parent.glob(f"{PREFIX}*"):
        try:
            pid, begun = (base / OWNER).read_text().split()
        except (OSError, ValueError):
            continue
        if birth(int(pid)) != begun:
            with suppress(PermissionError):  # another user's
                sweep(base)
                remove(base)
