"""The lab's own Prefect server, really started: once per home, safely, and gone when it should be."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from prefect.events.worker import EventsWorker

from physlab.engine.ownership import BORN, HOST, PID, begin_run, claim_run, close_lost_runs, is_gone, owner_labels
from physlab.engine.server import ServerInfo, connected, ensure_server, environment, server_status, stop_server
from physlab.engine.server_folder import ServerFolder
from physlab.engine.server_host import is_awaited, runs_are_active
from physlab.errors import ConfigurationError, ResourceError
from physlab.settings import Settings, child_environment, load_settings
from tests.empty_base import furnish
from tests.flows.conftest import PrefectServer, free_port


def lab(home: Path, **server: Any) -> Settings:
    return load_settings(home.parent, {"home": home, "server": server}, environ={"HOME": str(home.parent)})


def left_processes(home: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if str(home) in " ".join(process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def wait_until(happened: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := happened()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose server runs for the whole module."""
    home = tmp_path_factory.mktemp("lab") / "home"
    yield home
    EventsWorker.drain_all()
    stop_server(lab(home))
    assert left_processes(home) == []


@pytest.fixture(scope="module")
def server(home: Path) -> ServerInfo:
    return ensure_server(lab(home))


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    """A home for a server that the test starts and ends itself."""
    yield tmp_path / "home"
    stop_server(lab(tmp_path / "home"))
    assert left_processes(tmp_path) == []


def run_python(code: str, info: ServerInfo | None = None, **variables: str) -> subprocess.Popen[str]:
    given = environment(info) if info else {}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=child_environment({**given, **variables}, drop_prefix="PREFECT_"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_first_call_starts_and_the_next_finds(home: Path, server: ServerInfo) -> None:
    assert server.started and server.running and server.kind == "lab"
    again = ensure_server(lab(home))
    assert not again.started and (again.pid, again.api_url) == (server.pid, server.api_url)
    assert server_status(lab(home)) == again
    assert again.ui_url == f"http://127.0.0.1:{ServerFolder(home / 'server').state()['port']}"
    assert again.database_url == f"sqlite+aiosqlite:///{home}/server/prefect.db"


def test_server_is_detached_and_its_secrets_private(home: Path, server: ServerInfo) -> None:
    assert server.pid is not None and os.getsid(server.pid) != os.getsid(0)
    assert psutil.Process(server.pid).ppid() != os.getpid()
    folder = home / "server"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("auth", "state.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert server.auth and server.auth not in repr(server)
    assert server.auth not in " ".join(psutil.Process(server.pid).cmdline())


def test_it_answers_only_those_who_know_the_secret(server: ServerInfo) -> None:
    import httpx

    assert server.auth is not None
    url = f"{server.api_url}/admin/version"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("lab", "guess")).status_code == 401
    assert httpx.get(url, auth=tuple(server.auth.split(":"))).status_code == 200  # type: ignore[arg-type]
    foreign = httpx.options(url, headers={"Origin": "http://evil.test", "Access-Control-Request-Method": "GET"})
    assert "access-control-allow-origin" not in foreign.headers
    page = httpx.get(str(server.ui_url), follow_redirects=True)
    assert page.status_code == 200 and "text/html" in page.headers["content-type"]


def test_runs_are_recorded_over_the_authenticated_socket(server: ServerInfo) -> None:
    from prefect import flow, get_client, task

    @task
    def square(x: int) -> int:
        return x * x

    @flow
    def squares() -> int:
        return sum(square(x) for x in range(5))

    with connected(server):
        state = squares(return_state=True)
        flow_run_id = state.state_details.flow_run_id
        with get_client(sync_client=True) as client:
            runs = wait_until(lambda: five_done(client, flow_run_id))
    assert sorted(run.state_name for run in runs) == ["Completed"] * 5


def five_done(client: Any, flow_run_id: UUID | None) -> list[Any]:
    from prefect.client.schemas.filters import FlowRunFilter

    runs = client.read_task_runs(flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [flow_run_id]}}))
    return runs if len(runs) == 5 and all(run.state.is_final() for run in runs) else []


