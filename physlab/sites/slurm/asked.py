"""What a job asks of Slurm, read from its script as Slurm reads it: whoever wrote the directives, they are counted."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from physlab.errors import ValidationError

_SHORT = {"N": "nodes", "n": "ntasks", "c": "cpus-per-task", "t": "time", "p": "partition", "G": "gpus", "a": "array",
          "B": "extra-node-info"}  # fmt: skip
_COUNTED = frozenset((
    "nodes", "ntasks", "ntasks-per-node", "cpus-per-task", "cpus-per-gpu", "mem", "mem-per-cpu", "mem-per-gpu", "gpus",
    "gpus-per-node", "gpus-per-task", "gres", "time", "partition", "array", "comment",
))  # fmt: skip
_UNCOUNTED = frozenset((
    "exclusive", "extra-node-info", "ntasks-per-gpu", "gpus-per-socket", "tres-per-task", "tres-per-job",
    "tres-per-node", "tres-per-socket",
))  # fmt: skip
_UNITS = {"K": 1 / 1024, "": 1.0, "M": 1.0, "G": 1024.0, "T": 1024.0**2}
VARIABLES = tuple(f"SBATCH_{name}" for name in (
    "ARRAY_INX", "CPUS_PER_GPU", "EXCLUSIVE", "GPUS", "GPUS_PER_NODE", "GPUS_PER_TASK", "GRES", "MEM_PER_CPU",
    "MEM_PER_GPU", "MEM_PER_NODE", "PARTITION", "TIMELIMIT", "TRES_PER_TASK",
))  # fmt: skip
"""What would have sbatch ask for something else than the script says."""


@dataclass(frozen=True)
class Asked:
    """What a job asks for, all its machines together; of an array, one element.

    Attributes:
        nodes: Machines.
        cpus: Cores.
        memory_mb: Memory [MB, 2^20 bytes]; None leaves it to the cluster, infinite is all that a machine has.
        gpus: Accelerators.
        walltime_s: Time limit [s]; None leaves it to the cluster.
        partitions: Queues; none leaves it to the cluster.
        elements: Elements of the array; 1 for a job.
        comment: What it is for.
        uncounted: An option whose size cannot be told; empty when there is none.
    """

    nodes: int = 1
    cpus: int = 1
    memory_mb: float | None = None
    gpus: int = 0
    walltime_s: float | None = None
    partitions: tuple[str, ...] = ()
    elements: int = 1
    comment: str = ""
    uncounted: str = ""


def read_script(script: str, options: Sequence[str] = ()) -> Asked:
    """Return what a batch script asks for, and options of the command line, which count more.

    Raises:
        ValidationError: One of its directives cannot be read.
    """
    words: list[str] = []
    for line in script.splitlines()[1:]:
        if line.startswith("#SBATCH"):
            words += shlex.split(line.removeprefix("#SBATCH"), comments=True)
        elif line.strip() and not line.startswith("#"):
            break  # Slurm reads no directive after the first command
    return read_words([*words, *options])


def read_words(words: Sequence[str]) -> Asked:
    """Return what options of sbatch or srun ask for; of two that say the same, the later one counts.

    Raises:
        ValidationError: One of them cannot be read.
    """
    said = dict(_options(words))
    nodes = _count(said, "nodes", 1)
    tasks = _count(said, "ntasks", nodes * _count(said, "ntasks-per-node", 1))
    gpus = max(
        _devices(said.get("gpus", "")), nodes * _devices(said.get("gpus-per-node", "")),
        tasks * _devices(said.get("gpus-per-task", "")), nodes * _gres(said.get("gres", "")),
    )  # fmt: skip
    cpus = max(tasks * _count(said, "cpus-per-task", 1), gpus * _count(said, "cpus-per-gpu", 0))
    memory = [_megabytes(said[name]) * count for name, count in (("mem", nodes), ("mem-per-cpu", cpus),
              ("mem-per-gpu", gpus)) if name in said]  # fmt: skip
    return Asked(
        nodes=nodes, cpus=cpus, memory_mb=max(memory, default=None), gpus=gpus,
        walltime_s=_seconds(said["time"]) if "time" in said else None,
        partitions=tuple(filter(None, said.get("partition", "").split(","))),
        elements=_elements(said["array"]) if "array" in said else 1, comment=said.get("comment", ""),
        uncounted=next((name for name in said if name in _UNCOUNTED), ""),
    )  # fmt: skip


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options that count and their values."""
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) and not words[index + 1].startswith("-") else ""
        if word.startswith("--"):
            name, given, value = word[2:].partition("=")
            if name not in _COUNTED | _UNCOUNTED:
                _refuse_shortened(name)
            yield name, value if given else following
        elif re.match(r"-[A-Za-z]", word) and word[1] in _SHORT:
            yield _SHORT[word[1]], word[2:] or following


def _refuse_shortened(name: str) -> None:
    """Refuse the beginning of an option's name, which Slurm takes for the whole."""
    if whole := next((known for known in sorted(_COUNTED | _UNCOUNTED) if known.startswith(name)), None):
        raise ValidationError(f"The option '--{name}' is cut short.", hint=f"Write it in full, such as --{whole}.")


def _count(said: Mapping[str, str], name: str, default: int) -> int:
    """Return a number, of a range such as `2-4` the larger one."""
    if name not in said:
        return default
    match = re.fullmatch(r"(?:\d+-)?(\d+)([kmKM]?)", said[name])
    if match is None:
        raise _unreadable(name, said[name])
    return int(match[1]) * {"": 1, "k": 1024, "m": 1024**2}[match[2].lower()]


def _devices(text: str) -> int:
    """Return how many accelerators `2`, `a100:2` or `a100:1,v100:1` are."""
    parts = [part.rpartition(":")[2] for part in text.split(",") if part]
    return sum(int(part) if part.isdigit() else 1 for part in parts)


def _gres(text: str) -> int:
    return _devices(",".join(part.partition("(")[0] for part in text.split(",") if re.match(r"(gres[:/])?gpu\b", part)))


def _megabytes(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text.upper())
    if match is None:
        raise _unreadable("mem", text)
    return float(match[1]) * _UNITS[match[2]] or math.inf  # 0 is all that a machine has


def _seconds(text: str) -> float:
    """Return a time limit in one of Slurm's six spellings [s]."""
    if text.lower() in ("unlimited", "infinite", "-1", "0"):
        return math.inf
    days, dash, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in (*parts, days or "0")) or len(parts) > 3:
        raise _unreadable("time", text)
    units = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)
    seconds = sum(int(part) * unit for part, unit in zip(parts, units, strict=False))
    return (int(days or 0) * 86_400 + seconds) or math.inf


def _elements(text: str) -> int:
    found = 0
    for part in text.partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if match is None:
            raise _unreadable("array", text)
        low, high, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        found += max(0, high - low) // max(1, step) + 1
    return found


def _unreadable(name: str, value: str) -> ValidationError:
    return ValidationError(f"--{name}={value} cannot be read.", hint="Write it as Slurm's manual does.")
