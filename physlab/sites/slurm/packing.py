"""Small pieces of work travel in packs: the way to a pilot costs more than they do."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from distributed import Future as DaskFuture

from physlab.model import Work, WorkResult
from physlab.sites.packing import Pace
from physlab.sites.slurm.crew import Pool

SMALL_MS = 50.0
"""Methods that take less than this, lately, travel in packs [ms]."""
PACK_MS = 100.0
"""A pack takes no longer [ms]."""
FEED_PER_S = 500
"""Nodes that one lab hands out at most [1/s]: no more pilots than that keeps busy are given small ones."""


@dataclass(eq=False)
class Errand:
    """One piece of work on its way, alone or in a pack."""

    work: Work
    pool: Pool
    outer: Future[WorkResult]
    inner: DaskFuture | None = None


@dataclass
class Pack:
    """Pieces of work that travel together and run one after the other; `small` ones are counted by the packer."""

    errands: list[Errand]
    small: bool = False


class Packer:
    """Gathers small pieces of work and sends them when a pilot has room for a pack.

    Args:
        send: Sends a pack.
    """

    def __init__(self, send: Callable[[Pack], None]) -> None:
        self._send = send
        self._moved = threading.Condition()
        self._waiting: dict[int, deque[Errand]] = {}  # by pool
        self._under_way: Counter[int] = Counter()  # packs, by pool
        self._pace = Pace(SMALL_MS, SMALL_MS)
        self._closed = False

    def is_small(self, work: Work) -> bool:
        """Say whether a piece of work is known to be small."""
        return self._pace.mean_ms(work) < SMALL_MS and work.resources.cpu == 1

    def add(self, errand: Errand) -> None:
        """Take a small piece of work."""
        with self._moved:
            self._waiting.setdefault(errand.pool.number, deque()).append(errand)
            self._moved.notify_all()

    def came(self, pack: Pack) -> None:
        """Learn that a pack is back."""
        if pack.small:
            with self._moved:
                self._under_way[pack.errands[0].pool.number] -= 1
                self._moved.notify_all()

    def learn(self, work: Work, ms: float) -> None:
        """Remember how long a method took [ms]."""
        self._pace.learn(work, ms)

    def work(self) -> None:
        """Send packs until it is closed; to be run in a thread."""
        while True:
            with self._moved:
                self._moved.wait_for(lambda: self._closed or any(map(self._room, self._waiting)))
                if self._closed:
                    return
                packs = [self._take(pool) for pool in self._waiting if self._room(pool)]
            for pack in packs:
                self._send(pack)

    def close(self) -> None:
        """Send nothing more."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()

    def _room(self, pool: int) -> int:
        """Return how many packs more a pool may have, 0 where nothing waits."""
        waiting = self._waiting[pool]
        if not waiting:
            return 0
        seen = waiting[0].pool
        busy = 1 + math.ceil(FEED_PER_S * self._pace.mean_ms(waiting[0].work) / 1e3)
        return max(0, 2 * min(busy, max(1, seen.told * seen.kind.cpus)) - self._under_way[pool])

    def _take(self, pool: int) -> Pack:
        waiting = self._waiting[pool]
        longest = max(1, int(PACK_MS / max(self._pace.mean_ms(waiting[0].work), 0.1)))
        size = min(longest, math.ceil(len(waiting) / self._room(pool)))
        self._under_way[pool] += 1
        return Pack([waiting.popleft() for _ in range(size)], small=True)
