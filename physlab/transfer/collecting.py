"""Garbage in a store: what nothing there needs is condemned first, and removed a time of grace later.

Nobody holds a lock. Who pushes looks at what is condemned before it relies on it and before it writes records, and
writes it again; who collects says what it removes, looks again, and leaves what was written since. `docs/design.md`
has the argument.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from physlab.errors import ResourceError, StoreError
from physlab.store import Store
from physlab.transfer.lanes import Lanes
from physlab.transfer.layout import path_of
from physlab.transfer.marks import CONDEMNED, REMOVING, Mark, ripe
from physlab.transfer.places.base import told
from physlab.transfer.reaching import HELD, Objects, Reach, objects_of
from physlab.transfer.remote import RemoteStore

DAY_S = 86_400.0
LEASE_S = 3600.0
"""So long after it said what it removes, a collection removes; others believe that it does for a day."""


@dataclass
class Garbage:
    """What nothing in a store needs: names → sizes [bytes].

    Attributes:
        new: Not condemned yet.
        waiting: Condemned; the time of grace is not over.
        ripe: May go, or went.
        kept: How many files are needed.
        young: How many of them nothing needs, and are young.
        records: Records that were let go.
        drafts: Files that were never finished, and were removed.
    """

    new: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    ripe: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    young: int = 0
    records: int = 0
    drafts: int = 0


def find_garbage(
    store: Store,
    remote: RemoteStore,
    *,
    grace_s: float,
    let_go: Collection[str] = (),
    known: Collection[str] = (),
) -> Garbage:
    """Say what nothing in a store needs; nothing is written there, and the time is this machine's.

    Args:
        store: The lab's.
        remote: The store.
        grace_s: Younger files stay [s].
        let_go: Records of nodes that this lab let go.
        known: Digests of the records that the lab made itself.

    Raises:
        StoreError: The store cannot be read, or what says what is needed is damaged.
    """
    return _find(remote, Reach(remote, store, let_go, known), time.time(), grace_s)[0]


def _find(remote: RemoteStore, reach: Reach, now: float, grace_s: float) -> tuple[Garbage, Objects, set[str]]:
    objects = objects_of(remote)
    needed = reach.needed(objects, now - grace_s)
    loose = objects.sizes.keys() - needed
    when = remote.marks.condemned()
    old = ripe({name: objects.written[name] for name in loose}, when, now, grace_s)
    found = Garbage(kept=len(objects.sizes.keys() & needed), records=sum(map(len, reach.dropped.values())))
    found.young = len(reach.young & objects.sizes.keys())
    for name in sorted(loose):
        if name in old:
            found.ripe[name] = objects.sizes[name]
        elif any(at > objects.written[name] for at in when.get(name, ())):
            found.waiting[name] = objects.sizes[name]
        else:
            found.new[name] = objects.sizes[name]
    return found, objects, needed


def collect(
    store: Store,
    remote: RemoteStore,
    *,
    grace_s: float,
    let_go: Collection[str] = (),
    known: Collection[str] = (),
) -> Garbage:
    """Condemn what nothing needs, and remove what was condemned a time of grace ago and is still not needed.

    Killed at any point it leaves a store in which everything that is needed is there.

    Args:
        store: The lab's.
        remote: The store.
        grace_s: The time of grace, by the place's own clock [s].
        let_go: Records of nodes that this lab let go.
        known: Digests of the records that the lab made itself.

    Returns:
        What was found; `ripe` is what was removed.

    Raises:
        ResourceError: Another collection of this lab goes on.
        StoreError: The store cannot be read or written, or what says what is needed is damaged.
    """
    with _alone(remote):
        notes = _Notes(remote)
        notes.clear(0.0)
        now = notes.say(()).at
        reach = Reach(remote, store, let_go, known)
        found, _, _ = _find(remote, reach, now, grace_s)
        for part in _without(remote, reach.dropped):
            found.new[part] = remote.place.size(part) or 0
        if found.new:
            remote.marks.write(CONDEMNED, found.new)
        if grace_s == 0:
            found.ripe |= found.new
        found.ripe = _remove(remote, reach, notes, found.ripe, grace_s)
        _tidy(remote, reach, now, grace_s)
        with told(remote.place, "sweep"):
            found.drafts = remote.place.sweep(max(grace_s, DAY_S), now)
        notes.clear(now - DAY_S)
    return found


def _without(remote: RemoteStore, dropped: dict[str, set[str]]) -> list[str]:
    """Write lines of records anew without those that are let go; return the names of what they take the place of."""
    for part, gone in dropped.items():
        lines = remote.read_lines(part).splitlines(keepends=True)
        left = b"".join(line for line in lines if line[11:75].decode("ascii", "replace") not in gone)
        if left:
            remote.write_part(left)
    return [path_of("journal", part) for part in dropped]


def _remove(remote: RemoteStore, reach: Reach, notes: _Notes, names: dict[str, int], grace_s: float) -> dict[str, int]:
    """Say what is removed, look again, remove; return what went."""
    if not names:
        return {}
    mark, begun = notes.say(names), _up_s()
    objects, when = objects_of(remote), remote.marks.condemned()
    needed = reach.needed(objects, mark.at - grace_s)
    gone: dict[str, int] = {}

    def take(name: str) -> None:
        """Remove a name, unless it was written since; after an hour nothing more: the next collection goes on."""
        if _up_s() - begun < LEASE_S and not remote.marks.is_spared(name, max(when[name])):
            remote.remove(name)
            gone[name] = names[name]

    for folder in HELD:
        with Lanes() as lanes:
            for name in sorted(names.keys() & when.keys() - needed):
                if name.startswith(f"{folder}/"):
                    lanes.do(take, name)
    return gone


def _tidy(remote: RemoteStore, reach: Reach, now: float, grace_s: float) -> None:
    """Remove lists of condemned names that condemn nothing any more."""
    marks = remote.marks.all(CONDEMNED)
    if not marks:
        return
    objects = objects_of(remote)
    needed = reach.needed(objects, now - grace_s)
    for mark in marks:
        if not any(name in objects.written and name not in needed for name in mark.names):
            remote.remove(mark.name)


class _Notes:
    """What this lab said that it removes, and has not finished; so the next collection need not wait for itself.

    Args:
        remote: The store.
    """

    def __init__(self, remote: RemoteStore) -> None:
        self._remote, self._path = remote, remote.folder / "removing"

    def say(self, names: Collection[str]) -> Mark:
        """Say in the store what is removed; the time of that is what the place says."""
        return self._remote.marks.write(REMOVING, names, self._note)

    def _note(self, name: str) -> None:
        try:
            with open(self._path, "a") as stream:
                stream.write(f"{name}\n")
        except OSError as error:
            raise StoreError(
                f"The notes {self._path} cannot be written: {error.strerror or error}.", hint="Free disk space."
            ) from error

    def clear(self, before: float) -> None:
        """Take back what this lab said, and what others said before a time [s, UTC]."""
        own = set(self._path.read_text().split()) if self._path.is_file() else set()
        with told(self._remote.place, f"list {REMOVING} of"):
            said = list(self._remote.place.times(REMOVING))
        for name, _, at in said:
            if name in own or at < before:
                self._remote.remove(name)
        self._path.unlink(missing_ok=True)


def _up_s() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@contextlib.contextmanager
def _alone(remote: RemoteStore) -> Iterator[None]:
    """Let one collection of this lab at a time go on in a store."""
    remote.folder.mkdir(parents=True, exist_ok=True)
    with open(remote.folder / ".collecting", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ResourceError(
                f"Another collection of garbage in the store '{remote.name}' goes on.",
                hint=f"Wait for its end, then: physlab store gc {remote.name}",
            ) from error
        yield
