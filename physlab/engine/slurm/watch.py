"""Waiting for the ends of many jobs: one look at each cluster tells of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from physlab.engine.slurm.cluster import Cluster
from physlab.errors import PhyslabError
from physlab.model.job import JobStatus, State

SURE = 2  # so often a job must be unknown to a scheduler that answers before it is believed


@dataclass(eq=False)
class Followed:
    """A job whose end is waited for.

    Attributes:
        run_id: The flow run that it is for.
        cluster: Where it is.
        job_id: Its id there.
        folder: Its folder there.
        end: Set when it has ended.
        seen: What it was at the last look.
        cancelled: It was cancelled by us, because Prefect wants it so.
    """

    run_id: UUID
    cluster: Cluster
    job_id: str
    folder: Path
    end: asyncio.Future[JobStatus] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    seen: State = "pending"
    unknown: int = 0
    cancelled: bool = False

    @property
    def pid(self) -> str:
        """What Prefect calls it: `cluster:job`."""
        return f"{self.cluster.name}:{self.job_id}"


class Watch:
    """The jobs of one worker."""

    def __init__(self) -> None:
        self._jobs: list[Followed] = []

    def __iter__(self) -> Iterator[Followed]:
        return iter(list(self._jobs))

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, run_id: UUID) -> Followed | None:
        """Return what is followed for a flow run: of several attempts the latest."""
        return next((item for item in reversed(self._jobs) if item.run_id == run_id), None)

    def add(self, followed: Followed) -> None:
        """Look after a job."""
        self._jobs.append(followed)

    def drop(self, followed: Followed) -> None:
        """Look after it no longer."""
        self._jobs.remove(followed)

    async def look(self) -> tuple[list[Followed], list[PhyslabError]]:
        """Ask each cluster once, and tell those whose job has ended.

        Returns:
            The jobs that ran and wait again, since Slurm starts them once more; and what clusters said that do not
            answer: nothing is concluded from that.
        """
        again: list[Followed] = []
        silent: list[PhyslabError] = []
        for cluster in {followed.cluster for followed in self}:
            mine = {item.job_id: item for item in self if item.cluster is cluster and not item.end.done()}
            try:
                told = await cluster.poll({job_id: item.folder for job_id, item in mine.items()})
            except PhyslabError as error:
                silent.append(error)
                continue
            again += [mine[job_id] for job_id, status in told.items() if _hear(mine[job_id], status)]
        return again, silent


def _hear(followed: Followed, status: JobStatus) -> bool:
    """Take in what is told of a job; return True when it ran before and waits again."""
    followed.unknown = followed.unknown + 1 if status.state == "unknown" else 0
    if (status.ended or followed.unknown >= SURE) and not followed.end.done():
        followed.end.set_result(status)
    again = followed.seen == "running" and status.state == "pending"
    if status.state != "unknown":
        followed.seen = status.state
    return again
