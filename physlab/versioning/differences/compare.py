"""Which comparison fits two files. The table is the router."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from physlab.versioning.differences import arrays, hdf5, images, plain, tables


@dataclass(frozen=True)
class Difference:
    """How two files differ.

    Attributes:
        kind: In whose words: text, table, array, hdf5, image, bytes.
        equal: True when their bytes are the same.
        lines: What differs, a line each, for people.
        figures: The same for programs.
    """

    kind: str
    equal: bool
    lines: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)

    def as_object(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        return {"kind": self.kind, "equal": self.equal, "lines": list(self.lines), **self.figures}


Told = tuple[list[str], dict[str, Any]]
_BY_SUFFIX: dict[str, tuple[str, Callable[[Path, Path], Told | None]]] = {
    ".csv": ("table", tables.compare), ".tsv": ("table", tables.compare),
    ".npy": ("array", arrays.compare),
    ".h5": ("hdf5", hdf5.compare), ".hdf5": ("hdf5", hdf5.compare),
    ".png": ("image", images.compare), ".jpg": ("image", images.compare), ".jpeg": ("image", images.compare),
    ".gif": ("image", images.compare), ".tif": ("image", images.compare), ".tiff": ("image", images.compare),
}  # fmt: skip


def compare(before: Path, after: Path, name: str) -> Difference:
    """Compare two files.

    Args:
        before: The earlier one.
        after: The later one.
        name: What they are called; its ending tells their kind.

    Returns:
        What differs; files that cannot be read as their kind are compared as text, or as bytes.
    """
    if plain.same(before, after):
        return Difference("bytes", equal=True)
    kind, read = _BY_SUFFIX.get(PurePath(name).suffix.lower(), ("text", plain.compare_text))
    told = read(before, after)
    if told is None and read is not plain.compare_text:
        kind, told = "text", plain.compare_text(before, after)
    if told is None:
        kind, told = "bytes", plain.compare_bytes(before, after)
    return Difference(kind, False, tuple(told[0]), told[1])
