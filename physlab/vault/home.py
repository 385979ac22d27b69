"""Locking a home and opening it: each change of state is one rename, and what was interrupted goes on.

home/keys/            stays: wrapped keys, and the server key unless it is kept elsewhere
home/vault/state      locking: things move to `plain`, and are sealed from there; nothing is lost yet
locked:  everything is sealed and was read back; what is left of `plain` goes
opening: everything is whole again in `open`, and moves back into the home
home/vault/sealed/    one age file for each file, under names that tell nothing
home/vault/list       what they are: paths, digests, sizes, rights, links; sealed too
home/damaged/         what could not be opened, as it was found: see `losses`
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from physlab.durable import force_folder, replace_file
from physlab.errors import ConfigurationError, ResourceError, StoreError
from physlab.keys import canonical, hasher
from physlab.sealing import ProjectKey
from physlab.store.intake import force_file_system
from physlab.store.lease import Leases
from physlab.store.store import VAULT
from physlab.vault.losses import Losses

LOCKING, LOCKED, OPENING = "locking", "locked", "opening"
STAY = ("keys", VAULT)
SALVAGE = "Open the rest, and keep aside what is left of this: physlab store unlock --salvage"


@dataclass(frozen=True)
class Count:
    """How much was sealed, or opened.

    Attributes:
        files: How many files.
        size: Their bytes, open [bytes].
        lost: What could not be opened, by its path in the home, and why.
        aside: Where what is left of that is kept; empty where nothing was lost.
    """

    files: int
    size: int
    lost: dict[str, str] = field(default_factory=dict)
    aside: str = ""


def state(home: Path) -> str:
    """Return the state of a home: `open`, or the one of its vault."""
    try:
        return (home / VAULT / "state").read_text()
    except (FileNotFoundError, NotADirectoryError):
        return "open"


def lock(home: Path, key: ProjectKey) -> Count:
    """Seal everything in a home but its keys, read it back, and remove what is not sealed.

    Args:
        home: The lab's home; nobody may be at work in it.
        key: The data key.

    Raises:
        ConfigurationError: It is locked already, or there is nothing to lock.
        ResourceError: Somebody is at work in it.
        StoreError: It cannot be written, or what was written came back otherwise; nothing is lost.
    """
    with _alone(home) as vault:
        if state(home) in (LOCKED, OPENING):
            raise ConfigurationError(f"The lab at {home} is locked already.", hint="Open it: physlab store unlock")
        _require_rest(home)
        with _written(home):
            _say(vault, LOCKING)
            _move(home, vault / "plain")
            shutil.rmtree(vault / "sealed", ignore_errors=True)
            (vault / "sealed").mkdir()
            entries = list(_sealed(vault, key))
            force_file_system(vault)
            replace_file(vault / "list", key.seal(canonical({"entries": entries})))
            for entry in entries:
                _open_file(vault, entry, key, None)
            _say(vault, LOCKED)
            shutil.rmtree(vault / "plain")
            return _count(entries)


def unlock(home: Path, key: ProjectKey, *, salvage: bool = False) -> Count:
    """Open what was sealed, each file verified; a lock that was interrupted is undone.

    Args:
        home: The lab's home.
        key: The data key.
        salvage: Open the rest where something is damaged, and keep aside what is left of it.

    Raises:
        ConfigurationError: It is not locked.
        StoreError: Something is damaged, sealed for another key, or cannot be written; it stays locked.
    """
    with _alone(home) as vault:
        now = state(home)
        if now == "open":
            raise ConfigurationError(f"The lab at {home} is not locked.", hint="Lock it: physlab store lock")
        with _written(home):
            if now == LOCKING:
                _return(vault / "plain", home)
                shutil.rmtree(vault)
                return Count(0, 0)
            entries, lost = _entries(vault, key), Losses(vault, {})
            if now == LOCKED:
                shutil.rmtree(vault / "plain", ignore_errors=True)
                shutil.rmtree(vault / "open", ignore_errors=True)
                lost = _opened(vault, entries, key, salvage)
                force_file_system(vault)
                _say(vault, OPENING)
            _return(vault / "open", home)
            shutil.rmtree(vault)
            done = _count([entry for entry in entries if entry["path"] not in lost.why])
            return replace(done, lost=lost.why, aside=str(home / lost.folder) if lost.why else "")


# --- steps ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[Path]:
    """Let one process at a time change the state of a home."""
    (home / "keys").mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(home / "keys" / ".vault", "ab") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ResourceError(
                f"Another process locks or opens {home}.", hint="Try again when that is over."
            ) from error
        yield home / VAULT


@contextlib.contextmanager
def _written(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"The lab at {home} cannot be written: {error.strerror or error}.",
            hint="Free disk space; nothing is lost. Then again, or undo it: physlab store unlock",
        ) from error


def _require_rest(home: Path) -> None:
    leases = Leases(home / "store")
    if leases.folder.is_dir() and leases.held():
        raise ResourceError("Runs go on in this lab.", hint="Wait for their end, or stop them: physlab stop")
    if not [item for item in home.iterdir() if item.name not in STAY] and not (home / VAULT / "plain").is_dir():
        raise ConfigurationError(f"There is nothing to lock in {home}.", hint="See: physlab config show")


def _say(vault: Path, word: str) -> None:
    vault.mkdir(exist_ok=True)
    replace_file(vault / "state", word.encode())


def _move(home: Path, plain: Path) -> None:
    """Take everything out of the home: who still writes there by name finds nothing, and cannot do it unseen."""
    plain.mkdir(exist_ok=True)
    for item in home.iterdir():
        if item.name not in STAY:
            os.replace(item, plain / item.name)
    force_folder(home)


def _return(source: Path, home: Path) -> None:
    for item in source.iterdir() if source.is_dir() else ():
        os.replace(item, home / item.name)
    force_folder(home)


def _sealed(vault: Path, key: ProjectKey) -> Iterator[dict[str, Any]]:
    """Seal every file below `plain`; yield what it is."""
    plain, first = vault / "plain", dict[tuple[int, int], str]()
    for folder, folders, files in os.walk(plain):
        for name in sorted((*folders, *files)):
            path = Path(folder) / name
            status = path.lstat()
            inside = path.relative_to(plain).as_posix()
            what = _described(path, inside, status, first)
            if what == {}:
                what = {"mtime_ns": str(status.st_mtime_ns), "size": status.st_size,
                        "sha256": _seal_file(vault, path, inside, key)}  # fmt: skip
            if what is not None:
                yield {"path": inside, "mode": stat.S_IMODE(status.st_mode), **what}


def _described(
    path: Path, inside: str, status: os.stat_result, first: dict[tuple[int, int], str]
) -> dict[str, Any] | None:
    """Return what needs no sealing as what it is, nothing for a file, None for what no file is.

    Args:
        path: The file, folder or link.
        inside: Its path in the home.
        status: What the file system says of it.
        first: The path at which each file was met first; a file that has several names is sealed once.
    """
    if stat.S_ISLNK(status.st_mode):
        return {"link": os.readlink(path)}
    if stat.S_ISDIR(status.st_mode):
        return {"folder": True}
    if not stat.S_ISREG(status.st_mode):
        return None  # a socket or pipe of a process that has ended
    twin = first.setdefault((status.st_dev, status.st_ino), inside)
    return {} if twin == inside else {"twin": twin}


class _Tee:
    """Reads a stream and hashes what is read."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.state = stream, hasher()

    def read(self, size: int = -1) -> bytes:
        data: bytes = self.stream.read(size)
        self.state.update(data)
        return data


