"""One real Prefect server per test session, on a port of its own; and servers to be killed, on demand."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

TUNED = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


@dataclass
class PrefectServer:
    """A running Prefect server."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def database_url(self) -> str:
        return f"sqlite+aiosqlite:///{self.home}/prefect.db"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(api_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=2) as reply:  # noqa: S310  our own server
            return bool(reply.status == 200)
    except OSError:
        return False


@contextmanager
def run_server(
    seconds: float = 180.0, again: PrefectServer | None = None, base: Path | None = None
) -> Iterator[PrefectServer]:
    """Start a Prefect server with a home of its own, or one that has died again; stop it and remove the home.

    Args:
        seconds: How long it may take to start [s].
        again: The server that has died.
        base: The database to begin with, which spares it the migrations.
    """
    home = again.home if again else Path(tempfile.mkdtemp(prefix="physlab-prefect-"))
    port = again.port if again else free_port()
    if base is not None:
        shutil.copy(base, home / "prefect.db")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    environment |= TUNED | {"PREFECT_HOME": str(home), "PREFECT_SERVER_API_HOST": "127.0.0.1"}
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--no-ui", "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        server = PrefectServer(home, port, process, log)
        try:
            deadline = time.monotonic() + seconds
            while not answers(server.api_url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        "The Prefect server did not start:\n" + (home / "server.log").read_text()[-3000:]
                    )
                time.sleep(0.2)
            yield server
        finally:
            server.stop()
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def talking_to(server: PrefectServer, retries: int = 5) -> Iterator[PrefectServer]:
    """Let flows of this process use a server."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        PREFECT_HOME,
        PREFECT_LOGGING_TO_API_ENABLED,
        PREFECT_SERVER_EPHEMERAL_ENABLED,
        temporary_settings,
    )

    settings = {
        PREFECT_API_URL: server.api_url,
        PREFECT_HOME: server.home,
        PREFECT_LOGGING_TO_API_ENABLED: False,
        PREFECT_SERVER_EPHEMERAL_ENABLED: False,
        PREFECT_CLIENT_MAX_RETRIES: retries,
    }
    with temporary_settings(settings):
        yield server


@pytest.fixture(scope="module", autouse=True)
def _fresh_events() -> Iterator[None]:
    """End the process's one sender of events: it would go on asking the server of an earlier module about runs."""
    from prefect.events.worker import EventsWorker

    EventsWorker.drain_all(timeout=10)  # of a server that is gone nothing comes any more
    yield
    EventsWorker.drain_all(timeout=10)


@pytest.fixture(scope="session", autouse=True)
def _compile_once(shared_folder: Path) -> Iterator[None]:
    """Let the many processes that import Prefect share compiled code where writing it is switched off.

    Elsewhere they share what stands beside the source: a place of their own would have to be filled first.
    """
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("PYTHONDONTWRITEBYTECODE"):
            patch.delenv("PYTHONDONTWRITEBYTECODE")
            patch.setenv("PYTHONPYCACHEPREFIX", str(shared_folder / "compiled"))
        yield


@pytest.fixture(scope="module")
def _module_server(prefect_base: Path) -> Iterator[PrefectServer]:
    """A server for a module: one that nobody asks any more still takes a tenth of a core."""
    from prefect.events.worker import EventsWorker

    with run_server(base=prefect_base) as server:
        yield server
        EventsWorker.drain_all(timeout=10)


@pytest.fixture
def prefect_server(_module_server: PrefectServer) -> Iterator[PrefectServer]:
    """The module's server, with Prefect's settings pointing at it during the test."""
    with talking_to(_module_server) as server:
        yield server


@pytest.fixture
def doomed_server(prefect_base: Path) -> Iterator[PrefectServer]:
    """A server of the test's own, which it may kill."""
    with run_server(base=prefect_base) as server, talking_to(server, retries=2):
        yield server
