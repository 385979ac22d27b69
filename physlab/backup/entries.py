"""The list of a snapshot: what lay where, and how it comes back. For engines that have no such list of their own."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from physlab.errors import StoreError
from physlab.keys import canonical

FORMAT = 1
TICK_NS = 2_000_000_000
"""A file that was changed so short before it was read may change again within one tick of its file system's clock."""


@dataclass(frozen=True)
class Entry:
    """One file, folder or link.

    Attributes:
        path: Where, below the folder that a backup starts from; that of others is absolute, without its first `/`.
        mode: Its rights.
        mtime_ns: When it was changed [ns].
        size: Its bytes; 0 for what is no file.
        sha256: Digest of its bytes; None for what is no file.
        link: What a link leads to; None for what is none.
    """

    path: str
    mode: int
    mtime_ns: int
    size: int = 0
    sha256: str | None = None
    link: str | None = None

    @property
    def is_folder(self) -> bool:
        """True for a folder."""
        return self.sha256 is None and self.link is None


@dataclass
class Walk:
    """What a backup holds.

    Attributes:
        found: Entries; files have no digest yet.
        sources: Where each file lies.
        unread: What could not be read, with the reason.
    """

    found: list[Entry]
    sources: dict[str, Path]
    unread: list[str]


def walk(base: Path, paths: Sequence[str]) -> Walk:
    """Find all files, folders and links below some paths; sockets and devices are no files."""
    done = Walk([], {}, [])
    for name in paths:
        start = base / name
        for path in (start, *_below(start, done.unread)):
            _note(done, path, str(path.relative_to(base) if not os.path.isabs(name) else path).lstrip("/"))
    return done


def _below(folder: Path, unread: list[str]) -> Iterator[Path]:
    def told(error: OSError) -> None:
        unread.append(f"{error.filename}: {error.strerror or error}")

    for place, folders, files in os.walk(folder, onerror=told):
        for name in sorted((*folders, *files)):
            yield Path(place, name)


def _note(done: Walk, path: Path, name: str) -> None:
    try:
        status = path.lstat()
        link = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
    except FileNotFoundError:  # it went away meanwhile
        return
    except OSError as error:
        done.unread.append(f"{path}: {error.strerror or error}")
        return
    if not (link is not None or stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return
    is_file = stat.S_ISREG(status.st_mode)
    size = status.st_size if is_file else 0
    done.found.append(Entry(name, stat.S_IMODE(status.st_mode), status.st_mtime_ns, size, None, link))
    if is_file:
        done.sources[name] = path


def dump(entries: Iterable[Entry], begun_ns: int) -> bytes:
    """Return the list as it is kept: an object with a row for each entry, in the order of their paths."""
    rows = [  # 2**53 is not enough for nanoseconds
        [one.path, one.mode, str(one.mtime_ns), one.size, one.sha256, one.link]
        for one in sorted(entries, key=lambda one: one.path)
    ]
    return canonical({"format": FORMAT, "begun_ns": str(begun_ns), "files": rows})


def read(data: bytes, what: str) -> tuple[list[Entry], int]:
    """Return the entries of a list, and when its reading began [ns].

    Raises:
        StoreError: It is none, or names what lies outside.
    """
    try:
        said = json.loads(data)
        if said["format"] != FORMAT:
            raise ValueError(f"its format is {said['format']}, this physlab knows {FORMAT}")
        found = [
            Entry(str(path), int(mode) & 0o7777, int(mtime), int(size), digest, link)
            for path, mode, mtime, size, digest, link in said["files"]
        ]
        names = {one.path for one in found}
        for one in found:
            parts = PurePosixPath(one.path).parts
            if not parts or one.path.startswith("/") or ".." in parts or "\0" in one.path:
                raise ValueError(f"it names {one.path[:80]!r}")
        if len(names) != len(found):
            raise ValueError("it names a path twice")
        return found, int(said["begun_ns"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{what} is no list of files: {error}.", hint="Take another: physlab backup list") from error


def unchanged(entry: Entry, before: Mapping[str, Entry], begun_ns: int) -> Entry | None:
    """Return an entry with its digest where an earlier list has the same file; None where it must be read.

    Args:
        entry: As it was found now.
        before: The earlier list, by path.
        begun_ns: When the reading for it began: what was changed just before may have changed again.
    """
    old = before.get(entry.path)
    if old is None or old.sha256 is None or (old.size, old.mtime_ns) != (entry.size, entry.mtime_ns):
        return None
    return replace(entry, sha256=old.sha256) if old.mtime_ns < begun_ns - TICK_NS else None


def lay(entries: Sequence[Entry], have: dict[str, Path], target: Path) -> None:
    """Put everything where it was, below a folder: folders and files first, links after them, rights and times last.

    Args:
        entries: The list.
        have: Files by their digests, on the same file system; they are used up.
        target: An empty folder.

    Raises:
        OSError: It cannot be written.
    """
    left = dict[str, int]()
    for one in entries:
        if one.sha256 is not None:
            left[one.sha256] = left.get(one.sha256, 0) + 1
    for one in entries:
        path = target / one.path
        if one.is_folder:
            path.mkdir(parents=True, exist_ok=True)
        elif one.sha256 in have:
            path.parent.mkdir(parents=True, exist_ok=True)
            left[one.sha256] -= 1
            _place(have[one.sha256], path, last=not left[one.sha256])
    for one in entries:
        if one.link is not None:
            (target / one.path).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(one.link, target / one.path)
    for one in sorted(entries, key=lambda one: -one.path.count("/")):  # what is in a folder before the folder itself
        if one.link is None and (target / one.path).exists():
            os.chmod(target / one.path, one.mode)
            os.utime(target / one.path, ns=(one.mtime_ns, one.mtime_ns))


def _place(source: Path, target: Path, last: bool) -> None:
    if last:
        os.replace(source, target)
    else:
        shutil.copyfile(source, target)
