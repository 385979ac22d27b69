"""Push: a lab's files and records into a store. Records come last: what a store says of a run, it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from physlab.errors import StoreError, ValidationError, nearest
from physlab.store import Store
from physlab.transfer.checking import check_names
from physlab.transfer.records import Travelling, closure, known_there, own_records, roots, send_records
from physlab.transfer.remote import RemoteStore
from physlab.transfer.sending import MayLeave, Sender, held_back, refuse_held


@dataclass(frozen=True)
class Pushed:
    """What a push did, or with `dry_run` would do.

    Attributes:
        store: Name of the store.
        files: Files that were sent.
        size: Bytes of them; what would travel at most, for a dry run.
        records: Records that were sent.
        there: Files that were there before.
        missing: Digests of files that the lab's records need and it does not have.
        held: Files that were left out, with the reason.
    """

    store: str
    files: int
    size: int
    records: int
    there: int
    missing: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)


def push(
    store: Store,
    remote: RemoteStore,
    name: str | None = None,
    *,
    dry_run: bool = False,
    may_leave: MayLeave | None = None,
    without_held: bool = False,
    verify: bool = False,
) -> Pushed:
    """Bring a run, a version, or everything into a store, as far as it is not there.

    Args:
        store: The lab's.
        remote: Where to.
        name: A run, a version, or `sha256:…`; None for everything.
        dry_run: Only say what would travel.
        may_leave: Says why a file may not leave.
        without_held: Leave out what may not leave, and the records that name it; else nothing is sent.
        verify: Read back what was written.

    Raises:
        ValidationError: Nothing has this name.
        StoreError: Something may not leave, is damaged, or the store cannot be written.
    """
    records = {one.digest: one for one in own_records(store)}
    if name is not None:
        begun = roots(records, name)
        if not begun:
            raise no_such(records, name)
        records = closure(records, begun)
    files = _files(store, records, everything=name is None)
    held = held_back(files, may_leave)
    if held and not without_held:
        refuse_held(files, may_leave)
    if held:
        records = without_named(records, set(held))
        files = _files(store, records, everything=False)
    needed = set[str]().union(*(one.needed() for one in records.values()))
    done = _send(store, remote, files, records, needed - files, held, dry_run)
    if verify and not dry_run:
        _read_back(remote)
    return done


def _read_back(remote: RemoteStore) -> None:
    damage = check_names(remote, list(remote.written)).damage
    if damage:
        raise StoreError(
            f"What was just written to the store '{remote.name}' came back otherwise: "
            f"{', '.join(item.name for item in damage[:5])}.",
            hint="The disk, the memory or the network on the way is bad. Then: physlab store scrub",
            details={"names": [item.name for item in damage]},
        )


def push_files(
    store: Store, remote: RemoteStore, digests: Iterable[str], *, may_leave: MayLeave | None = None
) -> Pushed:
    """Bring files into a store by their digests, without records.

    Raises:
        StoreError: One may not leave, is missing or damaged, or the store cannot be written.
    """
    files = {digest.removeprefix("sha256:") for digest in digests}
    refuse_held(files, may_leave)
    return _send(store, remote, files, {}, set(), {}, dry_run=False)


def _send(
    store: Store,
    remote: RemoteStore,
    files: set[str],
    records: Mapping[str, Travelling],
    missing: set[str],
    held: Mapping[str, str],
    dry_run: bool,
) -> Pushed:
    sender = Sender(store.blobs, remote)
    if not dry_run:
        remote.prepare()
    is_store = not dry_run or remote.check()
    lacking = sorted(files - sender.there(files)) if is_store else sorted(files)
    there = len(files) - len(lacking)
    if dry_run:
        told = sender.estimate(lacking)
        new = len(records.keys() - (known_there(remote) if is_store else set()))
        return Pushed(remote.name, told.files, told.size, new, there, tuple(sorted(missing)), held)
    sender.send(lacking)
    sender.settle()
    count = send_records(remote, records.values())
    return Pushed(remote.name, len(lacking), remote.tally.sent, count, there, tuple(sorted(missing)), held)


def _files(store: Store, records: Mapping[str, Travelling], everything: bool) -> set[str]:
    """Return the digests of the files of records that the lab has; all that it has for everything."""
    present = set(store.blobs.all())
    return present if everything else present.intersection(*[set().union(*(one.named for one in records.values()))])


def without_named(records: Mapping[str, Travelling], held: set[str]) -> dict[str, Travelling]:
    """Leave out the records that name something, and those that name them."""
    out = set(held)
    while more := {one.digest for one in records.values() if one.digest not in out and one.named & out}:
        out |= more
    return {digest: one for digest, one in records.items() if digest not in out}


def no_such(records: Mapping[str, Travelling], name: str) -> ValidationError:
    """Return the error for a name that nothing has."""
    known = [str(one.record["run_id"]) for one in records.values() if one.kind == "run"][-10:]
    hint = nearest(name, known) if known else "There is no run yet."
    return ValidationError(f"There is no finished run, version or file '{name}'.", hint=hint)
