"""A state of the lab that fits together, laid ready while runs go on.

Order matters. A record is written after its blobs are on disk. So the end of the journal is fixed first, and the
objects are read after that: every blob that a record up to that end names is then in the backup. (The other way round,
a run that finished in between would leave records whose blobs are missing.) The index is copied before the end of the
journal is fixed: it may lag behind the journal, from which it catches up, and is never ahead of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physlab.backup.databases import copy_database
from physlab.backup.folders import Also, lay_folders
from physlab.backup.place import Place, unwritable
from physlab.keys import digest_bytes
from physlab.settings import Settings, origins
from physlab.signing import is_locked
from physlab.store import Store
from physlab.store.journal import GENESIS

OBJECTS = "store/objects"
VIEW = "backup/view"
MANIFEST = "manifest.json"
FORMAT = 1
_WRAPPED = (b"age-encryption.org/v1", b"-----BEGIN AGE ENCRYPTED FILE-----")
_BARE = b"AGE-SECRET-KEY-"


@dataclass
class View:
    """What is laid ready.

    Attributes:
        journal: The end of the journal that was fixed: number and SHA-256 of its last line, segment, bytes.
        covered: What is in it, in words.
        left_out: What is not, in words.
        also: Folders that are sent from where they lie.
    """

    journal: dict[str, Any] = field(default_factory=dict)
    covered: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    also: list[Also] = field(default_factory=list)


def lay_view(store: Store, settings: Settings, place: Place, token: str) -> View:
    """Lay everything ready that cannot be read where it lies.

    Raises:
        StoreError: The disk is full, or something cannot be read.
        ConfigurationError: A database or a folder that the settings name cannot be saved.
    """
    view, folder = View(), place.view
    try:
        (folder / "store").mkdir(mode=0o700, parents=True)
        _lay_databases(view, store, settings, folder)
        _lay_people(view, settings, folder / "collab")
        _lay_journal(view, store, folder / "store")
        _lay_keys(view, settings.home / "keys", folder / "keys")
        _lay_configuration(view, settings, folder / "config")
        view.also = lay_folders(settings.backup.also, folder / "also")
        view.covered += [item.words for item in view.also]
        _write_manifest(view, folder / MANIFEST, token)
    except OSError as error:
        raise unwritable(folder, error) from error
    return view


def _lay_journal(view: View, store: Store, folder: Path) -> None:
    """Fix the end of the journal: files that have a successor are linked, of the last one what counts is copied."""
    store.flush()
    end = store.journal.end()
    (folder / "journal").mkdir()
    shutil.copyfile(store.root / "store.json", folder / "store.json")
    for number in store.journal.segments():
        source = store.journal.file(number)
        if number < end.segment:
            _link(source, folder / "journal" / source.name)
        elif number == end.segment:
            _copy_start(source, folder / "journal" / source.name, end.offset)
    last = last_line(folder / "journal")
    seq = int(json.loads(last)["seq"]) if last else 0
    view.journal = {"seq": seq, "head": line_digest(last), "segment": end.segment, "bytes": end.offset}
    view.covered += ["objects and journal of the store"]


def last_line(folder: Path) -> bytes:
    """Return the last line of a journal; nothing for an empty one."""
    for path in sorted(folder.glob("*.jsonl"), reverse=True):
        with open(path, "rb") as stream:
            size, span = os.fstat(stream.fileno()).st_size, 1 << 16
            while size:
                stream.seek(max(0, size - span))
                lines = stream.read(size).splitlines(keepends=True)
                if len(lines) > 1 or span >= size:
                    return lines[-1]
                span *= 8
    return b""


def line_digest(line: bytes) -> str:
    """Return the SHA-256 of a line: it stands for the whole chain before it."""
    return digest_bytes(line) if line else GENESIS


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _copy_start(source: Path, target: Path, size: int) -> None:
    with open(source, "rb") as reader, open(target, "xb") as writer:
        while size > 0 and (chunk := reader.read(min(size, 1 << 20))):
            writer.write(chunk)
            size -= len(chunk)
        writer.flush()
        os.fsync(writer.fileno())


def _lay_databases(view: View, store: Store, settings: Settings, folder: Path) -> None:
    """Copy the index, which can be made again from the journal, and the server's database, which cannot."""
    url = str(store.index.url.render_as_string(hide_password=False))
    words = copy_database(url, folder / "store" / "index", memo="stat_memo")
    view.covered.append(f"the index ({words}; physlab store reindex makes it again from the journal)")
    own = settings.home / "server" / "prefect.db"
    if not settings.backup.server:
        view.left_out.append("the database of the Prefect server (backup.server is false)")
    elif settings.server.database_url is not None:
        words = copy_database(settings.server.database_url, folder / "server" / "prefect")
        view.covered.append(f"the database of the Prefect server ({words})")
    elif own.exists():
        words = copy_database(f"sqlite:///{own}", folder / "server" / "prefect")
        view.covered.append(f"the database of the Prefect server ({words})")