def test_the_database_is_in_wal_mode_and_the_server_tuned(home: Path, server: ServerInfo) -> None:
    import sqlite3

    with sqlite3.connect(home / "server" / "prefect.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert server.pid is not None
    variables = psutil.Process(server.pid).environ()
    assert variables["PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE"] == "500"
    assert variables["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


def test_results_are_json_for_whoever_is_connected(home: Path, server: ServerInfo) -> None:
    from prefect.settings import get_current_settings

    before = get_current_settings().api.url
    with connected(server):
        settings = get_current_settings()
        assert settings.results.default_serializer == "json" and not settings.results.persist_by_default
        assert settings.results.local_storage_path == home / "server" / "results"
        assert settings.api.url == server.api_url
        assert ensure_server(lab(home)).kind == "lab"  # its own address does not make it a stranger
    assert get_current_settings().api.url == before


def test_block_types_are_known_and_a_lab_is_settings(server: ServerInfo, home: Path, tmp_path: Path) -> None:
    from prefect import get_client
    from pydantic import SecretStr

    from physlab.engine.blocks import ArtifactStore, LocalLab, settings_from_block

    with connected(server):
        with get_client(sync_client=True) as client:
            assert {"local-lab", "artifact-store"} <= {kind.slug for kind in client.read_block_types()}
        url = "postgresql+psycopg://me:secret@db/index"
        store = ArtifactStore(home=str(tmp_path / "lab"), index_url=SecretStr(url))
        store.save("tested", overwrite=True)
        LocalLab(store=store, results="out", parallelism=5, fail_fast=True).save("tested", overwrite=True)
        settings = settings_from_block("tested", tmp_path)
        with pytest.raises(ConfigurationError, match="Did you mean 'tested'"):
            settings_from_block("testet")
    assert settings.home == tmp_path / "lab" and settings.results == tmp_path / "out"
    assert settings.run.parallelism == 5 and settings.run.fail_fast and settings.store.index_url == url
    assert "secret" not in (home / "server" / "prefect.db").read_bytes().decode("latin-1")


LOST = """
import sys
from prefect import flow, runtime, task
from physlab.engine.ownership import begin_run

@task
def wait():
    print(runtime.flow_run.id, flush=True)
    sys.stdin.read()

@flow(name="run-dag")
def run_dag():
    begin_run("a run")
    wait()

run_dag()
"""


def test_runs_of_a_killed_process_are_closed(server: ServerInfo) -> None:
    from prefect import flow, get_client, runtime
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

    closed: list[UUID] = []

    @flow(name="run-dag")
    def a_live_run() -> None:
        claim_run(UUID(runtime.flow_run.id))
        closed.extend(close_lost_runs())

    with connected(server), get_client(sync_client=True) as client, run_python(LOST, server) as process:
        assert process.stdout is not None
        lost = UUID(process.stdout.readline().strip())
        mine = FlowRunFilter.model_validate({"id": {"any_": [lost]}})
        wait_until(lambda: [run for run in client.read_task_runs(flow_run_filter=mine) if run.state_name == "Running"])
        assert close_lost_runs() == []
        with temporary_settings({PREFECT_SERVER_DATABASE_CONNECTION_URL: server.database_url}):
            assert asyncio.run(runs_are_active())
        process.kill()
        process.wait()
        assert a_live_run(return_state=True).is_completed()
        assert closed == [lost]
        run = client.read_flow_run(lost)
        assert run.state is not None and run.state.is_crashed()
        assert f"Process {process.pid}" in str(run.state.message)
        assert [task.state_name for task in client.read_task_runs(flow_run_filter=mine)] == ["Crashed"]
        assert close_lost_runs() == []


def test_a_run_goes_on_when_it_cannot_be_claimed(
    server: ServerInfo, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx
    from prefect import flow

    def unreachable(_: UUID, name: str) -> None:
        raise httpx.ConnectError("All connection attempts failed")

    @flow
    def far_away() -> int:
        monkeypatch.setattr("physlab.engine.ownership.claim_run", unreachable)
        begin_run("a run")
        return 1

    with connected(server):
        assert far_away() == 1
    assert "could not be claimed (All connection attempts failed)" in caplog.text


def test_an_owner_is_gone_only_when_that_is_certain() -> None:
    mine = owner_labels()
    assert not is_gone(mine)
    assert is_gone(mine | {BORN: float(mine[BORN]) - 1000})  # the number was given to another process
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_gone(mine | {PID: ended.pid})
    assert not is_gone(mine | {PID: ended.pid, HOST: "another-host"})
    assert not is_gone({})


def test_runs_lost_with_their_server_are_closed_when_it_comes_back(own_home: Path, prefect_base: Path) -> None:
    from prefect import get_client

    furnish(own_home, prefect_base)
    first = ensure_server(lab(own_home))
    assert first.pid is not None
    with run_python(LOST, first) as process:
        assert process.stdout is not None
        lost = UUID(process.stdout.readline().strip())
        process.kill()
        psutil.Process(first.pid).kill()
    wait_until(lambda: not server_status(lab(own_home)).running)
    with connected(ensure_server(lab(own_home))), get_client(sync_client=True) as client:
        run = client.read_flow_run(lost)
    assert run.state is not None and run.state.is_crashed()


ENSURE = """
import json, sys
from pathlib import Path
from physlab.engine.server import ensure_server
from physlab.settings import load_settings
info = ensure_server(load_settings(overrides={"home": sys.argv[1]} if len(sys.argv) > 1 else None))
print(json.dumps([info.started, info.pid, info.api_url]))
"""


def test_two_starters_make_one_server_and_a_killed_one_is_replaced(own_home: Path) -> None:
    starters = [run_python(ENSURE, PHYSLAB_HOME=str(own_home)) for _ in range(2)]
    answers = [json.loads(starter.communicate()[0]) for starter in starters]
    assert sorted(started for started, _, _ in answers) == [False, True]
    assert answers[0][1:] == answers[1][1:]
    first = psutil.Process(answers[0][1])
    first.kill()
    wait_until(lambda: not server_status(lab(own_home)).running)
    folder = ServerFolder(own_home / "server")
    folder._state.write_text(json.dumps({**folder.state(), "pid": os.getpid()}))  # as if the number were reused
    assert stop_server(lab(own_home)) is False
    second = ensure_server(lab(own_home))
    assert second.started and second.pid not in (first.pid, os.getpid())
    assert second.api_url == answers[0][2]  # bookmarks and the UI's log-in stay valid
    assert stop_server(lab(own_home)) is True
    assert stop_server(lab(own_home)) is False
    assert not server_status(lab(own_home)).running


def test_it_stops_itself_when_idle(own_home: Path, prefect_base: Path) -> None:
    furnish(own_home, prefect_base)
    info = ensure_server(lab(own_home, idle_timeout_s=1))
    assert info.started
    with (own_home / "server" / "run.lock").open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # granted when the server has ended
    assert not server_status(lab(own_home)).running


def test_a_schedule_keeps_it_awake(server: ServerInfo, tmp_path: Path) -> None:
    source = "from prefect import flow\n@flow\ndef tick():\n    pass\n"
    (tmp_path / "tick.py").write_text(source)
    with connected(server):
        from prefect import flow, get_client
        from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

        tick = flow.from_source(str(tmp_path), "tick.py:tick")  # type: ignore[attr-defined]
        with get_client(sync_client=True) as client:
            from prefect.client.schemas.actions import WorkPoolCreate

            client.create_work_pool(WorkPoolCreate(name="idle", type="process"))
        with temporary_settings({PREFECT_SERVER_DATABASE_CONNECTION_URL: server.database_url}):
            assert not asyncio.run(is_awaited())
            assert not asyncio.run(runs_are_active())
            tick.deploy("daily", work_pool_name="idle", cron="0 3 * * *", print_next_steps=False)
            assert asyncio.run(is_awaited())
            assert not asyncio.run(runs_are_active())


POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture
def postgres() -> Iterator[str]:
    """A PostgreSQL of the test's own; it refuses to run as root."""
    programs, user = POSTGRES[-1].parent, "postgres" if os.geteuid() == 0 else None
    folder, port = Path(tempfile.mkdtemp(prefix="physlab-postgres-")), free_port()
    if user:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        subprocess.run([programs / program, *arguments], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    run("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "me")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    run("pg_ctl", "-D", f"{folder}/data", "-o", options, "-l", f"{folder}/log", "-w", "start")
    run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "me", "lab")
    yield f"postgresql://me:secret@127.0.0.1:{port}/lab"
    run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.mark.skipif(not POSTGRES, reason="PostgreSQL is not installed")
def test_it_keeps_its_runs_in_postgresql_when_asked(own_home: Path, postgres: str) -> None:
    from prefect import flow, get_client

    @flow
    def nothing() -> None:
        return None

    info = ensure_server(lab(own_home, database_url=postgres))
    assert info.database_url == postgres.replace("postgresql", "postgresql+asyncpg")
    with connected(info), get_client(sync_client=True) as client:
        nothing()
        assert [run.state_name for run in client.read_flow_runs()] == ["Completed"]
    EventsWorker.drain_all()
    assert not (own_home / "server" / "prefect.db").exists()


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"127.0.0.1:{port}: Address already in use.*server.port"):
            ensure_server(lab(tmp_path / "home", port=port))
    assert not server_status(lab(tmp_path / "home")).running


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ConfigurationError, match=r"not writable.*PHYSLAB_HOME"):
        ensure_server(lab(tmp_path / "home"))


def test_a_server_that_fails_says_its_last_words(own_home: Path) -> None:
    broken = lab(own_home, database_url="postgresql+asyncpg://me:secret@127.0.0.1:9/none")
    with pytest.raises(ResourceError) as caught:
        ensure_server(broken)
    assert "ended while starting" in str(caught.value) and "Connect" in str(caught.value)
    assert "fastapi" in caught.value.hint and "server.log" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_server_that_takes_too_long_is_ended(own_home: Path) -> None:
    with pytest.raises(ResourceError, match=r"not ready after 0.01 s"):
        ensure_server(lab(own_home, start_timeout_s=0.01))
    wait_until(lambda: not left_processes(own_home))
    assert not server_status(lab(own_home)).running


def test_a_given_server_is_used(prefect_server: PrefectServer, tmp_path: Path) -> None:
    info = ensure_server(lab(tmp_path / "home"))
    assert (info.kind, info.api_url, info.started) == ("given", prefect_server.api_url, False)
    assert info.database_url is None and info.log is None
    assert server_status(lab(tmp_path / "home")).kind == "given"
    assert not (tmp_path / "home").exists()


def test_a_given_server_that_is_down_is_told(tmp_path: Path) -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    down = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(down), pytest.raises(ConfigurationError, match=r"127.0.0.1:9/api does not answer.*unset"):
        ensure_server(lab(tmp_path / "home"))


def test_without_prefect_nothing_is_started(tmp_path: Path) -> None:
    info = ensure_server(lab(tmp_path / "home", mode="none"))
    assert (info.kind, info.api_url) == ("none", None)
    assert not (tmp_path / "home").exists()


EPHEMERAL = """
from prefect import flow, get_client
from physlab.engine.server import connected, ensure_server
from physlab.settings import load_settings

@flow
def answer():
    return 42

info = ensure_server(load_settings())
with connected(info):
    with get_client(sync_client=True) as client:
        print(info.kind, info.api_url, answer(), client.server_type.name)
"""


def test_ephemeral_can_be_forced(tmp_path: Path, prefect_base: Path) -> None:
    (tmp_path / "prefect").mkdir()
    shutil.copy(prefect_base, tmp_path / "prefect" / "prefect.db")
    process = run_python(
        EPHEMERAL,
        PHYSLAB_HOME=str(tmp_path),
        PHYSLAB_SERVER__MODE="ephemeral",
        PREFECT_API_URL="http://127.0.0.1:9/api",
        PREFECT_HOME=str(tmp_path / "prefect"),
    )
    output, _ = process.communicate()
    assert output.split() == ["ephemeral", "None", "42", "EPHEMERAL"]
