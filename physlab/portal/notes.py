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
PACE_S = 0.01
"""From one write to the next at least, while there is much to write: a write costs as much for one entry as for ten."""
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
        self.begin(event).result(PATIENCE_S)

    def begin(self, event: Event) -> Future[None]:
        """Hand an entry over to be written; nothing may be answered before the future is done.

        Raises:
            StoreError: Nobody writes any more.
        """
        if not self._thread.is_alive():
            raise _unwritten()
        done: Future[None] = Future()
        self._waiting.put((event, done))
        return done

    def _write(self) -> None:
        batch: list[tuple[Event, Future[None]]] = []
        begun = 0.0
        try:
            while (first := self._waiting.get()) is not None:
                time.sleep(max(0.0, begun + PACE_S - time.monotonic()))
                begun = time.monotonic()
                batch, last = self._gather(first)
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
        finally:  # whatever ended it, nobody waits for ever
            batch += self._gather(None)[0]
            for _, done in batch:
                if not done.done():
                    done.set_exception(_unwritten())

    def _gather(self, first: tuple[Event, Future[None]] | None) -> tuple[list[tuple[Event, Future[None]]], bool]:
        """Return what waits to be written, and whether it is the last."""
        batch = [] if first is None else [first]
        while len(batch) < MOST and not self._waiting.empty():
            item = self._waiting.get()
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False

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


def _unwritten() -> StoreError:
    return StoreError("The audit log is not written any more.", hint="Start the portal again: physlab portal")
