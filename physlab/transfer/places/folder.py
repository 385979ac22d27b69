"""A folder: on this machine, or of a file system that others mount too."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from physlab.durable import force_folder


class FolderPlace:
    """A folder.

    Args:
        url: Its absolute path.
    """

    errors: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, url: str) -> None:
        self.url = url
        self._root = Path(url)

    def read(self, name: str) -> bytes | None:
        """Return a file, None when it is not there."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def read_part(self, name: str, start: int, length: int) -> bytes | None:
        """Return a part of a file, shorter where the file ends; None when it is not there."""
        try:
            with open(self._root / name, "rb") as stream:
                stream.seek(start)
                return stream.read(length)
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file under a draft's name, force it to disk, and give it its own name."""
        target = self._root / name
        self._make(target.parent)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.draft")
        try:
            with open(draft, "xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
        force_folder(target.parent)

    def _make(self, folder: Path) -> None:
        if not folder.exists():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            force_folder(folder.parent)

    def size(self, name: str) -> int | None:
        """Return the size of a file [bytes], None when it is not there."""
        try:
            return os.stat(self._root / name).st_size
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield the names of all files below a folder, and their sizes [bytes]; drafts are no files yet."""
        for name, size, _ in self.times(folder):
            yield name, size

    def times(self, folder: str) -> Iterator[tuple[str, int, float]]:
        """Yield the names of all files below a folder, their sizes [bytes], and when they were written [s, UTC]."""
        for place, _, files in os.walk(self._root / folder, onerror=_stop):
            for file in files:
                if not file.startswith("."):
                    path = os.path.join(place, file)
                    with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
                        status = os.stat(path)
                        yield os.path.relpath(path, self._root), status.st_size, status.st_mtime

    def modified(self, name: str) -> float | None:
        """Return when a file was written [s, UTC], None when it is not there."""
        try:
            return os.stat(self._root / name).st_mtime
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there needs no removal."""
        (self._root / name).unlink(missing_ok=True)

    def sweep(self, older_than_s: float, now: float | None = None) -> int:
        """Remove drafts that killed processes left; return how many."""
        count, now = 0, time.time() if now is None else now
        for draft in self._root.rglob(".*.draft"):
            with contextlib.suppress(FileNotFoundError):  # it was finished meanwhile
                if now - draft.stat().st_mtime > older_than_s:
                    draft.unlink()
                    count += 1
        return count


def _stop(error: OSError) -> None:
    """Let a folder that cannot be listed be an error; one that is not there is empty."""
    if not isinstance(error, FileNotFoundError):
        raise error
