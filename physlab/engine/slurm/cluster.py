"""A cluster as the worker sees it: one command at a time, off the event loop, and never an answer for no answer."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from physlab.engine.slurm.marks import read_mark
from physlab.errors import PhyslabError, ResourceError
from physlab.model.job import ENDED, JobRequest, JobStatus
from physlab.settings import SlurmSiteSettings
from physlab.sites.slurm import SlurmClient
from physlab.sites.slurm.commands import Run
from physlab.sites.slurm.gate import Gate, gate_here, gate_to
from physlab.sites.slurm.listing import list_jobs
from physlab.sites.slurm.script import LOG, SENTINEL
from physlab.sites.ssh import SshRun

ROUNDS = "rounds"
"""Folder beside the folders of jobs; a file in it says which element of an array is whose."""
TAIL_LINES, TAIL_CHARACTERS = "12", 1200
T = TypeVar("T")


class Cluster:
    """One cluster with its settings.

    Args:
        name: The lab's name for it.
        site: Its settings.
        gate: The way to it; default: here, or to the site's host.
    """

    def __init__(self, name: str, site: SlurmSiteSettings, gate: Gate | Run | None = None) -> None:
        self.name, self.site = name, site
        self._client = SlurmClient(gate or (gate_to(SshRun(site.host)) if site.host else gate_here()))
        self._run = self._client.gate
        self._turn = asyncio.Lock()

    async def submit(
        self, requests: Sequence[JobRequest], folders: Sequence[Path], files: Mapping[Path, str]
    ) -> list[str]:
        """Submit a job, or several that ask for the same as an array; return the id of each.

        Args:
            requests: What to run.
            folders: The folder of each.
            files: Files to write before, for the owner alone.

        Raises:
            PhyslabError: It was refused, or the cluster does not answer.
        """
        return await self._off_loop(self._submit, requests, folders, files)

    def _submit(self, requests: Sequence[JobRequest], folders: Sequence[Path], files: Mapping[Path, str]) -> list[str]:
        for path, text in files.items():
            self._must("install", "-D", "-m", "600", "/dev/stdin", str(path), stdin=text)
        self._must("rm", "-f", *(str(folder / SENTINEL) for folder in folders))  # of earlier attempts
        if len(requests) == 1:
            return [self._client.submit(requests[0], folders[0])]
        return self._client.submit_array(requests, folders)

    async def longest_array(self) -> int:
        """Return how many elements an array may have here."""
        return await self._off_loop(self._client.longest_array)

    def _must(self, *words: str, stdin: str = "") -> None:
        done = self._run(words, stdin)
        if done.returncode:
            raise ResourceError(
                f"{words[0]} on the cluster '{self.name}': {' '.join(done.stderr.split())[:300]}",
                hint="Is the folder of the site writable, and on a file system that has room?",
            )

    async def poll(self, jobs: Mapping[str, Path]) -> dict[str, JobStatus]:
        """Return what is known of jobs; `unknown` only where the queue answers and does not have them.

        Raises:
            ResourceError: The scheduler does not answer.
        """
        return await self._off_loop(self._poll, jobs)

    def _poll(self, jobs: Mapping[str, Path]) -> dict[str, JobStatus]:
        found = self._client.poll(jobs)
        if any(status.state == "unknown" for status in found.values()):
            list_jobs(self._run, time.time() - self._run.age_s)
        return found

    async def cancel(self, jobs: Iterable[str]) -> None:
        """Cancel jobs; those that ended are left alone."""
        await self._off_loop(self._client.cancel, list(jobs))

    async def marked(self, pool: UUID) -> dict[UUID, list[str]]:
        """Return the jobs of a work pool that wait or run, by their flow runs.

        Raises:
            ResourceError: The scheduler does not answer.
        """
        return await self._off_loop(self._marked, pool)

    def _marked(self, pool: UUID) -> dict[UUID, list[str]]:
        found: dict[UUID, list[str]] = {}
        rounds: dict[Path, list[str]] = {}
        for job in list_jobs(self._run, time.time()):
            mark = read_mark(job.comment)
            if mark is None or mark.pool != pool or job.state in ENDED:
                continue
            if mark.kind == "run":
                found.setdefault(mark.id, []).append(job.job_id)
            else:
                rounds.setdefault(job.folder / ROUNDS / str(mark.id), []).append(job.job_id)
        for path, elements in rounds.items():
            members = dict(enumerate(self._run(("cat", str(path)), "").stdout.split()))
            for job_id in elements:
                whose = members.get(int(job_id.partition("_")[2] or 0))
                if whose is None:
                    raise ResourceError(f"{path} does not say whose job {job_id} is.", hint="Cancel it: scancel.")
                found.setdefault(UUID(whose), []).append(job_id)
        return found

    async def log_tail(self, folder: Path) -> str:
        """Return the end of a job's log; empty when there is none."""
        try:
            done = await self._off_loop(self._run, ("tail", "-n", TAIL_LINES, str(folder / LOG)), "")
        except ResourceError:
            return ""
        return done.stdout[-TAIL_CHARACTERS:].strip()

    async def _off_loop(self, do: Callable[..., T], *given: object) -> T:
        async with self._turn:  # a burst of flow runs must not become a burst of processes on a login node
            try:
                return await asyncio.to_thread(do, *given)
            except PhyslabError:
                raise
            except (OSError, subprocess.SubprocessError) as error:
                raise ResourceError(
                    f"The cluster '{self.name}' does not answer: {error}", hint="Does `squeue` answer there?"
                ) from error
