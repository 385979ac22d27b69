"""Time, as far as it can be trusted: what the clock on the wall says, and how long the machine has been up.

The clock on the wall may be set forward or back by anyone who administers the machine, or by a flat battery. The time
since the machine was started cannot. `age` takes of both what is less.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DAY_S = 86_400.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Moment:
    """A point in time.

    Attributes:
        wall: The clock on the wall.
        boot: Which start of the machine; empty where that is not known.
        up_s: Time since then [s].
    """

    wall: datetime
    boot: str = ""
    up_s: float = 0.0


def now() -> Moment:
    """Return this moment."""
    boot = _BOOT.read_text().strip() if _BOOT.exists() else ""
    kind = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return Moment(datetime.now(UTC), boot, time.clock_gettime(kind))


def step_s(before: Moment, after: Moment) -> float:
    """Return how much older everything became between two backups that follow each other [s]: at most a day.

    A clock that was set back makes nothing older, one that was set forward by a year makes it older by a day, and
    not even that where the machine was not started anew meanwhile. Days without a backup count as one.
    """
    said = min(max((after.wall - before.wall).total_seconds(), 0.0), DAY_S)
    if before.boot and before.boot == after.boot:
        return min(said, max(after.up_s - before.up_s, 0.0))
    return said


def ages_s(moments: Sequence[Moment]) -> list[float]:
    """Return how old each moment is against the last one [s]; they are in the order in which they came."""
    ages = [0.0] * len(moments)
    for index in range(len(moments) - 2, -1, -1):
        ages[index] = ages[index + 1] + step_s(moments[index], moments[index + 1])
    return ages