class _Hash:
    """Takes what is written, hashes it, and passes it on."""

    def __init__(self, stream: Any = None) -> None:
        self.stream, self.state = stream, hasher()

    def write(self, data: bytes) -> int:
        self.state.update(data)
        return len(data) if self.stream is None else self.stream.write(data)

    def flush(self) -> None:
        if self.stream is not None:
            self.stream.flush()


def _seal_file(vault: Path, path: Path, name: str, key: ProjectKey) -> str:
    with open(path, "rb") as stream, open(vault / "sealed" / key.name_of(name), "xb") as target:
        tee: Any = _Tee(stream)
        key.seal_stream(tee, target)
        return str(tee.state.hexdigest())


def _entries(vault: Path, key: ProjectKey) -> list[dict[str, Any]]:
    again = "Restore it from a copy of the locked lab; without it nothing has a name. Then: physlab store unlock"
    try:
        listed = json.loads(key.open((vault / "list").read_bytes(), "The list of the locked lab"))
    except FileNotFoundError as error:
        raise StoreError(f"{vault / 'list'} is gone.", hint=again) from error
    except StoreError as error:
        hint = error.hint if "another key" in error.message else again
        raise StoreError(f"{error.message} It is {vault / 'list'}.", hint=hint) from error
    found: list[dict[str, Any]] = listed["entries"]
    for entry in found:
        name = PurePosixPath(entry["path"])
        if name.is_absolute() or ".." in name.parts:
            raise StoreError(f"The list names '{name}', outside the home.", hint="It was not written by physlab.")
    return found


