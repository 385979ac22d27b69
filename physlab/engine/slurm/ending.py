"""What a flow run becomes when its job is over: pure decisions, with Slurm's reason in the message."""

from __future__ import annotations

from pathlib import Path

from prefect.client.schemas.objects import State, StateType
from prefect.states import Cancelled, Crashed

from physlab.model.job import JobStatus

HINTS = {
    "timeout": "Raise walltime_s.",
    "out_of_memory": "Raise memory_gb.",
    "node_fail": "Run it again, or set requeue: true.",
    "preempted": "Run it again, or set requeue: true.",
    "cancelled": "Somebody cancelled the job, with scancel say.",
    "unknown": "Neither the queue nor the accounts know it any more.",
}


def describe(pid: str, status: JobStatus, folder: Path, tail: str = "") -> str:
    """Return how a job ended, in a paragraph for the state of its flow run.

    Args:
        pid: `cluster:job`.
        status: What became of it.
        folder: Its folder on the cluster.
        tail: The end of its log.
    """
    where = f" on {', '.join(status.machines)}" if status.machines else ""
    after = f" after {status.elapsed_s:.0f} s" if status.elapsed_s is not None else ""
    used = f", having used {status.memory_mb:.0f} MB" if status.memory_mb else ""
    how = ""
    if status.exit_code:
        how = f", exit code {status.exit_code}"
    elif status.signal:
        how = f", signal {status.signal}"
    word = status.reason if status.state not in ("completed", "failed", "unknown") else status.state.upper()
    said = f"Slurm job {pid} ended: {word}{where}{after}{how}{used}. {HINTS.get(status.state, '')}".strip()
    log = f"Its log is {folder}/log.txt"
    return f"{said} {log}; it ends:\n{tail}" if tail else f"{said} {log}."


def becomes(state: State | None, status: JobStatus, message: str) -> State | None:
    """Return what a flow run must become now that its job is over; None when it is right already.

    Args:
        state: What it is.
        status: How its job ended.
        message: That in words.
    """
    kind = StateType.PENDING if state is None else state.type
    if kind in (StateType.PENDING, StateType.RUNNING):
        return Crashed(message=message)
    if kind is StateType.CANCELLING:
        return Cancelled(message=message)
    said = (state.message or "") if state is not None else ""
    if kind is StateType.CRASHED and status.state in HINTS and "Slurm job" not in said:
        return Crashed(message=f"{message}\nIts process said: {said}")
    return None  # finished by itself; or suspended, or to be tried again, when another job will be its
