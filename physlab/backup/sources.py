"""Files of any folder on their way into a store by their digests, while others may change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from physlab.backup.engine import Tell
from physlab.backup.entries import Entry
from physlab.durable import replace_file
from physlab.errors import StoreError
from physlab.keys import digest_bytes, digest_stream
from physlab.transfer import RemoteStore
from physlab.transfer.sending import Sender

TRIES = 3


class Sources:
    """Where files lie, by their digests; what `transfer` sends from.

    Args:
        paths: Where each entry lies, by its path in the backup.
        unread: Takes what could not be read, with the reason.
    """

    def __init__(self, paths: Mapping[str, Path], unread: list[str]) -> None:
        self._paths, self._unread = paths, unread
        self._where: dict[str, Path] = {}

    def path(self, digest: str) -> Path:
        """Return where a file with this digest lies; one that is not here has a path where nothing is."""
        return self._where.get(digest, Path("/nonexistent") / digest)

    def read(self, digest: str) -> bytes:
        """Return the bytes of a small file.

        Raises:
            StoreError: They are others by now.
        """
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _changed(path) from error
        if digest_bytes(data) != digest:
            raise _changed(path)
        return data

    def add_text(self, data: bytes, folder: Path) -> str:
        """Lay bytes ready as a file in a folder; return their digest."""
        digest = digest_bytes(data)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(folder / digest, data, mode=0o600)
        self._where[digest] = folder / digest
        return digest

    def digested(self, listed: Sequence[Entry]) -> list[Entry]:
        """Return entries with their digests; files without one are read, and left out when they cannot be."""
        found = []
        for one in listed:
            if one.path in self._paths and one.sha256 is None:
                made = self._digest(one)
                if made is None:
                    continue
                found.append(made)
            else:
                found.append(one)
            if found[-1].sha256 is not None:
                self._where[str(found[-1].sha256)] = self._paths[one.path]
        return found

    def _digest(self, one: Entry) -> Entry | None:
        path = self._paths[one.path]
        try:
            with open(path, "rb") as stream:
                digest, size = digest_stream(stream)
            return replace(one, sha256=digest, size=size)
        except OSError as error:
            self._unread.append(f"{path}: {error.strerror or error}")
            return None

    def again(self, listed: Sequence[Entry], lacking: set[str]) -> list[Entry] | None:
        """Return entries after those that were to be sent were read again; None when none of them has changed."""
        found, changed = list[Entry](), False
        for one in listed:
            made = self._digest(replace(one, sha256=None)) if one.sha256 in lacking else one
            changed |= made != one
            if made is not None:
                found.append(made)
        if changed:
            self._where = {str(one.sha256): self._paths[one.path] for one in found if one.sha256 is not None}
        return found if changed else None

    def give_up(self, listed: Sequence[Entry], lacking: set[str]) -> list[Entry]:
        """Leave out what changed each time that it was read."""
        self._unread += [f"{self._paths[one.path]}: it changes all the time" for one in listed if one.sha256 in lacking]
        return [one for one in listed if one.sha256 not in lacking]


def send_all(remote: RemoteStore, sources: Sources, listed: list[Entry], tell: Tell) -> tuple[list[Entry], Sender]:
    """Send the files of a list that are not there; return the list as it was sent, and what watches over it.

    Raises:
        StoreError: The store cannot be written.
    """
    sender = Sender(sources, remote)
    for _ in range(TRIES):
        digests = {one.sha256 for one in listed if one.sha256 is not None}
        lacking = digests - sender.there(digests)
        tell(f"{len(lacking):,} of {len(digests):,} files are not there yet")
        try:
            sender.send(sorted(lacking))
            return listed, sender
        except StoreError:
            changed = sources.again(listed, lacking)
            if changed is None:
                raise
            listed = changed
    left = {one.sha256 for one in listed if one.sha256 is not None}
    lost = left - sender.there(left)
    listed = sources.give_up(listed, lost)
    return listed, sender


def _changed(path: Path) -> StoreError:
    return StoreError(f"The file {path} was changed while it was read.", hint="Again: physlab backup run")
