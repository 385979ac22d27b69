"""Work on its way to the pilots of a cluster and back: one attempt each, files by digest, losses explained."""

from __future__ import annotations

import itertools
import json
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from distributed import Future as DaskFuture
from distributed.scheduler import KilledWorker

from physlab.errors import (
    CancelledError,
    ComputationError,
    PhyslabError,
    ResourceError,
    StoreError,
    ValidationError,
    WorkerLostError,
)
from physlab.model import Work, WorkResult
from physlab.model.job import JobResources, JobStatus
from physlab.settings import SlurmSiteSettings
from physlab.sites.slurm import parcel, pilot
from physlab.sites.slurm.crew import Crew, new_token
from physlab.sites.slurm.link import unfold
from physlab.sites.slurm.packing import Errand, Pack, Packer
from physlab.sites.slurm.pools import pool_for
from physlab.store.blobs import Blobs

BATCH = 256
SETTLE_S = 1.0


class Dispatcher:
    """Sends work to pilots.

    Only the result of the attempt that is waited for counts: one that comes from a pilot given up for lost is not
    listened to.

    Args:
        name: What the lab calls the site.
        settings: `[sites.slurm.NAME]`.
        store: The lab's store.
        folder: Folder on the cluster.
        comment: What the jobs are for, for the administrators.
        tools: The lab's own files of tools; their content goes to the pilots.
        share: False lets everything travel, even where the store can be reached.
        found: Told once for each kind of pilot which kinds of accelerator it has.
    """

    def __init__(
        self, name: str, settings: SlurmSiteSettings, store: Path, folder: Path, *, comment: str = "",
        tools: Sequence[Path] = (), share: bool = True,
        found: Callable[[JobResources, list[str]], None] = lambda kind, accelerators: None,
    ) -> None:  # fmt: skip
        self._found, self._looked_at = found, set[int]()
        self.name, self.settings, self.store, self.folder = name, settings, store, folder
        self.crew = Crew(name, settings, folder, new_token(), comment, self._broken)
        self._tools = [(path.name, Blobs(store).put(path)[0]) for path in tools]
        self._mark = secrets.token_hex(16) if share else ""
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()
        self._errands: set[Errand] = set()
        self._arrived: queue.SimpleQueue[tuple[Pack, DaskFuture] | None] = queue.SimpleQueue()
        self._packer = Packer(self._try_to_send)
        self._threads: list[threading.Thread] = []
        self._after = ThreadPoolExecutor(4, thread_name_prefix=f"{name}-after")

    def submit(self, work: Work) -> Future[WorkResult]:
        """Send a piece of work to a pilot."""
        outer: Future[WorkResult] = Future()
        outer.set_running_or_notify_cancel()
        try:
            self._begin()
            pool = self.crew.pool(pool_for(work.resources, work.time_limit_s, self.settings))
            errand = Errand(work, pool, outer)
            with self._guard:
                self._errands.add(errand)
            if self._packer.is_small(work):
                self._packer.add(errand)
            else:
                self._send(Pack([errand]))
        except PhyslabError as error:
            outer.set_exception(error)
        return outer

    def cancel(self, future: Future[WorkResult]) -> None:
        """Stop waiting for a piece of work; its pilot lets go of it if it has not begun."""
        with self._guard:
            errand = next((item for item in self._errands if item.outer is future), None)
        if errand is not None:
            if errand.inner is not None:
                errand.inner.cancel(force=True)
            self._finish(errand, _stopped(errand.work.label))

    def script(self, work: Work) -> str:
        """Return the script of the pilot that would run the work."""
        return self.crew.pool(pool_for(work.resources, work.time_limit_s, self.settings)).script

    def close(self) -> None:
        """Cancel what runs and all pilots, and wait for both."""
        self.crew.closed = True
        with self._guard:
            left = list(self._errands)
        for errand in left:
            self._finish(errand, _stopped(errand.work.label))
        self.crew.close()
        self._arrived.put(None)
        self._packer.close()
        for thread in self._threads:
            thread.join()
        self._after.shutdown(cancel_futures=True)
        if self._mark:
            (self.store / "marks" / self._mark).unlink(missing_ok=True)

    # --- there and back ---------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        with self._guard:
            if self._threads:
                return
            if self._mark:  # a pilot that can read it has the lab's own store before it
                (self.store / "marks").mkdir(exist_ok=True)
                (self.store / "marks" / self._mark).write_text(self._mark)
            for work in (self._receive, self._packer.work):
                self._threads.append(threading.Thread(target=work, name=f"{self.name}-{work.__name__}", daemon=True))
                self._threads[-1].start()

    def _try_to_send(self, pack: Pack) -> None:
        try:
            self._send(pack)
        except PhyslabError as error:
            self._packer.came(pack)
            for errand in pack.errands:
                self._finish(errand, error)

    def _send(self, pack: Pack, worker: str | None = None) -> None:
        first, pool = pack.errands[0].work, pack.errands[0].pool
        if self.crew.closed:
            raise _stopped(first.label)
        order = json.dumps({
            "works": [errand.work.model_dump_json() for errand in pack.errands],
            "tools": self._tools, "cores": pool.kind.cpus, "walltime_s": pool.kind.walltime_s,
            "store": {"path": first.store, "mark": self._mark, "folder": str(self.folder / "store")},
        })  # fmt: skip
        wishes: dict[str, Any] = {"workers": [worker], "allow_other_workers": True} if worker else {}
        if first.resources.cpu > 1:
            wishes["resources"] = {"cores": first.resources.cpu}
        name = f"{first.label}-{first.attempt}-{next(self._numbers)}"
        inner = pool.client.submit(pilot.perform, order, key=name, pure=False, retries=0, **wishes)
        for errand in pack.errands:
            errand.inner = inner
        inner.add_done_callback(lambda done: self._arrived.put((pack, done)))

    def _receive(self) -> None:
        """Take results as they come, many with one question."""
        while (first := self._arrived.get()) is not None:
            batch = [first]
            while len(batch) < BATCH and not self._arrived.empty():
                if (item := self._arrived.get()) is None:
                    return
                batch.append(item)
            by_pool: dict[int, list[tuple[Pack, DaskFuture]]] = {}
            for pack, done in batch:
                self._packer.came(pack)
                if done.status == "finished":
                    by_pool.setdefault(pack.errands[0].pool.number, []).append((pack, done))
                else:
                    self._lost(pack, done)
            for group in by_pool.values():
                self._take(group)

    def _take(self, group: list[tuple[Pack, DaskFuture]]) -> None:
        client = group[0][0].errands[0].pool.client
        try:
            answers = client.gather([done for _, done in group])
        except Exception:  # noqa: BLE001 - a pilot was lost with its results: each is asked for its reason
            for pack, done in group:
                self._lost(pack, done)
            return
        for (pack, done), answer in zip(group, answers, strict=True):
            done.release()
            pool = pack.errands[0].pool
            if pool.number not in self._looked_at:
                self._looked_at.add(pool.number)
                self._found(pool.kind, answer["accelerators"])
            for errand, reply in zip(pack.errands, answer["replies"], strict=True):
                reply |= {name: answer[name] for name in ("worker", "pilot", "store")}
                if reply.get("need") or reply.get("kept") or "error" in reply:
                    self._later(self._take_reply, errand, reply)
                else:
                    self._carefully(self._take_reply, errand, reply)

    def _lost(self, pack: Pack, done: DaskFuture) -> None:
        for errand in pack.errands:
            self._later(self._take_failure, errand, done)

    def _later(self, work: Callable[..., None], errand: Errand, what: Any) -> None:
        if not self.crew.closed:
            self._after.submit(self._carefully, work, errand, what)

    def _carefully(self, work: Callable[..., None], errand: Errand, what: Any) -> None:
        try:
            work(errand, what)
        except Exception as error:  # noqa: BLE001 - a fault must end the work, not hang the run
            said = f"{errand.work.label}: {type(error).__name__}: {error}."
            self._finish(errand, ComputationError(said, hint="Please report this fault."))

    def _take_reply(self, errand: Errand, reply: dict[str, Any]) -> None:
        try:
            if "need" in reply:
                for digest in reply["need"]:
                    self._bring(errand, reply, digest)
                return self._send(Pack([errand]), reply["worker"])
            if reply.get("kind") == CancelledError.__name__:  # the pilot was closed under it
                return self._finish(errand, self._lost_with(errand, reply["pilot"]))
            self._store(errand, reply)
            if "error" in reply:
                raise unfold(reply)
            self._packer.learn(errand.work, reply["ms"])
            self._finish(errand, self._unpacked(reply))
        except PhyslabError as error:
            self._finish(errand, error)

    def _take_failure(self, errand: Errand, done: DaskFuture) -> None:
        if errand.outer.done():
            return
        if done.status == "cancelled":
            time.sleep(SETTLE_S)  # until it is known whether the foreman himself is gone
            lost = _gone(errand.work, "the scheduler of its pilots is gone")
            return self._finish(errand, _stopped(errand.work.label) if self.crew.closed else lost)
        try:
            error = done.exception(timeout=60)
        except TimeoutError as late:
            error = late
        try:
            self._finish(errand, self._explained(errand, error))
        except PhyslabError as trouble:
            self._finish(errand, _gone(errand.work, trouble.message))

    def _unpacked(self, reply: dict[str, Any]) -> WorkResult:
        result = WorkResult.model_validate_json(reply["result"])
        return result.model_copy(update={"meta": {**result.meta, "pilot": reply["pilot"]}})

    def _store(self, errand: Errand, reply: dict[str, Any]) -> None:
        """Take the files that came with a reply, and fetch those that were too large for that."""
        blobs = Blobs(self.store)
        for digest, data in reply["blobs"].items():
            found, _ = blobs.put(data)
            if found != digest.removeprefix("sha256:"):
                raise StoreError(f"What came back as {digest[:19]}… is {found[:12]}….", hint="Run again.")
        for digest in reply["kept"]:
            self._fetch(errand, reply, digest, blobs)

    def _bring(self, errand: Errand, reply: dict[str, Any], digest: str) -> None:
        """Bring a file to the cluster, piece by piece."""
        name, start, store = secrets.token_hex(8), 0, reply["store"]
        while data := parcel.read_piece(str(self.store), digest, start):
            _there(errand, reply["worker"], parcel.write_piece, store, name, start, data)
            start += len(data)
        if not start:
            _there(errand, reply["worker"], parcel.write_piece, store, name, 0, b"")
        _there(errand, reply["worker"], parcel.finish, store, name, digest)

    def _fetch(self, errand: Errand, reply: dict[str, Any], digest: str, blobs: Blobs) -> None:
        if not blobs.path(digest).exists():
            where = reply["worker"], parcel.read_piece, reply["store"], digest
            parcel.fetch(blobs, digest, lambda start: bytes(_there(errand, *where, start)), secrets.token_hex(8))

    # --- what went wrong --------------------------------------------------------------------------------------------

    def _explained(self, errand: Errand, error: BaseException | None) -> PhyslabError:
        """Return why a piece of work came to nothing, in Slurm's words where its pilot was lost."""
        if not isinstance(error, KilledWorker):
            said = f"{errand.work.label}: {type(error).__name__}: {error}."
            return ComputationError(said, hint="Please report this fault.")
        return self._lost_with(errand, str(getattr(error.last_worker, "name", "")))

    def _lost_with(self, errand: Errand, pilot_name: str) -> PhyslabError:
        work, told = errand.work, self.crew.why(errand.pool, pilot_name)
        if not told:
            return _gone(work, "nobody knows what became of its pilot")
        status = JobStatus.model_validate(told)
        if status.state == "node_fail":
            self.crew.exclude(status.machines)
        peak = status.memory_mb
        if status.state == "out_of_memory":  # Slurm looks every few seconds only, but it was as much as there was
            peak = max(peak or 0.0, errand.pool.kind.memory_mb or 0.0)
        place = f"{self.name}, job {status.job_id}" + (f" on {', '.join(status.machines)}" if status.machines else "")
        return WorkerLostError(
            f"{work.label}: its pilot ended as {status.state} ({status.reason}; {place}).",
            hint="It is run again where that may help; see the attempts in the record.",
            details={
                "ended": "worker_lost" if status.state == "failed" else status.state, "reason": status.reason,
                "job": status.job_id, "machines": list(status.machines), "memory_mb": peak,
                "site": self.name,
            },
        )  # fmt: skip

    def _broken(self, pools: set[int], why: str, passing: bool) -> None:
        """End all work of pools that cannot work: for good, or to be sent again."""
        with self._guard:
            left = [errand for errand in self._errands if errand.pool.number in pools]
        for errand in left:
            told = ResourceError(f"{errand.work.label}: {why}", hint=f"physlab site check {self.name}")
            self._finish(errand, _gone(errand.work, why) if passing else told)

    def _finish(self, errand: Errand, result: WorkResult | PhyslabError) -> None:
        with self._guard:
            self._errands.discard(errand)
            if errand.outer.done():
                return
            if isinstance(result, WorkResult):
                errand.outer.set_result(result)
            else:
                errand.outer.set_exception(result)


def _there(errand: Errand, worker: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a pilot, beside what it runs.

    Raises:
        WorkerLostError: The pilot went away in the middle of it.
    """
    try:
        return errand.pool.client.run(function, *arguments, workers=[worker], on_error="raise")[worker]
    except (StoreError, ValidationError):
        raise
    except (OSError, ValueError, KeyError, TimeoutError) as error:  # Dask's words for a worker that it does not know
        raise _gone(errand.work, f"its pilot went away: {error}") from error


def _gone(work: Work, why: str) -> WorkerLostError:
    return WorkerLostError(f"{work.label} was lost: {why}.", details={"ended": "worker_lost"})


def _stopped(what: str) -> CancelledError:
    return CancelledError(f"{what} was stopped.", hint="Start it again: finished nodes are kept.")
