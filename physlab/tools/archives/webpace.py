"""The pace at which a service is asked: one queue for each, shared by all threads and processes of a lab."""

from __future__ import annotations

import contextlib
import fcntl
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from physlab.errors import ResourceError, StoreError

BELIEVED_S = 3600.0
"""A time stamp further ahead than this is a clock that was set back, not a queue."""


class Pace:
    """Gives every request its turn.

    A file for each site holds the time from which on the next request may be made. Whoever wants to ask takes that
    turn under a file lock, moves it on by the delay, and sleeps until it comes; the lock is not held meanwhile.

    Args:
        folder: Where the time stamps lie.
        clock: Seconds since 1970, the same for all processes.
        sleep: Waits so many seconds.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.folder, self.clock, self.sleep = folder, clock, sleep

    def wait(self, site: str, delay_s: float, patience_s: float) -> float:
        """Wait for the next turn.

        Args:
            site: Whom to ask.
            delay_s: Time between two turns [s].
            patience_s: The longest wait [s].

        Returns:
            How long it took [s].

        Raises:
            ResourceError: The turn comes later; it was not taken.
        """
        with self._stamp(site) as file:
            now = self.clock()
            turn = self._read(file, now)
            if turn - now > patience_s:
                raise ResourceError(
                    f"The next request to {site} may be made in {turn - now:.0f} s, and {patience_s:.0f} s are left.",
                    hint="Others of this lab are asking too, or the service asked for a pause; run again later.",
                    details={"site": site, "wait_s": turn - now},
                )
            self._write(file, turn + delay_s)
        if turn > now:
            self.sleep(turn - now)
        return turn - now

    def pause(self, site: str, seconds: float) -> None:
        """Let nobody ask for so long: the service said so."""
        with self._stamp(site) as file:
            now = self.clock()
            self._write(file, max(self._read(file, now), now + min(seconds, BELIEVED_S)))

    @contextlib.contextmanager
    def _stamp(self, site: str) -> Iterator[IO[str]]:
        path = self.folder / re.sub(r"[^A-Za-z0-9.-]", "_", site)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with path.open("a+", encoding="ascii") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # closing the file lets go
                yield file
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error}.", hint="The lab's home must be writable.") from error

    @staticmethod
    def _read(file: IO[str], now: float) -> float:
        file.seek(0)
        try:
            turn = float(file.read() or 0)
        except ValueError:  # half a stamp of a process that was killed
            return now
        return turn if now < turn <= now + BELIEVED_S else now

    @staticmethod
    def _write(file: IO[str], turn: float) -> None:
        file.seek(0)
        file.truncate()
        file.write(f"{turn:.6f}")
        file.flush()
