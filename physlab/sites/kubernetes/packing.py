"""Nodes wait here for a pod: small ones share one, so that its start is paid once for many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from physlab.model import Work, WorkResult
from physlab.sites.kubernetes.shapes import Shape
from physlab.sites.packing import Method, Pace

UNKNOWN_MS = 5e3
"""A method of which nothing is known takes so long [ms]."""
QUIET_S, LONGEST_S = 0.15, 2.0
"""Nodes are gathered until none has come for so long, and no longer than that [s]."""
MOST = 200
"""Nodes in one pod, at most."""


@dataclass(eq=False)
class Errand:
    """One piece of work on its way."""

    work: Work
    shape: Shape
    outer: Future[WorkResult]
    above: Any = None
    trips: int = 0


@dataclass(eq=False)
class Pack:
    """Pieces of work that share a pod."""

    errands: list[Errand]
    token: str = ""
    order: str = ""
    over: bool = False


class Packer:
    """Gathers pieces of work and sends them when there may be another pod.

    Args:
        send: Sends a pack; called in the packer's own thread.
        most: Pods at once.
        pack_s: Work that shares a pod takes no longer than that in all, as far as is known [s].
        known: How long methods took, by earlier runs [ms].
    """

    def __init__(
        self, send: Callable[[Pack], None], most: int, pack_s: float, known: Mapping[Method, float] | None = None
    ) -> None:
        self._send, self._most, self._pack_ms = send, most, 1e3 * pack_s
        self.pace = Pace(UNKNOWN_MS, 0.0, known)
        self._moved = threading.Condition()
        self._waiting: dict[Shape, list[Errand]] = {}
        self._first = self._latest = 0.0
        self._pods = 0
        self._closed = False

    def add(self, errand: Errand) -> None:
        """Take a piece of work."""
        with self._moved:
            self._latest = time.monotonic()
            if not any(self._waiting.values()):
                self._first = self._latest
            self._waiting.setdefault(errand.shape, []).append(errand)
            self._moved.notify_all()

    def drop(self, errand: Errand) -> bool:
        """Let go of a piece of work; False when it is in a pod already."""
        with self._moved:
            waiting = self._waiting.get(errand.shape, [])
            if errand not in waiting:
                return False
            waiting.remove(errand)
            return True

    def came(self) -> None:
        """Learn that a pod is over."""
        with self._moved:
            self._pods -= 1
            self._moved.notify_all()

    def work(self) -> None:
        """Send packs until it is closed; to be run in a thread."""
        while True:
            with self._moved:
                self._moved.wait_for(lambda: self._closed or (any(self._waiting.values()) and self._pods < self._most))
                if self._closed:
                    return
                now = time.monotonic()
                pause = min(self._latest + QUIET_S, self._first + LONGEST_S) - now
                if pause > 0:
                    self._moved.wait(pause)
                    continue
                packs = [pack for shape in self._waiting for pack in self._take(shape)]
            for pack in packs:
                self._send(pack)

    def close(self) -> None:
        """Send nothing more."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()

    def _take(self, shape: Shape) -> list[Pack]:
        """Fill pods of a shape in turn, as many as there may be, the longest work first."""
        waiting = sorted(self._waiting[shape], key=lambda errand: -self.pace.mean_ms(errand.work))
        packs: list[Pack] = []
        left: list[Errand] = []
        room = self._most - self._pods
        held_ms: list[float] = []
        for errand in waiting:
            ms = self.pace.mean_ms(errand.work)
            fits = [i for i, held in enumerate(held_ms) if held + ms <= self._pack_ms and len(packs[i].errands) < MOST]
            if fits:
                packs[fits[0]].errands.append(errand)
                held_ms[fits[0]] += ms
            elif len(packs) < room:
                packs.append(Pack([errand]))
                held_ms.append(ms)
            else:
                left.append(errand)
        self._waiting[shape] = left
        self._pods += len(packs)
        return packs
