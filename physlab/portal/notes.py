"""Audit entries of requests: what was read is on disk before it is answered, many requests with one write."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future

from physlab.collab.audit import Event, Trail
from physlab.collab.sessions import Sessions
from physlab.errors import StoreError

MOST = 2000  # entries written at once
PATIENCE_S = 30.0
TOUCH_S = 60.0
"""When a member last did something is written so often."""


class Notes:
    """Writes the entries of all requests that wait, together; and when members last did something.

    Args:
        trail: The audit log.
        sessions: Whose members they are.
    """

    def __init__(self, trail: Trail, sessions: Sessions) -> None:
        self.trail, self.sessions = trail, sessions
        self._seen: dict[tuple[str, str], float] = {}
        self._waiting: queue.SimpleQueue[tuple[Event, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    def note(self, event: Event) -> None:
        """Write an entry; it is on disk when this returns.

        Raises:
            StoreError: It could not be written; then nothing may be answered either.
        """
        done: Future[None] = Future()
        self._waiting.put((event, done))
        done.result(PATIENCE_S)

    def _write(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, last = [first], False
            while len(batch) < MOST and not self._waiting.empty():
                item = self._waiting.get()
                if item is None:
                    last = True
                    break
                batch.append(item)
            try:
                self._write_down([event for event, _ in batch])
            except StoreError as error:
                for _, done in batch:
                    done.set_exception(error)
            else:
                for _, done in batch:
                    done.set_result(None)
            if last:
                return

    def _write_down(self, events: list[Event]) -> None:
        now = time.monotonic()
        with self.trail.database.writing() as connection:
            self.trail.add(connection, *events)
            for event in events:
                mine = (event.session or "", event.who)
                if event.session is not None and now - self._seen.get(mine, -TOUCH_S) >= TOUCH_S:
                    self.sessions.touch(connection, *mine)
                    self._seen[mine] = now

    def close(self) -> None:
        """Write what waits, and stop."""
        self._waiting.put(None)
        self._thread.join(PATIENCE_S)
