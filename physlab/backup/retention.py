"""What may be forgotten: decided by our own list of when each backup was received, and by nothing else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from physlab.backup.clock import DAY_S, ages_s
from physlab.backup.engine import Snapshot
from physlab.backup.ledger import Point

MARK = "physlab"


@dataclass(frozen=True)
class Standing:
    """How the list and the repository compare.

    Attributes:
        present: Points of the list that are in the repository, oldest first.
        gone: Points of the list that are not: somebody removed them.
        strangers: Snapshots that are not on the list: never removed by us.
        undone: Snapshots that were to be forgotten and are still there: whoever did that was killed or refused.
    """

    present: tuple[Point, ...]
    gone: tuple[Point, ...]
    strangers: tuple[Snapshot, ...]
    undone: tuple[str, ...] = ()


def compare(points: Sequence[Point], snapshots: Sequence[Snapshot], forgotten: Collection[str] = ()) -> Standing:
    """Compare the list with what the repository has."""
    there, known = {item.id for item in snapshots}, {point.snapshot for point in points} | set(forgotten)
    return Standing(
        tuple(point for point in points if point.snapshot in there),
        tuple(point for point in points if point.snapshot not in there),
        tuple(item for item in snapshots if item.id not in known),
        tuple(item.id for item in snapshots if item.id in set(forgotten) - {point.snapshot for point in points}),
    )


def ages_of(points: Sequence[Point]) -> dict[str, float]:
    """Return how old each backup is against the newest complete one [s]; those after it are as old as it."""
    complete = [point for point in points if point.complete]
    ages = dict(zip((point.snapshot for point in complete), ages_s([p.received for p in complete]), strict=True))
    found, newer = {}, 0.0
    for point in reversed(points):
        newer = ages.get(point.snapshot, newer)  # an incomplete one is at least as old as the next complete one
        found[point.snapshot] = newer
    return found


def forgettable(points: Sequence[Point], keep_days: int) -> list[Point]:
    """Return the backups that are older than the window, oldest first.

    Age is counted from the newest complete backup, so that nothing gets old while none is made, and in steps of at
    most a day from one to the next: with one backup a day, so many days are always kept, whatever the clock did and
    however many days were missed. Incomplete backups make nothing older.

    Args:
        points: The list, oldest first, as far as it is in the repository.
        keep_days: The window [d].
    """
    ages = ages_of(points)
    return [point for point in points if ages[point.snapshot] > keep_days * DAY_S]
