"""Slurm's words for what became of a job, in ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from physlab.model.job import ENDED, JobStatus, State

STATES: Mapping[str, State] = {
    "PENDING": "pending",
    "CONFIGURING": "pending",
    "REQUEUED": "pending",
    "REQUEUE_FED": "pending",
    "REQUEUE_HOLD": "pending",
    "SPECIAL_EXIT": "pending",
    "RESV_DEL_HOLD": "pending",
    "RUNNING": "running",
    "COMPLETING": "running",
    "SUSPENDED": "running",
    "STOPPED": "running",
    "SIGNALING": "running",
    "STAGE_OUT": "running",
    "RESIZING": "running",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "BOOT_FAIL": "node_fail",
    "NODE_FAIL": "node_fail",
    "REVOKED": "cancelled",
    "CANCELLED": "cancelled",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "OUT_OF_MEMORY": "out_of_memory",
    "PREEMPTED": "preempted",
}
ENDING = "COMPLETING"  # the queue's word for a job whose end has begun; the accounts know the reason already
MANY = 4_000_001  # Slurm's own limit on the elements of an array; a longer range is a mistake
SQUEUE = "%i|%T|%r|%N|%M|%Z|%k"  # id, state, reason, machines, elapsed, folder, comment
QUEUE = ("squeue", "-h", "-r", "--me", "-t", "all", "-o", SQUEUE)
"""The one question about the queue: whoever asks it, the answer serves all."""
SACCT = "JobID,State,ExitCode,NodeList,ElapsedRaw,TotalCPU,MaxRSS,AllocTRES,TRESUsageInTot"
OURS = "physlab"
"""The word in the comment of each job of ours."""


def state_of(word: str) -> State:
    """Return our state for Slurm's, such as `CANCELLED by 1000`; `unknown` for a word that is none."""
    return STATES.get(word.split()[0].rstrip("+") if word.split() else "", "unknown")


def job_ids(text: str) -> tuple[str, ...]:
    """Return the jobs of an id as Slurm prints it: `12`, `12_3`, or `12_[3-7,9%2]` for elements that wait together."""
    match = re.fullmatch(r"(\d+)_\[([\d,-]+)(?:%\d+)?\]", text)
    if match is not None:
        return tuple(f"{match[1]}_{number}" for number in _numbers(match[2]) if number.isdigit())
    return (text,) if re.fullmatch(r"\d+(_\d+)?", text) else ()


def read_squeue(text: str) -> Iterator[JobStatus]:
    """Yield what `squeue -h -r -o SQUEUE` says of the jobs that wait or run; lines that are none are passed over."""
    for line in text.splitlines():
        parts = line.split("|", 5)
        if len(parts) >= 5:
            listed, word, reason, machines, elapsed = parts[:5]
            for job_id in job_ids(listed):
                yield JobStatus(
                    job_id=job_id,
                    state=state_of(word),
                    reason=reason if word == "PENDING" else word,
                    machines=names(machines),
                    elapsed_s=seconds(elapsed),
                )


def place_of(line: str) -> str:
    """Return `id|folder|comment` of a line of an answer to `QUEUE`."""
    return "|".join(part for index, part in enumerate(line.split("|", 6)) if index in (0, 5, 6))


def own_jobs(text: str) -> int:
    """Return how many jobs of ours wait or run, in an answer to `QUEUE`."""
    rows = [line.split("|", 6) for line in text.splitlines()]
    return sum(
        len(job_ids(row[0])) for row in rows
        if len(row) == 7 and state_of(row[1]) not in ENDED and OURS in row[6].split()
    )  # fmt: skip


def read_sacct(text: str) -> dict[str, JobStatus]:
    """Return what `sacct -n -P -D -o SACCT` says: of each job its latest start, with what its steps used."""
    found: dict[str, JobStatus] = {}
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) < 7:
            continue
        parts += ["", ""]  # the last two are not told everywhere
        job, _, step = parts[0].partition(".")
        if not step:
            found.update({job_id: _accounted(job_id, parts, found.get(job_id)) for job_id in job_ids(job)})
        elif job in found:
            used = {"memory_mb": megabytes(parts[6]), "gpu_percent": _tres(parts[8]).get("gres/gpuutil")}
            most = {
                name: max(value, getattr(found[job], name) or 0.0) for name, value in used.items() if value is not None
            }
            found[job] = found[job].model_copy(update=most)
    return found


