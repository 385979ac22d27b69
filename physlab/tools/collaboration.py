"""`distributed_collaboration` as nodes: jobs on clusters. The lab answers them itself."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from physlab.tools.context import Context
from physlab.tools.registry import Port, registry
from physlab.tools.types import File, Params

FAMILY = "distributed_collaboration"

registry.tool(FAMILY, summary="Batch jobs on clusters.", discriminator="method")


class JobSpec(BaseModel):
    """A command, what it asks for, and what it finds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: list[str] = Field(min_length=1, description="Program and arguments, a word each.")
    resources: dict[str, Any] = Field({}, description="`{cpu, memory, gpu, nodes, time_limit, partition, …}`.")
    env: dict[str, str] = Field({}, description="Variables that it finds.")
    image: str | None = Field(None, description="A container; not available in this version.")
    mounts: list[dict[str, Any]] = Field([], description="Folders of it; not available in this version.")

    @model_validator(mode="after")
    def _without_container(self) -> JobSpec:
        for name in ("image", "mounts"):
            if getattr(self, name):
                raise ValueError(f"{name} is not available in this version for slurm; leave it out")
        return self


class JobParams(Params):
    """A job, what it needs, and what it makes."""

    backend: str = Field(
        "slurm", validation_alias=AliasChoices("backend", "job_type"), description="The kind of cluster."
    )
    job_spec: JobSpec | None = Field(
        None,
        description="`{command: [...], resources: {cpu, memory, gpu, nodes, time_limit, …}, env: {…}}`.",
    )
    script: str | None = Field(
        None, description="A script instead of a command, or the name of its file; its `#SBATCH` lines count."
    )
    resources: dict[str, Any] | None = Field(
        None, description="`{nodes, cpus_per_node, memory: 32GB, time: 2:00:00}`, as in job_spec."
    )
    artifacts: list[str] = Field(
        [], validation_alias=AliasChoices("artifacts", "inputs"), description="Files to lay into the job's folder."
    )
    artifacts_path: str = Field(".", description="What to keep: a file or folder inside the job's folder.")
    stream_logs: bool = Field(True, description="Accepted; the log is in `log_stream_path` while the job runs.")
    timeout_sec: float = Field(3600, ge=60, le=86_400, description="How long to wait for its end [s].")
    name: str | None = Field(None, description="What the queue calls it.")
    dry_run: bool = Field(False, description="Return the script that would be submitted, and submit nothing.")

    @field_validator("backend")
    @classmethod
    def _there(cls, backend: str) -> str:
        if backend != "slurm":
            raise ValueError(f"'{backend}' is not available in this version; available: slurm")
        return backend

    @field_validator("artifacts_path")
    @classmethod
    def _inside(cls, path: str) -> str:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError("it leaves the job's folder; give a path inside it, such as results")
        return path


@registry.method(
    FAMILY,
    "job_submit",
    params=JobParams,
    returns=(
        Port("job_id", "text", description="Id of the job"),
        Port("state", "text", description="`completed`: a job that failed fails the node"),
        Port("exit_code", "number", description="Of its script"),
        Port("log_stream_path", "text", description="Its log, growing while it runs"),
        Port("returned_artifacts", "list", description="Paths of what it made"),
        Port("files", "object", description="What it made: stem of the name → file, for later nodes"),
        Port("folder", "text", description="The job's folder"),
        Port("script", "text", description="With dry_run: what would be submitted"),
    ),
    asks_lab=True,
    lasting=False,
    time_limit_s=None,
    kind="user",
)
def job_submit(params: JobParams, context: Context) -> dict[str, Any]:
    """Run a batch job on a cluster and keep what it makes."""
    body = context.ask_lab("job_submit", params)
    meta = body.pop("meta", {})
    context.meta.update(meta)
    files: dict[str, File] = {}
    for item in body.pop("artifacts", ()):
        path = Path(item["path"])
        name = path.relative_to(Path(body["folder"]).resolve()).as_posix()
        copy = context.workdir / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        key = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(name).stem)
        key = key if key not in files else re.sub(r"[^A-Za-z0-9_-]+", "_", name)
        files[key] = context.save(copy, name, role="data", caption=f"{name}, made by job {body['job_id']}.")
    return body | ({"files": files} if files else {})
