"""Files named by the SHA-256 of their bytes: complete or absent, read-only, never changed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from physlab.errors import StoreError, ValidationError
from physlab.keys import CHUNK, digest_bytes, digest_stream, hasher


class Blobs:
    """The folder of objects: `objects/ab/cdef…`.

    Args:
        root: Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.objects = root / "objects"
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
        if len(bare) != 64 or not all(c in "0123456789abcdef" for c in bare):
            raise ValidationError(f"'{digest}' is not a SHA-256.", hint="Give sha256:<64 hexadecimal digits>.")
        return self.objects / bare[:2] / bare[2:]

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
            raise StoreError(
                f"The store at {self.objects.parent} cannot take {_named(source)}: {error.strerror or error}.",
                hint="Free disk space, or choose another PHYSLAB_HOME; nothing was half-written.",
            ) from error

    def _put_bytes(self, data: bytes) -> tuple[str, int]:
        digest = digest_bytes(data)
        target = self.path(digest)
        if not target.exists():
            with self._temporary() as temporary:
                with open(temporary, "wb") as stream:
                    stream.write(data)
                    os.fsync(stream.fileno())
                self._publish(temporary, target)
        return digest, len(data)

    def _put_file(self, source: Path) -> tuple[str, int]:
        with self._temporary() as temporary:
            state, size = hasher(), 0
            with open(source, "rb") as reader, open(temporary, "wb") as writer:
                while chunk := reader.read(CHUNK):
                    state.update(chunk)
                    writer.write(chunk)
                    size += len(chunk)
                os.fsync(writer.fileno())
            digest = state.hexdigest()
            target = self.path(digest)
            if not target.exists():
                self._publish(temporary, target)
        return digest, size

    def adopt(self, source: Path, digest: str) -> bool:
        """Take a file of this file system whose bytes were checked and forced to disk; False when they are there.

        Raises:
            StoreError: The store cannot be written.
        """
        target = self.path(digest)
        try:
            if target.exists():
                source.unlink()
                return False
            self._publish(str(source), target)
        except OSError as error:
            raise StoreError(
                f"The store at {self.objects.parent} cannot take {_named(source)}: {error.strerror or error}.",
                hint="Free disk space, or choose another PHYSLAB_HOME; nothing was half-written.",
            ) from error
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

    def all(self) -> Iterator[str]:
        """Yield every digest that lies in the store."""
        for folder in sorted(self.objects.iterdir()):
            for path in sorted(folder.iterdir()):
                yield folder.name + path.name

    def sweep(self, older_than_s: float, now: float) -> int:
        """Remove what killed processes left half-written; return how many files."""
        count = 0
        for path in self.incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if now - path.stat().st_mtime > older_than_s:
                    path.unlink()
                    count += 1
        return count


def force_folder(folder: Path) -> None:
    """Put the names in a folder on disk (against a power cut)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(source: Path | bytes) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else f"'{source}'"


def missing(digest: str, path: Path) -> StoreError:
    """Return the error for bytes that are not there."""
    return StoreError(
        f"The store lacks {digest[:19]}… ({path}).", hint="Run the node again with --refresh, or restore a backup."
    )


def damaged(digest: str, path: Path) -> StoreError:
    """Return the error for bytes that changed."""
    return StoreError(
        f"The bytes of {digest[:19]}… are damaged ({path}).",
        hint="Run 'physlab store verify', then the node again with --refresh.",
    )
