"""Several things under way at once, as many as fit into memory; the first error stops the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

LANES = 4


class Lanes:
    """A few threads; a context manager that waits for all."""

    def __init__(self, count: int = LANES) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="transfer")
        self._free = threading.Semaphore(count + 1)
        self._begun: list[Future[Any]] = []
        self._error: BaseException | None = None

    def do(self, work: Callable[..., Any], *given: Any) -> None:
        """Begin a piece of work as soon as there is room.

        Raises:
            PhyslabError: An earlier one failed.
        """
        self._free.acquire()
        self._raise()
        future = self._pool.submit(work, *given)
        self._begun.append(future)
        future.add_done_callback(self._done)

    def _done(self, future: Future[Any]) -> None:
        self._free.release()
        if not future.cancelled() and (error := future.exception()) is not None and self._error is None:
            self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            self._free.release()
            raise self._error

    def wait(self) -> None:
        """Wait for what was begun.

        Raises:
            PhyslabError: One of them failed.
        """
        for future in self._begun:
            future.result()
        self._begun = []

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for future in self._begun:
            if kind is not None:
                future.cancel()
        self._pool.shutdown(wait=True)
        if kind is None:
            self.wait()
