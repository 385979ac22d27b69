"""Backups of a lab as the faces ask for them: make, list, verify, restore, how old, when."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import Any

from physlab import backup
from physlab.backup.clock import Moment, now
from physlab.backup.engine import Tell
from physlab.backup.ledger import checks_of, repositories_of
from physlab.backup.place import place_of
from physlab.backup.save import parent_of, standing_of, standing_warnings
from physlab.errors import ConfigurationError, PhyslabError, ValidationError
from physlab.lab import Lab
from physlab.notify import notify
from physlab.settings import Settings, read_days, read_schedule, read_share
from physlab.store import Store, open_store
from physlab.tools.process import find_program

FAILED, LATE, DONE = "physlab.backup.failed", "physlab.backup.late", "physlab.backup.completed"
DEPLOYMENT = "daily-backup/lab"
BACKWARD_H = 1.0
Report = Callable[[str, str, dict[str, Any]], None]
"""Hears of an event: its name, a sentence, details."""
Activate = Callable[[Settings, str, str], dict[str, Any] | None]
"""Makes a schedule (cron, time zone) active on a Prefect server; None where there is no server."""


def unheard(event: str, message: str, details: dict[str, Any]) -> None:
    """Hear of an event and do nothing."""


def silent(words: str) -> None:
    """Hear of progress and do nothing."""


def run_backup(
    lab: Lab,
    *,
    limit: str | None = None,
    tell: Tell = silent,
    report: Report = unheard,
    clock: Callable[[], Moment] = now,
    wait: bool = False,
    new_repository: bool = False,
) -> dict[str, Any]:
    """Back the lab up now.

    Args:
        lab: The lab.
        limit: Bytes a second, such as 5MB/s.
        tell: Hears of progress.
        report: Hears that it failed, or that it is done.
        clock: Gives the time.
        wait: Wait for another backup, check or drill of this lab to end.
        new_repository: Begin a new repository, though this lab has backups in another one.

    Raises:
        PhyslabError: It failed; who is to be notified has been.
    """
    settings = kept_settings(lab)
    try:
        saved = backup.save_lab(
            lab.store, settings, backup.choose_engine(settings, limit), tell=tell, clock=clock, wait=wait,
            new_repository=new_repository,
        )  # fmt: skip
    except PhyslabError as error:
        problems = announce(settings, report, FAILED, f"The backup failed. {error.message}", error.as_reply())
        error.details = {**error.details, **({"notify": problems} if problems else {})}
        raise
    if not saved.record["complete"]:
        words = f"The backup is not complete: {len(saved.record['unread'])} files could not be read."
        saved.warnings += announce(settings, report, FAILED, words, {"unread": saved.record["unread"]})
    else:
        report(DONE, f"Backed up as {saved.record['snapshot'][:8]}.", {"snapshot": saved.record["snapshot"]})
    reply = {**saved.record, "forgotten": saved.forgotten, "adopted": saved.adopted, "warnings": saved.warnings}
    return {**reply, "new_password": saved.new_password or None}


def announce(settings: Settings, report: Report, event: str, message: str, details: dict[str, Any]) -> list[str]:
    """Tell of an event everywhere; return what went wrong with that."""
    report(event, message, details)
    return notify(settings, event, message, details)


def preview_backup(lab: Lab, limit: str | None = None) -> dict[str, Any]:
    """Say what a backup would send, and with which command; nothing is sent or written."""
    from physlab.backup.engine import Order
    from physlab.backup.view import OBJECTS, VIEW

    settings = kept_settings(lab)
    engine = backup.choose_engine(settings, limit)
    repository = repositories_of(lab.store).get(engine.shown)
    parent = parent_of(lab.store, repository, engine.snapshots() if repository else ())
    order = Order(settings.home, (OBJECTS, VIEW, *map(str, settings.backup.also)), ("0" * 16,), parent)
    return {"repository": engine.shown, "commands": engine.commands(order), "keep": settings.backup.keep}


def list_backups(lab: Lab) -> dict[str, Any]:
    """Return the backups on the lab's list, and what else the repository has."""
    settings = kept_settings(lab)
    engine = backup.choose_engine(settings)
    repository = repositories_of(lab.store).get(engine.shown) or (
        engine.identity() if _has_password(settings) else None
    )
    if repository is None:
        return {"repository": engine.shown, "backups": [], "strangers": [], "gone": [], "warnings": []}
    standing = standing_of(lab.store, repository, engine.snapshots())
    return {
        "repository": engine.shown,
        "backups": [_plain(point) for point in reversed(standing.present)],
        "gone": [_plain(point) for point in standing.gone],
        "strangers": [
            {"snapshot": item.id, "claimed_time": item.time, "host": item.host} for item in standing.strangers
        ],
        "warnings": standing_warnings(standing),
    }


