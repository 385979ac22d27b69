"""Which kind of place an address means."""

from __future__ import annotations

from collections.abc import Callable

from physlab.errors import ConfigurationError, nearest
from physlab.transfer.places import remote
from physlab.transfer.places.base import Place
from physlab.transfer.places.folder import FolderPlace

KINDS: dict[str, Callable[[str, str | None], Place]] = {"s3": remote.open_bucket, "sftp": remote.open_sftp}


def open_place(url: str, endpoint: str | None = None) -> Place:
    """Return the place of an address.

    Args:
        url: An absolute folder, `file:///…`, `s3://bucket/prefix`, or `sftp://user@host/path`.
        endpoint: URL of an S3-compatible service.

    Raises:
        ConfigurationError: The address means nothing.
    """
    kind, found, rest = url.partition("://")
    if not found or kind == "file":
        return FolderPlace(rest if found else url)
    if kind not in KINDS:
        raise ConfigurationError(f"The store '{url}' is no place.", hint=nearest(kind, (*KINDS, "file")))
    return KINDS[kind](url, endpoint)
