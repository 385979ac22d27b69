"""ROOT files: the branches of a TTree, or the fields of an RNTuple, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from physlab.errors import ValidationError, nearest
from physlab.tools.context import Context
from physlab.tools.data.file_params import ImportRootParams
from physlab.tools.data.filefigures import show
from physlab.tools.data.filevalues import clean, file_of, megabytes, reading
from physlab.tools.data.rootcolumns import Column, columns
from physlab.tools.extras import require
from physlab.tools.registry import Port

PURPOSE = "ROOT"
MAGIC = b"root"
DEFAULT_BRANCHES = 10
KINDS = ("TTree", "TNtuple", "TChain", "ROOT::RNTuple")

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
    """Read branches of a TTree, or fields of an RNTuple.

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
            name, tree = _tree(file, params)
            known = columns(tree, uproot)
            wanted = _wanted(known, params, context)
            total = int(tree.num_entries)
            count = min(params.max_entries, total)
            _check_size(wanted, known, count, total, context)
            data = {key: known[key].read(count, context) for key in wanted}
            types = {key: column.type for key, column in known.items()}
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


def _tree(file: Any, params: ImportRootParams) -> tuple[str, Any]:
    classes = file.classnames(cycle=False)
    trees = [name for name, kind in classes.items() if kind.startswith(KINDS)]
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
    if not classes[bare].startswith(KINDS):
        raise ValidationError(
            f"'{params.tree_name}' is a {classes[bare]}, not a TTree or RNTuple.",
            hint=f"Trees: {', '.join(trees) or 'none'}.",
        )
    return bare, found


def _contents(classes: dict[str, str]) -> str:
    return ", ".join(f"{clean(name)} ({kind})" for name, kind in list(classes.items())[:10]) or "nothing"


def _wanted(known: dict[str, Column], params: ImportRootParams, context: Context) -> list[str]:
    if params.branches is not None:
        for name in params.branches:
            if name not in known:
                raise ValidationError(f"The tree has no branch '{name}'.", hint=nearest(name, known))
            if problem := known[name].problem:
                raise ValidationError(
                    f"The branch '{name}' is {problem}, which has no counterpart here.",
                    hint="Numbers, fixed arrays of them, rows of different lengths, leaf lists and texts can be read.",
                )
        return list(dict.fromkeys(params.branches))
    readable = [name for name, branch in known.items() if not branch.problem]
    if left := [name for name in known if name not in readable]:
        context.warn(f"Left out, because their type has no counterpart here: {', '.join(left[:20])}.")
    if not readable:
        raise ValidationError("The tree has no branch that can be read.", hint="It needs branches of numbers or texts.")
    if len(readable) > DEFAULT_BRANCHES:
        context.warn(f"The first {DEFAULT_BRANCHES} of {len(readable)} branches were read; name others in 'branches'.")
    return readable[:DEFAULT_BRANCHES]


def _check_size(wanted: list[str], known: dict[str, Column], count: int, total: int, context: Context) -> None:
    """Refuse, before anything is unpacked, what can be seen to be too much: one byte or more for each value."""
    for name in wanted:
        context.enforce("values", count * known[name].width, f"the branch '{name}'")
    context.enforce("values", count * len(wanted), f"{count} entries of {len(wanted)} branches")


def _parts(column: Any) -> list[Any]:
    if isinstance(column, dict):
        return list(column.values())
    return [column] if isinstance(column, np.ndarray) else []
