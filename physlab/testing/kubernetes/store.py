"""Objects with their revisions: every change is remembered, so that a watch or a page can go on where it was."""

from __future__ import annotations

import asyncio
import copy
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from physlab.testing.kubernetes.kinds import KINDS, Kind
from physlab.testing.kubernetes.objects import Obj, deleting, name_of, namespace_of, uid_of
from physlab.testing.kubernetes.refusals import already_exists, conflict, expired, not_found

KEPT = 20_000
FIRST = 100  # what came before is forgotten, as on a cluster that is not new


@dataclass(frozen=True)
class Change:
    """One change: its revision, what was done, and the object after and before."""

    revision: int
    type: str
    kind: Kind
    obj: Obj
    before: Obj | None


class Store:
    """All objects. Nobody changes what it hands out: an object is replaced by its next revision.

    Attributes:
        revision: Of the newest change.
        pulse: Set with the next change; then there is a new one.
        history: The changes since `floor`.
        floor: Changes up to this one are forgotten.
    """

    def __init__(self) -> None:
        self.revision = self.floor = FIRST
        self.history: list[Change] = []
        self.pulse = asyncio.Event()
        self._objects: dict[Kind, dict[tuple[str, str], Obj]] = {kind: {} for kind in KINDS}
        self._listeners: list[Callable[[Change], None]] = []

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Tell somebody of every change."""
        self._listeners.append(listener)

    def find(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """Return an object, or None."""
        return self._objects[kind].get((namespace, name))

    def get(self, kind: Kind, namespace: str, name: str) -> Obj:
        """Return an object.

        Raises:
            Refusal: There is none.
        """
        found = self.find(kind, namespace, name)
        if found is None:
            raise not_found(kind, name)
        return found

    def all(self, kind: Kind, namespace: str = "") -> Iterator[Obj]:
        """Yield the objects of a kind, of one namespace or of all, by name."""
        there = self._objects[kind]
        for key in sorted(there):
            if (not namespace or key[0] == namespace) and key in there:  # it may go while others are looked at
                yield there[key]

    def everything(self) -> list[tuple[Kind, Obj]]:
        """Return all objects with their kinds."""
        return [(kind, obj) for kind, objects in self._objects.items() for obj in objects.values()]

    def current(self, kind: Kind, obj: Obj) -> Obj | None:
        """Return the newest revision of an object; None when it is gone, or another has its name."""
        found = self.find(kind, namespace_of(obj), name_of(obj))
        return found if found is not None and uid_of(found) == uid_of(obj) else None

    def add(self, kind: Kind, obj: Obj) -> Obj:
        """Put in a new object.

        Raises:
            Refusal: Its name is taken.
        """
        key = (namespace_of(obj), name_of(obj))
        if key in self._objects[kind]:
            raise already_exists(kind, name_of(obj))
        return self._write("ADDED", kind, key, copy.deepcopy(obj), None)

    def update(self, kind: Kind, obj: Obj, change: Callable[[Obj], None], revision: str = "") -> Obj:
        """Change an object and return its new revision; the old one when that changes nothing.

        Args:
            kind: Its kind.
            obj: It, in any revision.
            change: Changes a copy in place.
            revision: If given, only this revision may be changed.

        Raises:
            Refusal: It is gone, or has another revision.
        """
        key = (namespace_of(obj), name_of(obj))
        before = self._objects[kind].get(key)
        if before is None or uid_of(before) != uid_of(obj):
            raise not_found(kind, name_of(obj))
        if revision and revision != before["metadata"]["resourceVersion"]:
            raise conflict(kind, name_of(obj))
        after = copy.deepcopy(before)
        change(after)
        if after == before:
            return before
        if after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
        if self._may_go(kind, after):
            return self._remove(kind, key, after, before)
        return self._write("MODIFIED", kind, key, after, before)

    def remove(self, kind: Kind, obj: Obj) -> Obj:
        """Take an object out at once."""
        key = (namespace_of(obj), name_of(obj))
        before = self._objects[kind].get(key)
        if before is None or uid_of(before) != uid_of(obj):
            raise not_found(kind, name_of(obj))
        return self._remove(kind, key, copy.deepcopy(before), before)

    @staticmethod
    def _may_go(kind: Kind, obj: Obj) -> bool:
        if not deleting(obj) or obj["metadata"].get("finalizers"):
            return False
        if kind.plural == "namespaces":
            return not (obj.get("spec") or {}).get("finalizers")
        return not obj["metadata"].get("deletionGracePeriodSeconds")

    def _remove(self, kind: Kind, key: tuple[str, str], obj: Obj, before: Obj) -> Obj:
        return self._write("DELETED", kind, key, obj, before)

    def _write(self, type: str, kind: Kind, key: tuple[str, str], obj: Obj, before: Obj | None) -> Obj:
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        if type == "DELETED":
            del self._objects[kind][key]
        else:
            self._objects[kind][key] = obj
        change = Change(self.revision, type, kind, obj, before)
        self.history.append(change)
        if len(self.history) > 2 * KEPT:
            self.forget(KEPT)
        for listener in self._listeners:
            listener(change)
        self.pulse.set()
        self.pulse = asyncio.Event()
        return obj

    def forget(self, keep: int = 0) -> None:
        """Forget all changes but the newest, so that who is behind them is told 410."""
        dropped = self.history[: len(self.history) - keep]
        if dropped:
            self.floor = dropped[-1].revision
            self.history = self.history[len(dropped) :]

    def after(self, revision: int) -> list[Change]:
        """Return the changes after a revision.

        Raises:
            Refusal: Some of them are forgotten.
        """
        if revision < self.floor:
            raise expired(f"too old resource version: {revision} ({self.floor})")
        start = bisect_right(self.history, revision, key=lambda change: change.revision)
        return self.history[start:]

    def as_of(self, kind: Kind, namespace: str, revision: int) -> list[Obj]:
        """Return the objects of a kind as they were at a revision, by namespace and name.

        Raises:
            Refusal: That is forgotten.
        """
        there = {(namespace_of(obj), name_of(obj)): obj for obj in self.all(kind, namespace)}
        for change in reversed(self.after(revision)):
            if change.kind is not kind or (namespace and namespace_of(change.obj) != namespace):
                continue
            key = (namespace_of(change.obj), name_of(change.obj))
            if change.before is None:
                there.pop(key, None)
            else:
                there[key] = change.before
        return [there[key] for key in sorted(there)]
