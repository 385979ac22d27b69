"""Where the nodes of a run go, and the threads that wait for them there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from physlab.device import ACCELERATORS
from physlab.errors import PhyslabError
from physlab.model import Resources, RunRequest, Work, WorkResult
from physlab.planning.again import FREE, SLICES, Tries
from physlab.planning.placement import place
from physlab.planning.plan import PlannedNode
from physlab.sites import Site
from physlab.tools.prepare import time_limit_s


@dataclass
class Post:
    """A node's place.

    Attributes:
        site: Where it runs.
        reason: Why there.
        tries: Its attempts.
        limit_s: How long it may run [s].
        saves: It saves checkpoints.
        cause: The run that it is of, for people.
    """

    site: Site
    reason: str
    tries: Tries
    limit_s: float
    saves: bool = False
    cause: str = ""

    @property
    def retries(self) -> int:
        """How often it may be tried again at most, for its own faults and for those of machines."""
        away = FREE if self.site.at_once is not None else 0
        return self.tries.retries + away + (SLICES if self.saves else 0)

    def beside(self) -> Post:
        """Return the same place for a part of the node, with attempts of its own."""
        tries = Tries(self.tries.resources, self.tries.retries, self.tries.most_memory_gb)
        return Post(self.site, self.reason, tries, self.limit_s)

    def arrive(self) -> None:
        """Let the site know that it is to come."""
        self.site.expect(self.tries.resources, self.limit_s, 1, self.cause)

    def leave(self) -> None:
        """Let the site know that it is over."""
        self.site.expect(self.tries.resources, self.limit_s, -1)

    def run(self, work: Callable[[Tries], Work], stop: threading.Event) -> WorkResult:
        """Run it once; a failure knows whether there will be another attempt.

        Raises:
            PhyslabError: It failed.
        """
        try:
            return self.site.submit(work(self.tries)).result()
        except PhyslabError as error:
            self.leave()
            error.again = self.tries.again(error) and not stop.is_set()
            self.arrive()
            raise


class Posts:
    """Gives nodes their places.

    Args:
        sites: Where nodes may run; the first is this machine.
        office: Answers the nodes that ask the lab itself.
        request: How the run is to be carried out.
        means: How long methods took on average, as far as that is known [ms].
        cause: The run, for people.
    """

    def __init__(
        self, sites: Sequence[Site], office: Site | None, request: RunRequest,
        means: Mapping[tuple[str, str | None], float], cause: str = "",
    ) -> None:  # fmt: skip
        self._means, self._cause = means, cause
        self.of: dict[str, Post] = {}
        self._sites, self._office, self._request = sites, office, request
        self._guard = threading.Lock()
        self._threads: dict[tuple[str, str], ThreadPoolExecutor] = {}

    def start(self, node: PlannedNode, body: Callable[[PlannedNode, Post], None]) -> None:
        """Give a node to the threads of its site: they wait for it, so each site has as many as it keeps busy."""
        post = self.of[node.id] = self.give(node)
        post.arrive()
        self.threads(post.site, "node").submit(body, node, post)

    def threads(self, site: Site, what: Literal["node", "part"]) -> ThreadPoolExecutor:
        """Return the threads that wait for a site; nodes that wait for their parts would keep them from beginning."""
        with self._guard:
            if (site.name, what) not in self._threads:
                made = ThreadPoolExecutor(self.at_once(site), thread_name_prefix=what)
                self._threads[site.name, what] = made
            return self._threads[site.name, what]

    def at_once(self, site: Site) -> int:
        """Return how many pieces of work a site may have at the same time."""
        return max(self._request.parallelism, site.at_once or 0)

    def close(self) -> None:
        """Wait for the threads; what has not begun does not begin."""
        for kind in ("node", "part"):  # nodes wait for their parts, which end at once in a run that is stopped
            for threads in [threads for (_, what), threads in self._threads.items() if what == kind]:
                threads.shutdown(wait=True, cancel_futures=True)

    def give(self, node: PlannedNode) -> Post:
        """Return where a node goes, under which limits, and why."""
        asked, checked = node.checked.node.resources or Resources(), node.checked
        limit_s = time_limit_s(checked.method, checked.prepared, asked.walltime_s)
        if checked.method.asks_lab and self._office is not None:
            return Post(self._office, "it asks the lab itself", Tries(asked, checked.node.retries), limit_s)
        site, reason = self._place(node)
        if node.device in ACCELERATORS and site.at_once is not None and not asked.gpu:
            asked = asked.model_copy(update={"gpu": 1})
        if site.longest_s is not None and asked.walltime_s is None:
            limit_s = min(limit_s, site.longest_s)
        tries = Tries(asked, checked.node.retries, site.most_memory_gb)
        saves = bool(checked.node.params.get("checkpoint"))
        return Post(site, reason, tries, limit_s, saves=saves, cause=self._cause)

    def _place(self, node: PlannedNode) -> tuple[Site, str]:
        if node.place is not None:
            name, reason = node.place
            return next(site for site in self._sites if site.name == name), reason
        mean = self._means.get((node.checked.node.tool, node.checked.method.name))
        expected_s = mean / 1e3 if mean is not None else None
        return place(node.checked.node, self._sites, self._request.offload_policy, expected_s)
