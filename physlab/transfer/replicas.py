"""Copies of everything in several stores: how many there are, and making the missing and the damaged ones good."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from physlab.errors import ConfigurationError, StoreError
from physlab.keys import digest_bytes
from physlab.store import Store
from physlab.transfer.checking import LAB, Damage, Notes
from physlab.transfer.fetching import Fetcher
from physlab.transfer.layout import digits_of, path_of
from physlab.transfer.push import without_named
from physlab.transfer.records import Travelling, own_records, send_records
from physlab.transfer.remote import RemoteStore
from physlab.transfer.sending import MayLeave, Sender, held_back


@dataclass(frozen=True)
class Survey:
    """Where a lab's files are.

    Attributes:
        copies: How many copies there shall be beside the lab's own.
        stores: Names of the stores that count.
        where: For each file the stores that have it, `lab` among them.
        held: Files that may not leave, with the reason; they need no copies.
    """

    copies: int
    stores: tuple[str, ...]
    where: Mapping[str, frozenset[str]]
    held: Mapping[str, str] = field(default_factory=dict)

    def lacking(self, digest: str) -> int:
        """Return how many copies of a file are missing, one for the lab's own."""
        there = self.where[digest]
        wanted = 0 if digest in self.held else self.copies
        return max(0, wanted - len(there - {LAB})) + (LAB not in there)

    @property
    def incomplete(self) -> dict[str, int]:
        """The files of which copies are missing, and how many."""
        return {digest: count for digest in self.where if (count := self.lacking(digest))}


def survey(
    store: Store,
    remotes: Sequence[RemoteStore],
    copies: int,
    may_leave: MayLeave | None = None,
    also: Iterable[str] = (),
) -> Survey:
    """Say where each file of a lab is, by names alone; what it lacks though its records name it is among them.

    Args:
        store: The lab's.
        remotes: The stores that count.
        copies: How many copies there shall be beside the lab's own.
        may_leave: Says why a file may not leave.
        also: Files that the lab had.

    Raises:
        ConfigurationError: There are fewer stores than copies.
        StoreError: A store cannot be reached.
    """
    if copies > len(remotes):
        names = ", ".join(remote.name for remote in remotes) or "none"
        raise ConfigurationError(
            f"replicas.copies = {copies}, but {len(remotes)} stores are replicas ({names}).",
            hint="Say replica = true under [stores.NAME], or ask for fewer copies; see: physlab config show",
        )
    store.refresh()
    present = set(store.blobs.all())
    needed = present | {blob for entry in store.index.entries() for blob in entry.blobs} | set(also)
    named = needed.union(*(one.named for one in own_records(store)))  # not all of these are files
    there = {remote.name: remote.has_for_good(named) if remote.check() else set[str]() for remote in remotes}
    wanted = needed.union(*there.values())
    where = {
        digest: frozenset(
            (*(name for name, found in there.items() if digest in found), *((LAB,) if digest in present else ()))
        )
        for digest in sorted(wanted)
    }
    return Survey(copies, tuple(remote.name for remote in remotes), where, held_back(wanted, may_leave))


@dataclass
class Repaired:
    """What a repair did.

    Attributes:
        fetched: Files that the lab got back.
        sent: Copies of files that stores got.
        mended: What was damaged and is whole again.
        lost: What could not be mended, with the reason.
    """

    fetched: list[str] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    mended: list[Damage] = field(default_factory=list)
    lost: list[Damage] = field(default_factory=list)


