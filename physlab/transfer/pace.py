"""A limit on bytes a second, shared by all threads that send."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Lets bytes pass at a rate: each waits for its turn on a common line of time, so that no start is free.

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
        self._free_at = float("-inf")

    def take(self, size: int) -> None:
        """Wait until so many bytes may have passed."""
        if self.rate is None or size <= 0:
            return
        with self._guard:
            now = self._clock()
            self._free_at = max(self._free_at, now) + size / self.rate
            wait = self._free_at - now
        self._sleep(wait)
