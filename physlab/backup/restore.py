"""Bringing a backup back: into a new folder, complete and checked, or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from physlab.backup import ledger
from physlab.backup.engine import Engine, Snapshot, Tell
from physlab.backup.place import clear_folder, unwritable
from physlab.backup.retention import MARK
from physlab.backup.view import FORMAT, MANIFEST, VIEW, last_line, line_digest
from physlab.errors import ComputationError, ConfigurationError, StoreError, ValidationError, nearest
from physlab.store import Store, open_store

LATEST = "latest"
PART = ".part"


@dataclass
class Restored:
    """A lab that was brought back.

    Attributes:
        folder: Where; it is a home.
        snapshot: Of which snapshot.
        manifest: What the backup says of itself.
        blobs: How many files the store has.
        records: How many records.
        problems: Everything that is not as it was.
        notes: What else to know.
    """

    folder: Path
    snapshot: str
    manifest: dict[str, Any]
    blobs: int = 0
    records: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_snapshot(store: Store | None, engine: Engine, name: str) -> tuple[str, list[str]]:
    """Return the id of a snapshot by its id, the beginning of it, or `latest`, and what to know about it.

    `latest` is the last on the lab's own list. Where there is no list, as on a new machine, it is the one with the
    latest time, which its sender chose.

    Raises:
        ValidationError: There is none of that name.
    """
    there = {item.id: item for item in engine.snapshots()}
    points = [point for point in ledger.points_of(store) if point.snapshot in there] if store is not None else []
    if name == LATEST:
        whole = [point for point in points if point.complete] or points
        if whole:
            return whole[-1].snapshot, []
        return _latest_of(list(there.values()), engine)
    found = [item for item in there if item.startswith(name)] if len(name) >= 4 else []
    if len(found) != 1:
        raise ValidationError(
            f"{'Several snapshots begin with' if found else 'There is no snapshot'} '{name}' in {engine.shown}.",
            hint=nearest(name, [item[:8] for item in there] or ["none"]) + " See: physlab backup list",
        )
    known = {point.snapshot for point in points}
    strange = [f"the snapshot {found[0][:8]} is not on this lab's list: look at where it came from"]
    return found[0], strange if points and found[0] not in known else []


def _latest_of(snapshots: Sequence[Snapshot], engine: Engine) -> tuple[str, list[str]]:
    ours = sorted((item for item in snapshots if MARK in item.tags), key=lambda item: item.time)
    if not ours:
        raise ValidationError(
            f"The repository {engine.shown} holds no backup of a lab.",
            hint="Make one: physlab backup run. Or name the right place: [backup] repository.",
        )
    words = f"there is no list of backups here: of {len(ours)} the one with the latest time is taken, {ours[-1].time}"
    return ours[-1].id, [words]


def require_empty(target: Path) -> None:
    """Refuse a folder that has something in it.

    Raises:
        ValidationError: It is not empty, no folder, or the root of a file system.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValidationError(
            f"{target} is not empty: nothing is restored over what is there.",
            hint="Name a new or empty folder: physlab backup restore latest /path/to/new",
        )
    if os.path.ismount(target):
        raise ValidationError(f"{target} is the root of a file system.", hint=f"Name a folder in it: {target / 'lab'}")


def bring(
    engine: Engine,
    snapshot: str,
    target: Path,
    *,
    tell: Tell,
    salvage: bool = False,
    journal: dict[str, Any] | None = None,
) -> Restored:
    """Bring a snapshot into a new or empty folder: all of it under that name, or nothing.

    Args:
        engine: The repository.
        snapshot: Its id.
        target: The folder.
        tell: Hears of progress.
        salvage: Keep what can be brought when the repository is damaged.
        journal: Where the journal of this snapshot ends by the lab's own list, for a backup that cannot say so itself.

    Raises:
        ValidationError: The folder is not empty.
        StoreError: The disk is full, or the repository is damaged; nothing is left behind.
    """
    require_empty(target)
    part = target.parent / f".{target.name}{PART}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clear_folder(part)  # a restore that was killed begins anew
        part.mkdir(mode=0o700)
        tell(f"bringing snapshot {snapshot[:8]}")
        lost = engine.fetch(snapshot, part, tell)
        if lost and not salvage:
            raise _damaged(engine, snapshot, lost, target)
        restored = Restored(target, snapshot, {}, problems=[f"not brought: {line}" for line in lost])
        restored.manifest = _arrange(part, restored.problems if lost else None, journal or {})
        tell("checking every hash")
        _check(part, restored, salvaged=bool(lost))
        os.sync()  # all of it is on disk before it has its name
        os.replace(part, target)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise unwritable(target, error, "physlab backup restore") from error
    finally:
        clear_folder(part)
    return restored


