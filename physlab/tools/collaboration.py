"""`distributed_collaboration` as nodes: the family, and jobs on clusters. The lab answers them itself."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from physlab.tools.context import Context
from physlab.tools.registry import Port, registry
from physlab.tools.types import File, Params

FAMILY = "distributed_collaboration"
BACKENDS = {"slurm": "slurm", "k8s": "k8s", "kubernetes": "k8s"}

registry.tool(
    FAMILY,
    summary="Batch jobs on clusters, versions of artifacts, and the lab notebook.",
    discriminator="method",
    aliases={"notebook_add": "lab_notebook"},
)


class JobSpec(BaseModel):
    """A command, what it asks for, and what it finds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: list[str] = Field(min_length=1, description="Program and arguments, a word each.")
    resources: dict[str, Any] = Field({}, description="`{cpu, memory, gpu, nodes, time_limit, partition, …}`.")
    env: dict[str, str] = Field({}, description="Variables that it finds.")
    image: str | None = Field(
        None, validation_alias=AliasChoices("image", "container"), description="Container that it runs in."
    )
    mounts: list[dict[str, Any]] = Field(
        [],
        description="Folders that it sees: `{source, target, readonly}`; on k8s a source can be `claim:NAME/folder`.",
    )
    namespace: str | None = Field(None, description="k8s: where, unless that of the cluster.")
    node_selector: dict[str, str] | None = Field(None, description="k8s: labels that machines must have.")
    tolerations: list[dict[str, Any]] | None = Field(None, description="k8s: taints that it tolerates.")
    service_account: str | None = Field(None, description="k8s: as whom it may ask the API; unset: it may not.")
    image_pull_secrets: list[str] | None = Field(None, description="k8s: secrets for the image's registry.")
    priority_class: str | None = Field(None, description="k8s: how important it is.")
    run_as_user: int | None = Field(None, description="k8s: number of its user; unset: 1000, 0: root.")
    ttl_s: int | None = Field(
        None,
        validation_alias=AliasChoices("ttl_s", "ttl"),
        description="k8s: the cluster removes it so long after its end, stored or not [s]; unset: physlab does.",
    )
    schedule: str | None = Field(None, description="k8s: five fields of cron; it runs again and again.")
    time_zone: str | None = Field(None, description="k8s: of the schedule, such as Europe/Berlin.")