def _has_password(settings: Settings) -> bool:
    """Say whether a repository can be asked: on a new machine with the password, there is one and no list of it."""
    own, given = place_of(settings).password, settings.backup
    return own.exists() or any((given.password, given.password_file, given.password_command))


def _plain(point: backup.Point) -> dict[str, Any]:
    names = ("files", "size", "added", "duration_s", "journal")
    facts = {name: point.record.get(name) for name in names}
    received = point.received.wall.isoformat()
    return {"snapshot": point.snapshot, "received_at": received, "complete": point.complete, **facts}


def verify_backup(
    lab: Lab, share: str | None = None, *, tell: Tell = silent, report: Report = unheard, wait: bool = False
) -> dict[str, Any]:
    """Read the repository again: all data, or with a share such as 1/30 the part whose turn it is.

    Raises:
        ValidationError: The share is not understood.
        PhyslabError: The repository cannot be read at all.
    """
    settings = kept_settings(lab)
    try:
        of = read_share(share) if share else 1
    except ValueError as error:
        raise ValidationError(f"{error}.", hint="Such as: physlab backup verify --share 1/30") from error
    engine = backup.choose_engine(settings)
    checked = backup.check_repository(lab.store, settings, engine, of, tell=tell, wait=wait)
    warnings = list(checked.warnings)
    if checked.problems:
        words = f"The repository {engine.shown} is damaged: {checked.problems[0]}."
        warnings += announce(settings, report, FAILED, words, {"problems": checked.problems})
    return {**checked.record, "ok": not checked.problems, "warnings": warnings}


def restore_backup(
    settings: Settings, snapshot: str, target: Path, *, limit: str | None = None, salvage: bool = False,
    tell: Tell = silent,
) -> dict[str, Any]:  # fmt: skip
    """Restore a backup into a new folder and check every hash; no lab needs to be here.

    Raises:
        ValidationError: There is no such snapshot, or the folder is not empty.
        StoreError: The disk is full, or the repository is damaged; nothing is left behind.
    """
    store = _store_if_any(settings)
    with _workplace(settings, store is None) as placed:
        engine = backup.choose_engine(placed, limit)
        try:
            found = backup.restore_lab(store, engine, snapshot, target, tell=tell, salvage=salvage)
        finally:
            if store is not None:
                store.close()
    return {
        "folder": str(found.folder), "snapshot": found.snapshot, "blobs": found.blobs, "records": found.records,
        "ok": not found.problems, "problems": found.problems, "notes": found.notes,
        "covered": found.manifest["covered"], "left_out": found.manifest["left_out"],
    }  # fmt: skip


@contextmanager
def _workplace(settings: Settings, is_new: bool) -> Iterator[Settings]:
    """Yield settings whose home may be written to; where no lab is yet, its home may be where it is restored to."""
    own = place_of(settings).password
    if not is_new or own.exists():
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="physlab-restore-") as folder:
        yield settings.model_copy(update={"home": Path(folder)})


def _store_if_any(settings: Settings) -> Store | None:
    """Open the lab's store where there is one; on a new machine there is none, and none is made."""
    root = settings.home / "store"
    return open_store(root, settings.store.index_url) if (root / "store.json").exists() else None


def backup_status(lab: Lab, clock: Callable[[], Moment] = now) -> dict[str, Any]:
    """Say how old the newest backup is, whether that is late, and how far all is proven; asks no repository."""
    settings = kept_settings(lab)
    place = backup.choose_engine(settings).shown
    repository = repositories_of(lab.store).get(place)
    points = [point for point in backup.points_of(lab.store, repository) if point.complete] if repository else []
    moment = clock()
    newest = points[-1] if points else None
    age_h = _age_h(newest.received, moment) if newest else None
    backward = newest is not None and (newest.received.wall - moment.wall) > timedelta(hours=BACKWARD_H)
    late = age_h is None or age_h > settings.backup.late_h or backward
    return {
        "repository": place,
        "backups": len(points),
        "newest": _plain(newest) if newest else None,
        "age_h": None if age_h is None else round(age_h, 2),
        "late_h": settings.backup.late_h,
        "late": late,
        "reason": _why_late(newest, age_h, backward, settings) if late else "",
        "verified": backup.proof_of(checks_of(lab.store, repository)) if repository else None,
        "drill": _last_drill(lab.store),
        "keep": settings.backup.keep,
        "schedule": settings.backup.schedule,
    }


