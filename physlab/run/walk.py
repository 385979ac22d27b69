"""The walk over a planned graph: what is ready runs, what is there already is not run, nothing finished is lost."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from physlab import keys
from physlab.errors import CancelledError, PhyslabError
from physlab.model import NodeRecord, NodeRun, RunRecord, Work, WorkResult
from physlab.model.record import Status
from physlab.planning.again import Tries
from physlab.planning.plan import PlannedNode, content_digest
from physlab.run.inputs import Inputs
from physlab.run.leaving import Leaving
from physlab.run.order import Event, Run
from physlab.run.parts import Part, Parts, with_parts
from physlab.run.posts import Post, Posts
from physlab.sites.base import LOCAL
from physlab.store import Entry
from physlab.store.index import stored_digests
from physlab.store.lease import name_process
from physlab.submitter import Step

LEASE_POLL_S = 0.2


def walk(run: Run) -> RunRecord:
    """Run a plan and return its record, which is in the ledger by then.

    A signal (KeyboardInterrupt, SIGTERM raised as an exception) stops what runs, keeps what is finished, writes the
    record of the cancelled run and goes on up.

    Raises:
        ValidationError: A node gives to others what may not leave the lab; nothing was run.
    """
    return _Walk(run).go()


class _Walk:
    def __init__(self, run: Run) -> None:
        self.run, self.plan, self.store = run, run.plan, run.store
        self.inputs = Inputs(run.plan, run.store, run.caps, run.web)
        self.leaving = Leaving(self.inputs, run.may_leave)
        self.posts = Posts(run.sites, run.office, run.request, run.means, f"{run.run_id} {run.title}")
        self.runs: dict[str, NodeRun] = {}
        self.waiting: dict[str, int] = {}
        self.downstream: dict[str, list[str]] = {}
        self.done: queue.SimpleQueue[tuple[str, PhyslabError | None]] = queue.SimpleQueue()
        self.groups: dict[str, list[str]] = {}  # the nodes of a key that is being computed, the one that does it first
        self.group_of: dict[str, str] = {}  # the key for which a node was started
        self.by_key: dict[str, Entry] = {}
        self.stop = threading.Event()
        self.parts = Parts(run.store, self.posts, run.request, run.plan.refreshed, self.stop)
        self.in_flight = 0
        self.seen: int | None = None  # of what other processes wrote, at the last look
        self.looked_at: dict[str, int | None] = {}  # the same, when a node's key was looked up

    def go(self) -> RunRecord:
        run = self.run
        for node in self.plan.nodes.values():
            self.leaving.require(node)
        started, clock = now(), time.perf_counter()
        begin = {"run_id": run.run_id, "dag_id": run.dag_id, "title": run.title, "started_at": started}
        request = run.request.model_dump(mode="json")
        self.store.append("run_begin", {**begin, "request": request, "process": name_process()})
        run.submitter.open(len(self.plan.nodes))
        interrupted = False
        try:
            self._walk()
        except BaseException:
            interrupted = True
            raise
        finally:
            self._halt()
            shown = run.submitter.close()
            record = self._record(begin, shown, (time.perf_counter() - clock) * 1e3, interrupted)
            self.store.append("run", record.brief())
            self.store.flush()
        return record

    def _halt(self) -> None:
        self.stop.set()
        if self.in_flight:
            for site in self.run.sites:
                site.close()
        self.posts.close()

    def _walk(self) -> None:
        self._finish_hits([node for node in self.plan.nodes.values() if node.state == "hit"])
        rest = [node for node in self.plan.nodes.values() if node.state != "hit"]
        for node in rest:
            open_ends = [name for name in node.checked.upstream if self.plan.nodes[name].state != "hit"]
            self.waiting[node.id] = len(open_ends)
            for name in open_ends:
                self.downstream.setdefault(name, []).append(node.id)
        self._admit([node for node in rest if not self.waiting[node.id]])
        while self.in_flight:
            name, error = self.done.get()
            self.in_flight -= 1
            if error is None:
                followers = self._followers(name)
                self._settle(followers, self.plan.nodes[name].entry)
                self._admit(self._ready([name, *followers]))
            else:
                self._fail(name, error)

    def _followers(self, name: str) -> list[str]:
        """Return the nodes that were waiting for this one because they have its key."""
        key = self.group_of.pop(name, None)
        return [] if key is None else self.groups.pop(key)[1:]

    def _settle(self, names: list[str], entry: Entry | None) -> None:
        nodes = [self.plan.nodes[name] for name in names]
        for node in nodes:
            if entry is not None:
                self._take_hit(node, entry)
        self._finish_hits(nodes)

    def _take_hit(self, node: PlannedNode, entry: Entry) -> None:
        node.state = "hit"
        self.plan.settle(node, entry)

    def _ready(self, finished: Iterable[str]) -> list[PlannedNode]:
        ready = []
        for name in finished:
            for target in self.downstream.get(name, ()):
                self.waiting[target] -= 1
                if not self.waiting[target] and target not in self.runs:
                    ready.append(self.plan.nodes[target])
        return ready

    def _admit(self, nodes: list[PlannedNode]) -> None:
        """Start nodes whose inputs are all there, and go on behind those whose result turns out to be there as well."""
        while nodes and not self.stop.is_set():
            found = self._look_up(nodes)
            late = []
            for node in nodes:
                key = str(node.key)
                entry = self.by_key.get(key) or (None if node.id in self.plan.refreshed else found.get(key))
                if not node.checked.lasting:
                    self._start(node)
                elif entry is not None and not self.leaving.held_back(node):
                    self._take_hit(node, entry)
                    late.append(node)
                elif key in self.groups:
                    self.groups[key].append(node.id)
                else:
                    self.groups[key] = [node.id]
                    self.group_of[node.id] = key
                    self._start(node)
            self._finish_hits(late)
            nodes = self._ready(node.id for node in late)

    def _look_up(self, nodes: list[PlannedNode]) -> dict[str, Entry]:
        others = self.store.others()
        if others != self.seen:
            self.store.refresh()
            self.seen = others
        for node in nodes:
            node.key = node.key or self.plan.key_of(node)
            self.looked_at[node.id] = others
        return self.store.hits_by_key(list({str(node.key): None for node in nodes}))

    def _start(self, node: PlannedNode) -> None:
        self.in_flight += 1
        self.posts.start(node, self._carry_out)

    def _carry_out(self, node: PlannedNode, post: Post) -> None:
        error: PhyslabError | None = None
        try:
            if self.stop.is_set():
                raise CancelledError(f"{node.id} was not started: the run was stopped.")
            self.run.submitter.submit(_step(node, post), lambda attempt: self._body(node, post, attempt))
        except PhyslabError as failure:
            error = failure
        except BaseException as failure:  # noqa: BLE001 - a fault of ours must end the node, not hang the run
            error = PhyslabError(f"{node.id}: {type(failure).__name__}: {failure}.", hint="Please report this fault.")
            error.__cause__ = failure
        post.leave()
        self.done.put((node.id, error))

    def _body(self, node: PlannedNode, post: Post, attempt: int) -> None:
        key = str(node.key)
        if attempt > 1 and self.stop.wait(node.checked.node.retry_delay_s if post.tries.own else 0.0):
            raise CancelledError(f"{node.id} was not tried again: the run was stopped.")
        self._lease(node, key)
        try:
            if self.store.others() != self.looked_at[node.id]:
                entry = self._made_elsewhere(node, key)
                if entry is not None:
                    self._take_hit(node, entry)
                    return self._note(node, "cached", attempts=attempt, why="another run made it meanwhile")
            self.run.watch(Event(node.id, "running"))
            started, clock = now(), time.perf_counter()
            parts = self.parts.make(node, post, lambda: self._work(node, post, attempt, post.tries))
            result = post.run(lambda tries: self._work(node, post, attempt, tries, parts), self.stop)
            duration_ms = (time.perf_counter() - clock) * 1e3
            self._keep(node, with_parts(result, parts), started, duration_ms)
            self.parts.forget(parts)
            self._note(node, "completed", attempts=attempt, duration_ms=duration_ms)
        finally:
            self.store.leases.release(key)

    def _work(self, node: PlannedNode, post: Post, attempt: int, tries: Tries, parts: Sequence[Part] = ()) -> Work:
        self.leaving.require(node)
        work = self.inputs.work(
            node, node.id, attempt, tries.resources, post.limit_s, tries.checkpoint, post.site.name == LOCAL
        )
        return work.model_copy(update={"parts": tuple(part.fields for part in parts)}) if parts else work

    def _lease(self, node: PlannedNode, key: str) -> None:
        while not self.store.leases.acquire(key):
            if self.stop.wait(LEASE_POLL_S):
                raise CancelledError(f"{node.id} was not started: the run was stopped.")

    def _made_elsewhere(self, node: PlannedNode, key: str) -> Entry | None:
        if node.id in self.plan.refreshed or self.leaving.held_back(node):
            return None
        self.store.refresh()
        return self.store.hits_by_key([key]).get(key)

    def _keep(self, node: PlannedNode, result: WorkResult, started: str, duration_ms: float) -> None:
        """Write the record of a computed node; from here on it is not lost."""
        checked = node.checked
        digests = {name: keys.digest(value) for name, value in result.fields.items()}
        entries = [(item, self.plan.nodes[item.reference.node].entry) for item in checked.prepared.inputs]
        device = str(result.meta.get("device", node.device))
        recipe, key = self.plan.identity_on(node, device)
        record = NodeRecord(
            key=key,
            recipe=recipe,
            tool=checked.node.tool,
            method=checked.method.name,
            params=node.params,
            inputs={item.parameter: content_digest(entry, item) for item, entry in entries if entry},
            sources={item.parameter: str(item.reference) for item, _ in entries},
            parents=tuple(dict.fromkeys(entry.record for _, entry in entries if entry)),
            visuals=checked.prepared.visuals,
            code=self.run.code_of(checked.method),
            seed=checked.node.seed,
            device=device,
            device_requested=checked.node.device,
            fallback=node.fallback,
            fields=result.fields,
            field_digests=digests,
            artifacts=result.artifacts,
            meta=result.meta,
            warnings=result.warnings,
            log=result.log,
            run_id=self.run.run_id,
            node_id=node.id,
            started_at=started,
            duration_ms=duration_ms,
        )
        content = record.model_dump(mode="json")
        digest = self.store.append("node", content)
        artifacts = content["artifacts"]
        blobs = sorted({item["sha256"] for item in artifacts}.union(stored_digests(result.fields)))
        entry = Entry(
            record.key, record.recipe, digest, record.tool, record.method, node.id, self.run.run_id, record.device,
            digests, artifacts, blobs, started, duration_ms,
        )  # fmt: skip
        self.inputs.keep(digest, result.fields, result.meta)
        self.by_key[record.key] = entry
        self.plan.settle(node, entry)

    def _fail(self, name: str, error: PhyslabError) -> None:
        node = self.plan.nodes[name]
        status: Status = "cancelled" if isinstance(error, CancelledError) else "failed"
        self._note(node, status, error=error.as_reply())
        followers = self._followers(name)
        for follower in followers:
            self._note(self.plan.nodes[follower], status, error=error.as_reply(), why=f"the same as {name}")
        if self.run.request.fail_fast:
            self.stop.set()
        self._skip([name, *followers], f"{name} {status}")

    def _skip(self, names: Iterable[str], cause: str) -> None:
        skipped: list[PlannedNode] = []
        stack = list(names)
        while stack:
            for target in self.downstream.get(stack.pop(), ()):
                if target not in self.runs:
                    node = self.plan.nodes[target]
                    self._note(node, "skipped", why=cause)
                    skipped.append(node)
                    stack.append(target)
        if skipped:
            self.run.submitter.skips([_step(node) for node in skipped], cause)

    def _finish_hits(self, nodes: list[PlannedNode]) -> None:
        for node in nodes:
            self._note(node, "cached", why="same key as an earlier result")
        if nodes:
            self.run.submitter.hits([_step(node) for node in nodes])

    def _note(self, node: PlannedNode, status: Status, **more: Any) -> None:
        checked, entry, post = node.checked, node.entry, self.posts.of.get(node.id)
        if post is not None and status in ("completed", "failed"):
            history = tuple(post.tries.history)
            more |= {"site": post.site.name, "placement": post.reason, "history": history}
            more.setdefault("attempts", len(history))
        self.runs[node.id] = NodeRun(
            id=node.id,
            tool=checked.node.tool,
            method=checked.method.name,
            status=status,
            key=node.key,
            record=entry.record if entry else None,
            **more,
        )
        self.run.watch(Event(node.id, status, more.get("error"), more.get("duration_ms", 0.0)))

    def _record(
        self, begin: Mapping[str, Any], shown: Mapping[str, Any], duration_ms: float, interrupted: bool
    ) -> RunRecord:
        for node in self.plan.nodes.values():
            if node.id not in self.runs:
                self._note(node, "cancelled", why="the run was stopped")
        runs = tuple(self.runs[name] for name in self.plan.nodes)
        counts = {status: sum(item.status == status for item in runs) for status in ("completed", "cached", "failed")}
        fallbacks = {node.id: node.fallback for node in self.plan.nodes.values() if node.fallback}
        jobs = {site.name: listed for site in self.run.sites if (listed := site.jobs())}
        bad = any(item.status in ("failed", "cancelled") for item in runs)
        return RunRecord(
            **begin,
            status="cancelled" if interrupted else "failed" if bad else "completed",
            duration_ms=duration_ms,
            request=self.run.request,
            nodes=runs,
            meta={
                "device_mix": sorted({node.entry.device for node in self.plan.nodes.values() if node.entry}),
                "cache_hits": counts["cached"],
                "computed": counts["completed"],
                "failed": counts["failed"],
                "fallbacks": fallbacks,
                "duration_ms": duration_ms,
                **{**self.run.about, **({"jobs": jobs} if jobs else {}), **shown},
            },
        )


def _step(node: PlannedNode, post: Post | None = None) -> Step:
    asked = node.checked.node
    return Step(
        id=node.id,
        tags=(asked.tool, node.device),
        upstream=node.checked.upstream,
        retries=asked.retries if post is None else post.retries,
    )


def now() -> str:
    """Return the present time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
