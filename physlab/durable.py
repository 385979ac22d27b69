"""Files that are complete or absent, whatever is killed or cut off in between."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from pathlib import Path


def write_new(path: str, data: bytes, mode: int = 0o444) -> None:
    """Write a file that is not there yet, not forced to disk; bare, because thousands are written at once."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def replace_file(target: Path, data: bytes, mode: int = 0o644, scratch: Path | None = None) -> None:
    """Write a file, durably; who reads meanwhile, or after a power cut, finds it as before or whole.

    Args:
        target: The file; its folder is there.
        data: Its bytes.
        mode: Its rights, from its first byte on: it may hold a secret.
        scratch: Folder for what is not finished, on the same file system; that of the target by default.

    Raises:
        OSError: It cannot be written; nothing of it is left.
    """
    draft = (scratch or target.parent) / f".{secrets.token_hex(8)}.tmp"
    with ExitStack() as undo:
        undo.callback(draft.unlink, missing_ok=True)
        write_new(str(draft), data, mode)
        force_file(draft)
        os.chmod(draft, mode)  # whatever the mask of this process has taken away
        os.replace(draft, target)
        undo.pop_all()
    force_folder(target.parent)


def force_folder(folder: Path) -> None:
    """Put the names in a folder on disk (against a power cut)."""
    force_file(folder)


def force_file(path: Path) -> None:
    """Put what was written to a file on disk (against a power cut)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
