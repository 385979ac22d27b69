"""One question for many: what the queue and the accounts answered serves all processes of a user for a moment."""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass

from physlab.errors import ConfigurationError
from physlab.sites.slurm.commands import PATIENCE_S, Run
from physlab.sites.slurm.sharedroom import SharedRoom, wait_turn

Done = subprocess.CompletedProcess[str]
LATE = -1000
"""Stands for the exit code of a command that did not answer in time."""
Words = tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What a command answered, and when it was asked [s since the epoch]."""

    asked_at: float
    done: Done

    @property
    def is_late(self) -> bool:
        """True when there was no answer in time."""
        return self.done.returncode == LATE


class Answers:
    """Asks what changes nothing, unless another process has just asked it.

    Who finds an answer too old asks anew while the others wait for it. A process that is killed meanwhile loses its
    lock, and the next one asks.

    Args:
        run: Runs a command.
        room: Where answers are left for others; without one there are only those of this process.
    """

    def __init__(self, run: Run, room: SharedRoom | None) -> None:
        self._run, self._room = run, room
        self._own: dict[Words, Answer] = {}

    def ask(self, words: Words, since: float, per_minute: int | None) -> Answer:
        """Return what a command answers, asked no earlier than at a time.

        Args:
            words: The command.
            since: The time [s since the epoch].
            per_minute: So many questions a minute are allowed [1/min]; None for any number.

        Raises:
            TimeoutExpired: It did not answer, whoever asked.
        """
        answer = self._left(words)
        if not _is_new(answer, since):
            answer = self._shared(words, since, per_minute)
        if answer is None or answer.is_late:
            raise subprocess.TimeoutExpired(words, PATIENCE_S)
        return answer

    def asked_at(self, words: Words) -> float:
        """Return when this was asked last by whomever, as far as is known [s since the epoch]."""
        found = self._left(words)
        return found.asked_at if found is not None else 0.0

    def _shared(self, words: Words, since: float, per_minute: int | None) -> Answer:
        with contextlib.ExitStack() as held:
            try:
                if self._room is not None:
                    held.enter_context(self._room.locked(words[0]))
            except ConfigurationError:
                if per_minute is not None:  # else everybody may ask for himself
                    raise
            found = self._left(words)
            if found is not None and _is_new(found, since):
                return found
            wait_turn(self._room, "polls", per_minute)
            return self._fresh(words)

    def _fresh(self, words: Words) -> Answer:
        asked_at = time.time()
        try:
            answer = Answer(asked_at, self._run(words, ""))
        except subprocess.TimeoutExpired:  # those who wait for it have waited long enough
            answer = Answer(time.time(), subprocess.CompletedProcess(list(words), LATE, "", ""))
        if self._room is None:
            self._own = {words: answer}
            return answer
        said = [answer.done.returncode, answer.done.stdout, answer.done.stderr]
        with contextlib.suppress(ConfigurationError):  # then the others ask for themselves
            self._room.write(f"{words[0]}.json", {"words": words, "at": answer.asked_at, "said": said})
        return answer

    def _left(self, words: Words) -> Answer | None:
        """Return the answer that is there, whoever asked."""
        if self._room is None:
            return self._own.get(words)
        kept = self._room.read(f"{words[0]}.json")
        if kept is None or tuple(kept["words"]) != words:
            return None
        return Answer(kept["at"], subprocess.CompletedProcess(list(words), *kept["said"]))


def _is_new(answer: Answer | None, since: float) -> bool:
    return answer is not None and since <= answer.asked_at <= time.time()  # the clock may have been put back