def _opened(vault: Path, entries: list[dict[str, Any]], key: ProjectKey, salvage: bool) -> Losses:
    """Open everything into `open`; where it is to be salvaged, what is damaged goes to a folder of its own."""
    lost = Losses(vault, {}, {PurePosixPath(entry["path"]).parts[0] for entry in entries})
    for entry in entries:
        try:
            if entry.get("twin") in lost.why:
                raise StoreError(f"{entry['path']} is the same file as {entry['twin']}.", hint=SALVAGE)
            _make(vault, entry, key)
        except StoreError as error:
            if not salvage:
                raise
            lost.keep(entry["path"], key.name_of(entry["path"]), error.message)
    lost.write_down()
    return lost


def _open_file(vault: Path, entry: dict[str, Any], key: ProjectKey, target: Path | None) -> None:
    """Open a sealed file into another one, or into nothing, and make sure that it is what it was."""
    if "sha256" not in entry:
        return
    sealed, out = vault / "sealed" / key.name_of(entry["path"]), _Hash()
    try:
        with open(sealed, "rb") as reader, contextlib.ExitStack() as stack:
            if target is not None:
                out = _Hash(stack.enter_context(open(target, "xb")))
            key.open_stream(reader, out, f"The sealed file of {entry['path']}")
    except FileNotFoundError as error:
        raise StoreError(f"The sealed file of {entry['path']} is gone.", hint=SALVAGE) from error
    except StoreError as error:
        raise StoreError(error.message, hint=SALVAGE) from error
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise StoreError(f"The disk cannot read the sealed file of {entry['path']}.", hint=SALVAGE) from error
    if out.state.hexdigest() != entry["sha256"]:
        raise StoreError(f"The sealed file of {entry['path']} came back otherwise.", hint=SALVAGE)


def _make(vault: Path, entry: dict[str, Any], key: ProjectKey) -> None:
    path = vault / "open" / entry["path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    for kind, make in _MAKERS.items():
        if kind in entry:
            return make(vault, entry, path)
    _open_file(vault, entry, key, path)
    os.chmod(path, entry["mode"])
    os.utime(path, ns=(int(entry["mtime_ns"]), int(entry["mtime_ns"])))
    return None


def _make_folder(vault: Path, entry: dict[str, Any], path: Path) -> None:
    path.mkdir(exist_ok=True)
    os.chmod(path, entry["mode"] | 0o700)


_MAKERS: dict[str, Callable[[Path, dict[str, Any], Path], None]] = {
    "link": lambda vault, entry, path: os.symlink(entry["link"], path),
    "twin": lambda vault, entry, path: os.link(vault / "open" / entry["twin"], path),
    "folder": _make_folder,
}


def _count(entries: list[dict[str, Any]]) -> Count:
    files = [entry for entry in entries if "sha256" in entry]
    return Count(len(files), sum(entry["size"] for entry in files))
