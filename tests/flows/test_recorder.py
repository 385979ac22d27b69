"""The process that writes task runs into the server's database, and what happens when it or the server dies."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest
from prefect import flow
from prefect.context import FlowRunContext

from physlab.engine import submitter as module
from physlab.engine.recorder import Child
from physlab.engine.submitter import PrefectSubmitter
from physlab.engine.taskevents import Scribe
from physlab.errors import ConfigurationError, ResourceError
from physlab.submitter import Step
from tests.flows.conftest import PrefectServer, run_server
from tests.processes import descendants

STEPS = [Step(f"n{i}", upstream=(f"n{i - 1}",) if i else ()) for i in range(60)]


def carry_out(submitter: PrefectSubmitter, steps: list[Step], done: list[str]) -> None:
    for step in steps:
        submitter.submit(step, lambda attempt, step=step: done.append(step.id))  # type: ignore[misc]


def test_a_database_that_is_not_the_servers_is_refused(prefect_server: PrefectServer) -> None:
    child = Child(prefect_server.database_url, uuid4())
    with pytest.raises(ResourceError, match="does not know this flow run"):
        child.wait_ready()
    assert not psutil.pid_exists(child.pid)


def test_forcing_a_wrong_database_fails_at_once(prefect_server: PrefectServer, tmp_path: Path) -> None:
    @flow
    def wrong() -> None:
        submitter = PrefectSubmitter(database_url=f"sqlite+aiosqlite:///{tmp_path}/no.db", mode="database")
        with pytest.raises(ResourceError, match="ended with code 1"):
            submitter.open(1)

    wrong()


def test_forcing_a_database_needs_one(prefect_server: PrefectServer) -> None:
    @flow
    def none() -> None:
        with pytest.raises(ConfigurationError, match="without a database_url"):
            PrefectSubmitter(mode="database")

    none()


def test_with_a_wrong_database_events_take_over(prefect_server: PrefectServer, tmp_path: Path) -> None:
    done: list[str] = []

    @flow
    def wrong() -> dict[str, Any]:
        submitter = PrefectSubmitter(database_url=f"sqlite+aiosqlite:///{tmp_path}/no.db")
        submitter.open(module.DATABASE_FROM)
        carry_out(submitter, STEPS, done)
        return submitter.close()

    assert wrong() == {"recorded": 60, "executed": 60, "recorder": "events"}


def test_when_the_child_dies_events_take_over_where_it_stopped(prefect_server: PrefectServer) -> None:
    done: list[str] = []

    @flow
    def dying() -> dict[str, Any]:
        submitter = PrefectSubmitter(database_url=prefect_server.database_url, mode="database")
        submitter.open(len(STEPS))
        carry_out(submitter, STEPS[:30], done)
        [child] = descendants("recorder_child.py")
        child.kill()
        carry_out(submitter, STEPS[30:], done)
        return submitter.close()

    assert dying() == {"recorded": 60, "executed": 60, "recorder": "events"}


def test_sqlite_holds_what_prefects_own_interface_would_write(prefect_server: PrefectServer) -> None:
    """Prefect may change how it stores values: then this fails, and the recorder has to follow."""
    at = datetime(2026, 5, 1, 12, 30, 5, tzinfo=timezone(timedelta(hours=2)))
    late = at + timedelta(seconds=90, microseconds=250)

    @flow
    def write() -> UUID:
        context = FlowRunContext.get()
        assert context and context.flow_run
        scribe = Scribe(context.flow_run, "write", ["räum"])
        for index, url in enumerate((prefect_server.database_url, f"{prefect_server.database_url}?timeout=60")):
            child = Child(url, context.flow_run.id)
            child.wait_ready()
            step = Step(f"n{index}", ("tool:wave",), ("a", "b"), 2)
            child.write([scribe.shown(step, "COMPLETED", "Cached", "Ünchanged.", scribe.inputs(step), (at, late))])
            child.close()
        return context.flow_run.id

    own = {"id", "created", "updated", "name", "dynamic_key", "task_run_id", "state_id"}
    with sqlite3.connect(prefect_server.database_url.partition(":///")[2]) as base:
        base.row_factory = lambda cursor, row: dict(zip((c[0] for c in cursor.description), row, strict=True))
        runs = base.execute("SELECT * FROM task_run WHERE flow_run_id = ? ORDER BY name", (str(write()),)).fetchall()
        ids = [row["id"] for row in runs]
        states = [base.execute("SELECT * FROM task_run_state WHERE task_run_id = ?", (one,)).fetchone() for one in ids]
    for here, prefects in (runs, states):
        for name in here:
            text, other = str(here[name]), str(prefects[name])
            if name not in own:
                assert text.replace(ids[0], "id") == other.replace(ids[1], "id"), name
            assert type(here[name]) is type(prefects[name]) and len(text) == len(other), name


def test_a_killed_parent_leaves_no_child(prefect_server: PrefectServer) -> None:
    program = (
        "import sys, uuid; from physlab.engine.recorder import Child;"
        "print(Child(sys.argv[1], uuid.uuid4()).pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, prefect_server.database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdin and parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    _, alive = psutil.wait_procs([child], timeout=60)
    assert not alive


@pytest.mark.parametrize("mode", ["events", "database"])
def test_a_run_finishes_when_the_server_is_gone(doomed_server: PrefectServer, mode: Any) -> None:
    done: list[str] = []
    said: dict[str, Any] = {}

    @flow
    def orphaned() -> None:
        submitter = PrefectSubmitter(database_url=doomed_server.database_url, mode=mode)
        submitter.open(len(STEPS))
        submitter.hits([Step("h")])
        carry_out(submitter, STEPS[:20], done)
        doomed_server.kill()
        carry_out(submitter, STEPS[20:], done)
        submitter.skips([Step("s")], "n3 failed")
        said.update(submitter.close())

    with pytest.raises(Exception, match=r"(?i)connect|503"):  # Prefect cannot report the end of the flow itself
        orphaned()
    assert done == [step.id for step in STEPS]
    assert (said["recorded"], said["executed"]) == (None, 60)
    assert "does not answer" in said["recording_problem"]


def test_what_happened_while_the_server_was_away_is_recorded_when_it_is_back(doomed_server: PrefectServer) -> None:
    done: list[str] = []

    @flow
    def interrupted() -> dict[str, Any]:
        submitter = PrefectSubmitter(mode="events")
        submitter.open(len(STEPS))
        carry_out(submitter, STEPS[:20], done)
        doomed_server.kill()
        carry_out(submitter, STEPS[20:], done)
        stack.enter_context(run_server(again=doomed_server))
        return submitter.close()

    with ExitStack() as stack:
        assert interrupted() == {"recorded": 60, "executed": 60, "recorder": "events"}
