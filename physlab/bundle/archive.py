"""The strict reader of a bundle's zip file: nothing in it is hidden, odd, or larger than it says."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from physlab.bundle.names import check_names, refused
from physlab.errors import StoreError, ValidationError

CHUNK = 1 << 20
EPOCH, _DATE = (1980, 1, 1, 0, 0, 0), 1 << 5 | 1
"""The only date in a bundle, the first that a zip file knows, and how a file's head spells it."""
PLAIN, UNIX = 0o100644 << 16, 3
_MOST32 = 0xFFFFFFFF
_LOCAL = struct.Struct("<4s5H3L2H")
_LISTED = 46  # bytes of an entry of the list of files, before its name
_END = struct.Struct("<4s4H2LH")
_LARGE = struct.Struct("<2H2Q")  # the sizes of a large file, which a head of 32 bits cannot tell
_END64, _LOCATOR = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")


@dataclass(frozen=True)
class Limits:
    """The most that is read of a bundle.

    Attributes:
        files: How many files.
        size: Their bytes.
        manifest: Bytes of the manifest.
    """

    files: int = 200_000
    size: int = 1 << 40
    manifest: int = 1 << 26


class Archive:
    """A bundle's file, opened for reading; its structure is checked, its content is not yet.

    Args:
        path: The file.
        limits: The most that is read.

    Attributes:
        names: Its files, in their order.
        size: Of the file [bytes].

    Raises:
        ValidationError: It is no zip file, or one that no lab writes.
        StoreError: It cannot be read.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits, self._read = path, limits, 0
        try:
            with ExitStack() as undo:
                self._stream = undo.enter_context(open(path, "rb"))
                self.size = os.fstat(self._stream.fileno()).st_size
                begun = self._directory()
                self._zip = undo.enter_context(zipfile.ZipFile(self._stream))
                found = self._zip.infolist()
                check_names(info.orig_filename for info in found)
                self._members = {info.orig_filename: info for info in found}
                self._fills(begun)
                self._undo = undo.pop_all()
        except (zipfile.BadZipFile, struct.error, NotImplementedError, ValueError) as error:
            if isinstance(error, ValidationError):
                raise
            raise self._none(str(error)) from error
        except OSError as error:
            raise StoreError(
                f"'{path}' cannot be read: {error.strerror or error}.", hint="Check its name and rights."
            ) from error
        self.names = tuple(self._members)

    def close(self) -> None:
        """Close the file."""
        self._undo.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _none(self, why: str) -> ValidationError:
        return ValidationError(f"'{self._path}' is no bundle: {why}.", hint="Make one: physlab bundle make RUN -o FILE")

    def _tail(self, size: int, before: int) -> bytes:
        """Return so many bytes that end so many before the end of the file."""
        if self.size < size + before:
            raise self._none("it is cut, or no zip file")
        self._stream.seek(self.size - before - size)
        return self._stream.read(size)

    def _directory(self) -> int:
        """Return where the list of files begins; it ends where the file does, and is not longer than it may be."""
        mark, disk, first, here, count, length, begun, comment = _END.unpack(self._tail(_END.size, 0))
        if mark != b"PK\5\6" or comment or disk or first:
            raise self._none("it is no zip file, or something follows its end")
        end = self.size - _END.size
        locator = self._tail(_LOCATOR.size, _END.size) if end >= _LOCATOR.size else b""
        if locator.startswith(b"PK\6\7"):  # what 32 bits do not hold stands before it
            end -= _LOCATOR.size + _END64.size
            if locator != _LOCATOR.pack(b"PK\6\7", 0, end, 1):
                raise self._none("the end of its list of files is broken")
            found = _END64.unpack(self._tail(_END64.size, _END.size + _LOCATOR.size))
            short, (disk, first, here, count, length, begun) = (here, count, length, begun), found[4:]
            if short != (min(here, 0xFFFF), min(count, 0xFFFF), min(length, _MOST32), min(begun, _MOST32)):
                raise self._none("the end of its list of files is broken")
            if found[:4] != (b"PK\6\6", _END64.size - 12, 45, 45):
                raise self._none("the end of its list of files is broken")
        if disk or first or here != count or begun + length != end:
            raise self._none("its list of files does not end where the file does")
        if count > self._limits.files or length > self._limits.files * 256:
            raise self._none(f"it holds {count:,} files; at most {self._limits.files:,} are read")
        self._stream.seek(begun)
        if not _adds_up(self._stream.read(length), count):
            raise self._none("its list of files has another length than it says")
        return int(begun)

    def _fills(self, begun: int) -> None:
        """Check each file's own head, and that the files stand one after another with nothing between them."""
        at = 0
        for info in sorted(self._members.values(), key=lambda one: one.header_offset):
            name, size = info.orig_filename, info.file_size
            if why := _odd(info):
                raise refused(name, why)
            self._stream.seek(at)
            head = _LOCAL.unpack(self._stream.read(_LOCAL.size))
            spelled, extra = self._stream.read(head[9]), self._stream.read(head[10])
            if info.header_offset != at:
                raise refused(name, "something stands before it that the list of files does not name")
            large = _LARGE.pack(1, 16, size, size)
            version, told = (45, _MOST32) if extra == large else (20, size)
            expected = (b"PK\3\4", version, 0, 0, 0, _DATE, info.CRC, told, told)
            if (head[:9], spelled) != (expected, name.encode()):
                raise refused(name, "its own head says something else than the list of files")
            if extra not in (b"", large):
                raise refused(name, "its head holds what is no part of a plain file")
            at += _LOCAL.size + len(spelled) + len(extra) + size
        if at != begun:
            raise self._none("something stands in it that its list of files does not name")

    def read(self, name: str, most: int) -> bytes:
        """Return a small file.

        Raises:
            ValidationError: It is not there, is larger than `most`, or damaged.
        """
        return b"".join(self.pieces(name, most))

    def pieces(self, name: str, most: int) -> Iterator[bytes]:
        """Yield a file in pieces; what is counted is what is read, not what its head says.

        Raises:
            ValidationError: It is not there, is larger than `most`, or damaged.
        """
        info, count = self._members.get(name), 0
        if info is None:
            raise refused(name, "it is missing")
        try:
            with self._zip.open(info) as stream:
                while piece := stream.read(CHUNK):
                    count, self._read = count + len(piece), self._read + len(piece)
                    if count > most:
                        raise refused(name, f"it is larger than {most:,} bytes")
                    if self._read > self._limits.size:
                        raise refused(name, f"the bundle holds more than {self._limits.size:,} bytes")
                    yield piece
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise refused(name, f"it is damaged ({error})") from error
        except OSError as error:
            raise StoreError(f"'{self._path}' cannot be read: {error}.", hint="Copy it here again.") from error


