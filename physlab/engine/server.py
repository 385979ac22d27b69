"""The lab's own local Prefect server: one for each home, started when first needed, stopped when idle."""

from __future__ import annotations

import base64
import http.client
import importlib.metadata
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast
from uuid import UUID

from physlab.engine.locator import checkout
from physlab.engine.server_folder import ServerFolder
from physlab.errors import ConfigurationError, ResourceError
from physlab.settings import Settings, child_environment
from physlab.store.store import require_open

ANSWER_S = 30.0
STOP_S = 20.0
TUNED = {  # one transaction for many events: 20 ms of server time a task run become 4 to 6
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_API_MAX_PARAMETER_SIZE": str(32 << 20),  # a graph of 100,000 nodes is a parameter too
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}


@dataclass(frozen=True)
class ServerInfo:
    """Which Prefect server a process talks to.

    Attributes:
        kind: The lab's own, one given by `PREFECT_API_URL`, Prefect's ephemeral one, or none.
        api_url: Its API; None for ephemeral and none, and for a lab server that never ran.
        database_url: Its database, where it is ours.
        auth: `user:password` of the lab's own server; its UI asks for it.
        started: True when this call started it.
        running: False when the lab's own server is down.
        pid: Its process.
        folder: Where the lab's own server keeps its files.
    """

    kind: Literal["lab", "given", "ephemeral", "none"]
    api_url: str | None = None
    database_url: str | None = field(default=None, repr=False)
    auth: str | None = field(default=None, repr=False)
    started: bool = False
    running: bool = True
    pid: int | None = None
    folder: Path | None = None

    @property
    def ui_url(self) -> str | None:
        """The address for a browser."""
        return self.api_url.removesuffix("/api") if self.api_url else None

    @property
    def log(self) -> Path | None:
        """The log file of the lab's own server."""
        return ServerFolder(self.folder).log if self.folder and self.kind == "lab" else None


def ensure_server(settings: Settings) -> ServerInfo:
    """Return a server that answers: the given one, or the lab's own, started if need be (4 to 10 s).

    Raises:
        ConfigurationError: The home cannot be written, the port is taken, or the given server does not answer.
        ResourceError: The lab's server cannot be started, or hangs; the error holds its last log lines.
    """
    folder = ServerFolder(settings.home / "server")
    if settings.server.mode != "lab":
        return ServerInfo(settings.server.mode, folder=folder.path)
    if given := _given_url(folder):
        return _given(given, folder)
    require_open(settings.home)
    folder.make()
    with folder.starting():
        return _running(settings, folder) or _start(settings, folder)


def server_status(settings: Settings) -> ServerInfo:
    """Say which server would be used and whether the lab's own is running; starts nothing."""
    folder = ServerFolder(settings.home / "server")
    if settings.server.mode != "lab":
        return ServerInfo(settings.server.mode, folder=folder.path)
    if given := _given_url(folder):
        return ServerInfo("given", given, folder=folder.path)
    return _described(settings, folder) if folder.is_served() else ServerInfo("lab", running=False, folder=folder.path)


def stop_server(settings: Settings) -> bool:
    """Stop the lab's own server; return False when none was running.

    Raises:
        ResourceError: It runs where this process cannot reach it, or does not end.
    """
    folder = ServerFolder(settings.home / "server")
    if not folder.is_served():
        return False
    with folder.starting():
        until = time.monotonic() + STOP_S
        while not folder.state() and folder.is_served() and time.monotonic() < until:  # it has not said yet who it is
            time.sleep(0.05)
        if not folder.is_served():
            return False
        pid = folder.pid()
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.kill(pid, number)
            deadline = time.monotonic() + STOP_S
            while time.monotonic() < deadline:
                if not folder.is_served():
                    return True
                time.sleep(0.05)
    raise ResourceError(f"The lab server (process {pid}) does not stop.", hint="End it by hand.")


