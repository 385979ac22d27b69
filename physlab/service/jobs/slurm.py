"""Jobs on Slurm: its commands and its files, here or behind ssh, and what the lab's settings add."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pydantic

from physlab.errors import ConfigurationError, PhyslabError
from physlab.lab import Lab, new_run_id
from physlab.model.job import JobRequest, JobResources, JobStatus
from physlab.service.jobs.ledger import KnownJob
from physlab.settings import SlurmSiteSettings
from physlab.sites.files import Brought, Files, SharedFiles, Wish
from physlab.sites.slurm import SlurmClient, batch_script
from physlab.sites.slurm.client import CAUTIOUS
from physlab.sites.slurm.gate import gate_here, gate_to
from physlab.sites.slurm.script import LOG, OWN_FILES, array_script, directives
from physlab.sites.slurm.states import judged
from physlab.sites.ssh import SshRun
from physlab.sites.sshfiles import SshFiles

AT_HAND = "slurm"
"""What `Lab.cluster` calls the cluster whose commands are at hand here, without any settings."""


@dataclass(frozen=True)
class SlurmJobs:
    """A Slurm cluster that is open for work; a `Cluster`.

    Attributes:
        name: What the lab calls it.
        settings: Its section of the settings.
        client: Its commands.
        files: Its files.
        root: The folder there that holds the folders of jobs.
        here: The folder of this machine that holds what is brought from there.
    """

    kind: ClassVar[str] = "slurm"
    holds_back: ClassVar[bool] = True
    name: str
    settings: SlurmSiteSettings
    client: SlurmClient
    files: Files
    root: Path
    here: Path

    @classmethod
    def sites(cls, lab: Lab) -> Iterable[str]:
        """Return the names of those that are configured."""
        return lab.settings.sites.slurm

    @staticmethod
    def refuse(request: JobRequest) -> None:
        """Say what is wrong with a request before anything is made.

        Raises:
            ValidationError: There is something.
        """
        batch_script(request, "/folder")

    @classmethod
    @contextlib.contextmanager
    def open(cls, lab: Lab, name: str | None, *, again: bool = False) -> Iterator[SlurmJobs]:
        """Open one; with `again` the one at hand when a job was submitted is the one at hand now.

        Raises:
            ValidationError: There is none of that name.
        """
        at_hand = again and name in ("", AT_HAND) and name not in lab.settings.sites.slurm
        name, settings = (AT_HAND, SlurmSiteSettings()) if at_hand else lab.cluster(name)
        root, here = (settings.folder or lab.settings.home / "jobs").absolute(), lab.settings.home / "jobs" / name
        if settings.host is None:
            yield cls(name, settings, SlurmClient(gate_here()), SharedFiles(), root, here.absolute())
            return
        with SshRun(settings.host) as run:
            yield cls(name, settings, SlurmClient(gate_to(run)), SshFiles(run, root), root, here.absolute())

    @property
    def copies(self) -> bool:
        """True behind ssh."""
        return self.settings.host is not None

    def mirror(self, folder: Path) -> Path:
        """Return where the files of a job's folder are on this machine."""
        if not self.copies:
            return folder
        known = folder.is_relative_to(self.root)  # else the settings named another folder when it was submitted
        return self.here / (folder.relative_to(self.root) if known else Path(*folder.parts[-2:]))

    def new_token(self, request: JobRequest) -> str:
        """Return a name for a job's folder that no other has."""
        return f"{request.name[:60]}-{new_run_id()}"

    def complete(self, request: JobRequest) -> JobRequest:
        """Return a request with what this cluster's settings say where it says nothing itself.

        Raises:
            ConfigurationError: The settings hold what is no queue, account or feature.
        """
        given, asked = self.settings, request.resources
        partition = given.gpu_partition or given.partition if asked.gpus or asked.gres else given.partition
        offered = {"partition": partition, "account": given.account, "qos": given.qos, "constraint": given.constraint}
        added = {name: value for name, value in offered.items() if getattr(asked, name) is None}
        try:
            resources = JobResources.model_validate({**asked.model_dump(), **added})
        except pydantic.ValidationError as error:
            item = error.errors()[0]
            raise ConfigurationError(
                f"sites.slurm.{self.name}.{item['loc'][0]} = {item['input']!r} is no name that Slurm takes.",
                hint="Correct it in physlab.toml.",
            ) from error
        return request.model_copy(update={"resources": resources, "prologue": given.prologue})

    def require_place(self, count: int) -> None:
        """Ask the gate whether so many jobs may be submitted.

        Raises:
            CrowdedError: They may not.
        """
        self.client.gate.require_place(count)

    def check(self, request: JobRequest, folder: Path) -> None:
        """Let sbatch say whether it would take a job."""
        self.client.check(request, folder)

    def spell(self, requests: Sequence[JobRequest], folders: Sequence[Path], throttle: int | None = None) -> str:
        """Return the script of a job or of an array."""
        if len(requests) == 1:
            return batch_script(requests[0], str(folders[0]))
        return array_script(requests, [str(folder) for folder in folders], throttle=throttle)

    def shape(self, request: JobRequest) -> tuple[str, ...]:
        """Return the directives that count."""
        return tuple(word for word in directives(request) if not word.startswith(("--job-name", "--comment")))

    def longest_array(self, *, asked: bool = True) -> int:
        """Return how many elements an array may have."""
        return self.client.longest_array() if asked else CAUTIOUS

    def submit(
        self, jobs: Sequence[KnownJob], inputs: Sequence[Sequence[Path]], throttle: int | None = None
    ) -> list[str]:
        """Make the folders, lay the inputs into them, and let sbatch accept a job or an array."""
        self.files.make([job.folder for job in jobs])
        self.files.lay({job.folder / path.name: path for job, own in zip(jobs, inputs, strict=True) for path in own})
        if len(jobs) == 1:
            return [self.client.submit(jobs[0].request, jobs[0].folder)]
        return self.client.submit_array([job.request for job in jobs], [job.folder for job in jobs], throttle=throttle)

    def discard(self, jobs: Iterable[KnownJob]) -> None:
        """Remove their folders, of an element that of its array, so that nothing can run there either."""
        with contextlib.suppress(PhyslabError):
            self.files.remove({job.whole for job in jobs})

    def look(self, jobs: Iterable[KnownJob], since: float | None = None) -> dict[str, JobStatus]:
        """Ask the queue, the accounts, and what jobs wrote down themselves."""
        known = {job.job_id: job for job in jobs}
        told = self.client.poll({job_id: job.folder for job_id, job in known.items()}, since=since)
        return {job_id: judged(status, known[job_id].request.resources.memory_mb) for job_id, status in told.items()}

    def find(self, jobs: Sequence[KnownJob], age_s: float) -> dict[Path, str] | None:
        """Find jobs by their names in the comments of the queue and the accounts."""
        elements = {job.folder: job.token for job in jobs if job.index is not None}
        found = self.client.find({job.token: job.whole for job in jobs}, age_s, elements)
        if found is None:
            return None
        suffix = {job.folder: "" if job.index is None else f"_{job.index}" for job in jobs}
        return {job.folder: found[job.token] + suffix[job.folder] for job in jobs if job.token in found}

    def cancel(self, jobs: Iterable[KnownJob]) -> None:
        """Let scancel end them."""
        self.client.cancel(job.job_id for job in jobs)

    def read_log(self, job: KnownJob, start: int = 0) -> bytes:
        """Return a piece of the file that the job writes."""
        return self.files.read(job.folder / LOG, start)

    def hear(self, job: KnownJob) -> None:
        """Wait for nothing: its log is a file."""

    def rest(self, longest_s: float) -> None:
        """Wait: Slurm tells nothing of its own accord."""
        time.sleep(longest_s)

    def bring_logs(self, jobs: Sequence[KnownJob]) -> None:
        """Bring the files that jobs wrote."""
        self.files.bring([Wish(job.folder, LOG, frozenset(), self.mirror(job.folder)) for job in jobs])

    def bring(self, jobs: Sequence[KnownJob]) -> list[Brought]:
        """Bring what is in their folders; what a job was given is left out."""
        given = {job.folder: frozenset((*OWN_FILES, *job.staged, *job.request.takes)) for job in jobs}
        wishes = [Wish(job.folder, job.wanted, given[job.folder], self.mirror(job.folder)) for job in jobs]
        return self.files.bring(wishes)

    def runs(self, job: KnownJob) -> list[KnownJob]:
        """Return none: nothing is scheduled here."""
        return []

    def settle(self, jobs: Iterable[KnownJob]) -> None:
        """Leave it to Slurm, which forgets by itself; the folders belong to people."""

    def most_memory_gb(self, asked: JobResources) -> float | None:
        """Return the site's limit, or the largest machine of the queue."""
        most_gb = self.settings.most_memory_gb
        if most_gb is None and (most := self.client.largest_memory_mb(asked.partition)) is not None:
            most_gb = most * 2**20 / 1e9
        return most_gb

    def advice(self, status: JobStatus) -> str:
        """Return nothing: Slurm's words are the reason."""
        return ""