def _last_drill(store: Store) -> str | None:
    drills = list(backup.records_of(store, backup.DRILL))
    return str(drills[-1]["title"]) if drills else None


def _age_h(received: Moment, moment: Moment) -> float:
    """Return how long ago [h]: by the time the machine has been up where it was not started anew, else by the clock."""
    if received.boot and received.boot == moment.boot:
        return max(0.0, moment.up_s - received.up_s) / 3600
    return max(0.0, (moment.wall - received.wall).total_seconds()) / 3600


def _why_late(newest: backup.Point | None, age_h: float | None, backward: bool, settings: Settings) -> str:
    if newest is None or age_h is None:
        return "there is no backup"
    if backward and age_h <= settings.backup.late_h:
        return f"the clock stands before the newest backup ({newest.received.wall:%Y-%m-%d %H:%M} UTC): set it right"
    return f"the newest backup is {age_h:.1f} h old, more than {settings.backup.late_h:g} h"


def report_if_late(lab: Lab, report: Report = unheard, clock: Callable[[], Moment] = now) -> list[str]:
    """Tell who is to be notified when the newest backup is late; return what went wrong with that."""
    status = backup_status(lab, clock)
    if not status["late"] or status["newest"] is None:
        return []
    details = {name: status[name] for name in ("age_h", "late_h", "reason")}
    return announce(lab.settings, report, LATE, f"The backup is late: {status['reason']}.", details)


def auto_backup(
    lab: Lab, schedule: str = "daily", retention: str = "30_days", *, activate: Activate | None = None
) -> dict[str, Any]:
    """Have the lab backed up by itself.

    Args:
        lab: The lab.
        schedule: `daily`, `daily at 03:30`, or five fields of cron.
        retention: How long backups are kept, such as `30_days`.
        activate: Makes the schedule active on a Prefect server; without it, or without a server, the command is told.

    Returns:
        `{"backup": {schedule, cron, timezone, retention, next_run, repository, deployment, how}}`.

    Raises:
        ValidationError: The schedule or the retention is not understood.
        ConfigurationError: No repository is set.
    """
    settings = lab.settings
    try:
        cron, days = read_schedule(schedule), read_days(retention)
    except ValueError as error:
        raise ValidationError(
            f"{error}.", hint='Such as backup_schedule: "daily", retention_policy: "30_days".'
        ) from error
    if settings.backup.repository is None:
        raise ConfigurationError(
            "No repository is set: the lab cannot be backed up.",
            hint='Say where to in physlab.toml: [backup] repository = "/mnt/disk/lab". Then: physlab backup schedule',
        )
    zone, place = settings.backup.timezone, backup.choose_engine(settings).shown
    policy = {"schedule": schedule, "cron": cron, "timezone": zone, "retention": f"{days} days", "repository": place}
    backup.write_down(lab.store, backup.POLICY, {**policy, "decided_at": datetime.now(UTC).isoformat()})
    active = activate(settings, cron, zone) if activate is not None else None
    found = {"deployment": None, "next_run": None, "how": cron_line(settings, cron), **(active or {})}
    return {"backup": {**policy, **found}}


def cron_line(settings: Settings, cron: str) -> str:
    """Return the line of a crontab that does what a Prefect server would."""
    program = find_program(["physlab"])
    words = [program] if program else [sys.executable, "-m", "physlab"]
    line = f"{cron} cd {quote(str(Path.cwd()))} && PHYSLAB_HOME={quote(str(settings.home))} "
    return (line + " ".join(map(quote, [*words, "backup", "run", "--quiet"]))).replace(
        "%", r"\%"
    )  # cron ends a line at %


def kept_settings(lab: Lab) -> Settings:
    """Return the lab's settings, with the last policy's retention and schedule where no file or variable says one."""
    from physlab.settings import origins

    settings = lab.settings
    policy = next(iter(reversed(list(backup.records_of(lab.store, backup.POLICY)))), None)
    if policy is None:
        return settings
    said = origins(settings)
    wanted = {"keep": policy["retention"], "schedule": policy["schedule"], "timezone": policy["timezone"]}
    kept = {name: value for name, value in wanted.items() if said[f"backup.{name}"] == "default"}
    return settings.model_copy(update={"backup": settings.backup.model_copy(update=kept)})
