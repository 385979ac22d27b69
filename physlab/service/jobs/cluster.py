"""A cluster as jobs use it, whatever its kind: one shape, and the table of those who have it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from physlab.errors import ValidationError, nearest
from physlab.lab import Lab
from physlab.model.job import JobRequest, JobResources, JobStatus
from physlab.service.jobs.kubernetes import KubernetesJobs
from physlab.service.jobs.ledger import KnownJob
from physlab.service.jobs.slurm import SlurmJobs
from physlab.sites.files import Brought


class Cluster(Protocol):
    """A cluster that is open for work."""

    @property
    def kind(self) -> str:
        """What contracts call its kind."""

    @property
    def name(self) -> str:
        """What the lab calls it."""

    @property
    def root(self) -> Path:
        """The folder that holds the folders of jobs, where the cluster sees it."""

    @property
    def here(self) -> Path:
        """The folder of this machine that holds what is brought from there."""

    @property
    def copies(self) -> bool:
        """Whether what jobs write is elsewhere, and is copied to `here`."""

    @property
    def holds_back(self) -> bool:
        """Whether a job can be submitted that starts when others have succeeded."""

    def mirror(self, folder: Path) -> Path:
        """Return where the files of a job's folder are on this machine."""

    def new_token(self, request: JobRequest) -> str:
        """Return a name for a job and its folder that no other has."""

    def complete(self, request: JobRequest) -> JobRequest:
        """Return a request with what this cluster's settings say where it says nothing itself.

        Raises:
            ConfigurationError: The settings hold what the cluster cannot take.
        """

    def require_place(self, count: int) -> None:
        """Say whether so many more jobs are welcome.

        Raises:
            CrowdedError: They are not.
        """

    def check(self, request: JobRequest, folder: Path) -> None:
        """Ask whether a job would be accepted, where that can be asked.

        Raises:
            ValidationError: It would not; with the cluster's words.
        """

    def spell(self, requests: Sequence[JobRequest], folders: Sequence[Path], throttle: int | None = None) -> str:
        """Return what would be submitted for a job, or for several as one array; the cluster is not asked."""

    def shape(self, request: JobRequest) -> tuple[str, ...]:
        """Return what is asked for, whatever it is for: jobs for which it is the same fit one array."""

    def longest_array(self, *, asked: bool = True) -> int:
        """Return how many jobs fit an array; a guess when the cluster is not to be asked."""

    def submit(
        self, jobs: Sequence[KnownJob], inputs: Sequence[Sequence[Path]], throttle: int | None = None
    ) -> list[str]:
        """Stage a job, or several as one array, let the cluster accept them, and return their ids.

        Raises:
            ValidationError: They were refused; with the cluster's words.
            ResourceError: The cluster does not answer; whether it accepted them is found out later.
        """

    def discard(self, jobs: Iterable[KnownJob]) -> None:
        """Leave nothing of jobs that were never accepted."""

    def look(self, jobs: Iterable[KnownJob], since: float | None = None) -> dict[str, JobStatus]:
        """Return what is known of jobs that were accepted, by their ids.

        Args:
            jobs: The jobs.
            since: No answer of the cluster before this time will do [s since the epoch]; default: a moment ago.
        """

    def find(self, jobs: Sequence[KnownJob], age_s: float) -> dict[Path, str] | None:
        """Return folder → id of those jobs that were accepted after all; None when that cannot be told now.

        Args:
            jobs: Jobs whose ids are not known.
            age_s: How long ago the first of them was submitted [s].
        """

    def cancel(self, jobs: Iterable[KnownJob]) -> None:
        """End jobs, and keep what they wrote."""

    def read_log(self, job: KnownJob, start: int = 0) -> bytes:
        """Return a piece of a job's log from a place on, or its last bytes for a negative one."""

    def bring_logs(self, jobs: Sequence[KnownJob]) -> None:
        """Bring whole logs here.

        Raises:
            ResourceError: They cannot be brought.
        """

    def bring(self, jobs: Sequence[KnownJob]) -> list[Brought]:
        """Bring what jobs made; an error in the place of those that did not make what was to be kept.

        Raises:
            ResourceError: It cannot be brought.
        """

    def runs(self, job: KnownJob) -> list[KnownJob]:
        """Return what a job that is a schedule has begun so far."""

    def settle(self, jobs: Iterable[KnownJob]) -> None:
        """Clean up on the cluster after jobs whose ends, logs and files are kept."""

    def most_memory_gb(self, asked: JobResources) -> float | None:
        """Return the most memory that a job can be given on a machine [GB]; None when that is not known."""

    def hear(self, job: KnownJob) -> None:
        """Wait until what a running job has written so far can be read."""

    def rest(self, longest_s: float) -> None:
        """Wait until there may be news of jobs or of their logs, at most so long [s]."""

    def advice(self, status: JobStatus) -> str:
        """Return what to do about a job that failed, where its cluster knows better than anybody."""


BACKENDS: dict[str, type[SlurmJobs] | type[KubernetesJobs]] = {
    backend.kind: backend for backend in (SlurmJobs, KubernetesJobs)
}


def find_backend(lab: Lab, kind: str | None, site: str | None) -> str:
    """Return the kind of cluster that is meant: the one named, else that of the site, else the only one configured.

    Raises:
        ValidationError: No cluster has that name.
    """
    if kind is not None:
        return kind
    having = {name: set(backend.sites(lab)) for name, backend in BACKENDS.items()}
    if site is not None:
        found = [name for name, sites in having.items() if site in sites]
        if not found:
            known = sorted(set().union(*having.values()))
            hint = nearest(site, known) if known else f"Describe it in physlab.toml under [sites.slurm.{site}]."
            raise ValidationError(f"There is no cluster '{site}'.", hint=hint)
        return found[0]
    return next((name for name in having if having[name]), next(iter(having)))


@contextlib.contextmanager
def open_cluster(lab: Lab, kind: str, name: str | None = None) -> Iterator[Cluster]:
    """Open a cluster of the lab; all that is asked of it shares one connection.

    Args:
        lab: The lab.
        kind: A key of `BACKENDS`.
        name: Its name in the settings; the first one there, or the one at hand here, for None.

    Raises:
        ValidationError: There is none of that name.
    """
    with BACKENDS[kind].open(lab, name) as cluster:
        yield cluster


@contextlib.contextmanager
def open_again(lab: Lab, kind: str, site: str) -> Iterator[Cluster]:
    """Open the cluster that a job was submitted to; the one at hand then is the one at hand now.

    Raises:
        ValidationError: It is not in the settings any more.
    """
    with BACKENDS[kind].open(lab, site, again=True) as cluster:
        yield cluster


def by_cluster(jobs: Iterable[KnownJob]) -> Mapping[tuple[str, str], list[KnownJob]]:
    """Return jobs by the kind and name of their cluster."""
    found: dict[tuple[str, str], list[KnownJob]] = {}
    for job in jobs:
        found.setdefault((job.backend, job.site), []).append(job)
    return found
