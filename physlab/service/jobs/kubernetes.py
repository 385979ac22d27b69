"""Jobs on Kubernetes: made through its API, their files brought through a store that lab and pods both reach."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from physlab.errors import ConfigurationError, PhyslabError, ResourceError, ValidationError, nearest
from physlab.lab import Lab, new_run_id
from physlab.model.job import JobRequest, JobResources, JobStatus
from physlab.service.jobs.ledger import KnownJob, known_jobs
from physlab.service.jobs.staged import StagedFiles
from physlab.settings import KubernetesSiteSettings
from physlab.sites.files import PIECE, Brought
from physlab.sites.kubernetes.client import DELETED, KubernetesClient
from physlab.sites.kubernetes.exchange import Exchange
from physlab.sites.kubernetes.manifest import Stage, manifest, refuse
from physlab.sites.kubernetes.reasons import advice
from physlab.sites.kubernetes.stage import LOG

HEAR_S, QUIET_S = 4.0, 0.5
"""For the log of a running job is waited so long, and until it is quiet for so long [s]."""
AT_HAND = "kubernetes"
"""What the cluster of the present kubeconfig is called without any settings."""


@dataclass(frozen=True)
class KubernetesJobs:
    """A Kubernetes cluster that is open for work; a `Cluster`.

    Attributes:
        name: What the lab calls it.
        settings: Its section of the settings.
        client: Its Jobs and pods.
        files: How files come there and back.
        here: The folder of this machine that holds what is brought from there.
    """

    kind: ClassVar[str] = "k8s"
    name: str
    settings: KubernetesSiteSettings
    client: KubernetesClient
    files: StagedFiles
    here: Path
    copies: ClassVar[bool] = True
    holds_back: ClassVar[bool] = False

    @classmethod
    def sites(cls, lab: Lab) -> Iterable[str]:
        """Return the names of those that are configured."""
        return lab.settings.sites.kubernetes

    @staticmethod
    def refuse(request: JobRequest) -> None:
        """Say what is wrong with a request before anything is made.

        Raises:
            ValidationError: There is something.
        """
        refuse(request)

    @classmethod
    @contextlib.contextmanager
    def open(cls, lab: Lab, name: str | None, *, again: bool = False) -> Iterator[KubernetesJobs]:
        """Open one; what another process left behind of jobs whose ends are kept is removed.

        Raises:
            ValidationError: There is none of that name.
        """
        name, settings = _find(lab, name, again=again)
        here = (lab.settings.home / "jobs" / name).absolute()
        with tempfile.TemporaryDirectory() as scratch, KubernetesClient(settings, Path(scratch)) as client:
            exchange = None if settings.store is None else Exchange(settings.store, settings.store_endpoint)
            cluster = cls(name, settings, client, StagedFiles(name, exchange, lab.store.blobs), here)
            if again:
                cluster._tidy(known_jobs(lab))
            yield cluster

    @property
    def root(self) -> Path:
        """The folder that stands for those in the pods."""
        return self.here

    def mirror(self, folder: Path) -> Path:
        """Return where the files of a job's folder are on this machine: nothing else is left of a pod's."""
        return folder

    def new_token(self, request: JobRequest) -> str:
        """Return a name that no other Job has, and that tells people what it is."""
        word = re.sub(r"[^a-z0-9]+", "-", request.name.lower()).strip("-")[:29].strip("-") or "physlab"
        return f"{word}-{new_run_id()}"  # a CronJob's name has 52 characters at most

    def complete(self, request: JobRequest) -> JobRequest:
        """Return a request with the settings' service account, unless it names one."""
        account = request.pod.service_account or self.settings.service_account
        return request.model_copy(update={"pod": request.pod.model_copy(update={"service_account": account})})

    def require_place(self, count: int) -> None:
        """Leave it to the quotas of the namespace, which hold back pods, not Jobs."""

    def check(self, request: JobRequest, folder: Path) -> None:
        """Say what is missing: access to the cluster, or an image for a store; the API says the rest when it is asked.

        Raises:
            ConfigurationError: Something is.
        """
        self.client.connect()
        self._manifest(request, folder.name, ".")

    def spell(self, requests: Sequence[JobRequest], folders: Sequence[Path], throttle: int | None = None) -> str:
        """Return the manifest of a job as YAML."""
        from ruamel.yaml import YAML
        from ruamel.yaml.compat import StringIO

        stream, yaml = StringIO(), YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        yaml.width = 1000
        yaml.representer.ignore_aliases = lambda item: True
        bodies = [self._manifest(request, folder.name, ".") for request, folder in zip(requests, folders, strict=True)]
        yaml.dump_all(bodies, stream)
        return f"---\n{stream.getvalue()}"

    def shape(self, request: JobRequest) -> tuple[str, ...]:
        """Return what makes jobs alike; here each is one of its own."""
        return ()

    def longest_array(self, *, asked: bool = True) -> int:
        """Return 1: a Job has one template, so those that differ are Jobs of their own."""
        return 1

    def submit(
        self, jobs: Sequence[KnownJob], inputs: Sequence[Sequence[Path]], throttle: int | None = None
    ) -> list[str]:
        """Bring the inputs to the store, and make the Jobs."""
        made = []
        for job, files in zip(jobs, inputs, strict=True):
            self.files.stage(job, files)
            made.append(self.client.submit(self._manifest(job.request, job.token, job.wanted)))
        return made

    def discard(self, jobs: Iterable[KnownJob]) -> None:
        """Remove their lists from the store, and their folders here."""
        for job in jobs:
            with contextlib.suppress(PhyslabError):
                self.files.forget(job)
            shutil.rmtree(job.folder, ignore_errors=True)

    def look(self, jobs: Iterable[KnownJob], since: float | None = None) -> dict[str, JobStatus]:
        """Return what the one watch knows; of a Job that is gone the store tells whether it came to its end."""
        known = {job.job_id: job for job in jobs}
        told = self.client.poll(known, cron=_cron(known.values()))
        for job_id, status in told.items():
            gone = status.forgotten or (status.state, status.reason) == ("cancelled", DELETED)
            if gone and self.files.made(known[job_id]) is not None:
                done = {"state": "completed", "reason": "what it made is in the store", "exit_code": 0}
                told[job_id] = status.model_copy(update={**done, "forgotten": False})
        return told

    def find(self, jobs: Sequence[KnownJob], age_s: float) -> dict[Path, str] | None:
        """Find Jobs and CronJobs by their names, which are their labels; the runs of a schedule have its label too."""
        found: dict[Path, str] = {}
        for namespace, scheduled in _places(jobs):
            try:
                there = self._there(namespace, scheduled=scheduled)
            except ResourceError:
                return None
            named = {token: job_id for job_id, token in there.items() if job_id.endswith(f"/{token}")}
            mine = [job for job in jobs if _place(job) == (namespace, scheduled)]
            found |= {job.folder: named[job.token] for job in mine if job.token in named}
        return found

    def cancel(self, jobs: Iterable[KnownJob]) -> None:
        """Delete the Jobs, after listening to what their pods say, to the last line."""
        jobs = list(jobs)
        batch = [job for job in jobs if job.request.pod.schedule is None]
        for job in batch:
            self.client.log(job.job_id)
        self.client.remove([job.job_id for job in jobs], cron=_cron(jobs))
        self.bring_logs(batch)
        for job in jobs:
            with contextlib.suppress(PhyslabError):
                if self.files.made(job) is None:  # else it came to its end in the same moment, and can be fetched
                    self.files.forget(job)

    def read_log(self, job: KnownJob, start: int = 0) -> bytes:
        """Return a piece of what is heard of a job, all of it once the job has ended."""
        if job.request.pod.schedule is not None:
            return b""
        if not job.is_open:
            return _piece(job.folder / LOG, start)
        over = self.client.poll([job.job_id])[job.job_id].ended
        return _piece(self.client.log(job.job_id, to_the_end=over), start)

    def bring_logs(self, jobs: Sequence[KnownJob]) -> None:
        """Keep whole logs here; one that is shorter than what was heard before does not replace it."""
        for job in jobs:
            self.client.log(job.job_id)  # all are read at once
        for job in jobs:
            heard, kept = self.client.log(job.job_id, to_the_end=True), job.folder / LOG
            if kept.is_file() and kept.stat().st_size > heard.stat().st_size:
                continue
            job.folder.mkdir(parents=True, exist_ok=True)
            draft = kept.with_suffix(f".{os.getpid()}")
            shutil.copyfile(heard, draft)
            draft.replace(kept)

    def bring(self, jobs: Sequence[KnownJob]) -> list[Brought]:
        """Bring what jobs made from the store, each file checked against its SHA-256."""
        return [self.files.bring(job) for job in jobs]

    def runs(self, job: KnownJob) -> list[KnownJob]:
        """Return the runs that a schedule has begun, as jobs of their own."""
        if job.request.pod.schedule is None:
            return []
        once = job.request.pod.model_copy(update={"schedule": None})
        found = []
        for job_id, began in self.client.runs(job.job_id).items():
            name = job_id.rpartition("/")[2]
            request = job.request.model_copy(update={"pod": once, "token": name})
            run = replace(job, job_id=job_id, request=request, folder=self.here / name, submitted_at=began)
            found.append(replace(run, process={}))
        return found

    def settle(self, jobs: Iterable[KnownJob]) -> None:
        """Delete the Jobs, unless they are to be kept, and their lists in the store; what fails, the next one does.

        A Job whose log could not be read to its end is left to the next one, too.
        """
        jobs = [job for job in jobs if job.job_id and not job.request.pod.keep]
        with contextlib.suppress(PhyslabError):
            jobs = [job for job in jobs if job.request.pod.schedule or self.client.has_heard(job.job_id)]
            self.client.remove([job.job_id for job in jobs], cron=_cron(jobs))
            for job in jobs:
                self.files.forget(job)

    def most_memory_gb(self, asked: JobResources) -> float | None:
        """Return the site's limit, or eight times what was asked for at first."""
        if self.settings.most_memory_gb is not None or asked.memory_mb is None:
            return self.settings.most_memory_gb
        return 8 * asked.memory_mb * 2**20 / 1e9

    def hear(self, job: KnownJob) -> None:
        """Wait until the log has come and no more of it comes."""
        before, until = 0, time.monotonic() + HEAR_S
        while time.monotonic() < until:
            self.client.rest(QUIET_S)
            size = self.client.log(job.job_id).stat().st_size
            if size and size == before:
                return
            before = size

    def rest(self, longest_s: float) -> None:
        """Wait for the watch, or a log, to hear something."""
        self.client.rest(longest_s)

    def advice(self, status: JobStatus) -> str:
        """Return what to do about a reason of Kubernetes."""
        return advice(status.reason)

    def _manifest(self, request: JobRequest, name: str, wanted: str) -> dict[str, Any]:
        stage = Stage(name, wanted) if self.settings.store is not None else None
        if stage is not None and self.settings.image is None:
            raise ConfigurationError(
                f"sites.kubernetes.{self.name} has a store, but no image with physlab to reach it from a pod.",
                hint=f'Set image = "registry/physlab:tag" under [sites.kubernetes.{self.name}] in physlab.toml.',
            )
        return manifest(request, name, request.pod.namespace or self.settings.namespace, self.settings, stage)

    def _tidy(self, known: Iterable[KnownJob]) -> None:
        """Delete the Jobs whose ends are in the ledger: whoever wrote that down died before deleting them."""
        over = [job for job in known if job.backend == self.kind and job.site == self.name and not job.is_open]
        for namespace, scheduled in _places(over):
            with contextlib.suppress(PhyslabError, OSError):
                there = self._there(namespace, scheduled=scheduled)
                mine = [job for job in over if _place(job) == (namespace, scheduled) and job.job_id in there]
                if not scheduled:
                    self.bring_logs([job for job in mine if not job.request.pod.keep])
                self.settle(mine)

    def _there(self, namespace: str | None, *, scheduled: bool) -> dict[str, str]:
        return self.client.schedules(namespace) if scheduled else self.client.present(namespace)


