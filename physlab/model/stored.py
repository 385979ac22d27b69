"""How a tool's values look once they are stored: JSON, with large values replaced by their digest.

A field of a result is plain JSON, or one of two markers: `{"$array": {...}}` for an array kept as `.npy`, and
`{"$file": {...}}` for a file. Markers are what travels between nodes; bytes stay in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import StringConstraints

from physlab.model.base import Model

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Role = Literal["static", "series", "animation", "thumbnail", "data", "log", "document"]


class StoredArray(Model):
    """An array in the store: the SHA-256 of its npy bytes, its shape and dtype."""

    sha256: Digest
    shape: tuple[int, ...]
    dtype: str


class StoredFile(Model):
    """A file in the store, and how a reply shows it (`base64`, `text` or `path`); `stays`: where it is instead."""

    sha256: Digest
    name: str
    media_type: str
    size: int
    show: Literal["base64", "text", "path"] = "path"
    stays: str | None = None


class Artifact(Model):
    """A file that a node wrote for people, with its part in the report."""

    sha256: Digest
    name: str
    media_type: str
    size: int
    role: Role
    caption: str = ""
    field: str | None = None

    @property
    def uri(self) -> str:
        """The artifact's name everywhere: `sha256:<hex>`."""
        return f"sha256:{self.sha256}"


def is_stored_array(value: Any) -> TypeGuard[dict[str, dict[str, Any]]]:
    """Say whether a field is the marker of a stored array."""
    return type(value) is dict and len(value) == 1 and "$array" in value


def is_stored_file(value: Any) -> TypeGuard[dict[str, dict[str, Any]]]:
    """Say whether a field is the marker of a stored file."""
    return type(value) is dict and len(value) == 1 and "$file" in value


def is_input(value: Any) -> TypeGuard[dict[str, int]]:
    """Say whether a parameter stands for what another node gives."""
    return type(value) is dict and len(value) == 1 and "$in" in value


def is_marker(value: Any) -> bool:
    """Say whether a mapping is one of ours: a stored value, an input, the path of a file, a change of unit."""
    return len(value) == 1 and next(iter(value)) in ("$array", "$file", "$in", "$path", "$scaled")


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
