"""Files named by the SHA-256 of their bytes: complete or absent, read-only, never changed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from physlab.durable import force_folder, write_new
from physlab.errors import StoreError, ValidationError
from physlab.keys import digest_bytes, digest_stream
from physlab.store.intake import SMALL, copy_hashed, force_file_system, grouped

_HEX = re.compile(r"[0-9a-f]{64}")
FRESH_S = 86_400.0
"""Bytes that were kept once more are marked as new again, unless that was so lately [s]."""


class Blobs:
    """The folder of objects: `objects/ab/cdef…`.

    Args:
        root: Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.objects = root / "objects"
        self._stem = f"{self.objects}{os.sep}"
        self.incoming = root / "incoming"

    def create(self) -> None:
        """Make the folders."""
        self.objects.mkdir(parents=True, exist_ok=True)
        self.incoming.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Return where the bytes of a digest lie.

        Raises:
            ValidationError: It is not 64 hexadecimal digits.
        """
        bare = digest.removeprefix("sha256:")
        if not _HEX.fullmatch(bare):
            raise ValidationError(f"'{digest}' is not a SHA-256.", hint="Give sha256:<64 hexadecimal digits>.")
        return Path(self._place(bare))

    def _place(self, bare: str) -> str:
        return f"{self._stem}{bare[:2]}{os.sep}{bare[2:]}"

    def put(self, source: Path | bytes) -> tuple[str, int]:
        """Keep bytes, durably, and return their digest and size.

        Raises:
            StoreError: The disk is full, or the store cannot be written.
        """
        try:
            if isinstance(source, bytes):
                return self._put_bytes(source)
            return self._put_file(source)
        except OSError as error:
            raise self._untakeable(_named(source), error) from error

    def _untakeable(self, what: str, error: OSError) -> StoreError:
        return StoreError(
            f"The store at {self.objects.parent} cannot take {what}: {error.strerror or error}.",
            hint="Free disk space, or choose another PHYSLAB_HOME; nothing was half-written.",
        )

    def _put_bytes(self, data: bytes) -> tuple[str, int]:
        digest = digest_bytes(data)
        target = self.path(digest)
        if not has(target):
            with self._temporary() as temporary:
                with open(temporary, "wb") as stream:
                    stream.write(data)
                    os.fsync(stream.fileno())
                self._publish(temporary, target)
        return digest, len(data)

    def _put_file(self, source: Path) -> tuple[str, int]:
        with self._temporary() as temporary:
            digest, size = copy_hashed(source, temporary)
            target = self.path(digest)
            if not has(target):
                self._publish(temporary, target)
        return digest, size

    def put_many(self, sources: Sequence[str]) -> list[tuple[str, int]]:
        """Keep files, durably, and return their digests and sizes; many small ones wait for the disk together.

        Raises:
            StoreError: The disk is full, or the store cannot be written; what was kept before stays.
        """
        found: list[tuple[str, int]] = [("", 0)] * len(sources)
        try:
            for group in grouped(sources):
                for place, kept in self._put_group(group):
                    found[place] = kept
        except OSError as error:
            raise self._untakeable(f"{len(sources)} files", error) from error
        return found

    def _put_group(self, group: Sequence[tuple[int, str, int]]) -> Iterator[tuple[int, tuple[str, int]]]:
        new: dict[str, str] = {}
        folder = tempfile.mkdtemp(dir=self.incoming)
        try:
            for place, source, size in group:
                if size > SMALL:
                    yield place, self._put_file(Path(source))
                    continue
                with open(source, "rb", buffering=0) as stream:
                    data = stream.readall()
                digest = digest_bytes(data)
                target = self._place(digest)
                if target not in new and not has(target):
                    new[target] = f"{folder}{os.sep}{digest}"
                    write_new(new[target], data)
                yield place, (digest, len(data))
            self._publish_many(new)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _publish_many(self, new: Mapping[str, str]) -> None:
        """Give files their names: first all bytes are on disk, then all names are, then they count."""
        if not new:
            return
        force_file_system(self.incoming)
        for folder in {os.path.dirname(target) for target in new}:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder)
        for target, temporary in new.items():
            os.replace(temporary, target)
        force_file_system(self.objects)

    def adopt(self, source: Path, digest: str) -> bool:
        """Take a file of this file system whose bytes were checked and forced to disk; False when they are there.

        Raises:
            StoreError: The store cannot be written.
        """
        target = self.path(digest)
        try:
            if has(target):
                source.unlink()
                return False
            self._publish(str(source), target)
        except OSError as error:
            raise self._untakeable(_named(source), error) from error
        return True

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[str]:
        handle, name = tempfile.mkstemp(dir=self.incoming)
        os.close(handle)
        try:
            yield name
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    def _publish(self, temporary: str, target: Path) -> None:
        if not target.parent.exists():
            target.parent.mkdir(exist_ok=True)
            force_folder(self.objects)
        os.chmod(temporary, 0o444)
        os.replace(temporary, target)
        force_folder(target.parent)

    def read(self, digest: str) -> bytes:
        """Return the bytes of a digest, checked.

        Raises:
            StoreError: They are missing or damaged.
        """
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise missing(digest, path) from error
        if digest_bytes(data) != digest.removeprefix("sha256:"):
            raise damaged(digest, path)
        return data

    def intact(self, digest: str) -> bool:
        """Say whether the bytes are there and still have their digest (reads them all)."""
        try:
            with open(self.path(digest), "rb") as stream:
                return digest_stream(stream)[0] == digest.removeprefix("sha256:")
        except OSError:
            return False

    def verified(self, digest: str) -> Path:
        """Return where bytes lie that are what they were (reads them all).

        Raises:
            StoreError: They are missing or damaged.
        """
        path = self.path(digest)
        if not self.intact(digest):
            raise damaged(digest, path) if path.exists() else missing(digest, path)
        return path

    def remove(self, digest: str) -> None:
        """Forget bytes that are damaged or no longer wanted."""
        with contextlib.suppress(OSError):
            os.unlink(self.path(digest))

    def export(self, digest: str, target: Path) -> None:
        """Show the bytes under a human name: a hard link where the file system allows it, else a copy.

        Raises:
            StoreError: The bytes are missing, or the name cannot be written.
        """
        source = self.path(digest)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
            try:
                os.link(source, target)
            except OSError:
                shutil.copyfile(source, target)
        except OSError as error:
            if not source.exists():
                raise missing(digest, source) from None
            raise StoreError(
                f"'{target}' cannot be written: {error.strerror or error}.",
                hint="Free disk space, make the folder writable, or choose another one.",
            ) from error

    def lacking(self, digests: Iterable[str]) -> set[str]:
        """Return those of some digests whose bytes are not there; many are looked up by listing the folders."""
        wanted = set(digests)
        if len(wanted) > 1000:
            return wanted - set(self.all())
        return {digest for digest in wanted if not self.path(digest).exists()}

    def all(self) -> Iterator[str]:
        """Yield every digest that lies in the store."""
        for folder in sorted(os.listdir(self.objects)):
            for name in sorted(os.listdir(self.objects / folder)):
                yield folder + name

    def sweep(self, older_than_s: float, now: float) -> int:
        """Remove what killed processes left half-written; return how many files."""
        count = 0
        for path in self.incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if now - path.stat().st_mtime > older_than_s:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    count += 1
        return count


def has(target: str | Path) -> bool:
    """Say whether bytes are there already; that they are wanted again keeps them from being collected as garbage."""
    try:
        if time.time() - os.stat(target).st_mtime > FRESH_S:
            os.utime(target)
    except FileNotFoundError:
        return False
    except PermissionError:  # a store that others keep
        return True
    return True


def _named(source: Path | bytes) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else f"'{source}'"


def missing(digest: str, path: Path) -> StoreError:
    """Return the error for bytes that are not there."""
    return StoreError(
        f"The store lacks {digest[:19]}… ({path}).",
        hint="Run the node again with --refresh, or restore a backup.",
        details={"sha256": digest},
    )


def damaged(digest: str, path: Path) -> StoreError:
    """Return the error for bytes that changed."""
    return StoreError(
        f"The bytes of {digest[:19]}… are damaged ({path}).",
        hint="Run 'physlab store verify', then the node again with --refresh.",
    )
