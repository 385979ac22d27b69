"""What the administrators of a cluster allow physlab to do there: one file, on the machine where Slurm's commands run.

Its path is fixed in the code, so that nobody redirects it by a setting or a variable.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import Field

from physlab.errors import ConfigurationError, ValidationError, nearest
from physlab.model.base import Model
from physlab.settings import toml_lines
from physlab.sites.slurm.asked import Asked

PATH = Path("/etc/physlab/policy.toml")
Size = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class JobCaps(Model):
    """`[job]`: what one job, or one element of an array, may ask for; all its machines together.

    Attributes:
        cpus: Cores.
        nodes: Machines.
        memory_gb: Memory [GB].
        gpus: Accelerators.
        walltime_s: Time limit [s].
    """

    cpus: Count | None = None
    nodes: Count | None = None
    memory_gb: Size | None = None
    gpus: Annotated[int, Field(ge=0)] | None = None
    walltime_s: Size | None = None


class Caps(Model):
    """The file; what it does not name is not limited.

    Attributes:
        submissions_per_minute: Calls of sbatch (and srun) of one user [1/min].
        polls_per_minute: Calls of squeue and sacct of one user [1/min].
        jobs_at_once: physlab's jobs of one user that wait or run; each element of an array is one.
        array_elements: Elements of one array.
        partitions: Queues that may be used.
        job: What one job may ask for.
    """

    submissions_per_minute: Count | None = None
    polls_per_minute: Count | None = None
    jobs_at_once: Count | None = None
    array_elements: Count | None = None
    partitions: Annotated[list[str], Field(min_length=1)] | None = None
    job: JobCaps = JobCaps()

    @property
    def longest_array(self) -> int:
        """How many elements an array may have."""
        return min(self.array_elements or sys.maxsize, self.jobs_at_once or sys.maxsize)

    def words(self) -> dict[str, Any]:
        """Return what is limited, by its name in the file."""
        found = self.model_dump(exclude_none=True)
        return {**{f"job.{name}": value for name, value in found.pop("job").items()}, **found}


@dataclass(frozen=True)
class Policy:
    """A policy in force.

    Attributes:
        place: Its file, and the machine.
        caps: What it says.
    """

    place: str
    caps: Caps

    @property
    def text(self) -> str:
        """The policy in one line."""
        limits = ", ".join(f"{name} {_spelled(value)}" for name, value in self.caps.words().items())
        return f"{self.place}: {limits or 'nothing is limited'}"

    def require(self, asked: Asked) -> None:
        """Refuse a job that asks for more than is allowed.

        Raises:
            ValidationError: It does; with each value, and what is allowed.
        """
        if broken := list(self._broken(asked)):
            raise ValidationError(
                f"The cluster's policy ({self.place}) does not allow this job: {'; '.join(broken)}.",
                hint="Ask for less, or ask the administrators of the cluster.",
            )

    def _broken(self, asked: Asked) -> Iterator[str]:
        job = self.caps.job
        memory_gb = None if asked.memory_mb is None else asked.memory_mb * 2**20 / 1e9
        sizes = (("cpus", asked.cpus, job.cpus), ("nodes", asked.nodes, job.nodes), ("gpus", asked.gpus, job.gpus),
                 ("memory_gb", memory_gb, job.memory_gb), ("walltime_s", asked.walltime_s, job.walltime_s))  # fmt: skip
        for name, value, most in sizes:
            if value is not None and most is not None and value > most:
                yield f"job.{name} = {_spelled(value)}, at most {_spelled(most)}"
        if asked.uncounted and any(most is not None for most in (job.cpus, job.memory_gb, job.gpus)):
            yield f"--{asked.uncounted} leaves open how much it takes; say it in cpus, memory and gpus"
        if asked.elements > self.caps.longest_array:
            yield f"an array of {asked.elements} elements, at most {self.caps.longest_array}"
        allowed = self.caps.partitions or asked.partitions
        for name in asked.partitions:
            if name not in allowed:
                yield f"partition '{name}', allowed: {', '.join(allowed)}"


def read_policy(text: str, place: str) -> Policy:
    """Return the policy of a file.

    Args:
        text: The file's.
        place: What to call it.

    Raises:
        ConfigurationError: It is malformed; with the line.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        raise _malformed(
            place, int(found[1]) if found else len(text.splitlines()), f"not valid TOML: {error}"
        ) from error
    try:
        return Policy(place, Caps.model_validate(document, strict=True))
    except pydantic.ValidationError as error:
        item = error.errors()[0]
        path = [str(part) for part in item["loc"]]
        lines, name = toml_lines(text), ".".join(path)
        line = next((lines[key] for end in range(len(path), 0, -1) if (key := ".".join(path[:end])) in lines), None)
        known = Caps.model_fields if len(path) == 1 else JobCaps.model_fields
        said = (
            f"'{name}' is unknown"
            if item["type"] == "extra_forbidden"
            else f"{name} = {item['input']!r}: {item['msg']}"
        )
        hint = nearest(path[-1], known) if item["type"] == "extra_forbidden" else ""
        raise _malformed(place, line, said, hint) from error


def _malformed(place: str, line: int | None, said: str, hint: str = "") -> ConfigurationError:
    where = f"{place}, line {line}" if line is not None else place
    return ConfigurationError(
        f"The cluster's policy cannot be read: {where}: {said}.",
        hint=f"{hint} Nothing is submitted until its administrators mend it.".strip(),
    )


def _spelled(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(value)
    if value == float("inf"):
        return "unlimited"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
