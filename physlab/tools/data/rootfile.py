"""ROOT files: the branches of a TTree as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from physlab.errors import ValidationError, nearest
from physlab.tools.context import Context
from physlab.tools.data.file_params import ImportRootParams
from physlab.tools.data.filefigures import show
from physlab.tools.data.filevalues import clean, decode, file_of, jagged, megabytes, native, reading
from physlab.tools.extras import require
from physlab.tools.registry import Port

PURPOSE = "ROOT"
MAGIC = b"root"
DEFAULT_BRANCHES = 10

IMPORT_PORTS = (
    Port("data", "object", None, "branch → array; jagged: {values, counts}; texts: list"),
    Port("tree_name", "text", None, "the tree"),
    Port("branches", "list", None, "the branches that were read"),
    Port("all_branches", "list", None, "every branch of the tree"),
    Port("branch_types", "object", None, "branch → its type in C++"),
    Port("entries_read", "number", "1", "how many entries were read, from the first on"),
    Port("total_entries", "number", "1", "how many the tree has"),
)


def import_root(params: ImportRootParams, context: Context) -> dict[str, Any]:
    """Read branches of a TTree.

    Args:
        params: The file, the tree, the branches, and how many entries.
        context: The surroundings of the call.

    Returns:
        An array for each branch, (entries,) or (entries, …); a branch with rows of different lengths is
        `{values, counts}`.

    Raises:
        ValidationError: The file is damaged, the tree or a branch is missing or has a type without counterpart, or
            the data are above the cap.
    """
    uproot = require("uproot", PURPOSE)
    path = file_of(params.file_path)
    with path.open("rb") as stream, reading(params.file_path, PURPOSE, uproot.DeserializationError):
        if stream.read(4) != MAGIC:
            raise ValidationError(
                f"'{params.file_path.name}' is not a ROOT file.",
                hint="Check the path; tables of text are read by import_csv.",
            )
        stream.seek(0)
        with uproot.open(stream) as file:  # a stream, so that no name can be read as an address
            name, tree = _tree(file, params, uproot)
            known = {clean(key): branch for key, branch in tree.iteritems(recursive=True) if _is_leaf(branch)}
            wanted = _wanted(known, params, context, uproot)
            total = int(tree.num_entries)
            count = min(params.max_entries, total)
            _check_size(wanted, known, count, total, context)
            data = {key: _read(known[key], count, key, context, uproot) for key in wanted}
            types = {key: clean(str(branch.typename)) for key, branch in known.items()}
    held = sum(part.size for column in data.values() for part in _parts(column))
    context.enforce("values", held, "the values of all branches")
    if count < total:
        context.warn(f"{count} of {total} entries were read; raise max_entries for more.")
    context.meta.update(file_size_mb=megabytes(path), format="ROOT", samples=count)
    fields = {
        "data": data,
        "tree_name": name,
        "branches": wanted,
        "all_branches": list(known),
        "branch_types": types,
        "entries_read": count,
        "total_entries": total,
    }
    caption = f"Branches of the tree {name} in {params.file_path.name}, {count} of {total} entries."
    return fields | show(data, context, "root", caption, histograms=True)


def _tree(file: Any, params: ImportRootParams, uproot: Any) -> tuple[str, Any]:
    classes = file.classnames(cycle=False)
    trees = [name for name, kind in classes.items() if kind.startswith(("TTree", "TNtuple", "TChain"))]
    if params.tree_name is None:
        if len(trees) != 1:
            raise ValidationError(
                f"'{params.file_path.name}' has {len(trees) or 'no'} trees.",
                hint=f"Name one in tree_name: {', '.join(trees)}." if trees else f"It holds: {_contents(classes)}.",
            )
        return trees[0], file[trees[0]]
    bare = params.tree_name.split(";")[0].strip("/")
    if bare not in classes:
        raise ValidationError(f"The file has no tree '{params.tree_name}'.", hint=nearest(bare, trees))
    found = file[params.tree_name]
    if not isinstance(found, uproot.behaviors.TTree.TTree):
        raise ValidationError(
            f"'{params.tree_name}' is a {classes[bare]}, not a TTree.", hint=f"Trees: {', '.join(trees) or 'none'}."
        )
    return bare, found


def _contents(classes: dict[str, str]) -> str:
    return ", ".join(f"{clean(name)} ({kind})" for name, kind in list(classes.items())[:10]) or "nothing"


def _is_leaf(branch: Any) -> bool:
    return not branch.branches


def _problem(branch: Any, uproot: Any) -> str:
    """Return why a branch cannot be read, or nothing."""
    kind = branch.interpretation
    if isinstance(kind, uproot.interpretation.strings.AsStrings):
        return ""
    if isinstance(kind, uproot.interpretation.jagged.AsJagged):
        kind = kind.content
    if isinstance(kind, uproot.interpretation.numerical.Numerical) and np.dtype(kind.to_dtype).names is None:
        return ""
    if isinstance(kind, uproot.interpretation.numerical.AsDtype) and branch.interpretation is kind:
        return ""  # a leaf list: a column for each leaf
    return f"of the type {clean(str(branch.typename))}"


def _wanted(known: dict[str, Any], params: ImportRootParams, context: Context, uproot: Any) -> list[str]:
    if params.branches is not None:
        for name in params.branches:
            if name not in known:
                raise ValidationError(f"The tree has no branch '{name}'.", hint=nearest(name, known))
            if problem := _problem(known[name], uproot):
                raise ValidationError(
                    f"The branch '{name}' is {problem}, which has no counterpart here.",
                    hint="Numbers, fixed arrays of them, rows of different lengths, leaf lists and texts can be read.",
                )
        return list(dict.fromkeys(params.branches))
    readable = [name for name, branch in known.items() if not _problem(branch, uproot)]
    if left := [name for name in known if name not in readable]:
        context.warn(f"Left out, because their type has no counterpart here: {', '.join(left[:20])}.")
    if not readable:
        raise ValidationError("The tree has no branch that can be read.", hint="It needs branches of numbers or texts.")
    if len(readable) > DEFAULT_BRANCHES:
        context.warn(f"The first {DEFAULT_BRANCHES} of {len(readable)} branches were read; name others in 'branches'.")
    return readable[:DEFAULT_BRANCHES]


def _check_size(wanted: list[str], known: dict[str, Any], count: int, total: int, context: Context) -> None:
    """Refuse, before anything is unpacked, what can be seen to be too much: one byte or more for each value."""
    for name in wanted:
        size = int(np.prod(getattr(known[name].interpretation, "inner_shape", ()), dtype=float))
        context.enforce("values", count * max(1, size), f"the branch '{name}'")
    context.enforce("values", count * len(wanted), f"{count} entries of {len(wanted)} branches")


def _read(branch: Any, count: int, name: str, context: Context, uproot: Any) -> Any:
    array = branch.array(library="np", entry_stop=count)
    if isinstance(branch.interpretation, uproot.interpretation.strings.AsStrings):
        return [decode(item) for item in array.tolist()]
    if array.dtype.kind == "O":
        return jagged(array, array.shape, context, name)
    if array.dtype.names is not None:
        return {clean(leaf): native(array[leaf], context, f"{name}.{leaf}") for leaf in array.dtype.names}
    return native(array, context, name)


def _parts(column: Any) -> list[Any]:
    if isinstance(column, dict):
        return list(column.values())
    return [column] if isinstance(column, np.ndarray) else []