def _lay_people(view: View, settings: Settings, folder: Path) -> None:
    """Copy people, sessions and the audit log, with what they cannot be read without and its signed checkpoints.

    The key that names people is of no use but for this database, and the repository is sealed; without it nobody could
    be named again on a new machine.
    """
    own, url = settings.home / "collab", settings.collaboration.database_url
    if url is None and not (own / "collab.sqlite").exists():
        return
    words = copy_database(url or f"sqlite:///{own / 'collab.sqlite'}", folder / "collab")
    for path in (own / "collab.key", own / "lab.key", *sorted((own / "checkpoints").glob("*.txt"))):
        if path.is_file():
            (folder / path.relative_to(own)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy(path, folder / path.relative_to(own))
    view.covered.append(f"people, sessions and the audit log ({words}), with the key that names people")


def _lay_keys(view: View, source: Path, target: Path) -> None:
    """Copy keys that are wrapped by another; one in the clear never lies beside what it opens."""
    kept, bare = 0, []
    for path in sorted(source.rglob("*")) if source.is_dir() else []:
        if not path.is_file() or path.is_symlink() or path.name in ("backup.password", ".lock"):
            continue  # of the password `run` speaks by itself
        text = path.read_bytes()
        if (
            text.startswith(_WRAPPED)
            or _is_of_people(source, path, text)
            or (path.name == "key.json" and _BARE not in text)
        ):
            (target / path.relative_to(source)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy(path, target / path.relative_to(source))  # with its rights: others may not read it there
            kept += 1
        else:
            bare.append(str(path.relative_to(source)))
    if kept:
        view.covered.append(f"{kept} files of wrapped keys")
    if bare:
        view.left_out.append(f"keys in the clear ({', '.join(bare)}): keep copies of them elsewhere")


def _is_of_people(source: Path, path: Path, text: bytes) -> bool:
    """Say whether a file is a public key of somebody, or a secret one behind a passphrase."""
    if not path.is_relative_to(source / "people"):
        return False
    return (path.suffix == ".json" and _BARE not in text) or is_locked(text.decode(errors="replace"))


def _lay_configuration(view: View, settings: Settings, target: Path) -> None:
    """Copy the configuration files that gave a setting."""
    found = {re.sub(r":\d+$", "", origin) for origin in origins(settings).values()}
    paths = sorted(path for path in map(Path, found) if path.is_absolute() and path.is_file())
    for number, path in enumerate(paths, 1):
        target.mkdir(exist_ok=True)
        shutil.copyfile(path, target / (path.name if len(paths) == 1 else f"{number}-{path.name}"))
        view.covered.append(f"the configuration {path}")


def _write_manifest(view: View, path: Path, token: str) -> None:
    """Write what is in the backup, so that a restore needs nothing else."""
    from physlab import __version__

    content = {
        "format": FORMAT, "physlab": __version__, "token": token, "journal": view.journal, "covered": view.covered,
        "left_out": view.left_out, "also": [{"name": item.name, "path": item.path} for item in view.also if item.path],
    }  # fmt: skip
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
