"""One tool call, after its spelling was understood."""

from typing import Any

from physlab.model.base import Model


class Call(Model):
    """A tool, its method (None for a single-purpose tool) and its parameters."""

    tool: str
    method: str | None = None
    params: dict[str, Any] = {}
