"""This machine: light tools inline, the others in warm worker processes whose limits hold."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from physlab import device
from physlab.errors import CancelledError, PhyslabError, ResourceError, TimeLimitError, WorkerLostError
from physlab.model import Node, Resources, Work, WorkResult, is_stored_array, is_stored_file
from physlab.sites import worker
from physlab.sites.base import LOCAL, Affinity, Capacity
from physlab.sites.forerunner import Forerunner
from physlab.sites.spawn import Context
from physlab.store.blobs import Blobs

if TYPE_CHECKING:
    from pebble import ProcessFuture, ProcessPool

SLACK_S = 120.0  # the worker's own alarm keeps the limit; this one is for a worker that does not even start


class LocalSite:
    """Runs work on this machine.

    A worker serves one number of cores, so that numeric libraries are limited before they load. Cores are handed out to
    running work; what does not fit waits, and waiting is not counted against the time limit.

    Args:
        store: Folder of the store.
        cores: Cores to use; all that this process may use by default.
        memory_gb: Memory limit of a node that names none [GB]; None sets no limit.
        at_once: How many nodes will run at the same time at most; no more workers than that are started.
        forerunner: A worker that was started beforehand; it does the first work that needs one core.
        pin: False leaves it to the system which cores a worker uses.
    """

    name = LOCAL
    at_once: int | None = None
    longest_s: float | None = None
    most_memory_gb: float | None = None
    """Here a node's memory_gb is no reservation but a limit that somebody set: it is not raised."""

    def __init__(
        self,
        store: Path,
        cores: int | None = None,
        memory_gb: float | None = None,
        at_once: int | None = None,
        forerunner: Forerunner | None = None,
        pin: bool = True,
    ) -> None:
        self.store = store
        self.memory_gb = memory_gb
        self._at_once = at_once
        usable = usable_cores()
        count = cores or len(usable)
        self._pinned = pin and count <= len(usable) and hasattr(os, "sched_setaffinity")
        self._cores = usable[:count] if self._pinned else list(range(count))
        self._free = list(self._cores)
        self._change = threading.Condition()
        self._pools: dict[int, ProcessPool] = {}
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="site")
        self._running: dict[Future[WorkResult], ProcessFuture[str]] = {}
        self._forerunner = forerunner
        self._ahead: Forerunner | None = None
        self._closed = False
        _sweep(store / "scratch")

    def submit(self, work: Work) -> Future[WorkResult]:
        """Start a piece of work, waiting until its cores are free."""
        from physlab.plugins import all_tools

        outer: Future[WorkResult] = Future()
        outer.set_running_or_notify_cancel()
        if all_tools().find(work.tool, work.method).inline:
            from physlab.tools.execute import execute

            try:
                outer.set_result(execute(work))
            except PhyslabError as error:
                outer.set_exception(error)
            return outer
        cores = self._take(min(work.resources.cpu, len(self._cores)))
        runner, self._forerunner = (self._forerunner, None) if len(cores) == 1 else (None, self._forerunner)
        if runner is not None:
            return self._run_ahead(runner, work, cores, outer)
        try:
            inner = self._schedule(work, cores, outer)
        except BaseException:
            self._give(cores)
            raise
        inner.add_done_callback(lambda done: self._finish(work, cores, outer, done))
        return outer

    def _schedule(self, work: Work, cores: list[int], outer: Future[WorkResult]) -> ProcessFuture[str]:
        limit = work.resources.memory_gb or self.memory_gb
        pinned = cores if self._pinned and len(cores) < len(self._cores) else []
        arguments = (work.model_dump_json(), pinned, limit)
        with self._change:
            if self._closed:
                raise _stopped("The run")
            pool = self._pools.get(len(cores)) or self._start_pool(len(cores))
            inner = pool.schedule(worker.run, args=arguments, timeout=work.time_limit_s + SLACK_S)
            self._running[outer] = inner
            return inner

    def _run_ahead(
        self, runner: Forerunner, work: Work, cores: list[int], outer: Future[WorkResult]
    ) -> Future[WorkResult]:
        """Let the worker that was started beforehand do a piece of work; return when it is done."""
        from pebble import ProcessExpired

        self._ahead = runner
        guard = threading.Timer(work.time_limit_s + SLACK_S, runner.kill)  # for one that does not even start
        guard.daemon = True
        guard.start()
        pinned = cores if self._pinned and len(cores) < len(self._cores) else []
        try:
            result = runner.run(work, pinned, work.resources.memory_gb or self.memory_gb)
        except PhyslabError as error:
            outer.set_exception(error)
        else:
            if isinstance(result, WorkResult):
                outer.set_result(result)
            else:
                expired = _stopped(work.label) if self._closed else ProcessExpired("", code=result.exitcode)  # type: ignore[no-untyped-call]
                outer.set_exception(_translate(expired, work))
        finally:
            guard.cancel()
            self._ahead = None
            self._give(cores)
        return outer

    def _start_pool(self, threads: int) -> ProcessPool:
        from pebble import ProcessPool

        pool = ProcessPool(
            max_workers=max(1, min(len(self._cores) // threads, self._at_once or len(self._cores))),
            initializer=worker.start,
            initargs=(threads, os.getpid()),
            context=Context(),
        )
        self._starter.submit(pool.schedule, os.getpid).result()  # a process dies with the thread that started it
        self._pools[threads] = pool
        return pool

    def _take(self, count: int) -> list[int]:
        with self._change:
            self._change.wait_for(lambda: self._closed or len(self._free) >= count)
            if self._closed:
                raise _stopped("The run")
            taken, self._free = self._free[:count], self._free[count:]
            return taken

    def _give(self, cores: list[int]) -> None:
        with self._change:
            self._free.extend(cores)
            self._change.notify_all()

    def _finish(self, work: Work, cores: list[int], outer: Future[WorkResult], inner: Future[str]) -> None:
        with self._change:
            self._running.pop(outer, None)
        self._give(cores)
        try:
            outer.set_result(WorkResult.model_validate_json(inner.result()))
        except BaseException as error:  # noqa: BLE001 - whatever ended the worker becomes the node's error
            outer.set_exception(_translate(error, work))

    def expect(self, asked: Resources, time_limit_s: float, count: int, cause: str = "") -> None:
        """Prepare nothing: workers start when there is work."""

    def cancel(self, future: Future[WorkResult]) -> None:
        """Kill the worker that runs a piece of work."""
        with self._change:
            inner = self._running.get(future)
        if inner is not None:
            inner.cancel()  # type: ignore[no-untyped-call]

    def warn(self) -> None:
        """Let the programs that can save where they are do so: this machine is wanted back."""
        for child in multiprocessing.active_children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid or 0, signal.SIGUSR1)

    def capacity(self) -> Capacity:
        """Return cores, memory and accelerators of this machine."""
        return self._capacity

    @cached_property
    def _capacity(self) -> Capacity:
        return Capacity(len(self._cores), psutil.virtual_memory().total / 1e9, device.accelerators())

    def affinity(self, node: Node) -> Affinity:
        """Every node fits; one that asks for more than there is fits badly."""
        asked, have = node.resources, self.capacity()
        if asked is None:
            return Affinity(1.0, "light enough for this machine")
        if asked.nodes > 1 or asked.cpu > have.cpu:
            return Affinity(0.1, f"asks for {asked.nodes} × {asked.cpu} cores, this machine has {have.cpu}")
        if asked.gpu and not have.accelerators:
            return Affinity(0.1, f"asks for {asked.gpu} accelerators, this machine has none")
        if asked.memory_gb and have.memory_gb and asked.memory_gb > have.memory_gb:
            return Affinity(0.1, f"asks for {asked.memory_gb:g} GB, this machine has {have.memory_gb:.0f} GB")
        return Affinity(0.9, "fits this machine")

    def wait_s(self, node: Node) -> float:
        """Return 0: it would wait for nobody else."""
        return 0.0

    def jobs(self) -> dict[str, int]:
        """Return none: no scheduler has a hand in it."""
        return {}

    def script(self, work: Work) -> str:
        """Return the shell line that runs the same tool call by hand."""
        arrays: list[str] = []
        params = _by_hand(work.params, Blobs(Path(work.store)), arrays)
        call: dict[str, Any] = {"tool": work.tool, "method": work.method, "params": params}
        payload = json.dumps({name: value for name, value in call.items() if value is not None})
        script = f"physlab call - <<'JSON'\n{payload}\nJSON"
        if not arrays:
            return script
        needs = [f"not to be typed: takes the array {path}, which another node made" for path in arrays]
        return "\n".join(f"# {line}" for line in [*needs, *script.splitlines()])

    @property
    def closed(self) -> bool:
        """True when it takes no more work."""
        return self._closed

    def close(self) -> None:
        """Kill what runs, end the workers, wait for both."""
        with self._change:
            self._closed = True
            self._change.notify_all()
            running = list(self._running.values())
            if self._ahead is not None:
                self._ahead.kill()
            pools, self._pools = list(self._pools.values()), {}
        for inner in running:
            inner.cancel()  # type: ignore[no-untyped-call]
        for pool in pools:
            pool.stop()  # type: ignore[no-untyped-call]
        for pool in pools:
            pool.join()
        self._starter.shutdown()


def usable_cores() -> list[int]:
    """Return the numbers of the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _by_hand(value: Any, blobs: Blobs, arrays: list[str]) -> Any:
    """Return a parameter as a person can write it: files by path; arrays by path too, which are listed in `arrays`."""
    if is_stored_file(value):
        return value["$file"].get("stays") or str(blobs.path(value["$file"]["sha256"]))
    if is_stored_array(value):
        arrays.append(str(blobs.path(value["$array"]["sha256"])))
        return arrays[-1]
    if isinstance(value, dict):
        if len(value) == 1 and "$scaled" in value:
            inner, factor = _by_hand(value["$scaled"]["value"], blobs, arrays), value["$scaled"]["factor"]
            return f"{factor!r} * {inner}" if isinstance(inner, str) else (np.asarray(inner) * factor).tolist()
        return {name: _by_hand(item, blobs, arrays) for name, item in value.items()}
    return [_by_hand(item, blobs, arrays) for item in value] if isinstance(value, list) else value


def _stopped(what: str) -> CancelledError:
    return CancelledError(f"{what} was stopped.", hint="Start it again: finished nodes are kept.")


def _translate(error: BaseException, work: Work) -> BaseException:
    from pebble import ProcessExpired

    if isinstance(error, concurrent.futures.CancelledError):
        return _stopped(work.label)
    if isinstance(error, MemoryError):  # so little was left that the tool's own words for it did not fit
        return ResourceError(
            f"{work.label} ran out of memory.",
            hint="Make it smaller, or raise resources.memory_gb of this node.",
            details={"ended": "out_of_memory"},
        )
    alarm = isinstance(error, ProcessExpired) and error.exitcode in (-signal.SIGALRM, 128 + signal.SIGALRM)
    if alarm or (isinstance(error, concurrent.futures.TimeoutError) and not isinstance(error, PhyslabError)):
        return TimeLimitError(
            f"{work.label} ran longer than its limit of {work.time_limit_s:g} s and was killed.",
            hint="Make it smaller, or set allow_large: true and resources.walltime_s on the node.",
            details={"time_limit_s": work.time_limit_s},
        )
    if isinstance(error, ProcessExpired):
        return WorkerLostError(
            f"{work.label}: its worker process died (exit code {error.exitcode}).",
            hint="-9 often means that memory ran out: make it smaller or raise resources.memory_gb.",
            details={"exit_code": error.exitcode},
        )
    return error


def _sweep(scratch: Path) -> None:
    """Remove the working copies of this machine's processes that are gone."""
    if scratch.is_dir():
        for folder in scratch.iterdir():
            pid, _, host = folder.name.rpartition("-")[0].partition("-")
            if host == socket.gethostname() and pid.isdigit() and not _is_alive(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
