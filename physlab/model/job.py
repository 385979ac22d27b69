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
    """A folder of the machine that a container sees.

    Attributes:
        source: Absolute path on the machine.
        target: Absolute path in the container.
        readonly: True when it must not write there.
    """

    source: Place
    target: Place
    readonly: bool = False


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
    gpus: int = 0
    gpu_percent: float | None = None

    @property
    def ended(self) -> bool:
        """True when nothing more will become of it."""
        return self.state in ENDED
