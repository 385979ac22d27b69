"""What a flow run asks of a cluster: the job variables of a work pool, and the batch job made of them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import pydantic
from prefect.workers.base import BaseJobConfiguration, BaseVariables
from pydantic import BaseModel, Field, PrivateAttr, StringConstraints

from physlab.errors import ConfigurationError, ValidationError
from physlab.model.job import JobRequest, JobResources
from physlab.settings import SlurmSiteSettings

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.schemas.objects import Flow, FlowRun, WorkPool
    from prefect.client.schemas.responses import DeploymentResponse

ENVIRONMENT = "environment"
"""File in the job's folder with the variables of the flow run: readable for its owner alone, it may hold secrets."""


class Asked(BaseModel):
    """The job variables that are Slurm's; what is unset is the site's."""

    site: str | None = Field(
        None,
        title="Site",
        description="Cluster: the block slurm-site/NAME, or [sites.slurm.NAME] of the worker's physlab.toml; unset: "
        "the first one there, or the cluster whose commands are at hand.",
    )
    nodes: int = Field(1, ge=1, le=10_000, title="Machines", description="Machines; the flow runs on the first.")
    cpus: int | None = Field(
        None, ge=1, le=4096, title="Cores", description="Cores on each machine; unset: the site's."
    )
    memory_gb: float | None = Field(
        None, gt=0, title="Memory [GB]", description="Memory on each machine [GB]; unset: the site's."
    )
    gpus: int = Field(0, ge=0, le=64, title="Accelerators", description="Accelerators on each machine.")
    gres: str | None = Field(
        None, title="Generic resources", description="Generic resources, such as gpu:a100:2, instead of gpus."
    )
    walltime_s: float | None = Field(
        None, gt=0, title="Time limit [s]", description="Time limit [s], rounded up to minutes; unset: the site's."
    )
    partition: str | None = Field(None, title="Partition", description="Queue; unset: the site's.")
    account: str | None = Field(None, title="Account", description="Whom it is charged to; unset: the site's.")
    qos: str | None = Field(None, title="QOS", description="Quality of service; unset: the site's.")
    constraint: str | None = Field(
        None, title="Constraint", description="Feature that machines must have; unset: the site's."
    )
    exclude: list[str] = Field([], title="Exclude", description="Machines that must not be used.")
    prologue: list[str] | None = Field(
        None,
        title="Prologue",
        description="Shell lines before the flow, such as module load python; unset: the site's.",
    )
    python: str | None = Field(
        None, title="Python", description="Python on the nodes that has physlab; unset: the site's."
    )
    folder: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/+@-]+$")] | None = Field(
        None, title="Folder", description="Folder on the cluster that jobs get theirs in; unset: the site's."
    )
    comment: str = Field(
        "",
        max_length=100,
        title="Comment",
        description="What it is for, for the administrators; after the flow run's id.",
    )
    requeue: bool = Field(
        False,
        title="Requeue",
        description="Let Slurm start the flow run again when its machine fails or it is preempted.",
    )


class SlurmVariables(BaseVariables, Asked):
    """The job variables of a pool of this type, as its base job template offers them."""


class SlurmJobConfiguration(BaseJobConfiguration, Asked):
    """The job variables of one flow run, filled in."""

    _command_given: bool = PrivateAttr(default=False)

    def prepare_for_flow_run(
        self,
        flow_run: FlowRun,
        deployment: DeploymentResponse | None = None,
        flow: Flow | None = None,
        work_pool: WorkPool | None = None,
        worker_name: str | None = None,
        worker_id: UUID | None = None,
    ) -> None:
        """Fill in what depends on the flow run."""
        self._command_given = self.command is not None
        super().prepare_for_flow_run(flow_run, deployment, flow, work_pool, worker_name, worker_id=worker_id)

    def request(self, site: SlurmSiteSettings) -> JobRequest:
        """Return the batch job of a flow run; it has no name yet.

        Raises:
            ValidationError: A job variable is none that Slurm could be given.
            ConfigurationError: The job could not reach the Prefect server.
        """
        url = self.env.get("PREFECT_API_URL") or ""
        if site.host and urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
            raise ConfigurationError(
                f"Jobs on {site.host} cannot reach the Prefect server at {url}: that is this machine's own address.",
                hint="Let the server listen on an address that the nodes can reach, and set PREFECT_API_URL to it for "
                "the worker, or in the job variable env.",
            )
        try:
            return JobRequest(script=self._script(site), resources=self._resources(site), requeue=self.requeue)
        except pydantic.ValidationError as error:
            item = error.errors()[0]
            name = ".".join(str(part) for part in item["loc"])
            raise ValidationError(
                f"The job variable {name} = {item['input']!r} is none: {item['msg']}.",
                hint="Correct it on the flow run, its deployment, or the work pool.",
            ) from error

    def _resources(self, site: SlurmSiteSettings) -> JobResources:
        memory_gb = self.memory_gb or site.memory_gb
        has_gpu = self.gpus > 0 or "gpu" in (self.gres or "")
        fields: dict[str, Any] = {
            "nodes": self.nodes,
            "cpus": self.cpus or site.cpus,
            "memory_mb": max(1, round(memory_gb * 1e9 / 2**20)),  # Slurm's M is 2^20 bytes
            "gpus": self.gpus,
            "gres": self.gres or None,
            "walltime_s": self.walltime_s or site.walltime_s,
            "partition": self.partition or (has_gpu and site.gpu_partition) or site.partition or None,
            "account": self.account or site.account,
            "qos": self.qos or site.qos,
            "constraint": self.constraint or site.constraint,
            "exclude": tuple(self.exclude),
        }
        return JobResources(**fields)

    def _script(self, site: SlurmSiteSettings) -> str:
        """Return what the job does; the same for all flow runs of a deployment: each finds its own in its folder."""
        python = self.python or site.python or sys.executable
        command = self.command if self._command_given else None
        words = shlex.join((python, "-m", "prefect", "flow-run", "execute")) if command is None else command
        prologue = site.prologue if self.prologue is None else self.prologue
        secrets = f". ./{ENVIRONMENT}" if self.requeue else f". ./{ENVIRONMENT} && rm -f {ENVIRONMENT}"
        return "\n".join(("#!/bin/bash", secrets, *prologue, words))

    def environment_file(self, own: Mapping[str, str] | None = None) -> str:
        """Return the file that the job reads its variables from.

        Args:
            own: The lab's settings, where the job works in the same lab; the job variable `env` goes before them.
        """
        given = {name: value for name, value in {**(own or {}), **self.env}.items() if value is not None}
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(given.items()))

    def root(self, site: SlurmSiteSettings, home: Path) -> Path:
        """Return the folder on the cluster that the jobs of flow runs get theirs in."""
        return Path(self.folder or site.folder or home / "jobs") / "flow-runs"
