"""Data that stays where it is: registered by its address and digest, verified when it is used."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import sqlalchemy as sa

from physlab.errors import ConfigurationError, MissingExtraError, PhyslabError, StoreError, ValidationError
from physlab.keys import CHUNK, digest_stream
from physlab.model.version import Content
from physlab.store import Store, schema

SCHEMES = ("file", "s3", "sftp", "ssh", "https")
EXTRA = {"s3": "stores", "sftp": "stores", "ssh": "stores"}
_SSH: dict[str, tuple[str, ...]] = {"asyncssh": ("Error",), "paramiko": ("SSHException",)}
FOREIGN: dict[str, dict[str, tuple[str, ...]]] = {
    "s3": {"botocore.exceptions": ("BotoCoreError", "ClientError")},
    "sftp": _SSH,
    "ssh": _SSH,
    "https": {"aiohttp": ("ClientError",)},
}
"""What the libraries behind an address raise that is no OSError."""
TRY = {
    "s3": "Check the address, and that AWS programs find your keys (AWS_PROFILE, AWS_ACCESS_KEY_ID): aws s3 ls {place}",
    "sftp": "Does this work: sftp {host}",
    "ssh": "Does this work: ssh {host}",
    "https": "Does this work: curl -I {place}",
}
"""What shows whether the fault lies with the address or the access."""


def is_address(name: str) -> bool:
    """Say whether a name is an address with a scheme, not a path."""
    return "://" in name and urlsplit(name).scheme.isalnum()


def measure(store: Store, place: str) -> Content:
    """Return the digest of bytes that stay where they are, read as a stream once.

    A file of this machine that is as it was the last time is not read again.

    Raises:
        ValidationError: The address is of a kind that is not known, or there is nothing.
        StoreError: It cannot be read.
    """
    path = local_path(place)
    if path is not None:
        sha256 = store.digest_files([path])[path]
        return Content(kind="external", sha256=sha256, size=path.stat().st_size, uri=path.resolve().as_uri())
    try:
        with _open(place) as stream:
            sha256, size = digest_stream(stream)
    except FileNotFoundError as error:
        raise ValidationError(f"There is nothing at '{place}'.", hint="Check the address.") from error
    except PhyslabError:
        raise
    except _raised_by(place) as error:
        raise _unreachable(place, error) from error
    return Content(kind="external", sha256=sha256, size=size, uri=place)


def verify(store: Store, content: Content) -> None:
    """Make sure that external bytes are what was registered.

    Raises:
        ValidationError: They are gone.
        StoreError: They are others, or cannot be read.
    """
    now = measure(store, str(content.uri))
    if now.sha256 != content.sha256:
        raise other_bytes(content, now.sha256)


def place_of(store: Store, sha256: str) -> Path | None:
    """Return where on this machine bytes are that were registered to stay there, verified; None where they are not.

    Raises:
        StoreError: They are others now, wherever they were registered.
    """
    table = schema.versions.c
    rows = store.index.rows(sa.select(table.digest).where(table.sha256 == sha256, table.kind == "external"))
    problem: StoreError | ValidationError | None = None
    for row in rows:
        content = Content.model_validate(store.record(row["digest"])["content"])
        path = local_path(str(content.uri))
        if path is not None:
            try:
                verify(store, content)
            except (StoreError, ValidationError) as error:
                problem = error
                continue
            return path
    if problem is not None:
        raise problem
    return None


def local_path(place: str) -> Path | None:
    """Return the path of a file of this machine, None for an address elsewhere."""
    if not is_address(place):
        return Path(place)
    parts = urlsplit(place)
    if parts.scheme not in SCHEMES:
        raise ValidationError(
            f"'{place}': nothing is known of addresses with '{parts.scheme}:'.", hint=f"Known: {', '.join(SCHEMES)}."
        )
    if parts.scheme != "file":
        return None
    from urllib.request import url2pathname

    return Path(url2pathname(parts.path))


def _open(place: str) -> Any:
    import fsspec

    scheme = urlsplit(place).scheme
    try:
        return fsspec.open(place, "rb")
    except ImportError as error:
        raise MissingExtraError(
            f"'{place}' needs a package that is not installed.",
            hint=f"pip install 'physlab[{EXTRA.get(scheme, 'stores')}]'",
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"'{place}' cannot be opened: {error}.", hint="Check the address.") from error


def _raised_by(place: str) -> tuple[type[Exception], ...]:
    """Return what reading from an address may raise: with what the libraries behind it have of their own."""
    found: list[type[Exception]] = [OSError, ValueError]
    for module, names in FOREIGN.get(urlsplit(place).scheme, {}).items():
        with contextlib.suppress(ImportError):
            found += [getattr(importlib.import_module(module), name) for name in names]
    return tuple(found)


def _unreachable(place: str, error: Exception) -> StoreError:
    """Return what is raised of an address that cannot be read, with what to look at."""
    scheme, said = urlsplit(place).scheme, str(error).strip() or type(error).__name__
    hint = TRY.get(scheme, "Check the address and your access: {place}")
    return StoreError(
        f"'{place}' cannot be read: {said.rstrip('.: ')}.", hint=hint.format(place=place, host=urlsplit(place).netloc)
    )


def fetch(content: Content, target: Path) -> None:
    """Copy external bytes to a path, complete and verified or not at all.

    Raises:
        StoreError: They are others than was registered, or cannot be read or written.
    """
    place = str(content.uri)
    path = local_path(place)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".physlab-")
        try:
            with open(handle, "w+b") as stream:
                _copy_from(place, path, stream)
                stream.seek(0)
                found, _ = digest_stream(stream)
                os.fsync(stream.fileno())
            if found != content.sha256:
                raise other_bytes(content, found)
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"'{target}' cannot be written: {error.strerror or error}.",
            hint="Free disk space, make the folder writable, or name another one: physlab version restore VERSION TO",
        ) from error


def _copy_from(place: str, path: Path | None, stream: BinaryIO) -> None:
    try:
        with open(path, "rb") if path is not None else _open(place) as source:
            shutil.copyfileobj(source, stream, CHUNK)
    except PhyslabError:
        raise
    except _raised_by(place) as error:
        raise _unreachable(place, error) from error


def other_bytes(content: Content, found: str) -> StoreError:
    """Return what is raised of external bytes that are others than was registered."""
    return StoreError(
        f"'{content.uri}' is not what was registered: its bytes are sha256:{found[:16]}…, not "
        f"sha256:{content.sha256[:16]}….",
        hint="Restore it from its source, or register the new state: physlab version add.",
    )