def _tres(text: str) -> dict[str, float]:
    """Return the plain numbers of a list such as `cpu=2,gres/gpu=1,mem=500M`."""
    pairs = (item.partition("=")[::2] for item in text.split(","))
    return {name: float(value) for name, value in pairs if re.fullmatch(r"\d+(\.\d+)?", value)}


def _accounted(job_id: str, parts: Sequence[str], before: JobStatus | None) -> JobStatus:
    _, word, ended, machines, elapsed, cpu, _, allocated = parts[:8]
    state = state_of(word)
    code, signal = (int(part) for part in (ended if re.fullmatch(r"\d+:\d+", ended) else "0:0").split(":"))
    return JobStatus(
        job_id=job_id,
        state=state,
        reason=word,
        exit_code=code if state in ("completed", "failed") and not signal else None,
        signal=signal,
        machines=names(machines),
        restarts=before.restarts + 1 if before is not None else 0,
        elapsed_s=float(elapsed) if elapsed.isdigit() else None,
        cpu_s=seconds(cpu),
        gpus=int(_tres(allocated).get("gres/gpu", 0)),
    )


def judged(status: JobStatus, memory_mb: float | None) -> JobStatus:
    """Return a status in which a job that was killed while it used more memory than it asked for ran out of memory.

    Slurm itself says so only where cgroups count memory; where it kills for it otherwise, it calls that a failure.

    Args:
        status: What Slurm says.
        memory_mb: What the job asked for on each machine [MB].
    """
    used = status.memory_mb
    if status.state != "failed" or status.signal != 9 or memory_mb is None or used is None or used <= memory_mb:
        return status
    reason = f"{status.reason}, {used:.0f} MB used of {memory_mb:.0f} MB"
    return status.model_copy(update={"state": "out_of_memory", "reason": reason})


def read_sentinel(job_id: str, text: str) -> JobStatus | None:
    """Return what a job wrote down of its own end; None for a text that is not its."""
    match = re.fullmatch(r"(\d{1,3}) (\d{1,9})\s*", text)
    if match is None:
        return None
    code = int(match[1])
    return JobStatus(
        job_id=job_id,
        state="failed" if code else "completed",
        reason="its own record",
        exit_code=code if code <= 128 else None,
        signal=code - 128 if code > 128 else 0,
        restarts=int(match[2]),
    )


def names(text: str) -> tuple[str, ...]:
    """Return the machines of a list such as `n[1-3,7]` or `a,b02`; none for Slurm's words for none."""
    if text in ("", "(null)", "None assigned", "n/a"):
        return ()
    found: list[str] = []
    for head, inside, tail in re.findall(r"([^,\[\]]+)(?:\[([^\]]*)\])?([^,\[\]]*)", text):
        found.extend(f"{head}{number}{tail}" for number in _numbers(inside)) if inside else found.append(head)
    return tuple(found)


def _numbers(text: str) -> Sequence[str]:
    found: list[str] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if dash and low.isdigit() and high.isdigit() and int(high) - int(low) < MANY:
            found.extend(str(number).zfill(len(low)) for number in range(int(low), int(high) + 1))
        else:
            found.append(part)
    return found


def seconds(text: str) -> float | None:
    """Return the seconds of `1-02:03:04`, `02:03` or `00:01.250`; None for no time."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", text.strip())
    if match is None:
        return None
    days, hours, minutes, rest = match.groups()
    return int(days or 0) * 86_400 + int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)


def megabytes(text: str) -> float | None:
    """Return the megabytes of `1234K`, `1.5G`; None for no size."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGTP]?)", text.strip())
    if match is None:
        return None
    factor = {"": 1 / 1024**2, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}[match[2]]
    return float(match[1]) * factor
