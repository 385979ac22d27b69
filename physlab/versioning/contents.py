"""What a path holds, as a digest: a file's bytes, or a folder's list of files."""

from __future__ import annotations

import stat
from pathlib import Path

import orjson

from physlab.errors import ValidationError
from physlab.keys import canonical, digest_bytes
from physlab.model.version import Content
from physlab.store import Store
from physlab.versioning.files import keep_files, unreadable
from physlab.versioning.folders import entry, keep_folder, walk


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
    digests = keep_files(store, files)
    found = []
    for path, kind in zip(paths, kinds, strict=True):
        if kind == "file":
            sha256, size = digests[path]
            found.append(Content(sha256=sha256, size=size))
        else:
            found.append(keep_folder(store, path))
    return found


def digest_now(store: Store, path: Path) -> str:
    """Return the SHA-256 that a file or folder would be registered with; nothing is kept.

    Raises:
        ValidationError: It is not there, cannot be read, or holds what is neither file nor folder.
    """
    if _kind(path) == "file":
        return store.digest_files([path])[path]
    rows = sorted(walk(path))
    digests = store.digest_files([path / row[0] for row in rows])
    files = {name: entry(digests[path / name], size, executable) for name, _, _, size, executable in rows}
    return digest_bytes(canonical({"files": files}))


def _kind(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise ValidationError(f"There is no '{path}'.", hint="Check the path; nothing was registered.") from error
    except OSError as error:
        raise unreadable(path, error) from error
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISREG(mode):
        return "file"
    raise ValidationError(f"'{path}' is neither a file nor a folder.", hint="Give one of those.")


def files_of(store: Store, content: Content) -> dict[str, tuple[str, int, bool]]:
    """Return the files of a version: path in its folder → SHA-256, size [bytes], executable; a file has the path ''.

    Raises:
        StoreError: The list is missing or damaged.
    """
    if content.kind != "folder":
        return {"": (content.sha256, content.size, False)}
    listed = orjson.loads(store.blobs.read(content.sha256))["files"]
    return {name: (line[0], line[1], len(line) > 2) for name, line in listed.items()}
