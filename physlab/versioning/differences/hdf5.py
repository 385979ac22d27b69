"""HDF5: groups, datasets, attributes, and by how much the values differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from physlab.errors import MissingExtraError
from physlab.versioning.differences.arrays import MOST, compare_values


def compare(before: Path, after: Path) -> tuple[list[str], dict[str, Any]] | None:
    """Compare two HDF5 files; None when one of them is none.

    Raises:
        MissingExtraError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("HDF5 files need h5py.", hint="pip install 'physlab[data]'") from error
    try:
        with h5py.File(before, "r") as old, h5py.File(after, "r") as new:
            return _compare(_parts(old, h5py), _parts(new, h5py))
    except OSError:
        return None


def _parts(file: Any, h5py: Any) -> dict[str, Any]:
    """Return the datasets of a file, and all attributes, by path; links to other files are not followed."""
    found: dict[str, Any] = {f"/@{name}": value for name, value in file.attrs.items()}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[f"/{name}"] = item
        found.update({f"/{name}@{key}": value for key, value in item.attrs.items()})

    file.visititems(visit)
    return found


def _compare(old: dict[str, Any], new: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    lines: list[str] = []
    figures: dict[str, Any] = {"changed": {}}
    for verb, names in (("removed", old.keys() - new.keys()), ("added", new.keys() - old.keys())):
        figures[verb] = sorted(names)
        lines += [f"{name} was {verb}" for name in sorted(names)]
    for name in sorted(old.keys() & new.keys()):
        told, values = _compare_part(name, old[name], new[name])
        if told:
            figures["changed"][name] = values
            lines += told
    return lines or ["only the layout of the file differs: the values are the same"], figures


def _compare_part(name: str, old: Any, new: Any) -> tuple[list[str], dict[str, Any]]:
    if _is_large(old) or _is_large(new):
        return _by_blocks(name, old, new)
    a, b = (np.asarray(item[()] if hasattr(item, "file") else item) for item in (old, new))
    if a.dtype.kind in "SOU" and a.shape == b.shape == ():
        equal = a.item() == b.item()
        return ([] if equal else [f"{name}: {a.item()!r} → {b.item()!r}"[:200]]), {"equal": equal}
    return compare_values(name, a, b)


def _is_large(item: Any) -> bool:
    return hasattr(item, "file") and (item.size or 0) > MOST


def _by_blocks(name: str, old: Any, new: Any) -> tuple[list[str], dict[str, Any]]:
    """Compare large datasets along their first axis, some at a time."""
    if old.shape != new.shape:
        return [f"{name}: {tuple(old.shape)} → {tuple(new.shape)}"], {"shape": [list(old.shape), list(new.shape)]}
    rows = max(1, MOST // 10 // max(1, old.size // old.shape[0]))
    lines: list[str] = []
    for start in range(0, old.shape[0], rows):
        told, _ = compare_values(f"{name}[{start}:]", old[start : start + rows], new[start : start + rows])
        lines += told
    return lines[:20], {"shape": list(old.shape), "blocks": len(lines)}
