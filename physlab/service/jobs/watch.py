"""Watching jobs to their end, with their logs as they grow."""

from __future__ import annotations

import codecs
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from physlab.errors import ResourceError, TimeLimitError
from physlab.model.job import JobStatus
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.finish import LOG
from physlab.service.jobs.ledger import KnownJob
from physlab.sites.files import PIECE

Say = Callable[[str], None]
POLL_S = (0.3, 5.0)
STREAM_S = 1.0
LOST_S = 60.0
HEARD = 20


class LogTail:
    """Reads a growing log from where it was read last.

    Args:
        cluster: Where the job runs.
        job: The job.
        copy: True writes what comes from elsewhere down here too, as it comes.
    """

    def __init__(self, cluster: Cluster, job: KnownJob, *, copy: bool = False) -> None:
        self._cluster, self._job = cluster, job
        self._copy = cluster.mirror(job.folder) / LOG if copy and cluster.copies else None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._seen = 0
        if self._copy is not None:
            self._copy.parent.mkdir(parents=True, exist_ok=True)
            self._copy.write_bytes(b"")

    def pieces(self, *, last: bool = False) -> str:
        """Return what is new; with `last` also half a character that nothing follows."""
        text = ""
        while True:
            piece = self._cluster.read_log(self._job, self._seen)
            self._seen += len(piece)
            if self._copy is not None and piece:
                with self._copy.open("ab") as stream:
                    stream.write(piece)
            text += self._decode(piece)
            if len(piece) < PIECE:
                return text + (self._decode(b"", True) if last else "")


class Lines:
    """Says a growing text line by line.

    Args:
        say: Says a line.
        before: Stands before each.
    """

    def __init__(self, say: Say, before: str = "") -> None:
        self._say, self._before, self._rest = say, before, ""

    def add(self, text: str, *, last: bool = False) -> None:
        """Say the lines that are complete; with `last` the rest as well."""
        *lines, self._rest = (self._rest + text).split("\n")
        if last and self._rest:
            lines, self._rest = [*lines, self._rest], ""
        for line in lines:
            self._say(self._before + line)


def watch(
    cluster: Cluster, jobs: Sequence[KnownJob], timeout_s: float, *, say: Say | None = None,
    on_end: Callable[[list[tuple[KnownJob, JobStatus]]], None] = lambda told: None,
) -> dict[Path, JobStatus]:  # fmt: skip
    """Wait until jobs have ended; return folder → how.

    Args:
        cluster: Where they run.
        jobs: Jobs that were accepted.
        timeout_s: How long to wait [s].
        say: Is told each line of their logs as it appears, unless they are too many to be listened to.
        on_end: Is told of jobs that have ended, those together that were seen together.

    Raises:
        TimeLimitError: They did not end in time; they go on.
    """
    begun, pause = time.monotonic(), POLL_S[0]
    heard = jobs if say is not None and len(jobs) <= HEARD else ()
    logs = {job.folder: _followed(cluster, job, say, len(jobs) > 1) for job in heard if say is not None}
    left, found = {job.job_id: job for job in jobs}, dict[Path, JobStatus]()
    missed: dict[str, float] = {}
    while True:
        told = cluster.look(left.values())
        gone: list[tuple[KnownJob, JobStatus]] = []
        for job_id, status in told.items():
            job, over = left[job_id], status.ended or is_lost(job_id, status, missed)
            if job.folder in logs and (over or status.state == "running"):
                with contextlib.suppress(ResourceError):  # the next look reads on
                    logs[job.folder](over)
            if over:
                found[job.folder] = status
                gone.append((left.pop(job_id), status))
        on_end(gone)
        if not left:
            return found
        if time.monotonic() - begun > timeout_s:
            raise _too_late(left, told, timeout_s)
        cluster.rest(pause)
        pause = min(STREAM_S if logs else POLL_S[1], pause * 1.3)


def _followed(cluster: Cluster, job: KnownJob, say: Say, several: bool) -> Callable[[bool], None]:
    tail, lines = LogTail(cluster, job, copy=True), Lines(say, f"[{job.name} {job.job_id}] " if several else "")
    return lambda over: lines.add(tail.pieces(last=over), last=over)


def is_lost(job_id: str, status: JobStatus, missed: dict[str, float]) -> bool:
    """Say whether nobody has known a job for so long that nobody will."""
    if not status.forgotten:
        missed.pop(job_id, None)
        return False
    return time.monotonic() - missed.setdefault(job_id, time.monotonic()) > LOST_S


def _too_late(left: dict[str, KnownJob], told: dict[str, JobStatus], timeout_s: float) -> TimeLimitError:
    job_id, job = next(iter(left.items()))
    what = f"Job {job_id}" if len(left) == 1 else f"{len(left)} jobs, the first {job_id},"
    return TimeLimitError(
        f"{what} did not end within {timeout_s:g} s; it is {told[job_id].state} ({told[job_id].reason}).",
        hint=f"It goes on: `physlab job logs {job_id} --follow`, then `physlab job fetch {job_id}`. "
        "Or raise timeout_sec.",
        details={"jobs": list(left), "folder": str(job.folder)},
    )
