"""Which jobs and flow runs belong together, after a worker was killed or somebody changed either: pure decisions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

HOOKS_S = 600.0
"""So long the job of a flow that ended by itself may go on, with the flow's hooks for instance [s]."""
OVER = ("done", "over")


@dataclass(frozen=True)
class KnownRun:
    """A flow run as the server has it.

    Attributes:
        id: Its id.
        phase: What it is: about to run, running (or being cancelled), paused, done by itself, or over, which includes
            waiting for another attempt.
        age_s: For how long [s].
        job_id: The job that it names as its own.
        busy: It is being submitted at this moment.
        followed: This worker waits for the end of its job.
        abandoned: The worker that submitted it is gone, or is this one.
    """

    id: UUID
    phase: Literal["pending", "running", "paused", "done", "over"]
    age_s: float
    job_id: str | None = None
    busy: bool = False
    followed: bool = False
    abandoned: bool = True


@dataclass(frozen=True)
class Follow:
    """Wait for the end of a job as the flow run's."""

    run: KnownRun
    job_id: str


@dataclass(frozen=True)
class Again:
    """Schedule a flow run again: it has no job, so nothing of it was done."""

    run: KnownRun


@dataclass(frozen=True)
class Lost:
    """Give a flow run up: it ran, and there is no job of it."""

    run: KnownRun


@dataclass(frozen=True)
class Drop:
    """Cancel a job that nobody wants."""

    run: KnownRun
    job_id: str


Step = Follow | Again | Lost | Drop


def decide(runs: Iterable[KnownRun], jobs: Mapping[UUID, Sequence[str]], grace_s: float) -> Iterator[Step]:
    """Yield what is to be done so that every unfinished flow run has exactly one job, and every job a flow run.

    Args:
        runs: All flow runs that are unfinished or have a job.
        jobs: The jobs of each that wait or run.
        grace_s: How long a flow run and its job may disagree: one always hears of the other a little late.
    """
    for run in runs:
        alive = jobs.get(run.id, ())
        late = run.age_s >= (HOOKS_S if run.phase == "done" else grace_s)
        keep: str | None = None
        if run.busy or not (run.followed or run.abandoned or run.phase in OVER):
            continue
        if run.phase in OVER:
            if not late:
                continue
        elif run.followed:
            keep = run.job_id
        elif alive or run.job_id is not None:
            keep = run.job_id if run.job_id in alive or not alive else alive[0]
            assert keep is not None  # noqa: S101
            yield Follow(run, keep)
        elif late and run.phase != "paused":
            yield Again(run) if run.phase == "pending" else Lost(run)
        yield from (Drop(run, job_id) for job_id in alive if job_id != keep)
