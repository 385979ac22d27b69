"""Bytes on their way into the store: copied and hashed at once, many small files with few waits for the disk."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from physlab.keys import CHUNK, hasher

PIECE = 8 << 20
"""So much is copied at once while what was copied before is hashed [bytes]."""
SMALL = 4 << 20
"""A file up to this size is read whole [bytes]."""
GROUP_FILES, GROUP_BYTES = 2000, 64 << 20
"""So many files, or bytes, wait for the disk together."""


def copy_hashed(source: Path, target: str) -> tuple[str, int]:
    """Copy a file into one that is there, durably; return the SHA-256 of the copy, and its size [bytes].

    A file system that can share blocks between files does so. What is hashed is the copy: a source that changes
    meanwhile gives a digest that is right for what was kept.
    """
    with open(source, "rb", buffering=0) as reader, open(target, "r+b", buffering=0) as writer:
        size = os.fstat(reader.fileno()).st_size
        copying = _Copying(reader.fileno(), writer.fileno(), size)
        thread = threading.Thread(target=copying.run, name="copy", daemon=True)
        if size <= SMALL or not _started(thread):
            return _copy_plainly(reader, writer)
        state, position, buffer = hasher(), 0, memoryview(bytearray(PIECE))
        while (ready := copying.after(position)) > position:
            got = os.preadv(writer.fileno(), [buffer[: min(PIECE, ready - position)]], position)
            state.update(buffer[:got])
            position += got
        thread.join()
        if copying.error is not None:
            raise copying.error
        os.fsync(writer.fileno())
        return state.hexdigest(), position


def _started(thread: threading.Thread) -> bool:
    """Start a thread; say False in a process that has no memory left for one: it wants to tell so, and keep its log."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def _copy_plainly(reader: FileIO, writer: FileIO) -> tuple[str, int]:
    state, size = hasher(), 0
    while data := reader.read(CHUNK):
        state.update(data)
        view = memoryview(data)
        while view:
            view = view[writer.write(view) :]
        size += len(data)
    os.fsync(writer.fileno())
    return state.hexdigest(), size


@dataclass
class _Copying:
    """A file that is being copied by a thread, and how far that is."""

    source: int
    target: int
    size: int
    done: int = 0
    over: bool = False
    error: OSError | None = None
    news: threading.Condition = field(default_factory=threading.Condition)

    def run(self) -> None:
        try:
            while self.done < self.size and (count := self._some()):
                self._tell(count)
        except OSError as error:
            self.error = error
        finally:
            with self.news:
                self.over = True
                self.news.notify_all()

    def _some(self) -> int:
        count = min(PIECE, self.size - self.done)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # other file systems, old kernels: the bytes go through this process
                return os.copy_file_range(self.source, self.target, count, self.done, self.done)
        data = os.pread(self.source, min(CHUNK, count), self.done)
        return os.pwrite(self.target, data, self.done)

    def _tell(self, count: int) -> None:
        with self.news:
            self.done += count
            self.news.notify_all()

    def after(self, position: int) -> int:
        """Wait until more than `position` is there, or all; return how far it is."""
        with self.news:
            self.news.wait_for(lambda: self.done > position or self.over)
            return self.done


def grouped(sources: Sequence[str]) -> Iterator[list[tuple[int, str, int]]]:
    """Yield files with their place in the list and their size [bytes], in groups that wait for the disk together."""
    group: list[tuple[int, str, int]] = []
    total = 0
    for place, source in enumerate(sources):
        size = os.stat(source).st_size
        if group and (len(group) == GROUP_FILES or total + size > GROUP_BYTES):
            yield group
            group, total = [], 0
        group.append((place, source, size))
        total += size
    if group:
        yield group


def force_file_system(folder: Path) -> None:
    """Put everything that was written in a folder's file system on disk: one wait for thousands of files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if sys.platform != "linux":
            os.sync()
        elif ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
