"""One container on this machine: its process, its output, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from physlab.testing.kubernetes import container, outputs

PROGRAM = Path(container.__file__)
WATCH_S = 0.05
LAST_WORDS_S = 0.5


@dataclass
class Order:
    """What is to be run.

    Args:
        argv: Words of the command.
        env: Environment.
        cwd: Folder.
        root: An empty folder, where the container's view of the machine is put together.
        isolated: Whether it gets its own mounts and process numbers.
        mounts: From where, to where, and `ro` or `rw`.
        memory: Memory that it may hold [bytes]; 0 for no limit.
    """

    argv: list[str]
    env: dict[str, str]
    cwd: str
    root: Path
    isolated: bool
    mounts: list[list[str]] = field(default_factory=list)
    memory: float = 0


@dataclass(frozen=True)
class End:
    """How a container ended: exit code, reason, and words."""

    code: int
    reason: str
    message: str = ""


class Run:
    """One run of a container.

    Attributes:
        output: What it prints.
        forced: How it is said to have ended, whatever its process did; set by a test.
    """

    def __init__(self, order: Order, output: outputs.Output) -> None:
        self._order, self.output = order, output
        self._process: subprocess.Popen[bytes] | None = None
        self._over_memory = False
        self.forced: End | None = None

    async def start(self) -> None:
        """Start the process."""
        order = self._order
        order.root.mkdir(parents=True, exist_ok=True)
        given: dict[str, object] = {
            "argv": order.argv, "env": order.env, "cwd": order.cwd, "root": str(order.root),
            "isolated": order.isolated, "mounts": order.mounts,
        }  # fmt: skip
        ends = [await outputs.pipe(self.output) for _ in range(2)]
        why, told = os.pipe()
        given["told"] = told
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(PROGRAM), json.dumps(given)], stdin=subprocess.DEVNULL,
                stdout=ends[0][0], stderr=ends[1][0], pass_fds=(told,), start_new_session=True,
                env={},
            )  # fmt: skip
        finally:
            for end in (ends[0][0], ends[1][0], told):
                os.close(end)
        self._readers = [(reader, transport) for _, reader, transport in ends]
        self._why = why

    async def started(self) -> str:
        """Wait until the process began its own program; return why it could not, empty when it could."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self._why, _settle, ready)
        try:
            await ready
            return os.read(self._why, 4096).decode()
        finally:
            loop.remove_reader(self._why)
            os.close(self._why)

    async def wait(self) -> End:
        """Wait for the end of the process, of all that it started, and of its output."""
        assert self._process is not None  # noqa: S101
        loop = asyncio.get_running_loop()
        handle, ended = os.pidfd_open(self._process.pid), loop.create_future()
        loop.add_reader(handle, _settle, ended)
        watch = asyncio.ensure_future(self._watch_memory()) if self._order.memory else None
        try:
            await ended
        finally:
            loop.remove_reader(handle)
            os.close(handle)
            if watch:
                watch.cancel()
            self._sweep()
        code = self._process.wait()
        for reader, transport in self._readers:
            await asyncio.wait([reader.ended], timeout=LAST_WORDS_S)
            transport.close()
        self.output.close()
        return self._verdict(code if code >= 0 else 128 - code)

    def _verdict(self, code: int) -> End:
        if self.forced is not None:
            return self.forced
        if self._over_memory:
            return End(137, "OOMKilled")
        return End(code, "Completed" if code == 0 else "Error")

    def signal(self, number: int) -> None:
        """Send a signal to the container's first process; SIGKILL ends all of it."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            if number == signal.SIGKILL:
                self._sweep()

    def _sweep(self) -> None:
        """Kill what the container left; with its own process numbers nothing can be left."""
        if self._process is None or self._order.isolated:
            return
        marker = str(self._order.root)
        for pid in _marked(marker):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _watch_memory(self) -> None:
        import psutil

        assert self._process is not None  # noqa: S101
        while True:
            held = 0
            with suppress(psutil.Error):
                family = psutil.Process(self._process.pid).children(recursive=True)
                for one in family:
                    with suppress(psutil.Error):
                        held += one.memory_info().rss - one.memory_info().shared
            if held > self._order.memory:
                self._over_memory = True
                self.signal(signal.SIGKILL)
                return
            await asyncio.sleep(WATCH_S)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _marked(marker: str) -> list[int]:
    """Return the processes whose environment names a folder."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with suppress(OSError):
                if marker.encode() in Path(f"/proc/{name}/environ").read_bytes():
                    found.append(int(name))
    return found
