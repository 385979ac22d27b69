"""Nodes that make what is given to others, and the bytes that may not leave the lab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from physlab.errors import ValidationError
from physlab.planning.plan import PlannedNode
from physlab.run.inputs import Inputs


class Leaving:
    """Says what may not be given to a node; a result that is there already is no way around it.

    Args:
        inputs: The inputs of the run.
        may_leave: Tells why bytes may not leave the lab, by their SHA-256; None where they may.
    """

    def __init__(self, inputs: Inputs, may_leave: Callable[[str], str | None]) -> None:
        self._inputs, self._may_leave = inputs, may_leave

    def held_back(self, node: PlannedNode) -> dict[str, tuple[str, str]]:
        """Return what a node may not get, as far as its inputs are there: SHA-256 → its name, and the reason."""
        if not node.checked.method.leaves:
            return {}
        given = self._inputs.given(node)
        reasons = {digest: self._may_leave(digest) for digest in given}
        return {digest: (given[digest], reason) for digest, reason in reasons.items() if reason is not None}

    def require(self, node: PlannedNode) -> None:
        """Raise if a node would give to others what may not leave the lab.

        Raises:
            ValidationError: It would.
        """
        found = self.held_back(node)
        if found:
            told = "; ".join(f"'{Path(name).name}': {reason}" for name, reason in found.values())
            raise ValidationError(
                f"{node.id}: {node.checked.method.full_name} makes what is given to others, and this may not leave "
                f"the lab: {told}.",
                hint=f"Leave it out, or end its label: physlab version label sha256:{next(iter(found))} open",
            )
