"""What DVC keeps on disk, written by us: cache objects as hard links into the store, folders, pointers.

DVC's `add` hashes, moves and links each file again (12 ms each); here the bytes are in the store already, and a commit
needs their MD5 only. Tests hold what is written against DVC itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from physlab.durable import replace_file
from physlab.errors import StoreError
from physlab.keys import md5_stream, sha256_and_md5
from physlab.store.blobs import Blobs, damaged, missing

FICLONE = 0x40049409  # Linux: let two files share their bytes until one is written


@dataclass(frozen=True)
class Twin:
    """One file under both names of its bytes.

    Attributes:
        sha256: As our store names them, 64 hexadecimal digits.
        md5: As DVC names them, 32 hexadecimal digits.
        size: How many [bytes].
    """

    sha256: str
    md5: str
    size: int


class Cache:
    """DVC's cache of a repository: `files/md5/ab/cdef…`.

    Args:
        folder: The cache, `.dvc/cache` by default of DVC.
        scratch: A folder beside it for what is not whole yet.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.objects = folder / "files" / "md5"
        self.scratch = scratch

    def path(self, md5: str) -> Path:
        """Return where the bytes of an MD5 lie."""
        return self.objects / md5[:2] / md5[2:]

    def take(self, blobs: Blobs, digest: str, known: Twin | None = None) -> Twin:
        """Show a file of the store in the cache, without a second copy where links can be made.

        Args:
            blobs: The store's files.
            digest: Its SHA-256.
            known: What an earlier commit found, which spares reading it as long as both names are one file.

        Raises:
            StoreError: The bytes are missing or damaged, or the cache cannot be written.
        """
        bare, source = digest.removeprefix("sha256:"), blobs.path(digest)
        if known is not None and _are_one(source, self.path(known.md5)):
            return known
        try:
            with open(source, "rb") as stream:
                found, md5, size = sha256_and_md5(stream)
        except OSError as error:
            raise missing(digest, source) from error
        if found != bare:
            raise damaged(digest, source)
        target = self.path(md5)
        if not _are_one(source, target) and not self.holds(md5):
            place(source, target, self.scratch)
        return Twin(bare, md5, size)

    def holds(self, md5: str) -> bool:
        """Say whether the bytes are there and have this MD5 (reads them)."""
        try:
            with open(self.path(md5), "rb") as stream:
                return md5_stream(stream) == md5.removesuffix(".dir")
        except OSError:
            return False

    def put_folder(self, files: Mapping[str, Twin]) -> str:
        """Write the list that stands for a folder; return its name, which ends in `.dir`."""
        listed = [{"md5": files[path].md5, "relpath": path} for path in sorted(files)]
        data = json.dumps(listed, sort_keys=True).encode()
        name = f"{md5_stream(io.BytesIO(data))}.dir"
        target = self.path(name)
        if not self.holds(name):
            write_whole(target, data, mode=0o444, scratch=self.scratch)
        return name


def pointer(name: str, folder: str, files: Mapping[str, Twin]) -> bytes:
    """Return the `.dvc` file of a folder, as `dvc add` writes it."""
    size = sum(twin.size for twin in files.values())
    lines = (
        "outs:",
        f"- md5: {name}",
        f"  size: {size}",
        f"  nfiles: {len(files)}",
        "  hash: md5",
        f"  path: {folder}",
    )
    return ("\n".join(lines) + "\n").encode()


def place(source: Path, target: Path, scratch: Path | None = None) -> None:
    """Show a file under another name: as a hard link, else sharing its bytes, else as a copy; complete or absent.

    Raises:
        StoreError: The name cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # a link is there with its bytes or not at all
            os.link(source, target)
            return
        with _aside(scratch or target.parent) as temporary:
            try:
                os.link(source, temporary)
            except OSError:
                _copy(source, temporary)
            os.replace(temporary, target)
    except OSError as error:
        if not source.exists():
            raise StoreError(f"'{source}' is not there.", hint="Look for damage: physlab store verify") from error
        raise _unwritable(target, error) from error


def _copy(source: Path, target: Path) -> None:
    with open(source, "rb") as reader, open(target, "xb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
        except OSError:
            shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())
        os.fchmod(writer.fileno(), 0o444)


def write_whole(target: Path, data: bytes, mode: int = 0o644, scratch: Path | None = None) -> None:
    """Write a file: after a power cut it is whole or as before.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        for folder in (target.parent, scratch or target.parent):
            folder.mkdir(parents=True, exist_ok=True)
        replace_file(target, data, mode, scratch)
    except OSError as error:
        raise _unwritable(target, error) from error


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Give a free name in a folder; what lies there in the end is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _are_one(first: Path, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"'{path}' cannot be written: {error.strerror or error}.",
        hint="Free disk space or make the folder writable, then: physlab dvc commit",
    )