def _adds_up(listing: bytes, count: int) -> bool:
    """Say whether a list of files is so many entries one after another: zipfile takes a last one that is cut."""
    at = 0
    for _ in range(count):
        if listing[at : at + 4] != b"PK\1\2" or len(listing) < at + _LISTED:
            return False
        at += _LISTED + sum(struct.unpack_from("<3H", listing, at + 28))  # name, extra field, comment
    return at == len(listing)


def _odd(info: zipfile.ZipInfo) -> str:
    """Say what is wrong with a file of the list; '' when it is as a lab writes it."""
    if info.flag_bits & 1:
        return "it is encrypted"
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        return "it is compressed; nothing in a bundle is, so that nothing unfolds to more than it is"
    if info.external_attr != PLAIN:
        return "it is no plain file, but a link, a folder or a device"
    versions = {info.create_version, info.extract_version}
    if info.flag_bits or info.comment or info.internal_attr or info.volume or info.reserved or not versions <= {20, 45}:
        return "it has marks that no lab writes"
    if info.date_time != EPOCH or info.create_system != UNIX:
        return "it has another date or system than files of a bundle have"
    return "" if _plain(info.extra) else "it holds what is no part of a plain file: a link, or a second name"


def _plain(extra: bytes) -> bool:
    """Say whether what the list tells beside a file's name is but the size of a large one."""
    if not extra:
        return True
    kind, length = struct.unpack_from("<2H", extra) if len(extra) >= 4 else (0, 0)
    return kind == 1 and len(extra) == 4 + length and length in (8, 16, 24)
