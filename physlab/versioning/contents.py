"""What a path holds, as a digest: a file's bytes, or a folder's list of files."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from physlab.durable import write_new
from physlab.errors import StoreError, ValidationError
from physlab.keys import canonical, digest_bytes
from physlab.model.version import Content
from physlab.store import Store
from physlab.store.store import SETTLED_NS

Stamp = tuple[int, int, int]
"""Of a file: inode, time of change [ns], size [bytes]."""


@dataclass(frozen=True)
class Found:
    """A file of a folder.

    Attributes:
        name: Its path in the folder.
        path: Where it is.
        stamp: What tells that it is unchanged.
        executable: Whether its owner may execute it.
    """

    name: str
    path: str
    stamp: Stamp
    executable: bool


def keep(store: Store, path: Path) -> Content:
    """Keep a file or folder in the store, and return what it holds.

    Files that are as they were the last time are not read again.

    Raises:
        ValidationError: It is not there, cannot be read, or holds what is neither file nor folder.
        StoreError: The store cannot take it.
    """
    return keep_all(store, [path])[0]


def keep_all(store: Store, paths: list[Path]) -> list[Content]:
    """Keep files and folders in the store; nothing is written when one of them is not there.

    Raises:
        ValidationError: One is not there, cannot be read, or holds what is neither file nor folder.
        StoreError: The store cannot take them.
    """
    kinds = [_kind(path) for path in paths]
    files = [path for path, kind in zip(paths, kinds, strict=True) if kind == "file"]
    digests = _keep_files(store, files)
    found = []
    for path, kind in zip(paths, kinds, strict=True):
        if kind == "file":
            sha256, size = digests[path]
            found.append(Content(sha256=sha256, size=size))
        else:
            found.append(_keep_folder(store, path))
    return found


def _kind(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise ValidationError(f"There is no '{path}'.", hint="Check the path; nothing was registered.") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISREG(mode):
        return "file"
    raise ValidationError(f"'{path}' is neither a file nor a folder.", hint="Give one of those.")


def _unreadable(path: Path | str, error: OSError) -> ValidationError:
    return ValidationError(
        f"'{path}' cannot be read: {error.strerror or error}.", hint="Check its rights; nothing was registered."
    )


def _keep_files(store: Store, paths: list[Path]) -> dict[Path, tuple[str, int]]:
    """Keep files, reading only those that changed since the last time or whose bytes are not there."""
    if not paths:
        return {}
    real = {path: os.path.abspath(path) for path in paths}
    stamps = {path: stamp(os.stat(name)) for path, name in real.items()}
    memos = store.index.memos(list(real.values()))
    known = {path: memos[name][3] for path, name in real.items() if name in memos and memos[name][:3] == stamps[path]}
    gone = store.blobs.lacking(known.values())
    found = {path: (digest, stamps[path][2]) for path, digest in known.items() if digest not in gone}
    rest = [path for path in paths if path not in found]
    kept = _put(store, rest)
    found |= dict(zip(rest, kept, strict=True))
    fresh = [
        (real[path], *stamps[path], digest)
        for path, (digest, size) in zip(rest, kept, strict=True)
        if size == stamps[path][2] and _settled(stamps[path])
    ]
    store.index.remember(fresh)
    return found


def _put(store: Store, paths: list[Path]) -> list[tuple[str, int]]:
    try:
        return store.blobs.put_many(paths)
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError | PermissionError) and error.__cause__.filename in set(
            map(str, paths)
        ):
            raise _unreadable(error.__cause__.filename, error.__cause__) from error
        raise


def stamp(status: os.stat_result) -> Stamp:
    """Return what tells that a file is unchanged; no program can set its time of change back."""
    return status.st_ino, status.st_ctime_ns, status.st_size


def _settled(seen: Stamp) -> bool:
    return time.time_ns() - seen[1] > SETTLED_NS


# --- folders -------------------------------------------------------------------------------------------------------


def _keep_folder(store: Store, folder: Path) -> Content:
    found = sorted(walk(folder), key=lambda item: item.name)
    memo = _memo_path(store, folder)
    sheet, known = _recall(memo)
    seen = {item.name: [*item.stamp, item.executable] for item in found}
    same = known.keys() == seen.keys() and all(known[name][:4] == mark for name, mark in seen.items())
    if sheet and same and not store.blobs.lacking([sheet, *(str(mark[4]) for mark in known.values())]):
        return Content(kind="folder", sha256=sheet, size=sum(i.stamp[2] for i in found), files=len(found))
    kept = _keep_changed(store, found, known)
    files = {item.name: entry(kept[item.name], item.stamp[2], item.executable) for item in found}
    sheet, _ = store.blobs.put(canonical({"files": files}))
    _remember(memo, sheet, {name: [*mark, kept[name]] for name, mark in seen.items() if _settled((0, mark[1], 0))})
    return Content(kind="folder", sha256=sheet, size=sum(i.stamp[2] for i in found), files=len(found))


def entry(sha256: str, size: int, executable: bool) -> list[str | int]:
    """Return a file's line in the list of a folder: digest, size [bytes], and `x` for one that is executable."""
    return [sha256, size, "x"] if executable else [sha256, size]