def environment(info: ServerInfo) -> dict[str, str]:
    """Return the `PREFECT_*` variables with which a process talks to this server, and keeps results as JSON."""
    variables = {"PREFECT_RESULTS_DEFAULT_SERIALIZER": "json", "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false"}
    if info.folder is not None:
        variables["PREFECT_RESULTS_LOCAL_STORAGE_PATH"] = str(info.folder / "results")
    if info.api_url is not None:
        variables["PREFECT_API_URL"] = info.api_url
    if info.auth is not None:
        variables["PREFECT_API_AUTH_STRING"] = info.auth
    if info.kind == "lab":  # on this machine: what does not answer in 14 s is dead, and Prefect's own 5 take minutes
        variables["PREFECT_CLIENT_MAX_RETRIES"] = "3"
    if info.kind == "ephemeral":
        variables |= {
            "PREFECT_API_URL": "",
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
    return variables


@contextmanager
def connected(info: ServerInfo) -> Iterator[None]:
    """Make Prefect in this process talk to this server."""
    import prefect.settings

    variables = {getattr(prefect.settings, name): value for name, value in environment(info).items()}
    updates: dict[Any, Any] = {setting: value for setting, value in variables.items() if value}
    if info.kind == "lab":  # which sees itself whether a run's process is alive; ending a heart's thread takes a second
        updates[prefect.settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY] = None
    with prefect.settings.temporary_settings(updates, restore_defaults=variables.keys() - updates.keys()):
        yield


def _given_url(folder: ServerFolder) -> str | None:
    """Return the API that Prefect's own settings name, unless it is this lab's."""
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    return None if url is None or url == folder.state().get("api_url") else url


def _given(url: str, folder: ServerFolder) -> ServerInfo:
    from prefect import get_client

    with get_client(sync_client=True) as client:
        trouble = client.api_healthcheck()
    if trouble is not None:
        raise ConfigurationError(
            f"The Prefect server at {url} does not answer: {trouble}.",
            hint="Start it, correct PREFECT_API_URL, or unset it to use the lab's own server.",
        )
    return ServerInfo("given", url, folder=folder.path)


def _described(settings: Settings, folder: ServerFolder) -> ServerInfo:
    state = folder.state()
    return ServerInfo(
        "lab",
        state.get("api_url"),
        _database_url(settings, folder),
        folder.auth(),
        pid=state.get("pid"),
        folder=folder.path,
    )


def _database_url(settings: Settings, folder: ServerFolder) -> str:
    return settings.server.database_url or f"sqlite+aiosqlite:///{folder.path / 'prefect.db'}"


def _running(settings: Settings, folder: ServerFolder) -> ServerInfo | None:
    """Return the lab's server once it answers; None when there is none, or it was about to stop."""
    deadline = time.monotonic() + ANSWER_S
    while folder.is_served():
        info, pid = _described(settings, folder), folder.pid()
        if info.api_url and info.auth and _is_ours(info.api_url, info.auth):
            return info
        if time.monotonic() > deadline:
            raise ResourceError(
                f"The lab server (process {pid}) does not answer at {info.api_url}. {folder.last_words()}",
                hint="Stop it with: physlab server down.",
            )
        time.sleep(0.1)
    return None


def _is_ours(api_url: str, auth: str) -> bool:
    """Say whether the server there knows this lab's secret: it refuses without it and answers with it."""
    host, _, port = api_url.removeprefix("http://").removesuffix("/api").rpartition(":")
    token = base64.b64encode(auth.encode()).decode()
    try:
        answers = [_status(host, int(port), headers) for headers in ({}, {"Authorization": f"Basic {token}"})]
    except (OSError, http.client.HTTPException):
        return False
    return answers == [401, 200]


def _status(host: str, port: int, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=10)
    try:
        connection.request("GET", "/api/admin/version", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _start(settings: Settings, folder: ServerFolder) -> ServerInfo:
    if folder.log.exists():
        folder.log.replace(f"{folder.log}.1")
    _launch(settings, folder)
    info = _running(settings, folder)
    if info is None:
        raise _failed_start("ended as soon as it was ready", folder)
    _settle(info)
    return replace(info, started=True)


def _settle(info: ServerInfo) -> None:
    """Make a store that refuses pickles everybody's default, and close what was running when the last server died."""
    from prefect import get_client

    from physlab.engine.ownership import close_lost_runs
    from physlab.engine.results import PlainResults

    with connected(info), get_client(sync_client=True) as client:
        block = PlainResults(basepath=environment(info)["PREFECT_RESULTS_LOCAL_STORAGE_PATH"])
        saved = block.save("lab", overwrite=True, _sync=True)  # type: ignore[call-arg]
        client.update_server_default_result_storage(cast(UUID, saved))
        close_lost_runs()


def _launch(settings: Settings, folder: ServerFolder) -> None:
    """Start the host process and wait for its word; it gets the open port, so that nobody can take it meanwhile."""
    ready_end, ready_fd = os.pipe()
    with (
        _listen(settings, folder.state().get("port", 0)) as listener,
        os.fdopen(ready_end, "rb", buffering=0) as ready,
        folder.log.open("w") as log,
    ):
        host, port = listener.getsockname()[:2]
        api_url = f"http://{f'[{host}]' if ':' in host else host}:{port}/api"
        orders = {
            "folder": str(folder.path),
            "state": {"port": port, "api_url": api_url},
            "listen_fd": listener.fileno(),
            "ready_fd": ready_fd,
            "idle_timeout_s": settings.server.idle_timeout_s,
        }
        subprocess.run(
            [sys.executable, "-P", "-m", "physlab.engine.server_host", json.dumps(orders)],
            env=_variables(settings, folder, api_url),
            cwd=folder.path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(listener.fileno(), ready_fd),
            check=False,
        )
        os.close(ready_fd)
        pid = ready.readline()
        if not select.select([ready], [], [], settings.server.start_timeout_s)[0]:
            os.kill(int(pid), signal.SIGKILL)
            raise _failed_start(f"was not ready after {settings.server.start_timeout_s:g} s", folder)
        if not ready.readline():
            raise _failed_start("ended while starting", folder)


def _listen(settings: Settings, remembered: int) -> socket.socket:
    """Bind the configured port, else the one used before, else a free one."""
    host, wanted = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (wanted,) if wanted else (remembered, 0):
        try:
            return socket.create_server((host, port), family=family, backlog=2048)
        except OSError as error:
            trouble = error
    raise ConfigurationError(
        f"The lab server cannot listen on {host}:{wanted or 'any port'}: {trouble.strerror}.",
        hint="Choose another server.port in physlab.toml, or leave it out for a free one.",
    ) from trouble


def _variables(settings: Settings, folder: ServerFolder, api_url: str) -> dict[str, str]:
    """Return the environment of the server process: nothing of the user's own Prefect set-up, everything of ours."""
    address = api_url.removesuffix("/api")
    ours = {
        **TUNED,
        "PREFECT_HOME": str(folder.path),
        "PREFECT_API_URL": api_url,
        "PREFECT_API_AUTH_STRING": folder.auth(),
        "PREFECT_SERVER_API_AUTH_STRING": folder.auth(),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": _database_url(settings, folder),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{address},{address.replace('127.0.0.1', 'localhost')}",
        "PYTHONUNBUFFERED": "1",
    }
    source = checkout()
    if source is not None:  # a checkout need not be installed
        ours["PYTHONPATH"] = str(source)
    return child_environment(ours, drop_prefix="PREFECT_")


def _failed_start(why: str, folder: ServerFolder) -> ResourceError:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("prefect", "fastapi"))
    return ResourceError(
        f"The lab's Prefect server {why}. {folder.last_words()}",
        hint=f"Installed: {versions} (Prefect 3.8 needs fastapi below 0.151). Its log: {folder.log}. "
        "To run without a server: --no-server.",
    )
