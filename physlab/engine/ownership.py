"""Whose flow run is it: runs carry the process that conducts them, so that a killed one can be told from a busy one."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psutil

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

HOST, PID, BORN = "physlab.host", "physlab.pid", "physlab.born"
POD = "physlab.pod"
"""The label of a flow run that runs in a pod: its process is not the one that waits for it."""
PAGE = 200


def owner_labels() -> dict[str, str | int | float]:
    """Return the labels that name this process: host, process id and when it was born."""
    return {HOST: socket.gethostname(), PID: os.getpid(), BORN: psutil.Process().create_time()}


def is_gone(labels: dict[str, Any]) -> bool:
    """Say whether the process that these labels name has certainly ended: never so for one of another host."""
    if labels.get(HOST) != socket.gethostname() or PID not in labels or BORN not in labels:
        return False
    try:
        process = psutil.Process(int(labels[PID]))
        reborn = abs(process.create_time() - float(labels[BORN])) > 5  # the id was given to another process
        return reborn or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def claim_run(flow_run_id: UUID, name: str | None = None) -> None:
    """Label a flow run as conducted by this process, and name it; needs the server of the current Prefect settings."""
    from prefect import get_client

    with get_client(sync_client=True) as client:
        client.update_flow_run_labels(flow_run_id, owner_labels())
        if name is not None:
            client.update_flow_run(flow_run_id, name=name)


def begin_run(name: str) -> None:
    """Claim the current flow run for this process, name it, and close those whose process was killed.

    A Prefect API that is out of reach stops no science: then the run goes on unclaimed, with a warning.
    """
    from httpx import HTTPError
    from prefect import get_run_logger, runtime

    try:
        claim_run(UUID(runtime.flow_run.id), name)
        close_lost_runs()
        close_lost_pods()
    except HTTPError as error:
        get_run_logger().warning("This run could not be claimed (%s): if it is killed, it will stay Running.", error)


def close_lost_pods() -> list[UUID]:
    """Cancel flow runs of pods whose lab's process was killed; return them."""
    from prefect import get_client

    from physlab.engine.kubernetes.leftovers import cancel_leftovers

    with get_client(sync_client=True) as client:
        return cancel_leftovers(client)


def close_lost_runs() -> list[UUID]:
    """Mark flow runs whose process was killed, and their unfinished task runs, as Crashed.

    Works on the server of the current Prefect settings; runs that nobody claimed are left alone.

    Returns:
        The flow runs that were closed.
    """
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import StateType

    unfinished = {"state": {"type": {"any_": [StateType.RUNNING, StateType.CANCELLING]}}}
    closed: list[UUID] = []
    with get_client(sync_client=True) as client:
        offset = 0
        while page := client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(unfinished), limit=PAGE, offset=offset
        ):
            lost = [run for run in page if POD not in run.labels and is_gone(run.labels)]
            for run in lost:
                _crash(client, run)
            closed += [run.id for run in lost]
            offset += len(page) - len(lost)
    return closed


def _crash(client: Any, run: FlowRun) -> None:
    from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    message = f"Process {run.labels[PID]} on {run.labels[HOST]} ended without a word (killed or out of memory)."
    mine = FlowRunFilter.model_validate({"id": {"any_": [run.id]}})
    unfinished = TaskRunFilter.model_validate({"state": {"type": {"any_": [StateType.RUNNING, StateType.PENDING]}}})
    while tasks := client.read_task_runs(flow_run_filter=mine, task_run_filter=unfinished, limit=PAGE):
        for task in tasks:
            client.set_task_run_state(task.id, Crashed(message=message), force=True)
    client.set_flow_run_state(run.id, Crashed(message=message), force=True)
