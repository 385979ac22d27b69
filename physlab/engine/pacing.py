"""How far ahead of the server's record a run may be.

A Prefect server with in-memory messaging holds 10,000 events and silently drops what comes on top. So whoever sends
task runs asks from time to time whether the server has written down the oldest ones, and waits while too many are on
their way. The same bookkeeping says at the end what was never recorded.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

LAG = 1500
"""Most task runs on their way: two or three events each, and a few runs at once must not fill the server's queue."""
CHUNK = 500
FIRST_POLL_S, POLL_S = 0.03, 0.25


@dataclass
class _Chunk:
    kind: str
    ids: list[UUID]
    recorded: int = 0

    @property
    def missing(self) -> int:
        return len(self.ids) - self.recorded


class Pacer:
    """Task runs that were sent and are not known to be recorded.

    Args:
        recorded: Says how many of these task runs the server shows in a final state.
        limit: Most task runs on their way.
        patience_s: Without any progress for so long, what is on its way counts as lost [s].
        clock: Monotonic clock [s].
        sleep: Waits [s].

    Attributes:
        total: How many of each kind were sent.
    """

    def __init__(
        self,
        recorded: Callable[[Sequence[UUID]], int],
        *,
        limit: int = LAG,
        patience_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._recorded = recorded
        self._limit = limit
        self._patience_s = patience_s
        self._clock = clock
        self._sleep = sleep
        self._waiting: deque[_Chunk] = deque()
        self._overdue: list[_Chunk] = []
        self.total: Counter[str] = Counter()

    def sent(self, ids: Sequence[UUID], kind: str) -> None:
        """Remember task runs whose final state has just been sent."""
        if not ids:
            return
        self.total[kind] += len(ids)
        last = self._waiting[-1] if self._waiting else None
        if last is None or last.kind != kind or last.recorded or len(last.ids) + len(ids) > CHUNK:
            self._waiting.append(_Chunk(kind, list(ids)))
        else:
            last.ids.extend(ids)

    @property
    def lag(self) -> int:
        """How many are on their way."""
        return sum(chunk.missing for chunk in self._waiting)

    def hold(self) -> None:
        """Wait while too many are on their way; ask the server only then, for the question costs it time."""
        if self.lag >= self._limit and not self._wait_until(self._limit // 2):
            self._overdue.extend(self._waiting)  # lost for the server; go on, and look again at the end
            self._waiting.clear()

    def settle(self, seconds: float) -> dict[str, int]:
        """Wait until all are recorded, but no longer than `seconds`.

        Returns:
            How many of each kind are missing; empty when none is.
        """
        self._waiting.extendleft(reversed(self._overdue))
        self._overdue.clear()
        self._wait_until(0, self._clock() + seconds)
        missing: Counter[str] = Counter()
        for chunk in self._waiting:
            missing[chunk.kind] += chunk.missing
        return dict(missing)

    def _wait_until(self, low: int, deadline: float | None = None) -> bool:
        moved, pause = self._clock(), FIRST_POLL_S
        while True:
            if self._look(every=low == 0):
                moved = self._clock()
            if self.lag <= low:
                return True
            now = self._clock()
            if now - moved > self._patience_s or (deadline is not None and now > deadline):
                return False
            self._sleep(pause)
            pause = min(2 * pause, POLL_S)

    def _look(self, *, every: bool) -> bool:
        """Ask for the oldest chunks up to the first that is short, or for every one; say whether anything moved."""
        moved = False
        for chunk in list(self._waiting):
            found = self._recorded(chunk.ids)
            moved |= found > chunk.recorded
            chunk.recorded = found
            if not chunk.missing:
                self._waiting.remove(chunk)
            elif not every:
                break
        return moved
