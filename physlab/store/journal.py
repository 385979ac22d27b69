"""The append-only, hash-chained journal: one JSON line for each record, in the order they came.

    {"digest": sha256 of the record, "kind": …, "prev": sha256 of the line before, "record": {…}, "seq": n}

A record is a canonical-JSON blob that lives in its line. A line counts when its newline is there; what a killed process
left after the last newline was never acknowledged and is cut off by the next writer.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from physlab.durable import force_folder
from physlab.errors import StoreError
from physlab.keys import canonical, digest_bytes

GENESIS = "0" * 64
SEGMENT_BYTES = 64 << 20
TAIL_BYTES = 1 << 16
_LINE = re.compile(
    rb'\{"digest":"([0-9a-f]{64})","kind":"([a-z_]+)","prev":"([0-9a-f]{64})","record":(.*),"seq":(\d+)\}\n', re.DOTALL
)


@dataclass(frozen=True)
class Position:
    """Where a record lies: file number, offset and length of its line [bytes]."""

    segment: int
    offset: int
    length: int


@dataclass(frozen=True)
class Line:
    """One line of the journal."""

    seq: int
    kind: str
    digest: str
    record: dict[str, Any]
    position: Position


class Journal:
    """The journal of a store, shared by all its writers.

    Args:
        root: Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "journal"
        self._stem = f"{self.folder}{os.sep}"
        self._lock_path = f"{self._stem}lock"
        self._segment, self._end = 1, 0
        self._seq, self._prev = 0, GENESIS
        self._written = 0
        self._latest, self._full, self._full_bytes = 1, 0, 0

    def create(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def file(self, segment: int) -> Path:
        """Return the path of a segment."""
        return Path(self._name(segment))

    def _name(self, segment: int) -> str:
        return f"{self._stem}{segment:06d}.jsonl"

    def segments(self) -> list[int]:
        """Return the numbers of the segments, oldest first."""
        return sorted(int(path.stem) for path in self.folder.glob("*.jsonl"))

    def append(self, records: Iterable[tuple[str, dict[str, Any]]]) -> list[Line]:
        """Write records (kind and content) and return their lines; a killed process loses none of them.

        Raises:
            StoreError: The journal cannot be written; nothing of the batch counts then.
        """
        encoded = [(kind, record, canonical(record)) for kind, record in records]
        try:
            with _opened(self._lock_path, os.O_RDWR) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._catch_up()
                return self._write(encoded)
        except StoreError:
            raise
        except OSError as error:
            raise self._unwritable(error) from error

    def _write(self, records: list[tuple[str, dict[str, Any], bytes]]) -> list[Line]:
        if self._end > SEGMENT_BYTES:
            self.force()
            self._segment, self._end = self._segment + 1, 0
        buffer, lines = bytearray(), []
        seq, prev = self._seq, self._prev
        for kind, record, body in records:
            seq += 1
            digest = digest_bytes(body)
            text = b'{"digest":"%s","kind":"%s","prev":"%s","record":%s,"seq":%d}\n' % (
                digest.encode(),
                kind.encode(),
                prev.encode(),
                body,
                seq,
            )
            position = Position(self._segment, self._end + len(buffer), len(text))
            lines.append(Line(seq, kind, digest, record, position))
            prev = digest_bytes(text)
            buffer += text
        with _opened(self._name(self._segment), os.O_WRONLY | os.O_APPEND) as stream:
            try:
                if os.write(stream, buffer) != len(buffer):
                    raise OSError(28, "No space left on device")
            except OSError:
                os.truncate(stream, self._end)
                raise
        if not self._end:
            force_folder(self.folder)
        self._end += len(buffer)
        self._written += len(buffer)
        self._seq, self._prev = seq, prev
        return lines

    def end(self) -> Position:
        """Return the position after the last whole line, as the files stand now."""
        latest = self._find_latest()
        whole = self._size(latest)
        if (latest, whole) != (self._segment, self._end):
            whole = _last_line(self.file(latest))[0]
        return Position(latest, whole, 0)

    def others(self) -> int:
        """Return a number that stays the same as long as nobody but this object writes; not asked while it does."""
        latest = self._find_latest()
        while self._full < latest - 1:  # no one adds to a segment that has a successor
            self._full += 1
            self._full_bytes += self._size(self._full)
        return self._full_bytes + self._size(latest) - self._written

    def _find_latest(self) -> int:
        """Return the number of the latest segment."""
        if self._latest > 1 and not os.path.exists(self._name(self._latest)):  # somebody restored a copy
            self._latest, self._full, self._full_bytes = 1, 0, 0
        while os.path.exists(self._name(self._latest + 1)):
            self._latest += 1
        return self._latest

    def _size(self, segment: int) -> int:
        try:
            return os.stat(self._name(segment)).st_size
        except FileNotFoundError:
            return 0

    def force(self) -> None:
        """Put on disk what was written so far (against a power cut).

        Raises:
            StoreError: The disk refuses.
        """
        if not self._end:
            return
        try:
            descriptor = os.open(self.file(self._segment), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"The journal {self.folder} cannot be written: {error.strerror or error}.",
            hint="Free disk space or make the folder writable; the records before are safe.",
        )

    def _catch_up(self) -> None:
        """Move to the true end of the journal: others may have written, or died in the middle of a line."""
        latest = self._find_latest()
        size = self._size(latest)
        if (latest, size) == (self._segment, self._end):
            return
        path = self.file(latest)
        whole, last = _last_line(path)
        if whole < size:
            os.truncate(path, whole)
        if not last and latest > 1:
            last = _last_line(self.file(latest - 1))[1]
        seq = self._parse(last, latest, whole - len(last)).seq if last else 0
        self._segment, self._end = latest, whole
        self._seq, self._prev = seq, digest_bytes(last) if last else GENESIS

    def replay(self, segment: int = 1, offset: int = 0) -> Iterator[Line]:
        """Yield the lines from a position on, up to one that is still being written.

        Raises:
            StoreError: A line is not one of ours.
        """
        for text, number, start in self._lines(segment, offset):
            yield self._parse(text, number, start)

    def texts(self, segment: int = 1, offset: int = 0) -> Iterator[tuple[str, str, bytes, Position]]:
        """Yield kind, digest, unread record and place of the lines from a position on.

        Raises:
            StoreError: A line is not one of ours.
        """
        for text, number, start in self._lines(segment, offset):
            match = _LINE.fullmatch(text)
            if match is None:
                raise self._damaged(number, start)
            yield match[2].decode(), match[1].decode(), match[4], Position(number, start, len(text))

    def _lines(self, segment: int, offset: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield whole lines from a position on, with the segment and offset of each."""
        for number in self.segments():
            if number < segment:
                continue
            start = offset if number == segment else 0
            with open(self.file(number), "rb") as stream:
                stream.seek(start)
                for text in _whole_lines(stream):
                    yield text, number, start
                    start += len(text)

    def _damaged(self, segment: int, offset: int) -> StoreError:
        return StoreError(
            f"{self.file(segment)} is damaged at byte {offset}.",
            hint="Run 'physlab store verify'; restore the file from a backup.",
        )

    def verify(self) -> Iterator[str]:
        """Yield what is wrong with the chain: a changed, missing, inserted or reordered line."""
        prev, seq = GENESIS, 0
        for number in self.segments():
            with open(self.file(number), "rb") as stream:
                for row, text in enumerate(_whole_lines(stream), 1):
                    where = f"{self.file(number).name} line {row}"
                    match = _LINE.fullmatch(text)
                    if match is None:
                        yield f"{where}: not a journal line"
                        continue
                    if digest_bytes(match[4]) != match[1].decode():
                        yield f"{where}: the record was changed"
                    if match[3].decode() != prev:
                        yield f"{where}: the chain is broken (a line before it was changed, removed or inserted)"
                    if int(match[5]) != seq + 1:
                        yield f"{where}: number {int(match[5])} follows {seq}"
                    prev, seq = digest_bytes(text), int(match[5])

    def read(self, position: Position) -> dict[str, Any]:
        """Return the record at a position.

        Raises:
            StoreError: It is not there, or damaged.
        """
        try:
            with open(self.file(position.segment), "rb") as stream:
                stream.seek(position.offset)
                line = self._parse(stream.read(position.length), position.segment, position.offset)
        except OSError as error:
            raise StoreError(f"The journal lacks {self.file(position.segment)}.", hint="Restore a backup.") from error
        if digest_bytes(canonical(line.record)) != line.digest:
            raise StoreError(f"The record {line.digest[:12]} is damaged.", hint="Run 'physlab store verify'.")
        return line.record

    def read_texts(self, positions: Iterable[Position]) -> Iterator[tuple[str, bytes]]:
        """Yield digest and canonical JSON of the records at many positions, each verified.

        Raises:
            StoreError: One is not there, or damaged.
        """
        with contextlib.ExitStack() as held:
            streams: dict[int, BinaryIO] = {}
            for position in positions:
                if position.segment not in streams:
                    try:
                        streams[position.segment] = held.enter_context(open(self.file(position.segment), "rb"))
                    except OSError as error:
                        raise StoreError(
                            f"The journal lacks {self.file(position.segment)}.", hint="Restore a backup."
                        ) from error
                streams[position.segment].seek(position.offset)
                match = _LINE.fullmatch(streams[position.segment].read(position.length))
                if match is None:
                    raise self._damaged(position.segment, position.offset)
                if digest_bytes(match[4]) != match[1].decode():
                    raise StoreError(
                        f"The record {match[1].decode()[:12]} is damaged.", hint="Run 'physlab store verify'."
                    )
                yield match[1].decode(), match[4]

    def _parse(self, text: bytes, segment: int, offset: int) -> Line:
        match = _LINE.fullmatch(text)
        if match is None:
            raise self._damaged(segment, offset)
        position = Position(segment, offset, len(text))
        record = json.loads(match[4], parse_int=_number)
        return Line(int(match[5]), match[2].decode(), match[1].decode(), record, position)


def _number(text: str) -> int | float:
    """Return a number that canonical JSON spells without a point: from 2^53 on it was a float."""
    number = int(text)
    return number if -(2**53) < number < 2**53 else float(text)


@contextlib.contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    """Open a file, made if it is not there; bare, because each node does so twice."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines up to one without its newline: read on, and the rest of it would be taken for a line of its own."""
    for text in stream:
        if not text.endswith(b"\n"):
            return
        yield text


def _last_line(path: Path) -> tuple[int, bytes]:
    """Return where the last whole line of a file ends, and that line; reads no more than it must."""
    if not path.exists():
        return 0, b""
    with open(path, "rb") as stream:
        size, span = os.fstat(stream.fileno()).st_size, TAIL_BYTES
        while True:
            start = max(0, size - span)
            stream.seek(start)
            data = stream.read(size - start)
            whole = data.rfind(b"\n") + 1
            first = data.rfind(b"\n", 0, max(0, whole - 1)) + 1
            if first or not start:
                return (start + whole if whole else 0), data[first:whole]
            span *= 8
