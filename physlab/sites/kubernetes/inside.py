"""The inside of a pod: runs nodes under the limits of a local site, in a store of its own that lives as long as it.

It needs physlab and the store's address, nothing else: no settings of the lab, no secret of it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from physlab import device
from physlab.errors import PhyslabError, ResourceError, StoreError
from physlab.model import Work
from physlab.sites import memory
from physlab.sites.kubernetes.exchange import Exchange, reply_name
from physlab.sites.local import LocalSite
from physlab.sites.parcel import given_digests, know_tools, left_digests, made_digests, told
from physlab.store.blobs import Blobs

INLINE_BYTES = 256 << 10
"""Files of a node up to so much in all travel inside the reply."""
SAVE_S = 20.0
"""Programs have so long to save where they are when a pod must end; Kubernetes gives it 30 s or more [s]."""
CLOSE_S = 10.0
"""A node must be over so long before the pod's time is [s]."""


def perform(digest: str, exchange: Exchange, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Carry out an order and write its reply.

    Args:
        digest: The order.
        exchange: Where it lies, with all that it needs.
        say: Told in a line what happens, for people.

    Returns:
        What became of each piece of work: `result`, or `error` and `kind`, or `need` or `later`.

    Raises:
        StoreError: The order or the reply cannot travel.
    """
    begun = time.monotonic()
    order = json.loads(exchange.order(digest))

    def reply(replies: list[dict[str, Any]]) -> None:
        told = {"replies": replies, "machine": socket.gethostname(), "accelerators": list(device.accelerators())}
        exchange.write(reply_name(order["token"]), json.dumps(told).encode())

    with tempfile.TemporaryDirectory(prefix="physlab-pod-") as folder:
        pod = _Pod(order, exchange, Path(folder), say, begun + order["walltime_s"])
        try:
            replies = pod.perform()
        except Exception:
            raise
        except BaseException:  # its machine is wanted back; or nobody waits any more, and the order is gone, too
            with contextlib.suppress(StoreError):
                exchange.order(digest)
                reply(pod.rest())
            raise
        finally:
            pod.close()
        reply(replies)
    return replies


class _Pod:
    def __init__(
        self, order: dict[str, Any], exchange: Exchange, root: Path, say: Callable[[str], None], ends: float
    ) -> None:
        self._order, self._exchange, self._say, self._ends = order, exchange, say, ends
        self._root, self._blobs = root, Blobs(root)
        self._blobs.create()
        self._limited, self._kills = memory.is_limited(), memory.oom_kills()
        self._guard = threading.Lock()
        self._works = [Work.model_validate_json(text) for text in order["works"]]
        self._site = LocalSite(root, order["cpus"], pin=False)  # the other cores of the machine are others'
        self._threads = ThreadPoolExecutor(order["at_once"], thread_name_prefix="node")
        self._answers: list[Future[dict[str, Any]]] = []

    def perform(self) -> list[dict[str, Any]]:
        tools = [tuple(item) for item in self._order["tools"]]
        if missing := self._missing([digest for _, digest in tools]):
            return [{"need": missing} for _ in self._works]
        if tools:
            know_tools(tools, self._root)
        self._answers = [self._threads.submit(self._answer, work) for work in self._works]
        return [answer.result() for answer in self._answers]

    def rest(self) -> list[dict[str, Any]]:
        """Return what came to its end when all of it must: programs save where they are, the others are lost."""
        for answer in self._answers:
            answer.cancel()  # what has not begun does not
        saving = [answer for answer, work in zip(self._answers, self._works, strict=True)
                  if work.params.get("checkpoint") and not answer.done()]  # fmt: skip
        if saving:
            self._site.warn()
            wait(saving, SAVE_S)
        return [_made(answer) or {"lost": True} for answer in self._answers] or [{"lost": True} for _ in self._works]

    def close(self) -> None:
        """Stop what runs before it is waited for."""
        self._site.close()
        self._threads.shutdown(cancel_futures=True)

    def _answer(self, work: Work) -> dict[str, Any]:
        try:
            if time.monotonic() + work.time_limit_s + CLOSE_S > self._ends:
                return {"later": True}
            if missing := self._missing(given_digests(work)):
                return {"need": missing}
            return self._run(work)
        except PhyslabError as error:
            self._say(f"{work.label} failed: {error.message}")
            return told(error)

    def _run(self, work: Work) -> dict[str, Any]:
        self._say(f"{work.label} begins")
        begun = time.perf_counter()
        try:
            result = self._site.submit(self._as_here(work)).result()
        except PhyslabError as error:
            said = told(error, self._was_killed())
            self._say(f"{work.label} failed: {said['error']['message']}")
            return {**said, **self._sent(left_digests(said["error"]["details"]))}
        took_ms = (time.perf_counter() - begun) * 1e3
        self._say(f"{work.label} is done after {took_ms / 1e3:.2f} s")
        return {"ms": took_ms, "result": result.model_dump_json(), **self._sent(made_digests(result))}

    def _as_here(self, work: Work) -> Work:
        """Return work in this pod's store, and under the kernel's limit alone where there is one: its word is plain."""
        changes: dict[str, Any] = {"store": str(self._root)}
        if self._limited:
            changes["resources"] = work.resources.model_copy(update={"memory_gb": None})
        return work.model_copy(update=changes)

    def _was_killed(self) -> bool:
        with self._guard:
            before, self._kills = self._kills, memory.oom_kills()
            return self._kills > before

    def _missing(self, digests: list[str]) -> list[str]:
        return [digest for digest in digests if not self._exchange.get(self._blobs, digest)]

    def _sent(self, digests: list[str]) -> dict[str, Any]:
        """Send files: the small ones inside the reply, the others through the store."""
        inline: dict[str, str] = {}
        kept: list[str] = []
        left = INLINE_BYTES
        for digest in digests:
            size = self._blobs.path(digest).stat().st_size
            if size <= left:
                inline[digest] = base64.b64encode(self._blobs.read(digest)).decode()
                left -= size
            else:
                self._exchange.put(self._blobs, digest)
                kept.append(digest)
        return {"inline": inline, "kept": kept}


def require_done(replies: list[dict[str, Any]]) -> None:
    """Raise when something of an order was not done, so that people see it in the flow run's state.

    Raises:
        ResourceError: With the first reason; the lab reads all of them in the reply.
    """
    failed = [reply["error"] for reply in replies if "error" in reply]
    undone = sum("result" not in reply for reply in replies)
    if undone:
        first = failed[0]["message"] if failed else "it was not begun"
        raise ResourceError(f"{undone} of {len(replies)} nodes came to nothing; first: {first}")


def _made(answer: Future[dict[str, Any]]) -> dict[str, Any] | None:
    return answer.result() if answer.done() and not answer.cancelled() and answer.exception() is None else None
