"""Snapshots in a store: which file there holds the list of what belongs together, by whom and when it was sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from physlab.errors import StoreError
from physlab.keys import canonical, digest_bytes
from physlab.transfer.layout import FORMAT, UPGRADE, check_digest, path_of
from physlab.transfer.remote import RemoteStore

FOLDER = "snapshots"


@dataclass(frozen=True)
class Snapshot:
    """What lies in the store for a snapshot.

    Attributes:
        sheet: Digest of the list of its files, which is a file of the store like others; all digests in it belong.
        time: What its sender said the time was.
        host: What its sender said it is.
        tags: Its sender's marks.
    """

    sheet: str
    time: str
    host: str
    tags: tuple[str, ...]


def write(remote: RemoteStore, snapshot: Snapshot) -> str:
    """Write a snapshot, when all that its list names is there; return the digits it lies under."""
    return remote.write_named(FOLDER, canonical({"format": FORMAT, **asdict(snapshot), "tags": list(snapshot.tags)}))


def listed(remote: RemoteStore) -> list[str]:
    """Return the digits of all snapshots."""
    return sorted(digits for digits, _ in remote.listed(FOLDER))


def read(remote: RemoteStore, digits: str) -> Snapshot | None:
    """Return a snapshot, None when it was removed meanwhile.

    Raises:
        StoreError: It was changed, or is of a newer physlab.
    """
    name = path_of(FOLDER, digits)
    raw = remote.read(name)
    if raw is None:
        return None
    data = remote.unseal(raw, name)
    try:
        if remote.digits(FOLDER, digest_bytes(data)) != digits:
            raise ValueError("the bytes are not those of its name")
        said = json.loads(data)
        if said["format"] != FORMAT:
            raise StoreError(f"{remote.what(name)} has the format {said['format']}.", hint=UPGRADE)
        return Snapshot(check_digest(said["sheet"]), str(said["time"]), str(said["host"]), tuple(said["tags"]))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{remote.what(name)} is damaged: {error}.", hint="The other snapshots are whole: physlab backup list"
        ) from error


def remove(remote: RemoteStore, names: Sequence[str]) -> None:
    """Remove snapshots; what only they used is garbage from then on."""
    for digits in names:
        remote.remove(path_of(FOLDER, digits))
