"""How a node's body is carried out and shown: the seam between the walk and Prefect.

The walk decides *what* runs; a `Submitter` decides how that is recorded and retried. `PlainSubmitter` calls the body;
the engine's submitter makes each call a Prefect task run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from physlab.errors import CancelledError, PhyslabError, ValidationError


@dataclass(frozen=True)
class Step:
    """What a submitter needs to know of a node.

    Attributes:
        id: Node id.
        tags: Tool and device, for the UI.
        upstream: Ids of the nodes it depends on.
        retries: How often a failed body is tried again; the body itself pauses before that, so that it can be stopped.
    """

    id: str
    tags: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    retries: int = 0


class Submitter(Protocol):
    """Carries out the nodes of one run. `submit` is called from several threads; the rest from one."""

    def open(self, total: int) -> None:
        """Begin a run of so many nodes (hits included)."""

    def submit(self, step: Step, body: Callable[[int], None]) -> None:
        """Call `body(attempt)`, with retries; return when it is done, raise its last error."""

    def hits(self, steps: Iterable[Step]) -> None:
        """Show nodes whose result was there already."""

    def skips(self, steps: Iterable[Step], cause: str) -> None:
        """Show nodes that will not run because of `cause`."""

    def close(self) -> dict[str, Any]:
        """End the run; return what `meta` shall say (for instance `recorded`, `executed`)."""


def is_retryable(error: BaseException) -> bool:
    """Say whether trying again may help: a wrong request stays wrong, and what was stopped stays stopped."""
    if isinstance(error, PhyslabError) and error.again is not None:
        return error.again
    return isinstance(error, PhyslabError) and not isinstance(error, ValidationError | CancelledError)


class PlainSubmitter:
    """Runs nodes by calling them."""

    def open(self, total: int) -> None:
        """Nothing to prepare."""

    def submit(self, step: Step, body: Callable[[int], None]) -> None:
        """Call the body until it succeeds or its retries are used up."""
        for attempt in range(1, step.retries + 2):
            try:
                return body(attempt)
            except PhyslabError as error:
                if attempt > step.retries or not is_retryable(error):
                    raise

    def hits(self, steps: Iterable[Step]) -> None:
        """Nothing to show."""

    def skips(self, steps: Iterable[Step], cause: str) -> None:
        """Nothing to show."""

    def close(self) -> dict[str, Any]:
        """Return nothing to say."""
        return {}
