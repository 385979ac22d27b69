"""Nodes as task runs: what the server shows, and that errors and results pass through unchanged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import flow, tags
from prefect.runtime import flow_run, task_run

from physlab.engine import submitter as module
from physlab.engine.noderun import NodeRun
from physlab.engine.pacing import Pacer
from physlab.engine.submitter import PrefectSubmitter
from physlab.errors import CancelledError, ComputationError, ConfigurationError, TimeLimitError, ValidationError
from physlab.submitter import Step
from tests.flows.conftest import TUNED, PrefectServer

BOTH = pytest.mark.parametrize("mode", ["events", "database"])
Act = Callable[[PrefectSubmitter], None]


class Lab:
    """Runs a flow around a submitter, and asks the server what it shows."""

    def __init__(self, server: PrefectServer) -> None:
        self.server = server
        self.id = ""

    def run(self, act: Act, **wishes: Any) -> dict[str, Any]:
        @flow
        def conduct() -> dict[str, Any]:
            self.id = str(flow_run.id)
            submitter = PrefectSubmitter(database_url=self.server.database_url, **wishes)
            submitter.open(10)
            act(submitter)
            return submitter.close()

        return conduct()

    def ask(self, path: str, **query: Any) -> Any:
        return httpx.post(f"{self.server.api_url}{path}", json=query, timeout=30).raise_for_status().json()

    def shown(self) -> dict[str, dict[str, Any]]:
        rows = self.ask("/task_runs/filter", flow_runs={"id": {"any_": [self.id]}})
        return {row["name"]: row for row in rows}

    def history(self, node: str) -> list[str]:
        return [state["name"] for state in self.states(node)]

    def states(self, node: str) -> list[dict[str, Any]]:
        query = {"task_run_id": self.shown()[node]["id"]}
        return list(httpx.get(f"{self.server.api_url}/task_run_states/", params=query, timeout=30).json())

    def edges(self) -> dict[str, set[str]]:
        nodes = httpx.get(f"{self.server.api_url}/flow_runs/{self.id}/graph-v2", timeout=30).json()["nodes"]
        names = {node["id"]: node["label"] for _, node in nodes}
        return {node["label"]: {names[parent["id"]] for parent in node["parents"]} for _, node in nodes}


@pytest.fixture
def lab(prefect_server: PrefectServer) -> Lab:
    return Lab(prefect_server)


def nothing(attempt: int) -> None:
    pass


def fail(error: Exception) -> Callable[[int], None]:
    def body(attempt: int) -> None:
        raise error

    return body


@BOTH
def test_nodes_hits_and_skips_stand_in_one_graph(lab: Lab, mode: str) -> None:
    def act(submitter: PrefectSubmitter) -> None:
        submitter.hits([Step("wave", ("tool:wave",)), Step("grid", upstream=("wave",))])
        submitter.submit(Step("sum", ("tool:sum", "cpu"), ("wave", "grid")), nothing)
        with pytest.raises(ComputationError):
            submitter.submit(Step("fit", upstream=("sum",)), fail(ComputationError("No fit for 7 points.")))
        submitter.skips([Step("plot", upstream=("fit", "sum"))], "fit failed: No fit for 7 points.")

    with tags("thesis"):
        assert lab.run(act, mode=mode) == {"recorded": 2, "executed": 2, "recorder": mode}
    shown = lab.shown()
    assert {name: (row["state_type"], row["state_name"], row["run_count"]) for name, row in shown.items()} == {
        "wave": ("COMPLETED", "Cached", 0),
        "grid": ("COMPLETED", "Cached", 0),
        "sum": ("COMPLETED", "Completed", 1),
        "fit": ("FAILED", "Failed", 1),
        "plot": ("CANCELLED", "Skipped", 0),
    }
    assert lab.edges() == {
        "wave": set(), "grid": {"wave"}, "sum": {"wave", "grid"}, "fit": {"sum"}, "plot": {"fit", "sum"},
    }  # fmt: skip
    assert shown["sum"]["tags"] == ["cpu", "thesis", "tool:sum"] and shown["wave"]["tags"] == ["thesis", "tool:wave"]
    assert shown["plot"]["state"]["message"] == "fit failed: No fit for 7 points."
    assert "ComputationError: No fit for 7 points." in shown["fit"]["state"]["message"]
    assert lab.history("sum") == ["Running", "Completed"]
    assert shown["sum"]["start_time"] < shown["sum"]["end_time"]


def test_event_feeds_see_the_nodes(lab: Lab) -> None:
    lab.run(lambda submitter: submitter.submit(Step("n"), nothing), mode="events")
    related = {"id": [f"prefect.flow-run.{lab.id}"], "role": ["flow-run"]}
    wanted = {"event": {"prefix": ["prefect.task-run."]}, "related": related}
    seen: Counter[str] = Counter()
    while len(seen) < 2:  # the server keeps events a moment later than task runs
        seen = Counter(event["event"] for event in lab.ask("/events/filter", filter=wanted)["events"])
    assert seen == {"prefect.task-run.Running": 1, "prefect.task-run.Completed": 1}


@BOTH
def test_errors_come_out_unchanged(lab: Lab, mode: str) -> None:
    errors: dict[str, Exception] = {
        "time": TimeLimitError("Node 'time' ran longer than 3 s."),
        "bug": KeyError("x"),
        "wrong": ValidationError("n = -1", hint="n >= 0"),
        "stop": CancelledError("Stopped by ada."),
    }

    def act(submitter: PrefectSubmitter) -> None:
        for name, error in errors.items():
            with pytest.raises(type(error)) as caught:
                submitter.submit(Step(name), fail(error))
            assert caught.value is error

    assert lab.run(act, mode=mode)["recorded"] == 4
    shown = lab.shown()
    assert {name: row["state_type"] for name, row in shown.items()} == {
        "time": "FAILED", "bug": "FAILED", "wrong": "FAILED", "stop": "CANCELLED",
    }  # fmt: skip
    assert shown["stop"]["state"]["message"] == "Stopped by ada."
    assert "ran longer than 3 s" in shown["time"]["state"]["message"]


@BOTH
def test_only_what_may_help_is_tried_again(lab: Lab, mode: str) -> None:
    attempts: dict[str, list[int]] = {"twice": [], "wrong": [], "never": []}

    def body(name: str, error: Exception, succeed_at: int) -> Callable[[int], None]:
        def call(attempt: int) -> None:
            attempts[name].append(attempt)
            if attempt < succeed_at:
                raise error

        return call

    def act(submitter: PrefectSubmitter) -> None:
        submitter.submit(Step("twice", retries=3), body("twice", ComputationError("once"), 2))
        with pytest.raises(ValidationError):
            submitter.submit(Step("wrong", retries=3), body("wrong", ValidationError("bad"), 9))
        with pytest.raises(ComputationError, match="always"):
            submitter.submit(Step("never", retries=1), body("never", ComputationError("always"), 9))

    assert lab.run(act, mode=mode)["recorded"] == 3
    assert attempts == {"twice": [1, 2], "wrong": [1], "never": [1, 2]}
    assert lab.history("twice") == ["Running", "Retrying", "Completed"]
    assert lab.states("twice")[1]["message"] == "once", "why it is tried again is shown"
    assert lab.history("never") == ["Running", "Retrying", "Failed"]
    assert lab.shown()["never"]["run_count"] == 2


def test_plain_threads_run_bodies_inside_their_task_run(lab: Lab) -> None:
    seen: dict[str, Any] = {}

    def body(attempt: int) -> None:
        seen[task_run.name] = (str(flow_run.id), task_run.id, sorted(task_run.tags))

    def act(submitter: PrefectSubmitter) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda i: submitter.submit(Step(f"n{i}", ("cpu",)), body), range(200)))

    assert lab.run(act)["recorded"] == 200
    assert seen == {name: (lab.id, row["id"], ["cpu"]) for name, row in lab.shown().items()}


def test_tags_take_no_concurrency_slots(lab: Lab) -> None:
    full = {"name": "tag:tool:busy", "limit": 0, "active": True}
    httpx.post(f"{lab.server.api_url}/v2/concurrency_limits/", json=full, timeout=30).raise_for_status()
    assert lab.run(lambda submitter: submitter.submit(Step("n", ("tool:busy",)), nothing))["recorded"] == 1


def test_too_many_hits_are_not_shown_one_by_one(lab: Lab) -> None:
    def act(submitter: PrefectSubmitter) -> None:
        submitter.hits([Step("a"), Step("b")])
        submitter.hits([Step("c"), Step("d")])
        submitter.submit(Step("e", upstream=("a", "c")), nothing)

    said = lab.run(act, show_hits_up_to=3)
    assert said == {"recorded": 1, "executed": 1, "recorder": "events", "hidden": 2}
    assert lab.edges() == {"a": set(), "b": set(), "e": {"a"}}


@BOTH
def test_a_retried_flow_run_shows_each_node_once(lab: Lab, mode: str) -> None:
    said: list[dict[str, Any]] = []

    @flow(retries=1)
    def twice() -> None:
        lab.id = str(flow_run.id)
        submitter = PrefectSubmitter(database_url=lab.server.database_url, mode=mode)  # type: ignore[arg-type]
        submitter.open(2)
        (submitter.hits if said else lambda steps: submitter.submit(steps[0], nothing))([Step("a")])  # type: ignore[operator]
        submitter.submit(Step("b", upstream=("a",)), nothing)
        said.append(submitter.close())
        if len(said) == 1:
            raise ComputationError("again")

    twice()
    assert [one["recorded"] for one in said] == [2, 1]
    assert {name: row["state_name"] for name, row in lab.shown().items()} == {"a": "Cached", "b": "Completed"}
    assert lab.edges() == {"a": set(), "b": {"a"}}


def test_more_nodes_than_the_lag_limit_are_paced_and_all_recorded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAG", 50)
    monkeypatch.setattr("physlab.engine.recorder.BATCH", 20)
    held: list[int] = []
    hold = Pacer.hold
    monkeypatch.setattr(Pacer, "hold", lambda self: (held.append(self.lag), hold(self))[1])

    def act(submitter: PrefectSubmitter) -> None:
        for i in range(400):
            submitter.submit(Step(f"n{i}"), nothing)

    assert lab.run(act, mode="events") == {"recorded": 400, "executed": 400, "recorder": "events"}
    assert 50 <= max(held) <= 70


def test_when_prefect_cannot_the_body_runs_all_the_same(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: NodeRun) -> None:
        raise RuntimeError("the engine is broken")

    monkeypatch.setattr(NodeRun, "carry_out", broken)
    attempts: list[int] = []

    def body(attempt: int) -> None:
        attempts.append(attempt)
        if attempt == 1:
            raise ComputationError("once")

    monkeypatch.setattr(module, "Pacer", partial(Pacer, patience_s=0.5))
    said = lab.run(lambda submitter: submitter.submit(Step("n", retries=1), body))
    assert attempts == [1, 2]
    assert (said["recorded"], said["executed"]) == (0, 1)
    assert said["recording_problem"] == "1 task runs were not recorded by the Prefect server."


def test_outside_a_flow_there_is_nothing_to_show_nodes_in() -> None:
    with pytest.raises(ConfigurationError, match="no running Prefect flow"):
        PrefectSubmitter()


def test_a_temporary_server_leaves_the_record_unknown(tmp_path: Path, prefect_base: Path) -> None:
    shutil.copy(prefect_base, tmp_path / "prefect.db")
    program = """
from prefect import flow
from physlab.engine.submitter import PrefectSubmitter
from physlab.submitter import Step

@flow
def conduct():
    submitter = PrefectSubmitter()
    submitter.open(1)
    submitter.submit(Step("n"), lambda attempt: None)
    print(submitter.close())

conduct()
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")} | TUNED
    environment |= {
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "'recorded': None, 'executed': 1, 'recorder': 'events'" in ran.stdout
    assert "temporary" in ran.stdout