def _keep_changed(store: Store, found: list[Found], known: Mapping[str, list[int | str]]) -> dict[str, str]:
    same = {
        item.name: str(known[item.name][4])
        for item in found
        if item.name in known and known[item.name][:3] == list(item.stamp)
    }
    gone = store.blobs.lacking(same.values())
    kept = {name: digest for name, digest in same.items() if digest not in gone}
    rest = [item for item in found if item.name not in kept]
    for item, (digest, size) in zip(rest, _put(store, [Path(item.path) for item in rest]), strict=True):
        if size != item.stamp[2]:
            raise ValidationError(
                f"'{item.path}' changes while it is read.", hint="Register the folder when nothing writes into it."
            )
        kept[item.name] = digest
    return kept


def walk(folder: Path) -> Iterator[Found]:
    """Yield the files of a folder and of the folders in it; links to files are taken as the files.

    Raises:
        ValidationError: Something cannot be read, or is neither file nor folder.
    """
    open_ones = [("", str(folder))]
    while open_ones:
        prefix, path = open_ones.pop()
        try:
            with os.scandir(path) as items:
                for item in items:
                    name = prefix + item.name
                    if item.is_dir(follow_symlinks=False):
                        open_ones.append((f"{name}/", item.path))
                        continue
                    status = item.stat()
                    if not stat.S_ISREG(status.st_mode):
                        raise _odd(item.path)
                    yield Found(name, item.path, stamp(status), bool(status.st_mode & 0o100))
        except OSError as error:
            raise _unreadable(error.filename or path, error) from error


def _odd(path: str) -> ValidationError:
    return ValidationError(
        f"'{path}' is neither a file nor a folder of its own.",
        hint="Links to folders, sockets and devices cannot be kept: remove it, or register what it leads to.",
    )


def _memo_path(store: Store, folder: Path) -> Path:
    return store.root / "folders" / digest_bytes(str(folder.resolve()).encode())


def _recall(memo: Path) -> tuple[str, dict[str, list[int | str]]]:
    """Return what a folder was at the last time; a damaged memo is none."""
    try:
        told = orjson.loads(memo.read_bytes())
        return told["sheet"], told["files"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return "", {}


def _remember(memo: Path, sheet: str, files: Mapping[str, list[int | str]]) -> None:
    """Write a memo that only saves time: losing it costs reading the files again."""
    memo.parent.mkdir(exist_ok=True)
    temporary = f"{memo}.{os.getpid()}"
    with contextlib.suppress(OSError):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        write_new(temporary, orjson.dumps({"sheet": sheet, "files": files}))
        os.replace(temporary, memo)


def files_of(store: Store, content: Content) -> dict[str, tuple[str, int, bool]]:
    """Return the files of a version: path in its folder → SHA-256, size [bytes], executable; a file has the path ''.

    Raises:
        StoreError: The list is missing or damaged.
    """
    if content.kind != "folder":
        return {"": (content.sha256, content.size, False)}
    listed = orjson.loads(store.blobs.read(content.sha256))["files"]
    return {name: (line[0], line[1], len(line) > 2) for name, line in listed.items()}
