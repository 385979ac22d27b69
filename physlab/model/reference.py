"""References between nodes: `from:node`, `from:node.field`, `from:node.field.0.name`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from physlab.errors import ValidationError

PREVIOUS = "from_previous_step"
_PATTERN = re.compile(r"from:([A-Za-z0-9_][A-Za-z0-9_-]*)((?:\.[A-Za-z0-9_-]+)*)")


class Reference(NamedTuple):
    """A value that another node makes: its node, and the path of the field in its reply (empty: the whole reply)."""

    node: str
    path: tuple[str, ...]

    @classmethod
    def parse(cls, value: object) -> Reference | None:
        """Return the reference that a parameter value spells, or None when it is an ordinary value."""
        if type(value) is not str or not value.startswith("from:"):
            return None
        match = _PATTERN.fullmatch(value)
        if match is None:
            return None
        return cls(match[1], tuple(match[2].split(".")[1:]))

    def __str__(self) -> str:
        return "from:" + ".".join((self.node, *self.path))


def find_references(value: Any) -> list[Reference]:
    """Return every reference inside a parameter value, in the order they are written.

    Raises:
        ValidationError: The value nests too deeply.
    """
    found: list[Reference] = []
    try:
        _collect(value, found)
    except RecursionError as error:
        raise ValidationError("A value nests too deeply to be read.", hint="Nest at most 100 levels.") from error
    return found


def _collect(value: Any, found: list[Reference]) -> None:
    kind = type(value)
    if kind is str:
        if value.startswith("from:"):
            reference = Reference.parse(value)
            if reference is not None:
                found.append(reference)
    elif kind is dict:
        for item in value.values():
            _collect(item, found)
    elif kind is list or kind is tuple:
        for item in value:
            _collect(item, found)
