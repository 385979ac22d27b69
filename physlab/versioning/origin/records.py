"""What records of nodes say of where things came from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from physlab.keys import digest
from physlab.model import NodeRecord, Reference


def files_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the user's own files among parameters: where they stand, and their SHA-256."""
    if isinstance(value, Mapping):
        if len(value) == 1 and isinstance(value.get("$file"), str):
            yield path, value["$file"]
        else:
            for name, item in value.items():
                yield from files_in(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from files_in(item, f"{path}.{index}")


def gave(parent: NodeRecord, source: str, content: str) -> bool:
    """Say whether this record holds the value that entered under `source`."""
    reference = Reference.parse(source)
    if reference is None or not reference.path:
        return digest(parent.field_digests) == content[:64]
    return parent.field_digests.get(reference.path[0]) == content[:64]
