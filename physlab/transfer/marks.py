"""What a collection of garbage writes into a store, and what everybody who relies on something there must know of it.

A name is condemned by a list that names it. A file that was written after that list is spared: so whoever needs
something that is condemned writes it again, and need not touch the list.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from physlab.errors import StoreError
from physlab.keys import canonical, digest_bytes
from physlab.transfer.layout import FORMAT, digits_of, path_of
from physlab.transfer.places.base import told

if TYPE_CHECKING:
    from physlab.transfer.remote import RemoteStore

CONDEMNED, REMOVING = "condemned", "removing"


class Mark(NamedTuple):
    """One list of names.

    Attributes:
        name: Its own.
        at: When it was written, by the place's own clock [s, UTC].
        names: What it is about.
    """

    name: str
    at: float
    names: frozenset[str]


class Marks:
    """The lists in one store.

    Args:
        remote: The store.
    """

    def __init__(self, remote: RemoteStore) -> None:
        self._remote = remote
        self._read: dict[str, frozenset[str]] = {}

    def write(self, folder: str, names: Iterable[str], note: Callable[[str], None] = lambda name: None) -> Mark:
        """Write a list; its time is what the place says it is.

        Args:
            folder: Which kind.
            names: What it names.
            note: Hears its own name before it is written.

        Raises:
            StoreError: The store cannot be written, or does not show what it took.
        """
        listed = sorted(names)
        said = {"format": FORMAT, "names": listed, "nonce": secrets.token_hex(8)}
        data = canonical(said)
        name = path_of(folder, self._remote.digits(folder, digest_bytes(data)))
        note(name)
        self._remote.write_named(folder, data)
        at = self.modified(name)
        if at is None:
            raise StoreError(f"{self._remote.what(name)} was written and is not there.", hint="Try again.")
        return Mark(name, at, frozenset(listed))

    def all(self, folder: str) -> list[Mark]:
        """Return the lists of a kind. One of condemned names that is damaged condemns nothing, for anybody.

        Raises:
            StoreError: The store cannot be read, or a list of what is being removed is damaged.
        """
        found = []
        with told(self._remote.place, f"list {folder} of"):
            listed = list(self._remote.place.times(folder))
        for name, _, at in listed:
            if digits_of(name) is None:
                continue
            try:
                names = self._names(folder, name)
            except StoreError as error:
                if folder == REMOVING:
                    again = f"physlab store gc {self._remote.name} --delete"
                    raise StoreError(
                        error.message, hint=f"A day after it was written, this removes it: {again}"
                    ) from error
                continue
            if names is not None:
                found.append(Mark(name, at, names))
        return found

    def _names(self, folder: str, name: str) -> frozenset[str] | None:
        """Return what a list names, None when it was taken away meanwhile."""
        if name not in self._read:
            raw = self._remote.read(name)
            if raw is None:
                return None
            data = self._remote.unseal(raw, name)
            if self._remote.digits(folder, digest_bytes(data)) != digits_of(name):
                raise StoreError(f"{self._remote.what(name)} was changed.", hint="Mend it: physlab store repair")
            self._read[name] = frozenset(json.loads(data)["names"])
        return self._read[name]

    def condemned(self) -> dict[str, list[float]]:
        """Return the times at which each name was condemned [s, UTC]."""
        found: dict[str, list[float]] = {}
        for mark in self.all(CONDEMNED):
            for name in mark.names:
                found.setdefault(name, []).append(mark.at)
        return found

    def lasting(self, names: Iterable[str]) -> set[str]:
        """Return the names that are not condemned, or were written again since."""
        wanted, when = set(names), self.condemned()
        return {name for name in wanted if name not in when or self.is_spared(name, max(when[name]))}

    def is_spared(self, name: str, condemned_at: float) -> bool:
        """Say whether a file is there and was not written before a time."""
        written = self.modified(name)
        return written is not None and written >= condemned_at

    def modified(self, name: str) -> float | None:
        """Return when a file was written, by the place's own clock [s, UTC]; None when it is not there."""
        with told(self._remote.place, f"look at {name} of"):
            return self._remote.place.modified(name)

    def being_removed(self) -> set[str]:
        """Return the names that a collection removes now."""
        return set[str]().union(*(mark.names for mark in self.all(REMOVING)))


def ripe(names: Mapping[str, float], when: Mapping[str, list[float]], now: float, grace_s: float) -> set[str]:
    """Return the names that were condemned long enough ago, and not written again since.

    Args:
        names: When each was written [s, UTC].
        when: When each was condemned [s, UTC].
        now: The time, by the same clock [s, UTC].
        grace_s: How long ago it has to be [s].
    """
    return {
        name
        for name, written in names.items()
        if any(written < at <= now - grace_s for at in when.get(name, ())) and written < max(when[name])
    }
