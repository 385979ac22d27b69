"""The loop of every controller: what changed is looked at again, until it is as it should be."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from physlab.testing.kubernetes.kinds import Kind
from physlab.testing.kubernetes.objects import namespace_of
from physlab.testing.kubernetes.plane import ControlPlane
from physlab.testing.kubernetes.refusals import Refusal
from physlab.testing.kubernetes.store import Change

Key = tuple[str, str]
_AGAIN_S = 0.2


class Controller:
    """Looks at one object at a time, by namespace and name, whenever something about it changes.

    Args:
        plane: The control plane.
    """

    kind: ClassVar[Kind]

    def __init__(self, plane: ControlPlane) -> None:
        self.plane, self.store = plane, plane.store
        self._due: set[Key] = set()
        self._wake = asyncio.Event()
        self.store.listen(self._heard)

    def keys(self, change: Change) -> list[Key]:
        """Return which objects a change is about."""
        if change.kind is self.kind:
            return [(namespace_of(change.obj), change.obj["metadata"]["name"])]
        return []

    def look(self, namespace: str, name: str) -> None:
        """Bring what is about an object to what it should be."""
        raise NotImplementedError

    def again(self, key: Key, after_s: float = 0) -> None:
        """Look at an object again, after a time [s]."""
        if after_s > 0:
            asyncio.get_running_loop().call_later(after_s, self.again, key)
            return
        self._due.add(key)
        self._wake.set()

    def _heard(self, change: Change) -> None:
        for key in self.keys(change):
            self.again(key)

    async def run(self) -> None:
        """Look at what is due, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            due, self._due = sorted(self._due), set()
            for key in due:
                try:
                    self.look(*key)
                except Refusal:  # somebody changed it meanwhile, or a quota is full
                    self.again(key, _AGAIN_S)
                await asyncio.sleep(0)
