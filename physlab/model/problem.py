"""One finding of the validator."""

from typing import Literal

from physlab.model.base import Model


class Problem(Model):
    """What is wrong with which node, and what to do about it."""

    severity: Literal["error", "warning"]
    node_id: str | None
    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.node_id}: " if self.node_id else ""
        return f"{where}{self.message} {self.hint}".strip()
