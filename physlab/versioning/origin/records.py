"""What records of nodes say of where things came from. Pure."""

from __future__ import annotations

from physlab.keys import digest
from physlab.model import NodeRecord, Reference


def gave(parent: NodeRecord, source: str, content: str) -> bool:
    """Say whether this record holds the value that entered under `source`."""
    reference = Reference.parse(source)
    if reference is None or not reference.path:
        return digest(parent.field_digests) == content[:64]
    return parent.field_digests.get(reference.path[0]) == content[:64]
