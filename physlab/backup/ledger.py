"""Backups in the lab's own ledger: what was sent, when it was received, what was forgotten, what was read again.

This list decides what is kept. The repository's own list cannot: its times are chosen by whoever sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from physlab.backup.clock import Moment
from physlab.store import Store

BEGUN, DONE, FORGOTTEN, CHECKED = "backup_begin", "backup", "backup_forget", "backup_check"
POLICY, DRILL = "backup_policy", "drill"


@dataclass(frozen=True)
class Point:
    """A backup that this lab received.

    Attributes:
        snapshot: Its name in the repository.
        repository: The repository's own id.
        token: The mark that it was sent with.
        received: When this machine saw that it was there.
        complete: Everything was read.
        record: The whole record.
    """

    snapshot: str
    repository: str
    token: str
    received: Moment
    complete: bool
    record: dict[str, Any] = field(repr=False)


def records_of(store: Store, *kinds: str) -> list[dict[str, Any]]:
    """Return the records of some kinds in the order in which they came, those of other processes too."""
    store.refresh()
    return store.records_of(*kinds)


def write_down(store: Store, kind: str, record: dict[str, Any]) -> str:
    """Write a record, and to the disk; return its digest."""
    digest = store.append(kind, {"kind": kind, **record})
    store.flush()
    return digest


def moment_record(moment: Moment) -> dict[str, Any]:
    """Return a moment as the ledger keeps it."""
    return {"received_at": moment.wall.isoformat(), "boot": moment.boot, "up_s": round(moment.up_s, 3)}


def _moment(record: dict[str, Any]) -> Moment:
    return Moment(datetime.fromisoformat(record["received_at"]), record["boot"], float(record["up_s"]))


def points_of(store: Store, repository: str | None = None) -> list[Point]:
    """Return the backups that are on the list, oldest first: of one repository, or of all.

    What was forgotten is no longer on it.
    """
    found: dict[tuple[str, str], Point] = {}
    for record in records_of(store, DONE, FORGOTTEN):
        place = record["repository_id"]
        if record["kind"] == FORGOTTEN:
            for snapshot in record["snapshots"]:
                found.pop((place, snapshot), None)
        elif repository in (None, place):
            point = Point(record["snapshot"], place, record["token"], _moment(record), record["complete"], record)
            found[place, record["snapshot"]] = point
    return list(found.values())


def forgotten_of(store: Store, repository: str) -> set[str]:
    """Return the snapshots that were to be forgotten; one that is still there was not, and is no stranger."""
    records = [record for record in records_of(store, FORGOTTEN) if record["repository_id"] == repository]
    return {snapshot for record in records for snapshot in record["snapshots"]}


def begun_of(store: Store, repository: str) -> dict[str, dict[str, Any]]:
    """Return the backups that were begun and have no end in the ledger, by their mark."""
    open_ones: dict[str, dict[str, Any]] = {}
    for record in records_of(store, BEGUN, DONE):
        if record["repository_id"] != repository:
            continue
        if record["kind"] == BEGUN:
            open_ones[record["token"]] = record
        else:
            open_ones.pop(record["token"], None)
    return open_ones


def repositories_of(store: Store) -> dict[str, str]:
    """Return which repository each place held last: its id by its name."""
    return {record["repository"]: record["repository_id"] for record in records_of(store, BEGUN, DONE)}


def checks_of(store: Store, repository: str) -> list[dict[str, Any]]:
    """Return what was read again of a repository, oldest first."""
    return [record for record in records_of(store, CHECKED) if record["repository_id"] == repository]
