"""What a folder holds: its list of files, kept as a blob of its own; unchanged files are not read again."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from physlab.durable import write_new
from physlab.errors import ValidationError
from physlab.keys import canonical, digest_bytes
from physlab.model.version import Content
from physlab.store import Store
from physlab.versioning.files import put_files, settled, unreadable

Row = tuple[str, int, int, int, bool]
"""Of a file: path in the folder, inode, time of change [ns], size [bytes], whether its owner may execute it."""


@dataclass(frozen=True)
class Memo:
    """What a folder was at the last time, column by column: a hundred thousand rows are compared at once.

    Attributes:
        sheet: SHA-256 of its list of files.
        columns: What its rows were (`Row`).
        digests: SHA-256 of each of its files.
    """

    sheet: str
    columns: list[list[str | int | bool]]
    digests: list[str]

    def unchanged(self, found: list[Row]) -> dict[str, str]:
        """Return the SHA-256 of those files that are as they were."""
        if not self.digests:
            return {}
        known = dict(zip(self.columns[0], zip(*self.columns[1:4], self.digests, strict=True), strict=True))
        return {row[0]: str(known[row[0]][3]) for row in found if known.get(row[0], ())[:3] == row[1:4]}


def keep_folder(store: Store, folder: Path) -> Content:
    """Keep the files of a folder and their list in the store.

    Raises:
        ValidationError: Something cannot be read, changes meanwhile, or is neither file nor folder.
        StoreError: The store cannot take it.
    """
    found = sorted(walk(folder))
    path = _memo_path(store, folder)
    memo = _recall(path)
    columns = [list(column) for column in zip(*found, strict=True)]
    if memo.sheet and memo.columns == columns and not store.blobs.lacking([memo.sheet, *memo.digests]):
        return _content(memo.sheet, found)
    kept = _keep_changed(store, folder, found, memo)
    files = {name: entry(kept[name], size, executable) for name, _, _, size, executable in found}
    sheet, _ = store.blobs.put(canonical({"files": files}))
    _remember(path, sheet, [row for row in found if settled(row[2])], kept)
    return _content(sheet, found)


def _content(sheet: str, found: list[Row]) -> Content:
    return Content(kind="folder", sha256=sheet, size=sum(row[3] for row in found), files=len(found))


def entry(sha256: str, size: int, executable: bool) -> list[str | int]:
    """Return a file's line in the list of a folder: digest, size [bytes], and `x` for one that is executable."""
    return [sha256, size, "x"] if executable else [sha256, size]


def _keep_changed(store: Store, folder: Path, found: list[Row], memo: Memo) -> dict[str, str]:
    same = memo.unchanged(found)
    gone = store.blobs.lacking(same.values())
    kept = {name: digest for name, digest in same.items() if digest not in gone}
    rest = [row for row in found if row[0] not in kept]
    for row, (digest, size) in zip(rest, put_files(store, [f"{folder}{os.sep}{row[0]}" for row in rest]), strict=True):
        if size != row[3]:
            raise ValidationError(
                f"'{folder / row[0]}' changes while it is read.",
                hint="Register the folder when nothing writes into it.",
            )
        kept[row[0]] = digest
    return kept


def walk(folder: Path) -> Iterator[Row]:
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
                    if item.is_dir(follow_symlinks=False):
                        open_ones.append((f"{prefix}{item.name}/", item.path))
                        continue
                    status = item.stat()
                    mode = status.st_mode
                    if not stat.S_ISREG(mode):
                        raise _odd(item.path)
                    yield prefix + item.name, status.st_ino, status.st_ctime_ns, status.st_size, bool(mode & 0o100)
        except OSError as error:
            raise unreadable(error.filename or path, error) from error


def _odd(path: str) -> ValidationError:
    return ValidationError(
        f"'{path}' is neither a file nor a folder of its own.",
        hint="Links to folders, sockets and devices cannot be kept: remove it, or register what it leads to.",
    )


def _memo_path(store: Store, folder: Path) -> Path:
    return store.root / "folders" / digest_bytes(str(folder.resolve()).encode())


def _recall(path: Path) -> Memo:
    """Return what a folder was at the last time; a damaged memo is none."""
    try:
        told = orjson.loads(path.read_bytes())
        memo = Memo(told["sheet"], told["columns"], told["digests"])
        if {len(column) for column in memo.columns} <= {len(memo.digests)}:
            return memo
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        pass
    return Memo("", [], [])


def _remember(path: Path, sheet: str, rows: list[Row], kept: dict[str, str]) -> None:
    """Write a memo that only saves time: losing it costs reading the files again."""
    path.parent.mkdir(exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    told = {
        "sheet": sheet,
        "columns": list(zip(*rows, strict=True)),
        "digests": [kept[row[0]] for row in rows],
    }
    with contextlib.suppress(OSError):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        write_new(temporary, orjson.dumps(told))
        os.replace(temporary, path)
