"""The lab itself as a place: it answers the nodes that ask about other graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from physlab.errors import PhyslabError
from physlab.model import Node, Resources, Work, WorkResult
from physlab.sites.base import Affinity, Capacity
from physlab.tools.execute import execute


class OfficeSite:
    """Runs nodes whose method asks the lab, in the thread that submits them.

    Args:
        answer: Answers a method of the lab: its name and parameters to the fields of its reply.
    """

    name = "lab"
    closed = False
    at_once: int | None = None
    longest_s: float | None = None
    most_memory_gb: float | None = None

    def __init__(self, answer: Callable[[str, Mapping[str, Any]], dict[str, Any]]) -> None:
        self._answer = answer

    def submit(self, work: Work) -> Future[WorkResult]:
        """Answer at once."""
        future: Future[WorkResult] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(execute(work, office=self._answer))
        except PhyslabError as error:
            future.set_exception(error)
        return future

    def expect(self, asked: Resources, time_limit_s: float, count: int, cause: str = "") -> None:
        """Prepare nothing."""

    def cancel(self, future: Future[WorkResult]) -> None:
        """Do nothing: a graph that runs inside is stopped by its own sites."""

    def capacity(self) -> Capacity:
        """Return that it computes nothing."""
        return Capacity(cpu=0, memory_gb=None)

    def affinity(self, node: Node) -> Affinity:
        """Say that nodes come here by their method alone."""
        return Affinity(0.0, "the lab answers only what asks about graphs")

    def wait_s(self, node: Node) -> float:
        """Return 0: the lab answers at once."""
        return 0.0

    def jobs(self) -> dict[str, int]:
        """Return none: no scheduler has a hand in it."""
        return {}

    def script(self, work: Work) -> str:
        """Return the call that does the same."""
        return f"physlab call {work.tool}.{work.method}"

    def close(self) -> None:
        """Do nothing: it has no processes."""
