"""Carries out nodes as Prefect task runs, and makes sure that each is recorded."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
from prefect.context import FlowRunContext, TagsContext
from prefect.exceptions import PrefectException

from physlab.engine.joblog import show_job_logs
from physlab.engine.noderun import NodeRun, new_task_run, node_task
from physlab.engine.pacing import LAG, Pacer
from physlab.engine.recorder import Api, Child, Recorder
from physlab.engine.taskevents import Scribe, Span
from physlab.errors import ConfigurationError
from physlab.submitter import PlainSubmitter, Step

Mode = Literal["auto", "events", "database"]
DATABASE_FROM = 1000
"""Nodes from which the child process, whose imports cost a second, pays for itself."""
_TROUBLE = (PrefectException, httpx.HTTPError, OSError, RuntimeError)
_log = logging.getLogger("physlab.engine")


class PrefectSubmitter:
    """Shows the nodes of one flow run as task runs. To be made inside the running flow.

    Args:
        database_url: The Prefect server's database when it can be reached from here, else None.
        mode: `events` sends task runs as events; `database` writes them to the database; `auto` takes the database
            for 1,000 nodes or more where there is one.
        show_hits_up_to: More hits or skips than this are not shown one by one.

    Attributes:
        server_gone: True when the server did not answer at the end of the run.

    Raises:
        ConfigurationError: There is no running flow, or `database` without a database.
    """

    _api: Api
    _recorder: Recorder
    _pacer: Pacer

    def __init__(self, *, database_url: str | None = None, mode: Mode = "auto", show_hits_up_to: int = 20_000) -> None:
        flow = FlowRunContext.get()
        if flow is None or flow.flow_run is None or flow.flow is None:
            raise ConfigurationError(
                "There is no running Prefect flow to show nodes in.",
                hint="Make the PrefectSubmitter inside a @flow, or use PlainSubmitter.",
            )
        if mode == "database" and database_url is None:
            raise ConfigurationError("mode 'database' without a database_url.", hint="Name the server's database.")
        tags = TagsContext.get().current_tags
        self._scribe = Scribe(flow.flow_run, flow.flow.name, tags)
        self._flow_run = flow.flow_run
        self._context = copy_context()
        self._database_url, self._mode, self._show_up_to = database_url, mode, show_hits_up_to
        self._executed: list[str] = []  # a list, because append is one step for threads
        self._shown = 0
        self._hidden: set[str] = set()

    def open(self, total: int) -> None:
        """Begin a run of so many nodes (hits included)."""
        show_job_logs()
        self._api = Api(since=datetime.now(UTC) if self._flow_run.run_count > 1 else None)
        self._pacer = Pacer(self._api.recorded, limit=sys.maxsize if self._api.ephemeral else LAG)
        self._recorder = Recorder(self._api, self._child(total), self._pacer, self._scribe)

    def submit(self, step: Step, body: Callable[[int], None]) -> None:
        """Carry out a node as a task run, with retries; return when it is done, raise its last error unchanged."""
        context = copy_context() if FlowRunContext.get() else self._context.copy()
        context.run(self._carry_out, step, _Call(body))

    def hits(self, steps: Iterable[Step]) -> None:
        """Show nodes whose result was there already, as Cached."""
        self._show(steps, "COMPLETED", "Cached", "The result was there already.")

    def skips(self, steps: Iterable[Step], cause: str) -> None:
        """Show nodes that will not run because of `cause`, as Skipped."""
        self._show(steps, "CANCELLED", "Skipped", cause)

    def replay(self, step: Step, type: str, name: str, message: str, span: Span | None) -> None:
        """Show a node of an earlier run as it ended then."""
        self._shown += 1
        self._recorder.put(self._scribe.shown(step, type, name, message, self._scribe.inputs(step), span))

    def close(self) -> dict[str, Any]:
        """Send what is waiting and compare what the server shows with what was carried out.

        Returns:
            `executed`; `recorded`, or None when that cannot be known; `recorder`, the way it was recorded;
            `recording_problem` if they differ or something went wrong; `hidden`, the hits not shown, if any.
        """
        executed = len(self._executed)
        self.server_gone = not self._api.ephemeral and not self._api.answers()
        patience = 0.5 if self.server_gone else 60.0 + 0.03 * (executed + self._shown)
        recorded, problem = self._count(patience)
        self._api.close()
        return {
            "recorded": recorded,
            "executed": executed,
            "recorder": self._recorder.way,
            **({"recording_problem": problem} if problem else {}),
            **({"hidden": len(self._hidden)} if self._hidden else {}),
        }

    def _child(self, total: int) -> Child | None:
        if self._database_url is None or self._mode == "events" or (self._mode == "auto" and total < DATABASE_FROM):
            return None
        child = Child(self._database_url, self._flow_run.id)
        if self._mode == "database":
            child.wait_ready()
        return child

    def _count(self, patience: float) -> tuple[int | None, str]:
        sent = self._recorder.close(patience)
        if self.server_gone:
            return (
                None,
                f"The Prefect server does not answer, so it is not known what it recorded. {self._recorder.problem}",
            )
        if not sent:
            return None, f"Not all task runs could be sent within {patience:.0f} s. {self._recorder.problem}".strip()
        if self._api.ephemeral:
            return None, "The Prefect server of this run was a temporary one, which forgets task runs when it ends."
        try:
            missing = self._settle(patience)
        except httpx.HTTPError as gone:
            return None, f"The Prefect server does not answer, so it is not known what it recorded: {gone!r}"
        recorded = self._pacer.total["node"] - missing.get("node", 0)
        unseen = len(self._executed) + self._shown - self._pacer.total.total() + sum(missing.values())
        if not unseen:
            return recorded, ""
        return recorded, f"{unseen} task runs were not recorded by the Prefect server. {self._recorder.problem}".strip()

    def _settle(self, patience: float, tries: int = 3) -> dict[str, int]:
        try:
            self._api.recorded([])  # when nothing could be sent, nobody has asked yet whether the server is there
            return self._pacer.settle(patience)
        except httpx.HTTPError:  # a busy server refuses now and then
            if tries == 1:
                raise
        time.sleep(1.0)
        return self._settle(patience, tries - 1)

    def _carry_out(self, step: Step, call: _Call) -> None:
        inputs = self._scribe.inputs(step, self._hidden)
        engine = NodeRun(
            task=node_task(step.retries),
            task_run=new_task_run(step, self._scribe.task_run_id(step.id), self._flow_run),
            parameters={"body": call},
            record=lambda run, state, before: self._recorder.put(self._scribe.state(step, run, state, before, inputs)),
            tags=self._scribe.tags(step),
        )
        self._executed.append(step.id)
        try:
            engine.carry_out()
        except _TROUBLE as trouble:
            if trouble is call.error:
                raise
            _log.warning("Prefect could not carry out node %s (%r); it is run without.", step.id, trouble)
            if call.error:
                raise call.error from None
            if not call.finished:
                PlainSubmitter().submit(step, call.body)

    def _show(self, steps: Iterable[Step], type: str, name: str, message: str) -> None:
        steps = list(steps)
        if self._shown + len(steps) > self._show_up_to:
            self._hidden.update(step.id for step in steps)
            return
        self._shown += len(steps)
        for step in steps:
            self._recorder.put(self._scribe.shown(step, type, name, message, self._scribe.inputs(step, self._hidden)))


class _Call:
    """A node's body, and what became of it."""

    def __init__(self, body: Callable[[int], None]) -> None:
        self.body = body
        self.attempt = 0
        self.finished = False
        self.error: BaseException | None = None

    def __call__(self) -> None:
        self.attempt += 1
        self.error = None
        try:
            self.body(self.attempt)
        except BaseException as error:
            self.error = error
            raise
        self.finished = True
