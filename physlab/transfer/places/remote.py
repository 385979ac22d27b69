"""Places that fsspec reaches: buckets of S3 and its kin, and machines over SFTP."""

from __future__ import annotations

import contextlib
import posixpath
import secrets
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from physlab.errors import ConfigurationError, MissingExtraError, StoreError

EXTRA = "pip install 'physlab[stores]'"


class FileSystemPlace:
    """A folder of a file system of fsspec.

    Args:
        url: What people call it.
        system: The file system.
        root: The folder in it.
        errors: What it raises beside OSError.
        drafts: Whether a file can be seen half-written there, and so is written under a draft's name.
        unable: What it raises when it cannot force a file to disk at all; others' errors in doing so count.
    """

    def __init__(
        self,
        url: str,
        system: Any,
        root: str,
        errors: tuple[type[Exception], ...] = (),
        drafts: bool = True,
        unable: tuple[type[Exception], ...] = (),
    ) -> None:
        self._unable = unable
        self.url, self._system, self._root, self._drafts = url, system, root, drafts
        self.errors: tuple[type[Exception], ...] = (OSError, *errors)
        self._made: set[str] = set()

    def _at(self, name: str) -> str:
        return posixpath.join(self._root, name)

    def read(self, name: str) -> bytes | None:
        """Return a file, None when it is not there."""
        try:
            return bytes(self._system.cat_file(self._at(name)))
        except FileNotFoundError:
            return None

    def read_part(self, name: str, start: int, length: int) -> bytes | None:
        """Return a part of a file, shorter where the file ends; None when it is not there."""
        try:
            if not self._drafts:
                return bytes(self._system.cat_file(self._at(name), start=start, end=start + length))
            with self._system.open(self._at(name), "rb") as stream:
                stream.seek(start)
                return bytes(stream.read(length))
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file; in a bucket it appears whole, elsewhere under a draft's name first."""
        path = self._at(name)
        if not self._drafts:
            self._system.pipe_file(path, data)
            return
        folder, _, file = path.rpartition("/")
        draft = f"{folder}/.{file}.{secrets.token_hex(4)}.draft"
        if folder not in self._made:
            self._system.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        try:
            with self._system.open(draft, "wb") as stream:
                stream.write(data)
                if hasattr(stream, "fsync"):
                    with contextlib.suppress(*self._unable):
                        stream.fsync()
            self._system.mv(draft, path)
        except self.errors:
            if self._system.exists(draft):
                self._system.rm_file(draft)
            raise

    def size(self, name: str) -> int | None:
        """Return the size of a file [bytes], None when it is not there."""
        try:
            return int(self._system.info(self._at(name))["size"])
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield the names of all files below a folder, and their sizes [bytes]; drafts are no files yet."""
        for name, size, _ in self.times(folder):
            yield name, size

    def times(self, folder: str) -> Iterator[tuple[str, int, float]]:
        """Yield the names of all files below a folder, their sizes [bytes], and when they were written [s, UTC]."""
        try:
            found = self._system.find(self._at(folder), detail=True)
        except FileNotFoundError:
            return
        start = len(self._root.strip("/")) + 1
        for path, info in found.items():
            name = path.strip("/")[start:]
            if not posixpath.basename(name).startswith("."):
                yield name, int(info["size"]), _written(info)

    def modified(self, name: str) -> float | None:
        """Return when a file was written [s, UTC], None when it is not there."""
        try:
            return _written(self._system.info(self._at(name)))
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there needs no removal."""
        try:
            self._system.rm_file(self._at(name))
        except FileNotFoundError:
            return

    def sweep(self, older_than_s: float, now: float | None = None) -> int:
        """Remove drafts that killed processes left; return how many. A bucket has none."""
        count, now = 0, time.time() if now is None else now
        for path in self._system.find(self._root) if self._drafts else ():
            if posixpath.basename(path).startswith(".") and path.endswith(".draft"):
                try:
                    if now - _written(self._system.info(path)) > older_than_s:
                        self._system.rm_file(path)
                        count += 1
                except FileNotFoundError:  # it was finished meanwhile
                    continue
        return count


def _written(info: Mapping[str, Any]) -> float:
    """Return when a file was written, as a bucket, a machine behind ssh, or a disk says it."""
    said = info.get("LastModified") or info["mtime"]
    return float(said.timestamp() if isinstance(said, datetime) else said)


def open_bucket(url: str, endpoint: str | None) -> FileSystemPlace:
    """Return a bucket of S3 or of a service like it; keys and region are those of every AWS program.

    Raises:
        MissingExtraError: s3fs is not installed.
    """
    try:
        import s3fs
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise MissingExtraError("s3:// needs packages that are not installed.", hint=EXTRA) from error
    options = {"endpoint_url": endpoint} if endpoint else {}
    system = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True, **options)
    root = url.partition("://")[2].rstrip("/")
    return FileSystemPlace(url, system, root, (BotoCoreError, ClientError), drafts=False)


def open_sftp(url: str, endpoint: str | None) -> FileSystemPlace:
    """Return a folder on a machine that OpenSSH's own configuration, keys and known hosts lead to.

    Raises:
        MissingExtraError: sshfs is not installed.
        ConfigurationError: The address has no folder.
        StoreError: The machine cannot be reached, is not the known one, or lets nobody in.
    """
    try:
        import asyncssh
        from sshfs import SSHFileSystem
    except ImportError as error:
        raise MissingExtraError("sftp:// needs packages that are not installed.", hint=EXTRA) from error
    parts = urlsplit(url)
    if not parts.hostname or not parts.path.strip("/"):
        raise ConfigurationError(f"The store '{url}' is no place.", hint="Give sftp://user@host/absolute/folder.")
    options: dict[str, Any] = {"known_hosts": ()}  # those of OpenSSH; sshfs by itself would trust any machine
    options |= {name: value for name, value in (("username", parts.username), ("port", parts.port)) if value}
    try:
        system = SSHFileSystem(parts.hostname, skip_instance_cache=True, **options)
    except (OSError, asyncssh.Error) as error:
        raise StoreError(
            f"Cannot reach {url}: {str(error) or type(error).__name__}.",
            hint=f"Does this work: sftp {parts.netloc.partition(':')[0]}",
        ) from error
    return FileSystemPlace(url, system, parts.path.rstrip("/"), (asyncssh.Error,), unable=(asyncssh.SFTPOpUnsupported,))
