"""The gate that all commands for a cluster pass: what is refused, what waits its turn, what another has asked already.

Pilots, batch jobs and the Prefect worker all come through here. What is shared, is shared by the processes of one user
on one machine: on a login node, or, for a cluster behind ssh, on the machine that the commands are sent from.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from physlab.errors import ConfigurationError, CrowdedError, ResourceError, ValidationError
from physlab.settings import child_environment
from physlab.sites.slurm import policy as policies
from physlab.sites.slurm.answers import Answer, Answers, Done
from physlab.sites.slurm.asked import VARIABLES, Asked, read_script, read_words
from physlab.sites.slurm.commands import Run, run_here
from physlab.sites.slurm.policy import Policy, read_policy
from physlab.sites.slurm.sharedroom import SharedRoom, free_turns, wait_turn
from physlab.sites.slurm.states import OURS, QUEUE, own_jobs
from physlab.sites.ssh import SshRun

AGE_S = 0.8
"""An answer of the queue or the accounts serves all who ask so long after it was taken [s]."""
KEEP_S = 60.0
"""So long a policy that was read is relied on [s]."""
CAT, ABSENT = "/bin/cat", "No such file"  # whatever a user's PATH says
POLICY = "policy.json"


class Gate:
    """Runs commands; may stand wherever what runs a command may stand.

    Args:
        run: Runs a command, here or on the login node.
        room: Where processes share answers and turns; without one nothing is shared, and no policy asked for.
        machine: Where the commands run.
        path: The policy's file there; another than the usual one only for tests.
        is_here: That is this machine.
    """

    def __init__(
        self,
        run: Run,
        room: SharedRoom | None = None,
        machine: str = "",
        path: Path | None = None,
        is_here: bool = False,
    ) -> None:
        self._run, self.room, self._machine = run, room, machine
        self._path, self._is_here = path or policies.PATH, is_here
        self._policy: tuple[float, Policy | None] | None = None
        self._answers = Answers(run, room)
        self._turn = threading.Lock()
        self._default: tuple[str, ...] | None = None

    @property
    def ssh(self) -> SshRun | None:
        """The connection that commands go through; None where they run here."""
        return self._run if isinstance(self._run, SshRun) else None

    @property
    def age_s(self) -> float:
        """How old an answer may be that somebody else asked for [s]."""
        return AGE_S if self.room is not None else 0.0

    def __call__(self, words: Sequence[str], stdin: str) -> Done:
        """Run a command.

        Raises:
            ValidationError: It submits what the policy does not allow.
            CrowdedError: It submits a job more than the policy allows at once.
            ConfigurationError: The policy is malformed.
        """
        if words[0] == "sbatch":
            return self._submit(words, stdin)
        if words[0] in ("squeue", "sacct"):
            return self.ask(words, time.time() - self.age_s)
        return self._run(words, stdin)

    def policy(self) -> Policy | None:
        """Return the policy in force, None where there is none.

        Raises:
            ConfigurationError: It is malformed, or cannot be read.
        """
        if self.room is None:
            return None
        if self._policy is None or time.monotonic() - self._policy[0] > KEEP_S:
            place = f"{self._path} on {self._machine}"
            text = self._read(self._path)
            self._policy = time.monotonic(), read_policy(text, place) if text is not None else None
            self._remember(self._policy[1])
        return self._policy[1]

    def _read(self, path: Path) -> str | None:
        """Return the text of a file where the commands run, None where there is none."""
        try:
            if self._is_here:
                return path.read_text(encoding="utf-8")
            done = self._run((CAT, "--", str(path)), "")
            if done.returncode and ABSENT not in done.stderr:
                raise OSError(" ".join(done.stderr.split())[:300])
            return done.stdout if not done.returncode else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The cluster's policy cannot be read: {path} on {self._machine}: {error}.",
                hint="Nothing is submitted until its administrators mend it.",
            ) from error

    def _remember(self, policy: Policy | None) -> None:
        """Leave the policy's words for `last_policy`."""
        if self.room is not None:
            with contextlib.suppress(ConfigurationError), self.room.locked(POLICY):
                self.room.write(POLICY, policy.text if policy is not None else None)

    def leave(self) -> None:
        """Let nobody of this process wait any longer."""
        if self.room is not None:
            self.room.leave()

    def ask(self, words: Sequence[str], since: float) -> Done:
        """Return what a command answers that changes nothing, asked no earlier than at a time.

        Args:
            words: The command.
            since: The time [s since the epoch].

        Raises:
            ConfigurationError: The policy is malformed.
        """
        return self._answer(words, since).done

    def _answer(self, words: Sequence[str], since: float) -> Answer:
        policy = self.policy()
        return self._answers.ask(tuple(words), since, policy.caps.polls_per_minute if policy is not None else None)

    def asked_at(self, words: Sequence[str]) -> float:
        """Return when this was asked last by whomever, as far as is known [s since the epoch]."""
        return self._answers.asked_at(tuple(words))

    # --- submitting -------------------------------------------------------------------------------------------------

    def _submit(self, words: Sequence[str], stdin: str) -> Done:
        policy = self.policy() if "--version" not in words else None
        if policy is None:
            return self._run(words, stdin)
        asked = self._require(policy, read_script(stdin, words[1:]))
        plain = ["env", *(word for name in VARIABLES for word in ("-u", name)), *words]
        if "--test-only" in words:
            return self._run(plain, stdin)
        if OURS not in asked.comment.split():
            plain.append(f"--comment={asked.comment} {OURS}".strip())
        with self._place(policy, asked.elements):
            return self._run(plain, stdin)

    def admit(self, words: Sequence[str]) -> None:
        """Wait until a job may be started that srun is going to start.

        Args:
            words: The options of srun.

        Raises:
            ValidationError: It asks for more than is allowed.
            CrowdedError: There are as many jobs as are allowed.
        """
        if (policy := self.policy()) is not None:
            self._require(policy, read_words(words))
            with self._place(policy, 1):
                pass

    def require_place(self, jobs: int) -> None:
        """Refuse more jobs than are allowed at once, before any of them is submitted.

        Raises:
            ValidationError: There are never so many allowed.
            CrowdedError: Just now there are not.
        """
        policy = self.policy()
        most = policy.caps.jobs_at_once if policy is not None else None
        if policy is None or most is None:
            return
        if jobs > most:
            raise ValidationError(
                f"The cluster's policy ({policy.place}) does not allow {jobs} jobs: jobs_at_once is {most}.",
                hint=f"Submit at most {most}, and the others when those have ended.",
            )
        self._count(policy, most, jobs)

    def free_turns(self) -> int | None:
        """Return how many submissions need not wait, at least one; None where their rate is not limited."""
        policy = self.policy()
        rate = policy.caps.submissions_per_minute if policy is not None else None
        if rate is None or self.room is None:
            return None
        return max(1, int(free_turns(self.room, "submissions", rate)))

    def _require(self, policy: Policy, asked: Asked) -> Asked:
        if policy.caps.partitions is not None and not asked.partitions:
            asked = replace(asked, partitions=self._default_partition())
        policy.require(asked)
        return asked

    def _default_partition(self) -> tuple[str, ...]:
        """Return the queue of jobs that name none; nothing where there is none."""
        if self._default is None:
            done = self._run(("sinfo", "-h", "-o", "%P"), "")
            if done.returncode:
                said = " ".join(done.stderr.split())[:300]
                raise ResourceError(f"sinfo does not say which partition is the default: {said}", hint="Try again.")
            self._default = tuple(name[:-1] for name in done.stdout.split() if name.endswith("*"))
        return self._default

    @contextlib.contextmanager
    def _place(self, policy: Policy, jobs: int) -> Iterator[None]:
        """Hold a place for jobs among those that are allowed at once, when it is their turn to be submitted."""
        most = policy.caps.jobs_at_once
        if most is not None:
            self._count(policy, most, jobs)  # in vain no turn is taken
        with self._turn:
            wait_turn(self.room, "submissions", policy.caps.submissions_per_minute)
        if most is None or self.room is None:
            yield
            return
        with self.room.locked("jobs"):
            self._count(policy, most, jobs)
            recent = [item for item in self.room.read("jobs.json") or [] if item[0] > time.time() - KEEP_S]
            self.room.write("jobs.json", [*recent, [time.time(), jobs]])  # before: who is killed now is counted
            yield

    def _count(self, policy: Policy, most: int, more: int) -> None:
        """Refuse jobs for which there is no place; those submitted since the queue was asked are added to it."""
        there = self._known_jobs(time.time() - self.age_s)
        if there + more > most:
            there = self._known_jobs(time.time())
        if there + more > most:
            raise CrowdedError(
                f"The cluster's policy ({policy.place}) allows jobs_at_once = {most}: {there} of physlab's jobs "
                f"wait or run, {more} more cannot be submitted now.",
                hint="Submit again when some of them have ended: squeue --me.",
            )

    def _known_jobs(self, since: float) -> int:
        answer = self._answer(QUEUE, since)
        if answer.done.returncode:
            raise ResourceError(f"squeue: {' '.join(answer.done.stderr.split())[:300]}", hint="Try again.")
        recent = (self.room.read("jobs.json") if self.room is not None else None) or []
        return own_jobs(answer.done.stdout) + sum(int(count) for at, count in recent if at >= answer.asked_at)


def gate_here(path: Path | None = None) -> Gate:
    """Return the gate to the cluster whose commands are at hand here.

    Args:
        path: The policy's; for the foreman of a lab, which knows it.
    """
    given = child_environment({})
    machine = socket.gethostname()
    room = SharedRoom(("here", machine, *(given.get(name, "") for name in ("SLURM_CONF", "SLURM_CLUSTERS"))))
    return Gate(run_here(), room, machine, path, is_here=True)


def gate_to(run: SshRun) -> Gate:
    """Return the gate to the cluster behind an ssh connection."""
    return Gate(run, _room_of(run.host), run.host)


def last_policy(host: str) -> str | None:
    """Return the words of the policy behind a host as they were read last; None where none was found yet."""
    text = _room_of(host).read(POLICY)
    return str(text) if text is not None else None


def _room_of(host: str) -> SharedRoom:
    return SharedRoom(("ssh", host))
