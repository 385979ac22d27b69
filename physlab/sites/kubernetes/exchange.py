"""The place that a lab and its pods both reach: files by SHA-256, orders and replies, each complete or absent."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from physlab.errors import ConfigurationError, MissingExtraError, StoreError
from physlab.keys import digest_bytes
from physlab.store.blobs import Blobs

TROUBLE = "Is the store right (store, store_endpoint, store_secret in the settings), and may it be read and written?"


class Exchange:
    """A bucket or a folder.

    Args:
        url: `s3://bucket/prefix`, another URL that fsspec knows, or a folder.
        endpoint: URL of an S3-compatible service; None for Amazon's.

    Raises:
        MissingExtraError: The package for such a URL is not installed.
        ConfigurationError: The URL is none.
    """

    def __init__(self, url: str, endpoint: str | None = None) -> None:
        self.url, self.endpoint = url, endpoint
        self._place: _Place = _Bucket(url, endpoint) if "://" in url else _Folder(url)
        self._there: set[str] = set()  # known to be there: they are named by their content, and stay
        self._guard = threading.Lock()

    def put(self, blobs: Blobs, digest: str, *, again: bool = False) -> int:
        """Bring a file of a store there unless it is there already; return how many bytes travelled.

        Args:
            blobs: The store.
            digest: Which file.
            again: Somebody found it missing: do not believe that it is there.

        Raises:
            StoreError: It cannot be read here or written there.
        """
        name = _object(digest)
        with self._guard:
            if name in self._there and not again:
                return 0
        with self._told(f"bring {digest[:12]}… to"):
            path = blobs.path(digest)
            size = path.stat().st_size
            if again or not self._place.has(name):
                self._place.put_file(path, name)
            else:
                size = 0
        with self._guard:
            self._there.add(name)
        return size

    def get(self, blobs: Blobs, digest: str) -> bool:
        """Fetch a file into a store; False when it is not there, or not what its name says: then it is removed.

        Raises:
            StoreError: The place cannot be read, or the store not be written.
        """
        if blobs.path(digest).exists():
            return True
        name, draft = _object(digest), blobs.incoming / secrets.token_hex(8)
        try:
            with self._told(f"fetch {digest[:12]}… from"):
                if not self._place.get_file(name, draft):
                    return False
            found, _ = blobs.put(draft)
        finally:
            draft.unlink(missing_ok=True)
        if found == digest.removeprefix("sha256:"):
            return True
        blobs.remove(found)
        self.remove(name)
        return False

    def write(self, name: str, data: bytes) -> None:
        """Write a small file under a name of its own."""
        with self._told(f"write {name} to"):
            self._place.write(name, data)

    def read(self, name: str) -> bytes | None:
        """Return a small file; None when there is none of that name."""
        with self._told(f"read {name} of"):
            return self._place.read(name)

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there needs no removal."""
        with self._told(f"remove {name} from"):
            self._place.remove(name)

    def put_order(self, data: bytes) -> str:
        """Write an order; return its digest."""
        digest = digest_bytes(data)
        self.write(_order(digest), data)
        return digest

    def order(self, digest: str) -> bytes:
        """Return an order.

        Raises:
            StoreError: It is not there, or something else.
        """
        data = self.read(_order(digest))
        if data is None or digest_bytes(data) != digest:
            raise StoreError(f"The order {digest[:12]}… is not in {self.url}.", hint=TROUBLE)
        return data

    def remove_order(self, digest: str) -> None:
        """Remove an order."""
        self.remove(_order(digest))

    @contextlib.contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except self._place.errors as error:
            said = str(error) or type(error).__name__
            raise StoreError(f"Could not {doing} {self.url}: {said}", hint=TROUBLE) from error


def reply_name(token: str) -> str:
    """Return where the reply of an attempt lies."""
    return f"replies/{token}.json"


def _object(digest: str) -> str:
    bare = digest.removeprefix("sha256:")
    return f"objects/{bare[:2]}/{bare[2:]}"


def _order(digest: str) -> str:
    return f"orders/{digest}.json"


class _Place(Protocol):
    errors: tuple[type[Exception], ...]

    def has(self, name: str) -> bool: ...
    def put_file(self, path: Path, name: str) -> None: ...
    def get_file(self, name: str, path: Path) -> bool: ...
    def write(self, name: str, data: bytes) -> None: ...
    def read(self, name: str) -> bytes | None: ...
    def remove(self, name: str) -> None: ...


class _Folder:
    """A folder that both sides see, a mounted volume for instance."""

    errors: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, path: str) -> None:
        self._root = Path(path)
        if not self._root.is_absolute():
            raise ConfigurationError(
                f"The store '{path}' is no place.", hint="Give s3://bucket/prefix, or an absolute folder."
            )

    def has(self, name: str) -> bool:
        return (self._root / name).exists()

    def put_file(self, path: Path, name: str) -> None:
        with self._draft(name) as draft, open(path, "rb") as source, open(draft, "wb") as target:
            while piece := source.read(1 << 20):
                target.write(piece)
            os.fsync(target.fileno())

    def get_file(self, name: str, path: Path) -> bool:
        try:
            with open(self._root / name, "rb") as source, open(path, "wb") as target:
                while piece := source.read(1 << 20):
                    target.write(piece)
        except FileNotFoundError:
            return False
        return True

    def write(self, name: str, data: bytes) -> None:
        with self._draft(name) as draft, open(draft, "wb") as target:
            target.write(data)
            os.fsync(target.fileno())

    def read(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _draft(self, name: str) -> Iterator[Path]:
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            yield draft
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)


class _Bucket:
    """A bucket, through fsspec: an object is written whole or not at all."""

    def __init__(self, url: str, endpoint: str | None) -> None:
        import fsspec

        kind = url.partition("://")[0]
        options: dict[str, Any] = {"endpoint_url": endpoint} if endpoint else {}
        if kind == "s3":
            options["use_listings_cache"] = False
        try:
            self._fs, root = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            raise MissingExtraError(
                f"{kind}:// needs a package that is not installed.", hint="pip install 'physlab[kubernetes]'"
            ) from error
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"The store '{url}' is no place: {error}", hint="Give s3://bucket/prefix, or an absolute folder."
            ) from error
        self._root = PurePosixPath(root)
        self.errors: tuple[type[Exception], ...] = (OSError, *_botocore_errors())

    def _at(self, name: str) -> str:
        return str(self._root / name)

    def has(self, name: str) -> bool:
        return bool(self._fs.exists(self._at(name)))

    def put_file(self, path: Path, name: str) -> None:
        self._fs.put_file(str(path), self._at(name))

    def get_file(self, name: str, path: Path) -> bool:
        try:
            self._fs.get_file(self._at(name), str(path))
        except FileNotFoundError:
            return False
        return True

    def write(self, name: str, data: bytes) -> None:
        self._fs.pipe_file(self._at(name), data)

    def read(self, name: str) -> bytes | None:
        try:
            return bytes(self._fs.cat_file(self._at(name)))
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._at(name))


def _botocore_errors() -> tuple[type[Exception], ...]:
    """Return what S3's client raises beside OSError: no credentials, no such endpoint."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        return ()
    return (BotoCoreError, ClientError)
