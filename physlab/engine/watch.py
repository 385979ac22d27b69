"""Watching runs of this process: whoever shows progress registers here, and the run tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from physlab.planning import Plan
from physlab.run import Event


@dataclass(frozen=True)
class Watcher:
    """What a watcher hears: once the plan, then every change of state (from several threads)."""

    planned: Callable[[str, Plan], None] = lambda run_id, plan: None
    changed: Callable[[Event], None] = lambda event: None


_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Let a watcher hear of the runs inside this block."""
    token = _watchers.set((*_watchers.get(), watcher))
    try:
        yield
    finally:
        _watchers.reset(token)


def watchers() -> tuple[Watcher, ...]:
    """Return those who watch the present run."""
    return _watchers.get()
