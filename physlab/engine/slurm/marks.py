"""How a job says whose it is: by its comment, which a worker that lost its memory reads in the queue."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

_MARK = re.compile(r"physlab (?P<kind>run|round) (?P<id>[0-9a-f-]{36}) pool (?P<pool>[0-9a-f-]{36})\b")


@dataclass(frozen=True)
class Mark:
    """Whose a job is.

    Attributes:
        kind: Of one flow run, or an array for a round of several.
        id: Of the flow run or the round.
        pool: The work pool, by its id.
    """

    kind: Literal["run", "round"]
    id: UUID
    pool: UUID

    @property
    def name(self) -> str:
        """What the queue calls the job."""
        return f"physlab-{self.id}"

    def comment(self, words: str) -> str:
        """Return the job's comment: the mark, and words of the user."""
        return f"physlab {self.kind} {self.id} pool {self.pool} {words}".strip()


def read_mark(comment: str) -> Mark | None:
    """Return the mark in a comment; None for a job that is nobody's here."""
    match = _MARK.match(comment)
    if match is None:
        return None
    kind: Literal["run", "round"] = "run" if match["kind"] == "run" else "round"
    return Mark(kind, UUID(match["id"]), UUID(match["pool"]))
