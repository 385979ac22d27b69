"""The inside of a pilot: a Dask worker in a Slurm job that runs nodes under the limits of a local site.

It needs physlab and a folder, nothing else: no Prefect, no settings of the lab, no secret. What a node takes and gives
travels by digest; where the lab's own store can be reached under its path, nothing travels at all.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from distributed import Reschedule, Worker, get_worker
from distributed.core import Status

from physlab import device
from physlab.errors import PhyslabError
from physlab.model import Work
from physlab.settings import forget, insist
from physlab.sites.local import LocalSite, usable_cores
from physlab.sites.slurm import memory
from physlab.sites.slurm.parcel import INLINE_BYTES, given_digests, left_digests, made_digests
from physlab.store.blobs import Blobs

CLOSE_S = 20.0
"""A node must be over so long before the pilot's time is [s]."""
SAVE_S = 25.0
"""Slurm kills a job that it wants to end so long after its SIGTERM, or a little later (KillWait) [s]."""
LEAVE_S = 1.0
"""So long after its last work is stopped the process itself ends [s]."""


class Pilot:
    """Runs nodes in this job.

    Args:
        cores: Cores of the job.
        walltime_s: Time limit of the job [s].
    """

    def __init__(self, cores: int, walltime_s: float) -> None:
        self._cores = cores
        self._ends = psutil.Process().create_time() + walltime_s
        self._sites: dict[Path, LocalSite] = {}
        self._stores: dict[tuple[str, str], tuple[Path, bool]] = {}
        self._kills, self._limited = memory.oom_kills(), memory.is_limited()
        self._guard = threading.Lock()
        self._saving = 0
        self._closing = False
        self._knows_tools = False

    def perform(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run pieces of work one after the other.

        Args:
            order: The `works` as JSON; the lab's own `tools`, name and digest; and the `store` of the lab: its `path`,
                a `mark` by which it is known, and the `folder` that stands for it where it cannot be reached.

        Returns:
            `replies`, in the order of the works: each `result` with `blobs` (digest → bytes) and `kept` (digests to be
            fetched), or `need`, the digests that must be brought first, or `error`; and `worker`, the address to fetch
            from, its `store`, `pilot`, and the kinds of `accelerators` there.
        """
        works = [Work.model_validate_json(text) for text in order["works"]]
        if time.time() + max(work.time_limit_s for work in works) + CLOSE_S > self._ends:
            self._end()
            raise Reschedule
        root, shared = self._store(order["store"])
        missing = self._learn(order["tools"], root)
        replies = [{"need": missing} if missing else self._answer(work, root, shared) for work in works]
        return {
            "replies": replies, "worker": get_worker().address, "pilot": str(get_worker().name), "store": str(root),
            "accelerators": list(device.accelerators()),
        }  # fmt: skip

    def _learn(self, tools: list[tuple[str, str]], root: Path) -> list[str]:
        """Make the lab's own tools known to this process and its workers; return the digests that are missing."""
        blobs = Blobs(root)
        if self._knows_tools or not tools:
            return []
        missing = [digest for _, digest in tools if not blobs.path(digest).exists()]
        if missing:
            return missing
        with self._guard:
            paths = [root / "tools" / digest / name for name, digest in tools]
            for path, (_, digest) in zip(paths, tools, strict=True):
                blobs.export(digest, path)
            insist(tools=",".join(map(str, paths)))
            self._knows_tools = True
        return []

    def _answer(self, work: Work, root: Path, shared: bool) -> dict[str, Any]:
        blobs = Blobs(root)
        missing = [] if shared else [digest for digest in given_digests(work) if not blobs.path(digest).exists()]
        if missing:
            return {"need": missing}
        begun, saves = time.perf_counter(), bool(work.params.get("checkpoint"))
        self._saving += saves
        try:
            asked = self._as_here(work, root, shared)
            result = self._site(root).submit(asked).result()
        except PhyslabError as error:
            kills, self._kills = self._kills, memory.oom_kills()
            told = _told(error, self._kills > kills)
            kind = {"error": told, "kind": type(error).__name__}
            return {**kind, **_packed(left_digests(told["details"]), blobs, shared)}
        finally:
            self._saving -= saves
        return {"ms": (time.perf_counter() - begun) * 1e3, "result": result.model_dump_json(),
                **_packed(made_digests(result), blobs, shared)}  # fmt: skip

    def _as_here(self, work: Work, root: Path, shared: bool) -> Work:
        """Return work as this machine does it: in its own store, and under the kernel's limit where there is one.

        The kernel's verdict is plain; a program that is refused memory within its own limit just fails somehow.
        """
        asked = work if shared else work.model_copy(update={"store": str(root)})
        if self._limited and work.resources.memory_gb is not None:
            asked = asked.model_copy(update={"resources": work.resources.model_copy(update={"memory_gb": None})})
        return asked

    def _store(self, named: dict[str, str]) -> tuple[Path, bool]:
        """Return the store to work with, and whether it is the lab's own."""
        known = (named["path"], named["mark"])
        if known not in self._stores:
            self._stores[known] = _find_store(named)
        return self._stores[known]

    def _site(self, root: Path) -> LocalSite:
        with self._guard:
            if root not in self._sites:
                own = len(usable_cores()) == self._cores  # else the others are somebody else's
                self._sites[root] = LocalSite(root, self._cores, pin=own)
            return self._sites[root]

    async def save(self, worker: Worker) -> None:
        """Let the programs that can save where they are do so, and wait until what they saved was fetched."""
        if not self._saving:
            return
        until = time.monotonic() + SAVE_S
        worker.status = Status.paused
        for site in self._sites.values():
            site.warn()
        while (self._saving or worker.data) and time.monotonic() < until:
            await asyncio.sleep(0.05)

    def _end(self) -> None:
        """Take no more work, let what runs come to its end, then end the job."""
        with self._guard:
            if self._closing:
                return
            self._closing = True
        worker = get_worker()

        async def leave() -> None:
            worker.status = Status.paused
            while worker.state.executing_count:
                await asyncio.sleep(0.2)
            await worker.close_gracefully(reason="its time is over")

        worker.loop.add_callback(leave)

    def close(self) -> None:
        """Stop what runs."""
        for site in self._sites.values():
            site.close()


def _find_store(named: dict[str, str]) -> tuple[Path, bool]:
    theirs, own = Path(named["path"]), Path(named["folder"])
    mark = theirs / "marks" / named["mark"]
    if named["mark"] and mark.is_file() and mark.read_text() == named["mark"]:
        return theirs, True
    Blobs(own).create()
    return own, False


def _told(error: PhyslabError, out_of_memory: bool) -> dict[str, Any]:
    reply = error.as_reply()
    if out_of_memory:
        reply["message"] += " Its memory ran out."
        reply["details"] = {**reply["details"], "ended": "out_of_memory", "memory_mb": memory.peak_mb()}
    return reply


def _packed(digests: list[str], blobs: Blobs, shared: bool) -> dict[str, Any]:
    """Return the small ones of these files, and the digests of the large ones, which are fetched."""
    packed: dict[str, bytes] = {}
    kept: dict[str, int] = {}
    left = 0 if shared else INLINE_BYTES
    for digest in () if shared else digests:
        size = blobs.path(digest).stat().st_size
        if size <= left:
            packed[digest] = blobs.read(digest)
            left -= size
        else:
            kept[digest] = size
    return {"blobs": packed, "kept": kept}


_guard = threading.Lock()
_pilot: Pilot | None = None


def perform(order: str) -> dict[str, Any]:
    """Run pieces of work in this pilot: the function that the Dask scheduler sends."""
    global _pilot
    given = json.loads(order)
    with _guard:
        if _pilot is None:
            _pilot = Pilot(given["cores"], given["walltime_s"])
    return _pilot.perform(given)


def dask_setup(worker: Worker) -> None:
    """Keep the connection's key, which Dask has read by now, from the programs that nodes run; save before the end."""
    forget("DASK_DISTRIBUTED__COMM__")
    theirs = signal.getsignal(signal.SIGTERM)

    def wanted_back(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, theirs)
        worker.loop.add_callback_from_signal(save_and_leave)

    async def save_and_leave() -> None:
        try:
            if _pilot is not None:
                await _pilot.save(worker)
        finally:
            signal.raise_signal(signal.SIGTERM)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, wanted_back)


def dask_teardown(worker: Any) -> None:
    """Stop what runs when the worker ends, and end: a scheduler that is gone is not waited for."""
    if _pilot is not None:
        _pilot.close()
    last = threading.Timer(LEAVE_S, os._exit, (0,))
    last.daemon = True
    last.start()
