"""A limit on bytes a second, shared by all threads that send."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

CREDIT_S = 0.1


class Pace:
    """Lets bytes pass at a rate: each waits for its turn on a common line of time, so that no start is free.

    What was not used for a moment, because a disk took its time, may be caught up with.

    Args:
        rate: Bytes a second; None for no limit.
        clock: Gives the time [s].
        sleep: Waits [s].
    """

    def __init__(
        self,
        rate: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate, self._clock, self._sleep = rate, clock, sleep
        self._guard = threading.Lock()
        self._free_at: float | None = None

    def take(self, size: int) -> None:
        """Wait until so many bytes may have passed."""
        if self.rate is None or size <= 0:
            return
        with self._guard:
            now = self._clock()
            begin = now if self._free_at is None else max(self._free_at, now - CREDIT_S)
            self._free_at = begin + size / self.rate
            wait = self._free_at - now
        if wait > 0:
            self._sleep(wait)
