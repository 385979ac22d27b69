"""A Slurm cluster as a site: nodes run in pilots, jobs of Dask workers that a foreman near the cluster looks after."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from physlab.errors import CancelledError, PhyslabError
from physlab.model import Node, Resources, Work, WorkResult
from physlab.model.job import JobResources
from physlab.settings import SlurmSiteSettings
from physlab.sites.base import Affinity, Capacity
from physlab.sites.slurm.outlook import Outlook
from physlab.sites.slurm.pools import MARGIN_S, pool_for

if TYPE_CHECKING:
    from physlab.sites.slurm.dispatch import Dispatcher

LEAST_AT_ONCE, MOST_AT_ONCE = 64, 256
MEMORY_FACTOR = 8


class SlurmSite:
    """Runs nodes on a Slurm cluster.

    Nothing is started, and Dask not even imported, before the first node arrives. One attempt is made for each piece
    of work; one that is lost ends in a `WorkerLostError` whose details say why, in Slurm's words.

    Args:
        name: What the lab calls it.
        settings: `[sites.slurm.NAME]`.
        store: The lab's store.
        folder: Folder on the cluster.
        notes: The lab's own folder about the site.
        comment: What the jobs are for, for the administrators.
        tools: The lab's own files of tools.
        share: False lets everything travel, even where the store can be reached.
    """

    def __init__(
        self, name: str, settings: SlurmSiteSettings, store: Path, folder: Path, notes: Path, *, comment: str = "",
        tools: Sequence[Path] = (), share: bool = True,
    ) -> None:  # fmt: skip
        self._outlook = Outlook(settings, notes)
        self.name, self.settings = name, settings
        self.store, self.folder = store, folder
        self.comment, self.share, self.tools = comment, share, tuple(tools)
        self._guard = threading.Lock()
        self._expected: Counter[JobResources] = Counter()
        self._dispatcher: Dispatcher | None = None
        self._cause = ""
        self._closed = False

    def submit(self, work: Work) -> Future[WorkResult]:
        """Send a piece of work to a pilot."""
        try:
            return self._dispatch().submit(work)
        except PhyslabError as error:
            failed: Future[WorkResult] = Future()
            failed.set_exception(error)
            return failed

    def expect(self, asked: Resources, time_limit_s: float, count: int, cause: str = "") -> None:
        """Learn that so many nodes more (or fewer) that need this are ready to run here, and of which run."""
        kind = pool_for(asked, time_limit_s, self.settings)
        with self._guard:
            if self._dispatcher is None:
                self._expected[kind] += asked.cpu * count
                self._cause = cause or self._cause
            else:
                self._dispatcher.crew.expect(kind, asked.cpu * count, cause)

    def cancel(self, future: Future[WorkResult]) -> None:
        """Stop waiting for a piece of work; its pilot lets go of it if it has not begun."""
        if self._dispatcher is not None:
            self._dispatcher.cancel(future)

    def capacity(self) -> Capacity:
        """Return what all pilots together offer."""
        site = self.settings
        return Capacity(site.max_pilots * site.cpus, site.memory_gb, self._outlook.accelerators())

    @property
    def at_once(self) -> int:
        """How many nodes it has in hand at once: those that run, and enough others to make packs of small ones."""
        return min(MOST_AT_ONCE, max(LEAST_AT_ONCE, 2 * self.settings.max_pilots * self.settings.cpus))

    @property
    def longest_s(self) -> float:
        """How long a node may run that does not say itself: as a usual pilot allows [s]."""
        return self.settings.walltime_s - MARGIN_S

    @property
    def most_memory_gb(self) -> float:
        """How much memory a node that ran out of it may be given [GB]."""
        return self.settings.most_memory_gb or MEMORY_FACTOR * self.settings.memory_gb

    def affinity(self, node: Node) -> Affinity:
        """Say how well a node fits: what asks for much fits best."""
        asked = node.resources
        if asked is None:
            return Affinity(0.3, f"{self.name} can run it, though it asks for nothing that this machine lacks")
        if asked.gpu and not self.settings.gpu_partition:
            return Affinity(0.0, f"{self.name} has no gpu_partition")
        return Affinity(0.8, f"{self.name} gives {asked.nodes} × {asked.cpu} cores")

    def wait_s(self, node: Node) -> float:
        """Return how long a pilot for a node would wait, by the scheduler's own plan [s]; 0 if it does not tell."""
        asked = node.resources or Resources()
        return self._outlook.wait_s(pool_for(asked, asked.walltime_s or self.longest_s, self.settings))

    def jobs(self) -> dict[str, int]:
        """Return the jobs of all pilots so far, and the cores that each holds."""
        return self._dispatcher.crew.jobs() if self._dispatcher is not None else {}

    def script(self, work: Work) -> str:
        """Return the script of the pilot that would run the work."""
        return self._dispatch().script(work)

    @property
    def closed(self) -> bool:
        """True when it takes no more work."""
        return self._closed

    def close(self) -> None:
        """Cancel what runs and all pilots, and wait for both."""
        self._closed = True
        with self._guard:
            dispatcher = self._dispatcher
        if dispatcher is not None:
            dispatcher.close()

    def _dispatch(self) -> Dispatcher:
        with self._guard:
            if self._closed:
                raise CancelledError("The run was stopped.", hint="Start it again: finished nodes are kept.")
            if self._dispatcher is None:
                from physlab.sites.slurm.dispatch import Dispatcher

                self._dispatcher = Dispatcher(
                    self.name, self.settings, self.store, self.folder, comment=self.comment, tools=self.tools,
                    share=self.share, found=self._outlook.learn,
                )  # fmt: skip
                for kind, cores in self._expected.items():
                    self._dispatcher.crew.expect(kind, cores, self._cause)
            return self._dispatcher