class Repair:
    """Makes missing and damaged copies good, the lab's own included.

    Args:
        store: The lab's.
        remotes: The stores that count.
        copies: How many copies there shall be beside the lab's own.
        folder: Folder of this lab's notes on stores.
        may_leave: Says why a file may not leave.
    """

    def __init__(
        self,
        store: Store,
        remotes: Sequence[RemoteStore],
        copies: int,
        folder: Path,
        may_leave: MayLeave | None = None,
    ) -> None:
        self._store, self._remotes, self._copies, self._may_leave = store, remotes, copies, may_leave
        self._notes, self._folder, self.done = Notes(folder), folder, Repaired()

    def run(self) -> Repaired:
        """Mend all; what cannot be mended is told, and the rest is done all the same.

        Raises:
            ConfigurationError: There are fewer stores than copies.
            StoreError: A store cannot be reached.
        """
        damaged = list(self._notes.damage(LAB))
        had = {*self._store.blobs.all(), *(digest for item in damaged for digest in item.files)}
        for item in damaged:
            for digest in item.files:
                if not self._store.blobs.intact(digest):
                    self._store.blobs.remove(digest)
        self._store.check_blobs(had)  # removes what changed since it was last read
        found = survey(self._store, self._remotes, self._copies, self._may_leave, had)
        self._fetch([digest for digest, there in found.where.items() if LAB not in there])
        for item in damaged:
            self._settle(item, all(self._store.blobs.intact(digest) for digest in item.files) and bool(item.files))
        for remote in self._remotes:
            remote.prepare()
            self._mend(remote, found)
        self._spread(survey(self._store, self._remotes, self._copies, self._may_leave))
        return self.done

    def _settle(self, item: Damage, good: bool) -> None:
        if good:
            self._notes.mended(item)
        (self.done.mended if good else self.done.lost).append(item)

    def _fetch(self, digests: Iterable[str]) -> None:
        """Get files back from whatever store has a good copy."""
        for digest in digests:
            errors = []
            for remote in self._remotes:
                room = self._folder / remote.name / "incoming"
                try:
                    if remote.has([digest]):
                        for name, path in Fetcher(self._store.blobs, remote, room).fetch([digest]).items():
                            self._store.blobs.adopt(path, name)
                        self.done.fetched.append(digest)
                        break
                except StoreError as error:
                    errors.append(error.message)
                finally:
                    shutil.rmtree(room, ignore_errors=True)
            else:
                why = " ".join(errors) or "no store has it; the node that made it runs again when it is needed"
                self.done.lost.append(Damage(LAB, f"objects/{digest[:2]}/{digest[2:]}", why, (digest,)))

    def _mend(self, remote: RemoteStore, found: Survey) -> None:
        """Write again what a scrub found damaged in a store."""
        for item in list(self._notes.damage(remote.name)):
            try:
                self._settle(item, _MENDERS[item.name.partition("/")[0]](self, remote, item, found))
            except StoreError as error:
                self.done.lost.append(Damage(item.store, item.name, error.message, item.files))

    def _mend_file(self, remote: RemoteStore, item: Damage, found: Survey) -> bool:
        """Send a file again whose bytes or list are damaged; without a copy here it is removed, being of no use."""
        folder = item.name.partition("/")[0]
        wanted = [digest for digest in found.where if remote.digits(folder, digest) == digits_of(item.name)]
        whole = [digest for digest in wanted if self._store.blobs.intact(digest)]
        if not whole:
            return False
        remote.remove(item.name)
        Sender(self._store.blobs, remote).send(whole)
        self._count(remote, len(whole))
        return True

    def _mend_pack(self, remote: RemoteStore, item: Damage, found: Survey) -> bool:
        """Send the files of a pack again: the pack is written anew, or others take its place and it can go."""
        digits = str(digits_of(item.name))
        remote.learn()
        files = remote.known.files_with(digits) | set(item.files)
        if not all(self._store.blobs.intact(digest) for digest in files):
            return False
        remote.known.forget_pack(digits)
        Sender(self._store.blobs, remote).send(sorted(files), learn=False)
        if not remote.known.files_with(digits):
            remote.remove(item.name)
        self._count(remote, len(files))
        return True

    def _mend_part(self, remote: RemoteStore, item: Damage, found: Survey) -> bool:
        """Write lines of records again: as this lab read or wrote them, or as another store has them."""
        digits = str(digits_of(item.name))
        lines = remote.kept_lines(digits)
        for other in self._remotes:
            if lines is None and other is not remote:
                for there, _ in other.listed("journal"):
                    data = other.read_lines(there)
                    lines = data if remote.digits("journal", digest_bytes(data)) == digits else lines
        if lines is None:
            return False
        remote.write(path_of("journal", digits), remote.seal(lines))
        return True

    def _spread(self, found: Survey) -> None:
        """Send files to as many stores as are wanted, and the records to all."""
        by_name = {remote.name: remote for remote in self._remotes}
        todo: dict[str, list[str]] = {name: [] for name in by_name}
        for digest, there in found.where.items():
            if LAB in there and digest not in found.held:
                missing = found.copies - len(there - {LAB})
                for name in [name for name in _order(digest, by_name) if name not in there][: max(0, missing)]:
                    todo[name].append(digest)
        records = {one.digest: one for one in own_records(self._store)}
        for name, digests in todo.items():
            sender = Sender(self._store.blobs, by_name[name])
            sender.send(digests)
            sender.settle()
            self._count(by_name[name], len(digests))
            send_records(by_name[name], self._leaving(records, found.held).values())

    def _leaving(self, records: dict[str, Travelling], held: Mapping[str, str]) -> dict[str, Travelling]:
        return without_named(records, set(held)) if held else records

    def _count(self, remote: RemoteStore, count: int) -> None:
        if count:
            self.done.sent[remote.name] = self.done.sent.get(remote.name, 0) + count

    def _mend_mark(self, remote: RemoteStore, item: Damage, found: Survey) -> bool:
        """Take a damaged list of names away: nothing is removed then, until it is condemned anew."""
        remote.remove(item.name)
        return True

    def _mend_nothing(self, remote: RemoteStore, item: Damage, found: Survey) -> bool:
        """Leave a damaged snapshot: nobody else has it."""
        return False


def _order(digest: str, names: Iterable[str]) -> list[str]:
    """Return the stores in an order that is each file's own, and stays when a store comes or goes."""
    return sorted(names, key=lambda name: digest_bytes(f"{name} {digest}".encode()))


_MENDERS = {
    "blobs": Repair._mend_file,
    "files": Repair._mend_file,
    "packs": Repair._mend_pack,
    "journal": Repair._mend_part,
    "condemned": Repair._mend_mark,
    "removing": Repair._mend_mark,
    "snapshots": Repair._mend_nothing,
}
