"""Slurm's commands: submit, ask about many jobs at once, cancel. Each error carries the scheduler's own words."""

from __future__ import annotations

import contextlib
import math
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from physlab.errors import ConfigurationError, PhyslabError, ResourceError, ValidationError
from physlab.model.job import JobRequest, JobStatus
from physlab.sites.slurm import states
from physlab.sites.slurm.commands import PATIENCE_S, Run
from physlab.sites.slurm.gate import Gate, gate_here
from physlab.sites.slurm.script import OWN_ID, SENTINEL, array_script, batch_script

LEAVE_ALONE_S = 120.0
SCRIPT_BYTES = 2_000_000  # half of what Slurm takes unless it is told otherwise
CAUTIOUS = 1000  # elements of an array, where the cluster does not say
FILES_AT_ONCE = 500
FEW = 20
FORGOTTEN = "neither the queue nor the accounts know it"
UNKNOWN_ID = "Invalid job id"
SILENT = "the scheduler does not answer"


class SlurmClient:
    """Talks to one cluster by its commands.

    Args:
        run: The gate to it; the one here by default. What merely runs a command knows no policy and shares nothing.
    """

    def __init__(self, run: Gate | Run | None = None) -> None:
        self.gate = run if isinstance(run, Gate) else Gate(run) if run is not None else gate_here()
        self._run = self.gate
        self._longest: int | None = None
        self._left_alone: dict[str, float] = {}

    def check(self, request: JobRequest, folder: Path) -> str:
        """Ask whether a job would be accepted, without submitting it; return the scheduler's answer.

        Raises:
            ValidationError: It would not; with its words.
        """
        done = self._call("sbatch", "--test-only", stdin=batch_script(request, str(folder)))
        return done.stderr.strip()

    def submit(self, request: JobRequest, folder: Path) -> str:
        """Submit a job and return its id.

        Args:
            request: What to run.
            folder: The job's own folder on the cluster; it must exist.

        Raises:
            ValidationError: It was refused; with the scheduler's words.
            ResourceError: The scheduler does not answer.
        """
        return self._submitted(batch_script(request, str(folder)))

    def submit_array(
        self, requests: Sequence[JobRequest], folders: Sequence[Path], *, throttle: int | None = None
    ) -> list[str]:
        """Submit several jobs that ask for the same as arrays, as few as the cluster's limits allow.

        All of them are accepted or none is: what an array before a refused one started is cancelled.

        Args:
            requests: What to run.
            folders: The folder of each on the cluster; they must exist.
            throttle: How many elements of an array may run at once.

        Returns:
            The id of each, such as `123_0`.

        Raises:
            ValidationError: They ask for different things, or were refused; with the scheduler's words.
            ResourceError: The scheduler does not answer.
        """
        found: list[str] = []
        try:
            for part in self._parts(requests, folders, throttle):
                job_id = self._submitted(part.script)
                found += [f"{job_id}_{index}" for index in range(part.count)]
        except PhyslabError:
            with contextlib.suppress(PhyslabError):
                self.cancel({job_id.partition("_")[0] for job_id in found})
            raise
        return found

    def _parts(self, requests: Sequence[JobRequest], folders: Sequence[Path], throttle: int | None) -> Iterator[_Part]:
        """Yield arrays that are no longer than the cluster takes, neither in elements nor in bytes."""
        most, start = self.longest_array(), 0
        while start < len(requests):
            count = min(most, len(requests) - start)
            while True:
                end = start + count
                script = array_script(
                    requests[start:end], [str(item) for item in folders[start:end]], throttle=throttle
                )
                if len(script) <= SCRIPT_BYTES or count == 1:
                    break
                count = max(1, count * SCRIPT_BYTES // len(script) - 1)
            yield _Part(script, count)
            start += count

    def longest_array(self) -> int:
        """Return how many elements an array may have by the limits of the cluster, asked once, and by its policy."""
        if self._longest is None:
            said = re.search(r"MaxArraySize\s*=\s*(\d+)", self._try("scontrol", "show", "config") or "")
            self._longest = max(1, int(said[1]) - 1) if said else CAUTIOUS
        policy = self.gate.policy()
        return min(self._longest, policy.caps.longest_array) if policy is not None else self._longest

    def largest_memory_mb(self, partition: str | None = None) -> int | None:
        """Return the memory of the largest machine of a partition, or of the cluster [MB]; None when nobody says."""
        said = self._try("sinfo", "-h", "-o", "%m", *(["-p", partition] if partition else []))
        found = [int(text) for text in re.findall(r"^(\d+)\+?$", said or "", re.MULTILINE)]
        return max(found, default=None)

    def find(
        self, tokens: Mapping[str, Path], since_s: float, elements: Mapping[Path, str] | None = None
    ) -> dict[str, str] | None:
        """Return the ids of jobs whose acceptance nobody wrote down.

        A job is known by its folder, which is where it works, and by its token, which is in its comment; the queue,
        the accounts and what the job itself wrote are asked in this order. An array has one id for all its elements.

        Args:
            tokens: Token → folder.
            since_s: How long ago they may have been submitted [s].
            elements: Folder → token of an array's elements, which work in its folder and write in their own.

        Returns:
            Token → id, for those that are known; None when the scheduler does not answer, so that nothing follows.
        """
        queue = self._try(*states.QUEUE, since=time.time())
        found = dict(_named("\n".join(map(states.place_of, (queue or "").splitlines())), tokens))
        if len(found) < len(tokens):
            begin = f"now-{math.ceil(since_s / 60) + 2}minutes"
            accounts = self._try("sacct", "-n", "-P", "-X", "-S", begin, "-o", "JobID,WorkDir,Comment")
            found = {**dict(_named(accounts or "", tokens)), **found}
        places = {**{folder: token for token, folder in tokens.items()}, **(elements or {})}
        left = {folder: token for folder, token in places.items() if token not in found}
        for folder, text in self._written(OWN_ID, left).items():
            if re.fullmatch(r"\d+(_\d+)?", text):
                found[left[folder]] = text.partition("_")[0]
        return None if queue is None and len(found) < len(tokens) else found

    def queue(self, jobs: Iterable[str], since: float | None = None) -> dict[str, JobStatus] | None:
        """Return what the queue says of this user's jobs; None when it does not answer.

        An answer that somebody else of this user has just got will do, unless a job is missing in it: it may have been
        submitted after it.

        Args:
            jobs: Those that are asked about.
            since: No answer before this time will do [s since the epoch]; default: a moment ago.
        """
        begun = time.time()
        text = self._try(*states.QUEUE, since=since)
        found = {status.job_id: status for status in states.read_squeue(text or "")}
        if text is not None and any(job_id not in found for job_id in jobs):
            text = self._try(*states.QUEUE, since=begun)
            found = {status.job_id: status for status in states.read_squeue(text or "")}
        return found if text is not None else None

    def poll(self, jobs: Mapping[str, Path], ending: bool = False, since: float | None = None) -> dict[str, JobStatus]:
        """Return what is known of jobs, with three commands however many they are.

        The queue tells of those that wait or run, the accounts of those that ended; where there are no accounts, the
        record that each job writes in its folder does. What cannot be read, or does not answer, is passed over.

        Args:
            jobs: Id → folder.
            ending: Say already of a job that is just ending how it ends; its processes may still be there.
            since: As for `queue`.
        """
        if not jobs:
            return {}
        answered = self.queue(jobs, since)
        queued = answered or {}
        over = [
            job_id for job_id in jobs
            if job_id not in queued or queued[job_id].ended or (ending and queued[job_id].reason == states.ENDING)
        ]  # fmt: skip
        words = ("sacct", "-n", "-P", "-D", "-j", _listed(over), "-o", states.SACCT)
        accounted = states.read_sacct((self._try(*words, since=since) if over else "") or "")
        found, nobody = {}, SILENT if answered is None else FORGOTTEN
        for job_id in jobs:
            told = accounted.get(job_id) or queued.get(job_id) or _of_the_rest(job_id, queued)
            if job_id not in over:
                told = queued[job_id]  # what the accounts know is an earlier end of a job that was started again
            elif told is not None and not told.ended and queued.get(job_id) is not None:
                told = queued[job_id]  # the accounts are late
            found[job_id] = told or JobStatus(job_id=job_id, state="unknown", reason=nobody)
        exact = [job_id for job_id in over if found[job_id].state in ("completed", "failed", "unknown") or
                 not found[job_id].ended]  # fmt: skip
        records = self._written(SENTINEL, [jobs[job_id] for job_id in exact])
        for job_id in exact:
            record = states.read_sentinel(job_id, records.get(jobs[job_id], ""))
            found[job_id] = _exactly(found[job_id], record)
        return found

    def cancel(self, jobs: Iterable[str]) -> None:
        """Cancel jobs; those that ended already are left alone.

        Raises:
            ResourceError: The scheduler refused; with its words.
        """
        listed = list(jobs)
        if listed:
            done = self._ran(("scancel", *listed))
            refused = [line for line in done.stderr.splitlines() if UNKNOWN_ID not in line]
            if done.returncode and refused:
                raise ResourceError(f"scancel: {' '.join(refused)[:500]}", hint="Whose jobs are they?")

    def _written(self, name: str, folders: Iterable[Path]) -> dict[Path, str]:
        """Return what jobs wrote into a file of their folders, with one command for many."""
        files = {str(folder / name): folder for folder in folders}
        found: dict[Path, str] = {}
        for start in range(0, len(files), FILES_AT_ONCE):
            some = list(files)[start : start + FILES_AT_ONCE]
            for line in (self._try("grep", "-sH", "", *some) or "").splitlines():
                path, _, text = line.partition(f"/{name}:")
                if f"{path}/{name}" in files:
                    found[files[f"{path}/{name}"]] = text
        return found

    def _submitted(self, script: str) -> str:
        done = self._call("sbatch", "--parsable", stdin=script)
        job_id = done.stdout.strip().partition(";")[0]
        if not re.fullmatch(r"\d+", job_id):
            raise ResourceError(f"sbatch answered {done.stdout[:200]!r}, which is no job id.", hint="Look at squeue.")
        return job_id

    def _call(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = self._ran(words, stdin)
        if done.returncode == 127:  # of the shell on the login node
            raise ConfigurationError(
                f"{words[0]} is not installed there: {done.stderr.strip()[-300:]}",
                hint="Name a login node of the cluster as its host.",
            )
        if done.returncode:
            said = " ".join(done.stderr.split())[:500] or f"exit status {done.returncode}"
            kind = ResourceError if re.search(r"Unable to contact|Connection|timed out", said) else ValidationError
            raise kind(f"{words[0]} refused: {said}", hint="Mend what it names; `sinfo` shows partitions and nodes.")
        return done

    def _ran(self, words: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return self._run(words, stdin)
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"{words[0]} is not installed here.", hint="Work on a login node of the cluster, or name one: ssh."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ResourceError(
                f"{words[0]} did not answer within {PATIENCE_S:g} s.", hint="The scheduler may be down: try again."
            ) from error

    def _try(self, *words: str, since: float | None = None) -> str | None:
        """Return what a command prints, None when it fails: the other sources are asked then.

        One that did not answer in time is left alone for a while, so that each look does not wait for it again.
        """
        if time.monotonic() < self._left_alone.get(words[0], 0.0):
            return None
        try:
            done = self._run(words, "") if since is None else self.gate.ask(words, since)
        except FileNotFoundError:
            return None
        except (subprocess.TimeoutExpired, ResourceError):  # too slow, or the login node cannot be reached
            self._left_alone[words[0]] = time.monotonic() + LEAVE_ALONE_S
            return None
        answered = done.returncode == 0 or done.stdout or UNKNOWN_ID in done.stderr  # not to know a job is an answer
        return done.stdout if answered else None


@dataclass(frozen=True)
class _Part:
    script: str
    count: int


def _listed(jobs: Iterable[str]) -> str:
    """Return jobs as one word for `-j`: of an array that many elements are asked of, its own id."""
    masters = Counter(job_id.partition("_")[0] for job_id in jobs)
    whole = {master for master, count in masters.items() if count > FEW}
    return ",".join(dict.fromkeys(
        master if (master := job_id.partition("_")[0]) in whole else job_id for job_id in jobs
    ))  # fmt: skip


def _of_the_rest(job_id: str, queued: Mapping[str, JobStatus]) -> JobStatus | None:
    """Return what the queue says of an element that was never split from its array: the array's own end."""
    master, _, index = job_id.partition("_")
    whole = queued.get(master) if index else None
    return whole.model_copy(update={"job_id": job_id}) if whole is not None and whole.ended else None


def _named(text: str, tokens: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield token and id of the lines `id|folder|comment` that are of jobs with a token."""
    by_folder = {str(folder): token for token, folder in tokens.items()}
    for line in text.splitlines():
        job_id, _, rest = line.partition("|")
        folder, _, comment = rest.partition("|")
        said = (comment.split() or [""])[0]
        token = by_folder.get(folder, said if said in tokens else None)
        if token is not None and (whole := re.match(r"\d+", job_id)):
            yield token, whole[0]


def _exactly(told: JobStatus, record: JobStatus | None) -> JobStatus:
    """Return what the scheduler told of an end, with the exact exit code: it mixes those above 128 with signals.

    What it has forgotten, or still takes for running although it left the queue, the job's own record tells.
    """
    if record is None:
        return told
    if not told.ended:
        return record
    return told.model_copy(update={"exit_code": record.exit_code, "signal": record.signal})