def _damaged(engine: Engine, snapshot: str, lost: Sequence[str], target: Path) -> StoreError:
    return StoreError(
        f"Snapshot {snapshot[:8]} of {engine.shown} is damaged: {'; '.join(lost[:5])}.",
        hint="Take an older one (physlab backup list), or keep what can be brought: "
        f"physlab backup restore {snapshot[:8]} {quote(str(target))} --salvage",
        details={"lost": list(lost)},
    )


def _arrange(part: Path, problems: list[str] | None, journal: dict[str, Any]) -> dict[str, Any]:
    """Put what was laid ready to where a home has it; return the manifest.

    Args:
        part: What was brought.
        problems: Takes what is wrong with a damaged snapshot; None for one that is whole.
        journal: Where the journal ends, for a manifest that is lost.
    """
    view = part / VIEW
    try:
        manifest = _read_manifest(view / MANIFEST)
    except StoreError:
        if problems is None:
            raise
        manifest = _without_manifest(view / MANIFEST, problems, journal)
    for source in sorted(view.rglob("*")):
        if source.is_file():
            target = part / source.relative_to(view)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.replace(source, target)
    if (part / MANIFEST).exists():
        (part / MANIFEST).replace(part / "backup.json")
    clear_folder(part / "backup")
    for item in manifest["also"]:
        source = part / str(item["path"]).lstrip("/")
        if source.exists():
            (part / "also").mkdir(exist_ok=True)
            os.replace(source, part / "also" / Path(item["name"]).name)
            _remove_empty(source.parent, part)
    _rename_databases(part)
    for name in ("incoming", "journal", "leases", "parts"):
        (part / "store" / name).mkdir(parents=True, exist_ok=True)
    if problems is not None:  # a hole in it would be found late; the journal has all that it holds
        for path in (part / "store").glob("index.sqlite*"):
            path.unlink()
    return manifest


def _without_manifest(path: Path, problems: list[str], journal: dict[str, Any]) -> dict[str, Any]:
    """Return what stands for a lost manifest: files carry their own hashes as names, and the journal its chain."""
    path.unlink(missing_ok=True)
    problems.append(
        f"the backup's {MANIFEST} is lost: folders of [backup] also lie at their whole paths below the new one"
        + ("" if journal else ", and where the journal ends cannot be compared")
    )
    return {"journal": journal, "also": [], "covered": [], "left_out": []}


def _rename_databases(part: Path) -> None:
    """Give copies of SQLite databases the names by which they are opened; dumps of PostgreSQL keep theirs."""
    server = part / "server" / "prefect.sqlite"
    if server.exists():
        os.chmod(part / "server", 0o700)
        server.replace(server.with_suffix(".db"))


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"The snapshot is no whole backup of a lab: its {MANIFEST} cannot be read ({error}).",
            hint="Take another one: physlab backup list",
        ) from error
    if manifest.get("format", 0) > FORMAT:
        raise ConfigurationError(
            f"The backup was made by a newer physlab ({manifest.get('physlab')}).", hint="Upgrade physlab, then again."
        )
    return manifest


def _check(home: Path, restored: Restored, *, salvaged: bool) -> None:
    """Hold everything against its hash: every blob, the chain of the journal, and its end against the manifest."""
    found = line_digest(last_line(home / "store" / "journal"))
    wanted = restored.manifest["journal"].get("head", found)
    if found != wanted:
        restored.problems.append(f"the journal does not end where the backup says: {found[:12]}, not {wanted[:12]}")
    try:
        with open_store(home / "store") as store:
            restored.blobs = sum(1 for _ in store.blobs.all())
            restored.records = (
                sum(1 for _ in store.journal.texts()) if salvaged else restored.manifest["journal"]["seq"]
            )
            for problem in store.verify():
                restored.problems.append(problem)
    except (ConfigurationError, ComputationError, StoreError) as error:
        if isinstance(error, StoreError) and not salvaged:
            raise
        restored.problems.append(str(error))
    if (home / "server" / "prefect.pgdump").exists():
        restored.notes.append("the Prefect server's database is a dump: pg_restore --dbname=… server/prefect.pgdump")


def restore_lab(store: Store | None, engine: Engine, name: str, target: Path, *, tell: Tell, salvage: bool) -> Restored:
    """Restore a backup by name into a new folder.

    Raises:
        ValidationError: There is no such snapshot, or the folder is not empty.
        StoreError: The disk is full, or the repository is damaged.
    """
    target = target.absolute()
    require_empty(target)
    snapshot, notes = find_snapshot(store, engine, name)
    points = ledger.points_of(store) if store is not None else []
    journal = next((point.record.get("journal") for point in points if point.snapshot == snapshot), None)
    restored = bring(engine, snapshot, target, tell=tell, salvage=salvage, journal=journal)
    restored.notes = notes + restored.notes
    return restored
