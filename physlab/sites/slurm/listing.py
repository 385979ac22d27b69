"""This user's jobs as the queue lists them: how a program that lost its memory finds its own again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from physlab.errors import ConfigurationError, ResourceError
from physlab.model.base import Model
from physlab.model.job import State
from physlab.sites.slurm.commands import PATIENCE_S
from physlab.sites.slurm.gate import Gate
from physlab.sites.slurm.states import QUEUE, job_ids, state_of


class ListedJob(Model):
    """A job in the queue, or one that ended a moment ago.

    Attributes:
        job_id: Its id; `12_3` is an element of an array.
        state: Ours.
        folder: Where it works.
        comment: What it is for.
    """

    job_id: str
    state: State
    folder: Path
    comment: str = ""


def list_jobs(gate: Gate, since: float) -> list[ListedJob]:
    """Return the jobs of this user, each element of an array by itself.

    Args:
        gate: The way to the cluster.
        since: No answer before this time will do [s since the epoch].

    Raises:
        ResourceError: The scheduler does not answer: that is not the same as no jobs.
        ConfigurationError: Its commands are not there.
    """
    try:
        done = gate.ask(QUEUE, since)
    except FileNotFoundError as error:
        raise ConfigurationError(
            "squeue is not installed here.", hint="Work on a login node of the cluster, or name one: host."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ResourceError(
            f"squeue did not answer within {PATIENCE_S:g} s.", hint="The scheduler may be down: try again."
        ) from error
    if done.returncode:
        raise ResourceError(
            f"squeue refused: {' '.join(done.stderr.split())[:500]}", hint="The scheduler may be down: try again."
        )
    return list(_read(done.stdout))


def _read(text: str) -> Iterator[ListedJob]:
    for line in text.splitlines():
        parts = line.split("|", 6)
        if len(parts) == 7:
            listed, word, *_, folder, comment = parts
            for job_id in job_ids(listed):
                yield ListedJob(job_id=job_id, state=state_of(word), folder=Path(folder), comment=comment)