class OneJob(BaseModel):
    """One job of several: a command or a script, its files, what it asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(None, description="What it is called.")
    job_spec: JobSpec | None = Field(None, description="As for a single job.")
    script: str | None = Field(None, description="A script instead of a command, or the name of its file.")
    resources: dict[str, Any] = Field({}, description="What it asks for beside `resources` of all.")
    env: dict[str, str] = Field({}, description="Variables that it finds.")
    artifacts: list[str] = Field(
        [], validation_alias=AliasChoices("artifacts", "inputs"), description="Files to lay into its folder."
    )
    artifacts_path: str = Field(".", description="What to keep of its folder.")

    @model_validator(mode="before")
    @classmethod
    def _spec_inline(cls, given: Any) -> Any:
        """Read `{command: [...]}` as `{job_spec: {command: [...]}}`."""
        if isinstance(given, dict) and "command" in given and "job_spec" not in given:
            inline = {"command", "container", "ttl", *JobSpec.model_fields} - {"resources", "env"}
            spec = {name: given[name] for name in inline if name in given}
            return {**{name: value for name, value in given.items() if name not in inline}, "job_spec": spec}
        return given

    @field_validator("artifacts_path")
    @classmethod
    def _inside(cls, path: str) -> str:
        return stays_inside(path)


class OneStep(OneJob):
    """A step of a workflow: a job with files that it needs and makes."""

    step: str = Field(min_length=1, description="Its name.")
    dependencies: list[str] = Field([], description="Files that it needs: of this machine, or made by other steps.")
    outputs: list[str] = Field([], description="Files that it makes; without one of them it has failed.")


def stays_inside(path: str) -> str:
    """Return a path that stays in the job's folder.

    Raises:
        ValueError: It leaves it.
    """
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("it leaves the job's folder; give a path inside it, such as results")
    return path


class JobParams(Params):
    """A job, what it needs, and what it makes."""

    backend: str | None = Field(
        None,
        validation_alias=AliasChoices("backend", "job_type"),
        description="The kind of cluster: `slurm` or `k8s`; unset: that of the site, else of the first one configured.",
    )
    site: str | None = Field(None, description="Name of the cluster in the settings; unset: the first one there.")
    job_spec: JobSpec | None = Field(
        None,
        description="`{command: [...], resources: {cpu, memory, gpu, nodes, time_limit, …}, env: {…}}`.",
    )
    script: str | None = Field(
        None, description="A script instead of a command, or the name of its file; its `#SBATCH` lines count."
    )
    jobs: list[OneJob] | None = Field(
        None, min_length=1, description="Several jobs instead of one; those that ask for the same are one array."
    )
    workflow: list[OneStep] | None = Field(
        None, min_length=1, description="Steps chained by files: `{step, script, dependencies, outputs}`."
    )
    resources: dict[str, Any] | None = Field(
        None, description="`{nodes, cpus_per_node, memory: 32GB, time: 2:00:00}`, as in job_spec."
    )
    artifacts: list[str] = Field(
        [], validation_alias=AliasChoices("artifacts", "inputs"), description="Files to lay into the job's folder."
    )
    artifacts_path: str = Field(".", description="What to keep: a file or folder inside the job's folder.")
    after: list[str] = Field([], description="Ids of jobs that must have succeeded before it starts.")
    throttle: int | None = Field(None, ge=1, description="With jobs: how many of an array run at once.")
    retries: int = Field(
        0, ge=0, le=10, description="How often a failed job is submitted again, or given what it lacks."
    )
    most_time: str | float | None = Field(
        None, description="With retries: a job that ran too long gets more time, at most this, such as 12:00:00."
    )
    stream_logs: bool = Field(True, description="Say each line of the log as it appears.")
    wait: bool = Field(True, description="Wait for the end; false returns when it is accepted: `physlab job fetch`.")
    timeout_sec: float = Field(3600, ge=60, le=86_400, description="How long to wait for its end [s].")
    name: str | None = Field(None, description="What the queue calls it.")
    keep: bool = Field(False, description="k8s: leave the Job on the cluster when all is stored.")
    dry_run: bool = Field(
        False, description="Return the script or manifest that would be submitted, and submit nothing."
    )

    @field_validator("backend")
    @classmethod
    def _there(cls, backend: str | None) -> str | None:
        if backend is not None and backend not in BACKENDS:
            raise ValueError(f"'{backend}' is no kind of cluster; known: slurm, k8s")
        return None if backend is None else BACKENDS[backend]

    @field_validator("after", mode="before")
    @classmethod
    def _as_texts(cls, after: Any) -> Any:
        ids = after if isinstance(after, list) else [after]
        return [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in ids]

    @field_validator("artifacts_path")
    @classmethod
    def _inside(cls, path: str) -> str:
        return stays_inside(path)


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
        Port("jobs", "list", description="With jobs or workflow: each with its id, state and files"),
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
    named = _names(body)
    stems = Counter(_key(Path(name).stem) for name in named.values())
    files: dict[str, File] = {}
    for item in body.pop("artifacts", ()):
        path, name = Path(item["path"]), named[item["path"]]
        copy = context.workdir / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        key = _key(Path(name).stem)
        shared = "jobs" in body and stems[key] > 1  # of several jobs none has the short name for itself
        key = _key(name) if shared or key in files else key
        files[key] = context.save(copy, name, role="data", caption=f"{name}, made by job {body['job_id']}.")
    for job in body.get("jobs", ()):
        job.pop("artifacts", None)
    return body | ({"files": files} if files else {})


def _key(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)


def _names(body: dict[str, Any]) -> dict[str, str]:
    """Return each file's path → its name: in its job's folder, below the job's name when there are several."""
    if "jobs" not in body:
        base = Path(body["folder"]).resolve() if "folder" in body else Path()
        return {item["path"]: Path(item["path"]).relative_to(base).as_posix() for item in body.get("artifacts", ())}
    names = [job["name"] for job in body["jobs"]]
    found = {}
    for index, job in enumerate(body["jobs"]):
        before = job["name"] if names.count(job["name"]) == 1 else f"{job['name']}-{index}"
        base = Path(job["folder"]).resolve()
        for item in job.get("artifacts", ()):
            found[item["path"]] = f"{before}/{Path(item['path']).relative_to(base).as_posix()}"
    return found
