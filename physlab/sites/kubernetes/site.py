"""A Kubernetes cluster as a site: nodes run in pods that a Prefect work pool starts."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from physlab.errors import CancelledError, ConfigurationError, PhyslabError
from physlab.model import Node, Resources, Work, WorkResult
from physlab.settings import KubernetesSiteSettings
from physlab.sites.base import Affinity, Capacity
from physlab.sites.kubernetes.launching import Launcher, no_server
from physlab.sites.kubernetes.shapes import MARGIN_S, accelerators, shape_for
from physlab.sites.kubernetes.variables import job_variables
from physlab.sites.packing import Method

if TYPE_CHECKING:
    from physlab.sites.kubernetes.dispatch import Dispatcher

LEAST_AT_ONCE, MOST_AT_ONCE = 64, 256
MEMORY_FACTOR = 8


class KubernetesSite:
    """Runs nodes on a Kubernetes cluster.

    Nothing is started, and no store reached, before the first node arrives. One attempt is made for each piece of work;
    one that is lost ends in an error whose details say why.

    Args:
        name: What the lab calls it.
        settings: `[sites.kubernetes.NAME]`.
        store: The lab's store.
        launch: Makes what starts pods; None where there is no Prefect server.
        tools: The lab's own files of tools.
        known: Gives how long methods took, by earlier runs [ms].
    """

    def __init__(
        self, name: str, settings: KubernetesSiteSettings, store: Path, launch: Callable[[], Launcher] | None, *,
        tools: Sequence[Path] = (), known: Callable[[], Mapping[Method, float]] = dict,
    ) -> None:  # fmt: skip
        self.name, self.settings, self.store = name, settings, store
        self._launch, self._tools, self._known = launch, tuple(tools), known
        self._guard = threading.Lock()
        self._dispatcher: Dispatcher | None = None
        self._closed = False

    def submit(self, work: Work) -> Future[WorkResult]:
        """Send a piece of work to a pod."""
        try:
            return self._dispatch().submit(work)
        except PhyslabError as error:
            failed: Future[WorkResult] = Future()
            failed.set_exception(error)
            return failed

    def expect(self, asked: Resources, time_limit_s: float, count: int, cause: str = "") -> None:
        """Prepare nothing: pods start when there is work."""

    def cancel(self, future: Future[WorkResult]) -> None:
        """Stop a piece of work; its pod goes on when others share it."""
        if self._dispatcher is not None:
            self._dispatcher.cancel(future)

    def capacity(self) -> Capacity:
        """Return what all pods together offer."""
        site = self.settings
        return Capacity(site.max_pods * site.cpus, site.memory_gb, accelerators(site))

    @property
    def at_once(self) -> int:
        """How many nodes it has in hand at once: those that run, and enough others to fill pods with small ones."""
        return min(MOST_AT_ONCE, max(LEAST_AT_ONCE, 2 * self.settings.max_pods * self.settings.cpus))

    @property
    def longest_s(self) -> float:
        """How long a node may run that does not say itself: as a usual pod allows [s]."""
        return self.settings.walltime_s - MARGIN_S

    @property
    def most_memory_gb(self) -> float:
        """How much memory a node that ran out of it may be given [GB]."""
        return self.settings.most_memory_gb or MEMORY_FACTOR * self.settings.memory_gb

    def affinity(self, node: Node) -> Affinity:
        """Say how well a node fits: what asks for much fits well, what asks for several machines not at all."""
        asked = node.resources
        if asked is None:
            return Affinity(0.3, f"{self.name} can run it, though it asks for nothing that this machine lacks")
        if asked.nodes > 1:
            return Affinity(0.0, f"asks for {asked.nodes} machines, a pod of {self.name} has one")
        if asked.gpu and not self.settings.gpu_resource:
            return Affinity(0.0, f"{self.name} has no gpu_resource")
        return Affinity(0.7, f"{self.name} gives a pod of {max(asked.cpu, self.settings.cpus)} cores")

    def wait_s(self, node: Node) -> float:
        """Return 0: no scheduler tells beforehand when a pod would begin."""
        return 0.0

    def jobs(self) -> dict[str, int]:
        """Return none: pods have no accounts that could be asked later."""
        return {}

    def script(self, work: Work) -> str:
        """Return the command that would start the pod, with an order in place of the work."""
        variables = job_variables(self.settings, shape_for(work.resources, work.time_limit_s, self.settings))
        words = ["prefect", "deployment", "run", f"run-node/{self.settings.pool}", "--param", "order=DIGEST",
                 "--param", f"store={self.settings.store}"]  # fmt: skip
        if self.settings.store_endpoint:
            words += ["--param", f"endpoint={self.settings.store_endpoint}"]
        for name, value in variables.items():
            words += ["--job-variable", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        return shlex.join(words)

    @property
    def closed(self) -> bool:
        """True when it takes no more work."""
        return self._closed

    def close(self) -> None:
        """Stop all pods."""
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
                from physlab.sites.kubernetes.dispatch import Dispatcher

                self._dispatcher = Dispatcher(
                    self.name, self.settings, self.store, self._require_launcher(), tools=self._tools,
                    known=self._known(),
                )  # fmt: skip
            return self._dispatcher

    def _require_launcher(self) -> Launcher:
        if self.settings.store is None:
            raise ConfigurationError(
                f"[sites.kubernetes.{self.name}] names no store, and files travel through one.",
                hint='Set store = "s3://bucket/prefix", or a folder that pods mount (volume_claim).',
            )
        if self._launch is None:
            raise no_server(self.name)
        return self._launch()
