"""What in a store something needs: by its records, its snapshots, and the lists of its large files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from physlab.errors import StoreError
from physlab.store import Store
from physlab.transfer import snapshots
from physlab.transfer.fetching import Fetcher
from physlab.transfer.lanes import Lanes
from physlab.transfer.layout import digits_of, path_of, read_list
from physlab.transfer.places.base import told
from physlab.transfer.pull import with_lists
from physlab.transfer.records import PAST, Travelling, closure, read_parts
from physlab.transfer.remote import RemoteStore

HELD = ("journal", "files", "blobs", "packs")
"""The folders that a collection looks into, in the order in which it removes: what names others goes before them."""
_HEX = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass
class Objects:
    """What lies in a store.

    Attributes:
        sizes: Names → how many bytes.
        written: Names → when, by the place's own clock [s, UTC].
    """

    sizes: dict[str, int] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)


def objects_of(remote: RemoteStore) -> Objects:
    """Return what lies in a store that a collection may take, if nothing needs it."""
    found = Objects()
    for folder in HELD:
        with told(remote.place, f"list {folder} of"):
            for name, size, written in remote.place.times(folder):
                if digits_of(name) is not None:
                    found.sizes[name], found.written[name] = size, written
    return found


class Reach:
    """Finds what is needed; asked twice, it reads anew only what is new.

    Args:
        remote: The store.
        store: The lab's: of a list that it has too, the store's copy is not read.
        let_go: Digests of records of nodes, which are dropped, and of runs, which need nothing any more: those to which
            no other lab's record leads.
        known: Digests of the records that the lab made itself.
    """

    def __init__(
        self, remote: RemoteStore, store: Store, let_go: Collection[str] = (), known: Collection[str] = ()
    ) -> None:
        self._remote, self._store = remote, store
        self._let_go, self._known = set(let_go), known
        self._room = remote.folder / "sheets"
        self._packs: dict[str, tuple[float, frozenset[str]]] = {}
        self.dropped: dict[str, set[str]] = {}
        self.young: set[str] = set()

    def needed(self, objects: Objects, since: float) -> set[str]:
        """Return the names that are needed; what was written since a time counts as needed.

        Raises:
            StoreError: Something that says what is needed is damaged: then nothing is known.
        """
        parts = read_parts(self._remote)
        records = {digest: one for part in parts.values() for digest, one in part.items()}
        gone = self._gone(records)
        nodes = {digest for digest in gone if records[digest].kind in ("node", PAST)}
        self.dropped = {part: found for part, lines in parts.items() if (found := nodes & lines.keys())}
        digests = self._named({digest: one for digest, one in records.items() if digest not in gone})
        needed = {path_of(folder, self._remote.digits(folder, one)) for one in digests for folder in ("blobs", "files")}
        needed |= {path_of("journal", part) for part in parts}
        young = {name for name, written in objects.written.items() if written > since}
        needed |= self._packs_of([name for name in objects.sizes if name in needed], objects)
        self.young = young - needed
        return needed | young | self._packs_of(young & objects.sizes.keys(), objects)

    def _gone(self, records: dict[str, Travelling]) -> set[str]:
        """Return the records that may go: no record that is not of this lab leads to them."""
        wanted = self._let_go & records.keys()
        strange = [digest for digest in records if digest not in self._known] if wanted else []
        return wanted - closure(records, strange).keys()

    def _named(self, records: dict[str, Travelling]) -> set[str]:
        listing = with_lists(self._store, self._remote, records, self._room)
        digests = set[str]().union(*(one.named for one in listing.values()))
        sheets = {one.sheet for digits in snapshots.listed(self._remote) if (one := self._snapshot(digits))}
        for path in self._fetch(sheets):
            digests.update(found.decode() for found in _HEX.findall(path.read_bytes()))
        return digests | sheets

    def _snapshot(self, digits: str) -> snapshots.Snapshot | None:
        return snapshots.read(self._remote, digits)

    def _fetch(self, sheets: Iterable[str]) -> list[Path]:
        """Fetch the lists of snapshots, which stay here for the next time; forget those that are gone."""
        wanted = sorted(sheets)
        found = list(Fetcher(self._store.blobs, self._remote, self._room).fetch(wanted).values()) if wanted else []
        for path in self._room.iterdir() if self._room.is_dir() else ():
            if path not in found:
                path.unlink(missing_ok=True)
        return found

    def _packs_of(self, names: Iterable[str], objects: Objects) -> set[str]:
        """Return the packs that lists use; each is read where it lies, since it may have been written again."""
        lists = [name for name in names if name.startswith("files/")]
        with Lanes() as lanes:
            for name in lists:
                if self._packs.get(name, (None,))[0] != objects.written[name]:
                    lanes.do(self._read, name, objects.written[name])
        return {pack for name in lists for pack in self._packs.get(name, (0.0, ()))[1]}

    def _read(self, name: str, written: float) -> None:
        raw = self._remote.read(name)
        if raw is None:
            raise StoreError(f"{self._remote.what(name)} is gone.", hint="Another collection is at work; try again.")
        found = read_list(self._remote.unseal(raw, name), self._remote.what(name))
        self._packs[name] = (written, frozenset(path_of("packs", chunk.pack) for chunk in found.chunks))
