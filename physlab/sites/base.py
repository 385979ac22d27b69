"""What every site can do."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from physlab.model import Node, Resources, Work, WorkResult

LOCAL = "local"
"""The name of this machine among the sites."""


@dataclass(frozen=True)
class Capacity:
    """What a site offers: cores, memory [GB] (None: not known), accelerators by kind."""

    cpu: int
    memory_gb: float | None
    accelerators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Affinity:
    """How well a node fits a site (0 not at all, 1 perfectly) and why."""

    score: float
    reason: str


class Site(Protocol):
    """A place that runs work: this machine, a cluster, a workstation."""

    name: str

    @property
    def closed(self) -> bool:
        """True when it takes no more work."""

    @property
    def at_once(self) -> int | None:
        """How many nodes it wants to have at the same time; None leaves it to the run's parallelism."""

    @property
    def longest_s(self) -> float | None:
        """How long a node may run that does not say itself [s]; None sets no limit."""

    @property
    def most_memory_gb(self) -> float | None:
        """How much memory a node that ran out of it may be given [GB]; None: no more than it asked for."""

    def expect(self, asked: Resources, time_limit_s: float, count: int, cause: str = "") -> None:
        """Learn that so many nodes more (or fewer) that need this are ready to run here.

        Args:
            asked: What each needs.
            time_limit_s: How long each may run [s].
            count: How many more.
            cause: The run that they are of, for people.
        """

    def submit(self, work: Work) -> Future[WorkResult]:
        """Start a piece of work; the future gives its result or raises a `PhyslabError`."""

    def cancel(self, future: Future[WorkResult]) -> None:
        """Stop a piece of work, also when it runs."""

    def capacity(self) -> Capacity:
        """Return what the site offers."""

    def affinity(self, node: Node) -> Affinity:
        """Say how well a node fits."""

    def wait_s(self, node: Node) -> float:
        """Return how long a node would wait there before it begins, as far as a scheduler tells [s]; 0 if not known."""

    def jobs(self) -> dict[str, int]:
        """Return the jobs that a scheduler ran for it, as far as is known, and the cores that each held."""

    def script(self, work: Work) -> str:
        """Return the command that would run the work, for people to read."""

    def close(self) -> None:
        """Stop everything and give the processes back."""
