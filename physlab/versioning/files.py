"""Files kept in the store, reading only those that changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from physlab.errors import StoreError, ValidationError
from physlab.store import Store
from physlab.store.store import SETTLED_NS

Stamp = tuple[int, int, int]
"""Of a file: inode, time of change [ns], size [bytes]."""


def keep_files(store: Store, paths: list[Path]) -> dict[Path, tuple[str, int]]:
    """Keep files, reading only those that changed since the last time or whose bytes are not there."""
    if not paths:
        return {}
    real = {path: os.path.abspath(path) for path in paths}
    stamps = {path: _stamp(os.stat(name)) for path, name in real.items()}
    memos = store.index.memos(list(real.values()))
    known = {path: memos[name][3] for path, name in real.items() if name in memos and memos[name][:3] == stamps[path]}
    gone = store.blobs.lacking(known.values())
    found = {path: (digest, stamps[path][2]) for path, digest in known.items() if digest not in gone}
    rest = [path for path in paths if path not in found]
    kept = put_files(store, list(map(str, rest)))
    found |= dict(zip(rest, kept, strict=True))
    fresh = [
        (real[path], *stamps[path], digest)
        for path, (digest, size) in zip(rest, kept, strict=True)
        if size == stamps[path][2] and settled(stamps[path][1])
    ]
    store.index.remember(fresh)
    return found


def put_files(store: Store, paths: list[str]) -> list[tuple[str, int]]:
    """Keep files; return the SHA-256 and size [bytes] of each.

    Raises:
        ValidationError: One cannot be read.
        StoreError: The store cannot take them.
    """
    try:
        return store.blobs.put_many(paths)
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError | PermissionError) and error.__cause__.filename in paths:
            raise unreadable(error.__cause__.filename, error.__cause__) from error
        raise


def _stamp(status: os.stat_result) -> Stamp:
    """Return what tells that a file is unchanged; no program can set its time of change back."""
    return status.st_ino, status.st_ctime_ns, status.st_size


def settled(changed: int) -> bool:
    """Say whether a file was last changed so long ago [ns] that a change after it would show in its time."""
    return time.time_ns() - changed > SETTLED_NS


def unreadable(path: Path | str, error: OSError) -> ValidationError:
    """Return what is raised of a file that cannot be read."""
    return ValidationError(
        f"'{path}' cannot be read: {error.strerror or error}.", hint="Check its rights; nothing was registered."
    )
