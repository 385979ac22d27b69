"""Making a backup: lay a state ready, send it, note when it was received, forget what is older than the window."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from physlab.backup import ledger
from physlab.backup.clock import Moment, now
from physlab.backup.engine import Engine, Order, Sent, Snapshot, Tell, record_of
from physlab.backup.ledger import Point
from physlab.backup.place import place_of
from physlab.backup.retention import MARK, Standing, compare, forgettable
from physlab.backup.view import OBJECTS, VIEW, View, lay_view
from physlab.errors import ConfigurationError, PhyslabError, ResourceError
from physlab.settings import Settings, read_days
from physlab.store import Store

Clock = Callable[[], Moment]
NEW = "physlab backup run --new-repository"


@dataclass
class Saved:
    """A backup that was made.

    Attributes:
        record: As the ledger has it.
        forgotten: Snapshots that were older than the window.
        adopted: Snapshots of backups that were killed before they could be noted.
        warnings: What has to be looked at.
        new_password: Where the password is that was made now; empty when it was there.
    """

    record: dict[str, Any]
    forgotten: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    new_password: str = ""


def save_lab(
    store: Store,
    settings: Settings,
    engine: Engine,
    *,
    tell: Tell = lambda words: None,
    clock: Clock = now,
    wait: bool = False,
    new_repository: bool = False,
) -> Saved:
    """Back a lab up while its runs go on.

    Args:
        store: The lab's.
        settings: The lab's.
        engine: The repository.
        tell: Hears of progress.
        clock: Gives the time.
        wait: Wait for another backup, check or drill of this lab to end.
        new_repository: Begin a new repository, though this lab has backups in another one.

    Raises:
        ConfigurationError: The repository, its password or a part of the lab is not where the settings say.
        ResourceError: The repository cannot be reached or takes no more; what was backed up before is whole.
    """
    with place_of(settings).alone(wait=wait):
        repository, new_password = open_repository(store, engine, tell, new_repository)
        there = engine.snapshots()
        adopted = adopt(store, engine, repository, there, clock)
        record, there = _send(store, settings, engine, repository, there, tell, clock)
        saved = Saved(record, adopted=adopted, new_password=new_password)
        standing = standing_of(store, repository, there)
        saved.warnings += warnings_of(record, standing)
        if settings.backup.prune:
            try:
                saved.forgotten = forget_old(store, settings, engine, repository, standing, tell)
            except PhyslabError as error:  # the backup is there all the same
                saved.warnings.append(f"old backups were not forgotten, the next run tries again: {error}")
    return saved


def open_repository(store: Store, engine: Engine, tell: Tell, new: bool = False) -> tuple[str, str]:
    """Return the id of the repository, and where a password is that was made for it now; the lab's first one is made.

    Args:
        store: The lab's.
        engine: The repository.
        tell: Hears of progress.
        new: Make one although this lab has backups in another one.

    Raises:
        ConfigurationError: A repository that was there before is gone, another one is in its place, or none is where
            the settings say and it may be a mistake that they say so.
    """
    known = ledger.repositories_of(store)
    before = known.get(engine.shown)
    if before is None:
        _require_parent(engine.shown)
    new_password = "" if before else engine.prepare()
    found = engine.identity()
    if before is None and found is None:
        if known and not new:
            raise _is_elsewhere(engine, list(known))
        tell(f"making the repository {engine.shown}")
        found = engine.create()
    if found is None:
        raise ConfigurationError(
            f"The repository {engine.shown} is gone: backups went there before.",
            hint="If a disk or share has to be mounted, mount it. To begin anew, name another ([backup] repository), "
            f"then: {NEW}",
        )
    if before not in (None, found):
        raise ConfigurationError(
            f"The repository {engine.shown} is another one than before ({found[:8]}, not {str(before)[:8]}).",
            hint="Mount the right one; or give the new one another name or folder: [backup] repository.",
        )
    return found, new_password


def _require_parent(place: str) -> None:
    """Refuse to make the folders on the way to a repository: a disk that is not mounted has none of them."""
    parent = Path(place).parent
    if place.startswith("/") and not parent.is_dir():
        raise ConfigurationError(
            f"The repository {place} cannot be made: there is no folder {parent}.",
            hint="Mount the disk, or correct [backup] repository (PHYSLAB_BACKUP__REPOSITORY); or make the folder: "
            f"mkdir -p {quote(str(parent))}",
        )


def _is_elsewhere(engine: Engine, known: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(
        f"There is no repository at {engine.shown}; the backups of this lab are at {', '.join(known)}.",
        hint=f"Mount the disk, or correct [backup] repository (PHYSLAB_BACKUP__REPOSITORY). To begin a new one: {NEW}",
    )


def _send(
    store: Store,
    settings: Settings,
    engine: Engine,
    repository: str,
    there: Sequence[Snapshot],
    tell: Tell,
    clock: Clock,
) -> tuple[dict[str, Any], list[Snapshot]]:
    """Send a state of the lab; return its record and what the repository has now."""
    token, place = secrets.token_hex(8), place_of(settings)
    begun, started = clock(), time.monotonic()
    ledger.write_down(
        store, ledger.BEGUN,
        {"token": token, "repository": engine.shown, "repository_id": repository, "started_at": begun.wall.isoformat()},
    )  # fmt: skip
    tell("laying a state of the lab ready")
    view = lay_view(store, settings, place, token)
    tell(f"sending it to {engine.shown}")
    paths = (OBJECTS, VIEW, *(item.path for item in view.also if item.path))
    sent = engine.send(Order(settings.home, paths, (token,), parent_of(store, repository, there)), tell)
    there = engine.snapshots()
    whole = _whole_name(engine, sent, token, there)
    record = {
        **_record(engine, repository, token, sent, view), "snapshot": whole, **ledger.moment_record(clock()),
        "started_at": begun.wall.isoformat(), "duration_s": round(time.monotonic() - started, 3),
    }  # fmt: skip
    ledger.write_down(store, ledger.DONE, record)
    return record, there


def parent_of(store: Store, repository: str | None, there: Sequence[Snapshot]) -> str | None:
    """Return our newest complete snapshot that is still there: what it holds need not be read again."""
    names = {item.id for item in there}
    points = ledger.points_of(store, repository) if repository else []
    return next((item.snapshot for item in reversed(points) if item.complete and item.snapshot in names), None)


def _whole_name(engine: Engine, sent: Sent, token: str, there: Sequence[Snapshot]) -> str:
    """Return the whole name of what was just sent, as the repository has it."""
    found = [item.id for item in there if token in item.tags and item.id.startswith(sent.snapshot)]
    if len(found) != 1:
        raise ResourceError(
            f"The repository {engine.shown} does not show the snapshot {sent.snapshot[:8]} that it took.",
            hint="Look with: physlab backup verify",
        )
    return found[0]


def _record(engine: Engine, repository: str, token: str, sent: Sent, view: View) -> dict[str, Any]:
    return {
        "engine": engine.name, "repository": engine.shown, "repository_id": repository, "token": token,
        "complete": not sent.unread, "unread": list(sent.unread), **record_of(sent),
        "journal": view.journal, "covered": view.covered, "left_out": view.left_out,
    }  # fmt: skip


def adopt(store: Store, engine: Engine, repository: str, there: Sequence[Snapshot], clock: Clock) -> list[str]:
    """Put snapshots on the list that a killed backup had sent and not noted: received now, so that none ages too soon.

    Each carries the mark that the ledger had before it was sent.
    """
    begun, adopted = ledger.begun_of(store, repository), []
    for item in there:
        token = next((tag for tag in item.tags if tag in begun), None)
        if token is None or MARK not in item.tags:
            continue
        intent = begun.pop(token)
        record = {
            "engine": engine.name, "repository": engine.shown, "repository_id": repository, "token": token,
            "snapshot": item.id, "complete": False, "unread": ["its maker was killed before it said what it sent"],
            "started_at": intent["started_at"], **ledger.moment_record(clock()), "adopted": True,
        }  # fmt: skip
        ledger.write_down(store, ledger.DONE, record)
        adopted.append(item.id)
    return adopted


def standing_of(store: Store, repository: str, there: Sequence[Snapshot]) -> Standing:
    """Compare the list with what the repository has."""
    return compare(ledger.points_of(store, repository), there, ledger.forgotten_of(store, repository))


def forget_old(
    store: Store, settings: Settings, engine: Engine, repository: str, standing: Standing, tell: Tell
) -> list[str]:
    """Forget what is older than the window; the ledger has it before the repository is asked."""
    old = [point.snapshot for point in forgettable(standing.present, read_days(settings.backup.keep))]
    names = [*standing.undone, *old]
    if old:
        ledger.write_down(
            store, ledger.FORGOTTEN,
            {"repository": engine.shown, "repository_id": repository, "snapshots": old, "keep": settings.backup.keep},
        )  # fmt: skip
    if names:
        tell(f"forgetting {len(names)} backups older than {settings.backup.keep}")
        engine.forget(names, tell)
    return names


def warnings_of(record: dict[str, Any], standing: Standing) -> list[str]:
    """Return what has to be looked at after a backup."""
    found = [f"not in the backup: {words}" for words in record["left_out"]]
    found += [f"could not be read: {words}" for words in record["unread"]]
    return found + standing_warnings(standing)


def standing_warnings(standing: Standing) -> list[str]:
    """Return what is odd about a repository."""
    found = []
    if standing.gone:
        found.append(
            f"{_counted(standing.gone)} of this lab's list {'is' if len(standing.gone) == 1 else 'are'} gone from the "
            "repository, and it was not physlab that removed them"
        )
    if standing.strangers:
        found.append(
            f"{_counted(standing.strangers)} in the repository {'is' if len(standing.strangers) == 1 else 'are'} not "
            "on this lab's list; nothing is concluded from them, and they are never removed: physlab backup list"
        )
    return found


def _counted(items: tuple[Point, ...] | tuple[Snapshot, ...]) -> str:
    return f"{len(items)} snapshot{'' if len(items) == 1 else 's'}"
