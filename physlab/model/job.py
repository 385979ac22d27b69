"""A batch job: what a scheduler is asked to run, and what became of it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from physlab.model.base import Model

_WORD = r"^[A-Za-z0-9][A-Za-z0-9._+@-]{0,127}$"  # what can neither end a directive nor begin another, nor be an option
Word = Annotated[str, StringConstraints(pattern=_WORD)]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
State = Literal["pending", "running", "completed", "failed", "cancelled", "timeout", "out_of_memory", "node_fail",
                "preempted", "rejected", "unknown"]  # fmt: skip
ENDED = frozenset(
    ("completed", "failed", "cancelled", "timeout", "out_of_memory", "node_fail", "preempted", "rejected")
)
Place = Annotated[str, StringConstraints(pattern=r"^/[^,:\x00-\x1f]{0,1023}$")]  # what a bind mount can name
Source = Annotated[
    str,
    StringConstraints(
        pattern=r"^(/[^,:\x00-\x1f]{0,1023}|(claim|secret|configmap):[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(/[^,:\x00-\x1f]{1,700})?)$"
    ),
]
DnsName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Label = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$")]
LabelName = Annotated[
    str,
    StringConstraints(
        pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
    ),
]
Cron = Annotated[str, StringConstraints(pattern=r"^(@[a-z]+|[0-9A-Za-z*/,?-]+( [0-9A-Za-z*/,?-]+){4})$")]
Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$")]


class JobResources(Model):
    """What a job asks of a cluster.

    Attributes:
        nodes: Machines.
        cpus: Cores on each machine.
        memory_mb: Memory on each machine [MB]; None leaves it to the partition.
        gpus: Accelerators on each machine.
        walltime_s: Time limit [s]; None leaves it to the partition.
        partition: Queue.
        account: Whom it is charged to.
        qos: Quality of service.
        constraint: Feature that machines must have.
        gres: Further generic resources, such as `gpu:a100:2`, instead of `gpus`.
        exclude: Machines that must not be used.
    """

    nodes: Annotated[int, Field(ge=1, le=10_000)] = 1
    cpus: Annotated[int, Field(ge=1, le=4096)] = 1
    memory_mb: Annotated[int, Field(ge=1)] | None = None
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    walltime_s: Annotated[float, Field(gt=0, le=366 * 86_400)] | None = None
    partition: Word | None = None
    account: Word | None = None
    qos: Word | None = None
    constraint: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._&|*()\[\]-]{0,199}$")] | None = None
    gres: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:,()-]{0,199}$")] | None = None
    exclude: tuple[Word, ...] = ()


class Mount(Model):
    """A folder that a container sees.

    Attributes:
        source: Absolute path on the machine; on Kubernetes also `claim:NAME`, `claim:NAME/folder`, `secret:NAME`,
            `configmap:NAME`.
        target: Absolute path in the container.
        readonly: True when it must not write there.
    """

    source: Source
    target: Place
    readonly: bool = False


class Toleration(Model):
    """A taint of machines that a pod tolerates, in the words of Kubernetes; no key tolerates all.

    Attributes:
        key: The taint's name.
        operator: Whether its value counts.
        value: Its value.
        effect: What it does; None for all.
        toleration_s: How long it is tolerated [s].
    """

    key: LabelName | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: Label | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_s: Annotated[int, Field(ge=0)] | None = Field(None, validation_alias="tolerationSeconds")


class PodWishes(Model):
    """What only pods know.

    Attributes:
        namespace: Where; None for the cluster's own.
        node_selector: Labels that machines must have.
        tolerations: Taints that it tolerates.
        service_account: As whom it asks the API; None gives it no access.
        image_pull_secrets: Secrets for the image's registry.
        priority_class: How important it is.
        run_as_user: Its user; 0 is root, with root's capabilities.
        ttl_s: The cluster itself removes the Job so long after its end [s], stored or not; None leaves that to physlab.
        schedule: Five fields of cron: run again and again.
        time_zone: Of the schedule, such as `Europe/Berlin`; None is the cluster's.
        keep: Leave the Job when all is stored.
    """

    namespace: DnsName | None = None
    node_selector: dict[LabelName, Label] = {}
    tolerations: tuple[Toleration, ...] = ()
    service_account: DnsName | None = None
    image_pull_secrets: tuple[DnsName, ...] = ()
    priority_class: DnsName | None = None
    run_as_user: Annotated[int, Field(ge=0, lt=2**31)] = 1000
    ttl_s: Annotated[int, Field(ge=0)] | None = None
    schedule: Cron | None = None
    time_zone: Zone | None = None
    keep: bool = False


class JobRequest(Model):
    """A job to run.

    Attributes:
        name: What the queue calls it.
        command: Program and arguments; each stays one word, whatever it holds.
        script: A script instead, with its interpreter in the first line; its own `#SBATCH` lines count.
        resources: What it asks for.
        environment: Variables that it finds.
        after: Jobs that must have succeeded before it starts.
        requeue: True lets the scheduler start it again when its machine fails.
        comment: What it is for, for the administrators.
        token: What tells it from all other jobs, whoever submits them and however often; stands before the comment.
        prologue: Shell lines that come before it, such as `module load python`.
        image: Container that it runs in: a name for Docker's registry, a URL such as `oras://…`, or a `.sif` file.
        mounts: Further folders that the container sees.
        takes: Name in its folder → absolute path of a file that an earlier job makes.
        makes: Files that must be there in the end, or it has failed.
        pod: What only Kubernetes knows.
    """

    name: Word = "physlab"
    command: tuple[str, ...] = ()
    script: str | None = None
    resources: JobResources = JobResources()
    environment: dict[EnvironmentName, str] = {}
    after: tuple[Annotated[str, StringConstraints(pattern=r"^\d+(_\d+)?$")], ...] = ()
    requeue: bool = False
    comment: Annotated[str, StringConstraints(max_length=200)] = ""
    token: Word | None = None
    prologue: tuple[str, ...] = ()
    image: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9/.][A-Za-z0-9/._:@+-]{0,499}$")] | None = None
    mounts: tuple[Mount, ...] = ()
    takes: dict[str, str] = {}
    makes: tuple[str, ...] = ()
    pod: PodWishes = PodWishes()

    @field_validator("takes", "makes")
    @classmethod
    def _stay_inside(cls, names: Any) -> Any:
        for name in names:
            if not name or name.startswith("/") or ".." in name.split("/") or re.search(r"[\0\n]", name):
                raise ValueError(f"'{name}' is no path inside the job's folder")
        return names

    @field_validator("command")
    @classmethod
    def _words(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in word for word in command):
            raise ValueError("a word of a command cannot hold a NUL")
        return command

    @field_validator("environment")
    @classmethod
    def _values(cls, environment: dict[str, str]) -> dict[str, str]:
        if any("\0" in value for value in environment.values()):
            raise ValueError("a variable cannot hold a NUL")
        return environment

    @field_validator("comment")
    @classmethod
    def _one_line(cls, comment: str) -> str:
        return re.sub(r"[^\w .,:/+-]", " ", comment)


class JobStatus(Model):
    """What is known of a job.

    Attributes:
        job_id: Its id.
        state: Ours; `unknown` when the scheduler has forgotten it, and nothing else tells.
        reason: The scheduler's own word: its state, or why the job waits.
        exit_code: Of its script; None until it has ended by itself.
        signal: What ended it, 0 for none.
        machines: Where it ran.
        restarts: How often it was started again.
        elapsed_s: How long it ran [s].
        cpu_s: Processor time [s].
        memory_mb: Largest memory of one of its processes [MB].
        gpus: Accelerators that it held, as far as the accounts tell.
        gpu_percent: How busy they were, Slurm's gres/gpuutil [%]; None where nobody measures it.
        forgotten: The scheduler does not know it, or not any more.
    """

    job_id: str
    state: State
    reason: str = ""
    exit_code: int | None = None
    signal: int = 0
    machines: tuple[str, ...] = ()
    restarts: int = 0
    elapsed_s: float | None = None
    cpu_s: float | None = None
    memory_mb: float | None = None
    forgotten: bool = False
    gpus: int = 0
    gpu_percent: float | None = None

    @property
    def ended(self) -> bool:
        """True when nothing more will become of it."""
        return self.state in ENDED
