"""A node done in parts: each is a piece of work of its own on the node's site, and the node's own call joins them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import Any

from physlab import keys
from physlab.errors import CancelledError, PhyslabError
from physlab.model import RunRequest, Share, Visuals, Work, WorkResult
from physlab.planning.again import Tries
from physlab.planning.parts import divide
from physlab.planning.plan import PlannedNode
from physlab.run.posts import Post, Posts
from physlab.store import Store
from physlab.store.index import stored_digests
from physlab.submitter import PlainSubmitter, Step

SUMMED = ("duration_ms", "cpu_s")


@dataclass
class Part:
    """One part of a node.

    Attributes:
        share: Which units of the node it makes.
        key: What it makes is kept under this.
        fields: What it made.
        meta: Where and how that was.
        kept: It was there before this run.
        history: What became of its attempts that failed.
        error: Why it was not made.
    """

    share: Share
    key: str
    fields: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    kept: bool = False
    history: list[str] = field(default_factory=list)
    error: PhyslabError | None = None

    def told(self) -> dict[str, Any]:
        """Return what the record of the node says of it."""
        told: dict[str, Any] = {"units": [self.share.start, self.share.stop], "kept": self.kept}
        told |= {name: self.meta[name] for name in ("site", "pilot", "duration_ms") if name in self.meta}
        return told | ({"failed": self.history} if self.history else {})


class Parts:
    """Makes the parts of nodes.

    Args:
        store: Keeps what is made.
        posts: Gives threads.
        request: How the run is to be carried out.
        refreshed: Nodes for which nothing is taken that was made before this run.
        stop: Set when the run is stopped.
    """

    def __init__(
        self, store: Store, posts: Posts, request: RunRequest, refreshed: Collection[str], stop: threading.Event
    ) -> None:
        self._store, self._posts, self._stop = store, posts, stop
        self._split_s, self._refreshed = request.split_s, refreshed
        self._fresh: set[str] = set()  # made in this run

    def make(self, node: PlannedNode, post: Post, whole: Callable[[], Work]) -> list[Part]:
        """Make all parts of a node; what an earlier run or attempt has made is taken.

        Args:
            node: The node.
            post: Its place; it does not count there while its parts do.
            whole: Gives the work of the whole node.

        Returns:
            The parts, in order; none when the node is to be done in one piece.

        Raises:
            PhyslabError: The first error of a part that cannot be made; finished parts are kept.
        """
        method = node.checked.method
        if method.extent is None:
            return []
        work = whole()
        shares = divide(method, work.params, work.visuals, self._split_s, self._posts.at_once(post.site))
        parts = [Part(share, keys.part_key(work.key, share.start, share.stop)) for share in shares]
        rest = [part for part in parts if not self._take(part, anew=node.id in self._refreshed)]
        if rest:
            post.leave()
            try:
                self._make_all(rest, work, post, node.checked.node.retry_delay_s)
            finally:
                post.arrive()
        return parts

    def _make_all(self, parts: Sequence[Part], work: Work, post: Post, delay_s: float) -> None:
        given_up, threads = threading.Event(), self._posts.threads(post.site, "part")
        made = [threads.submit(self._make, part, work, post.beside(), given_up, delay_s) for part in parts]
        wait(made)
        for part in parts:
            post.tries.history += [f"Part {part.share.number} of {part.share.count}: {line}" for line in part.history]
        errors = [part.error for part in parts if part.error is not None]
        if errors:
            raise next((error for error in errors if not isinstance(error, CancelledError)), errors[0])
        for future in made:
            future.result()  # a fault of ours must end the node, not pass for a part

    def forget(self, parts: Sequence[Part]) -> None:
        """Let go of the parts of a node that is finished."""
        self._store.parts.forget(part.key for part in parts)

    def _take(self, part: Part, *, anew: bool) -> bool:
        """Take what was made before, if its bytes are all there."""
        found = self._store.parts.find(part.key) if part.key in self._fresh or not anew else None
        wanted = set(stored_digests(found["fields"])) if found else set()
        if not found or self._store.check_blobs(wanted) != wanted:
            return False
        part.fields, part.meta, part.kept = found["fields"], found["meta"], part.key not in self._fresh
        return True

    def _make(self, part: Part, work: Work, post: Post, given_up: threading.Event, delay_s: float) -> None:
        label = f"{work.label}[{part.share.number}/{part.share.count}]"
        mine = work.model_copy(
            update={
                "key": part.key, "label": label, "share": part.share,
                "visuals": Visuals(static=False, series=False, animation=work.visuals.animation),
            }
        )  # fmt: skip

        def attempt(number: int) -> None:
            pause = delay_s if number > 1 and post.tries.own else 0.0
            if given_up.is_set() or self._stop.wait(pause):
                raise CancelledError(f"{label} was not started: the run was stopped.")
            self._keep(part, post, post.run(lambda tries: _again(mine, tries, number), self._stop))

        post.arrive()
        try:
            PlainSubmitter().submit(Step(label, retries=post.retries), attempt)
        except PhyslabError as error:
            error.again = False  # the part has had its attempts
            part.error = error
            given_up.set()
        finally:
            post.leave()
            part.history = post.tries.history

    def _keep(self, part: Part, post: Post, result: WorkResult) -> None:
        part.fields, part.meta = result.fields, {**result.meta, "site": post.site.name}
        self._store.parts.keep(part.key, {"fields": part.fields, "meta": part.meta})
        self._fresh.add(part.key)


def _again(work: Work, tries: Tries, attempt: int) -> Work:
    return work.model_copy(update={"resources": tries.resources, "attempt": attempt})


def with_parts(result: WorkResult, parts: Sequence[Part]) -> WorkResult:
    """Return what the node gave, with its parts in its meta and their use of machines in its own."""
    if not parts:
        return result
    metas = [result.meta, *(part.meta for part in parts)]
    summed = {name: sum(meta.get(name, 0.0) for meta in metas) for name in SUMMED if name in result.meta}
    peak = {"peak_mb": max(meta.get("peak_mb", 0.0) for meta in metas)} if "peak_mb" in result.meta else {}
    told = [part.told() for part in parts]
    return result.model_copy(update={"meta": {**result.meta, **summed, **peak, "parts": told}})
