"""Whether a node that came to nothing is run again, and with what: one policy for every site.

What the machine did to a node is forgiven, what the node did itself is not: a lost machine costs the node none of its
own retries, too little memory is answered with more, a checkpoint goes on from where it was saved. Everything else is
tried again as often as the node itself says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from physlab.errors import PhyslabError
from physlab.model import Resources
from physlab.submitter import is_retryable

LOSSES = 3
"""So often a node is run again for free because its machine was lost."""
RAISES = 3
"""So often it gets more memory."""
SLICES = 1000
"""So often it goes on from a checkpoint, as long as each differs from the one before."""
FREE = LOSSES + RAISES
LOST = frozenset(("node_fail", "preempted", "worker_lost", "cancelled", "timeout"))
MORE = 1.5
"""Memory is raised to so much of the measured peak, or twice what was asked for when nothing was measured."""


@dataclass
class Tries:
    """The attempts of one node.

    Attributes:
        resources: What the next attempt asks for.
        retries: Its own retries.
        most_memory_gb: What the site can give [GB]; None does not raise it.
        checkpoint: What the latest attempt saved to go on from, name → digest.
        history: What became of each attempt that failed, for people.
    """

    resources: Resources
    retries: int
    most_memory_gb: float | None = None
    history: list[str] = field(default_factory=list)
    own: int = 0
    losses: int = 0
    raises: int = 0
    slices: int = 0
    checkpoint: dict[str, str] = field(default_factory=dict)

    def again(self, error: PhyslabError) -> bool:
        """Take in how an attempt failed; say whether there is to be another one."""
        ended = str(error.details.get("ended", ""))
        self.history.append(error.message)
        if ended == "out_of_memory":
            return self._more_memory(error.details)
        if ended == "checkpoint":
            return self._go_on(dict(error.details.get("checkpoint", {})))
        if ended in LOST:
            self.losses += 1
            return self.losses <= LOSSES
        self.own += 1
        return self.own <= self.retries and is_retryable(error)

    def _go_on(self, saved: dict[str, str]) -> bool:
        """Go on from a checkpoint; one that is the same as before means that it got nowhere."""
        if saved == self.checkpoint:
            self.history[-1] += " That is where it began: it needs a longer walltime_s."
            return False
        self.checkpoint = saved
        self.slices += 1
        return self.slices <= SLICES

    def _more_memory(self, details: Mapping[str, Any]) -> bool:
        asked, peak = self.resources.memory_gb, details.get("memory_mb")
        had = asked or 0.0
        wanted = max(2 * had, MORE * float(peak) * 2**20 / 1e9 if peak else 0.0)
        self.raises += 1
        if self.most_memory_gb is None or self.raises > RAISES or had >= self.most_memory_gb:
            self.own += 1
            return self.own <= self.retries
        self.resources = self.resources.model_copy(
            update={"memory_gb": min(self.most_memory_gb, math.ceil(10 * (wanted or 1.0)) / 10)}
        )
        self.history[-1] += f" Tried again with {self.resources.memory_gb:g} GB."
        return True