def _find(lab: Lab, name: str | None, *, again: bool) -> tuple[str, KubernetesSiteSettings]:
    known: Mapping[str, KubernetesSiteSettings] = lab.settings.sites.kubernetes
    if name is None or (again and name == AT_HAND and name not in known):
        return next(iter(known.items())) if known and name is None else (AT_HAND, KubernetesSiteSettings())
    if name not in known:
        hint = nearest(name, known) if known else f"Describe it in physlab.toml under [sites.kubernetes.{name}]."
        raise ValidationError(f"There is no Kubernetes cluster '{name}'.", hint=hint)
    return name, known[name]


def _place(job: KnownJob) -> tuple[str | None, bool]:
    """Return a job's namespace, and whether it is a schedule there."""
    return job.request.pod.namespace, job.request.pod.schedule is not None


def _places(jobs: Iterable[KnownJob]) -> list[tuple[str | None, bool]]:
    return list(dict.fromkeys(map(_place, jobs)))


def _cron(jobs: Iterable[KnownJob]) -> frozenset[str]:
    return frozenset(job.job_id for job in jobs if job.request.pod.schedule is not None)


def _piece(path: Path, start: int) -> bytes:
    try:
        with path.open("rb") as stream:
            stream.seek(start if start >= 0 else max(0, path.stat().st_size + start))
            return stream.read(PIECE)
    except OSError:
        return b""
