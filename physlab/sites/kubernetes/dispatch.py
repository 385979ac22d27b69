"""Work on its way to pods and back: one attempt each, known by a token of its own; losses explained."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from physlab.errors import CancelledError, ComputationError, PhyslabError, StoreError, WorkerLostError
from physlab.model import Work, WorkResult
from physlab.settings import KubernetesSiteSettings
from physlab.sites.kubernetes.exchange import Exchange, reply_name
from physlab.sites.kubernetes.launching import Launcher, PodOrder
from physlab.sites.kubernetes.packing import Errand, Pack, Packer
from physlab.sites.kubernetes.shapes import shape_for
from physlab.sites.packing import Method
from physlab.sites.parcel import given_digests, unfold
from physlab.store.blobs import Blobs

TRIPS = 5
"""So often a piece of work is sent because a file was missing there, or its pod's time was over."""


class Dispatcher:
    """Sends work to pods.

    Only the reply of the attempt that is waited for counts: a pod that was given up for lost may write what it likes.

    Args:
        name: What the lab calls the site.
        settings: `[sites.kubernetes.NAME]`.
        store: The lab's store.
        launcher: Starts pods.
        tools: The lab's own files of tools; their content goes to the pods.
        known: How long methods took, by earlier runs [ms].
    """

    def __init__(
        self, name: str, settings: KubernetesSiteSettings, store: Path, launcher: Launcher, *,
        tools: Sequence[Path] = (), known: Mapping[Method, float] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.settings, self._launcher = name, settings, launcher
        self._blobs = Blobs(store)
        self._exchange = Exchange(str(settings.store), settings.store_endpoint)
        self._tools = [(path.name, self._blobs.put(path)[0]) for path in tools]
        self._guard = threading.Lock()
        self._errands: dict[Future[WorkResult], Errand] = {}
        self._awaited: dict[str, Pack] = {}
        self._closed = False
        self._packer = Packer(self._later_send, settings.max_pods, settings.pack_s, known)
        self._threads = ThreadPoolExecutor(8, thread_name_prefix=f"{name}-way")
        self._packing = threading.Thread(target=self._packer.work, name=f"{name}-packing", daemon=True)
        self._packing.start()

    def submit(self, work: Work) -> Future[WorkResult]:
        """Send a piece of work to a pod."""
        outer: Future[WorkResult] = Future()
        outer.set_running_or_notify_cancel()
        errand = Errand(work, shape_for(work.resources, work.time_limit_s, self.settings), outer, self._launcher.here())
        with self._guard:
            if self._closed:
                raise _stopped(work.label)
            self._errands[outer] = errand
        self._packer.add(errand)
        return outer

    def cancel(self, future: Future[WorkResult]) -> None:
        """Stop waiting for a piece of work; a pod that has nothing else is stopped."""
        with self._guard:
            errand = self._errands.get(future)
        if errand is None:
            return
        self._packer.drop(errand)
        self._finish(errand, _stopped(errand.work.label))
        with self._guard:
            idle = [pack for pack in self._awaited.values() if all(item.outer.done() for item in pack.errands)]
        for pack in idle:
            self._give_up(pack)

    def close(self) -> None:
        """Stop all pods, and wait for what is on its way."""
        with self._guard:
            self._closed = True
            left = list(self._errands.values())
        for errand in left:
            self._finish(errand, _stopped(errand.work.label))
        self._packer.close()
        self._packing.join()
        self._threads.shutdown(cancel_futures=True)
        self._launcher.close()
        with self._guard:
            packs = list(self._awaited.values())
        for pack in packs:
            self._clear(pack)

    # --- there ------------------------------------------------------------------------------------------------------

    def _later_send(self, pack: Pack) -> None:
        self._later(pack, lambda: self._send(pack))

    def _later(self, pack: Pack, do: Callable[[], None]) -> None:
        """Do something for a pack in a thread of the way; whatever goes wrong ends its work, and hangs nothing."""

        def carefully() -> None:
            try:
                do()
            except PhyslabError as error:
                self._end(pack, error)
            except Exception as fault:  # noqa: BLE001 - a fault must end the work, not hang the run
                said = f"{pack.errands[0].work.label}: {type(fault).__name__}: {fault}."
                self._end(pack, ComputationError(said, hint="Please report this fault."))

        with contextlib.suppress(RuntimeError):  # it was closed meanwhile
            self._threads.submit(carefully)

    def _send(self, pack: Pack) -> None:
        pack.errands = [errand for errand in pack.errands if not errand.outer.done()]
        if not pack.errands or self._closed:
            self._conclude(pack)
            return
        for digest in {digest for errand in pack.errands for digest in given_digests(errand.work)}:
            self._exchange.put(self._blobs, digest)
        for _, digest in self._tools:
            self._exchange.put(self._blobs, digest)
        first, shape = pack.errands[0], pack.errands[0].shape
        pack.token = secrets.token_hex(16)
        pack.order = self._exchange.put_order(self._spelled(pack))
        with self._guard:
            self._awaited[pack.token] = pack
        more = f" and {len(pack.errands) - 1} more" if len(pack.errands) > 1 else ""
        order = PodOrder(
            pack.token, f"{first.work.label}{more}", pack.order, shape,
            above=first.above, saves=any(errand.work.params.get("checkpoint") for errand in pack.errands),
            answered=lambda: self._exchange.read(reply_name(pack.token)) is not None,
        )  # fmt: skip
        self._launcher.start(order, lambda error: self._later(pack, lambda: self._take(pack, error)))
        if all(errand.outer.done() for errand in pack.errands):  # it was stopped while it was on its way
            self._give_up(pack)

    def _give_up(self, pack: Pack) -> None:
        """Stop a pod that nobody waits for."""
        self._launcher.stop(pack.token)
        self._conclude(pack)
        self._clear(pack)

    def _spelled(self, pack: Pack) -> bytes:
        shape = pack.errands[0].shape
        works = [errand.work for errand in pack.errands]
        memory_gb = max((work.resources.memory_gb or 0.0) for work in works)
        order = {
            "token": pack.token, "tools": self._tools, "cpus": shape.cpus, "walltime_s": shape.walltime_s,
            "at_once": shape.at_once(memory_gb, max(work.resources.cpu for work in works)),
            "works": [work.model_copy(update={"store": ""}).model_dump_json() for work in works],
        }  # fmt: skip
        return json.dumps(order).encode()

    # --- and back ---------------------------------------------------------------------------------------------------

    def _take(self, pack: Pack, error: PhyslabError) -> None:
        """Take in what became of a pod: its reply where there is one, the error otherwise."""
        if not self._conclude(pack):
            return
        data = self._exchange.read(reply_name(pack.token))
        if data is None:
            return self._end(pack, error)
        reply = json.loads(data)
        for errand, answer in zip(pack.errands, reply["replies"], strict=True):
            try:
                if "lost" in answer:
                    raise _of(error, errand.work, self.name)
                self._take_answer(errand, answer, reply["machine"])
            except PhyslabError as trouble:
                self._finish(errand, trouble)
        self._clear(pack)

    def _take_answer(self, errand: Errand, answer: dict[str, Any], machine: str) -> None:
        if "result" not in answer and "error" not in answer:
            for digest in answer.get("need", ()):
                self._exchange.put(self._blobs, digest, again=True)
            errand.trips += 1
            if errand.trips >= TRIPS:
                raise StoreError(
                    f"{errand.work.label}: its files do not reach the pods through {self.settings.store}.",
                    hint=f"physlab site check {self.name}",
                )
            return self._packer.add(errand)
        self._store(answer)
        if "error" in answer:
            raise unfold(answer)
        self._packer.pace.learn(errand.work, answer["ms"])
        result = WorkResult.model_validate_json(answer["result"])
        self._finish(errand, result.model_copy(update={"meta": {**result.meta, "pod": machine}}))

    def _store(self, answer: dict[str, Any]) -> None:
        for digest, text in answer.get("inline", {}).items():
            found, _ = self._blobs.put(base64.b64decode(text))
            if found != digest.removeprefix("sha256:"):
                raise StoreError(f"What came back as {digest[:19]}… is {found[:12]}….", hint="Run again.")
        for digest in answer.get("kept", ()):
            if not self._exchange.get(self._blobs, digest):
                raise WorkerLostError(
                    f"What a pod made ({digest[:19]}…) did not arrive whole through {self.settings.store}.",
                    details={"ended": "worker_lost"},
                )

    def _end(self, pack: Pack, error: PhyslabError) -> None:
        """End the work of a pod that came to nothing."""
        self._conclude(pack)
        for errand in pack.errands:
            self._finish(errand, _of(error, errand.work, self.name))
        self._clear(pack)

    def _conclude(self, pack: Pack) -> bool:
        """Wait for a pod no longer; False when that was so already."""
        with self._guard:
            if pack.over:
                return False
            pack.over = True
            self._awaited.pop(pack.token, None)
        self._packer.came()
        return True

    def _clear(self, pack: Pack) -> None:
        """Remove what is only of this attempt; what cannot be removed hurts nobody."""
        with contextlib.suppress(StoreError):
            if pack.order:
                self._exchange.remove_order(pack.order)
                self._exchange.remove(reply_name(pack.token))

    def _finish(self, errand: Errand, result: WorkResult | PhyslabError) -> None:
        with self._guard:
            self._errands.pop(errand.outer, None)
            if errand.outer.done():
                return
            if isinstance(result, WorkResult):
                errand.outer.set_result(result)
            else:
                errand.outer.set_exception(result)


def _of(error: PhyslabError, work: Work, site: str) -> PhyslabError:
    """Return an error of a pod as that of one piece of work in it."""
    own = type(error)(f"{work.label}: {error.message}", hint=error.hint, details={**error.details, "site": site})
    own.again = error.again
    return own


def _stopped(what: str) -> CancelledError:
    return CancelledError(f"{what} was stopped.", hint="Start it again: finished nodes are kept.")
