"""What is kept is decided by the lab's own list and no clock can shorten it (S37)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physlab.backup.clock import DAY_S, Moment, step_s
from physlab.backup.engine import Snapshot
from physlab.backup.ledger import Point
from physlab.backup.retention import compare, forgettable

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
BOOT = "3f0c"


def at(days: float, boot: str = "", up_days: float = 0.0) -> Moment:
    return Moment(NOON + timedelta(days=days), boot, up_days * DAY_S)


def point(name: int, moment: Moment, complete: bool = True) -> Point:
    return Point(f"{name:064x}", "repo", f"{name:016x}", moment, complete, {})


def kept(points: list[Point], days: int = 30) -> list[int]:
    gone = {item.snapshot for item in forgettable(points, days)}
    return [int(item.snapshot, 16) for item in points if item.snapshot not in gone]


def test_a_window_of_30_days_keeps_what_is_not_older() -> None:
    points = [point(day, at(day)) for day in range(60)]
    assert kept(points) == list(range(29, 60))


def test_nothing_gets_old_while_no_backup_is_made() -> None:
    points = [point(day, at(day)) for day in range(10)]
    assert kept([*points, point(10, at(500))]) == list(range(11))


@pytest.mark.parametrize("jump", [-4000, -400, -30, 30, 400, 4000])
def test_s37_a_jump_of_the_clock_forgets_nothing(jump: int) -> None:
    before = [point(day, at(day)) for day in range(30)]
    after = [point(30 + day, at(30 + day + jump)) for day in range(3)]
    right = [point(33, at(33))]
    assert set(kept([*before, *after])) >= set(range(3, 33))
    assert set(kept([*before, *after, *right])) >= set(range(4, 34))


def test_s37_many_jumps_while_the_machine_stays_up_make_nothing_older() -> None:
    """The time since the machine was started cannot be set: a hundred jumps of a year within an hour are an hour."""
    points = [point(day, at(day, BOOT, day)) for day in range(30)]
    jumps = [point(30 + n, at(30 + 365 * n, BOOT, 29 + (n + 1) / 2400)) for n in range(100)]
    assert kept([*points, *jumps]) == list(range(130))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9), days=st.integers(31, 120))
def test_s37_30_daily_points_survive_whatever_the_clock_does(seed: int, days: int) -> None:
    """Missed days, restarts, jumps by years either way, killed and incomplete backups: 30 points are always there."""
    choose, skew, up, boot = random.Random(seed), 0.0, 0.0, "0"
    points: list[Point] = []
    whole: list[int] = []
    for day in range(days):
        if choose.random() < 0.15:
            continue
        if choose.random() < 0.1:
            skew += choose.uniform(-3000, 3000)
        if choose.random() < 0.1:
            boot, up = f"{day}", 0.0
        up += 1.0
        moment = at(day + skew + choose.uniform(-0.1, 0.1), boot, up)
        points.append(point(day, moment, complete=choose.random() > 0.1))
        whole += [day] if points[-1].complete else []
        left = set(kept(points))
        points = [item for item in points if int(item.snapshot, 16) in left]
        complete = [item for item in points if item.complete]
        assert not complete or complete[-1] in points
        assert len(complete) >= min(30, len(whole))


def test_30_points_are_there_after_30_days_with_missed_ones() -> None:
    made = [day for day in range(90) if day % 3 != 1]  # every third day is missed
    points: list[Point] = []
    for day in made:
        points.append(point(day, at(day)))
        points = [item for item in points if int(item.snapshot, 16) in set(kept(points))]
        assert len(points) >= min(30, len([other for other in made if other <= day]))


def test_incomplete_backups_push_nothing_out() -> None:
    whole = [point(day, at(day)) for day in range(5)]
    broken = [point(5 + day, at(5 + day), complete=False) for day in range(90)]
    assert kept([*whole, *broken]) == list(range(95))
    later = [point(95 + day, at(95 + day)) for day in range(60)]
    left = kept([*whole, *broken, *later])
    assert left == sorted(left) and left[0] > 5 and len([name for name in left if name >= 95]) >= 30


def test_strangers_and_what_is_gone_are_told_apart() -> None:
    points = [point(1, at(1)), point(2, at(2))]
    there = [Snapshot(points[1].snapshot, "1970-01-01T00:00:00Z", "physlab", ()), Snapshot("f" * 64, "2099", "x", ())]
    standing = compare(points, there)
    assert (standing.present, standing.gone) == ((points[1],), (points[0],))
    assert [item.id for item in standing.strangers] == ["f" * 64]
    assert compare(points, there, forgotten={"f" * 64}).strangers == ()


def test_a_step_is_at_most_a_day_and_never_back() -> None:
    assert step_s(at(0), at(0.5)) == DAY_S / 2
    assert step_s(at(0), at(9)) == DAY_S
    assert step_s(at(9), at(0)) == 0
    assert step_s(at(0, BOOT, 0), at(9, BOOT, 0.25)) == DAY_S / 4
    assert step_s(at(0, BOOT, 5), at(1, "other", 0)) == DAY_S
