"""The columns of ROOT's two kinds of tables, TTree and RNTuple, behind one face."""

from __future__ import annotations

import re
from typing import Any, Protocol

import numpy as np

from physlab.tools.context import Context
from physlab.tools.data.filevalues import clean, decode, jagged, native

_NUMBER = r"(?:std::)?(?:u?int(?:8|16|32|64)_t|float|double|bool|char|byte)"
_READABLE = re.compile(rf"std::string|{_NUMBER}|std::(?:vector|array)<{_NUMBER}(?:,\d+)?>")


class Column(Protocol):
    """A branch or field.

    Attributes:
        type: As ROOT spells it.
        problem: Why it cannot be read; empty when it can.
        width: Numbers in one entry, as far as the file tells it before it is read.
    """

    type: str
    problem: str
    width: int

    def read(self, count: int, context: Context) -> Any:
        """Return the first entries."""


def columns(tree: Any, uproot: Any) -> dict[str, Column]:
    """Return the columns of a table by name, those inside others with a dot."""
    if tree.classname.startswith("ROOT::RNTuple"):
        return {clean(name): _Field(tree, name, kind) for name, kind in tree.itertypenames() if kind}
    return {
        clean(name): _Branch(name, branch, uproot)
        for name, branch in tree.iteritems(recursive=True)
        if not branch.branches
    }


class _Branch:
    """A branch of a TTree."""

    def __init__(self, name: str, branch: Any, uproot: Any) -> None:
        self.name, self._branch, self._kinds = clean(name), branch, uproot.interpretation
        self.type = clean(str(branch.typename))
        self.width = max(1, int(np.prod(getattr(branch.interpretation, "inner_shape", ()), dtype=float)))
        self.problem = "" if self._is_readable() else f"of the type {self.type}"

    def _is_readable(self) -> bool:
        kind = self._branch.interpretation
        if isinstance(kind, self._kinds.strings.AsStrings):
            return True
        if isinstance(kind, self._kinds.jagged.AsJagged):
            kind = kind.content
        if isinstance(kind, self._kinds.numerical.Numerical) and np.dtype(kind.to_dtype).names is None:
            return True
        # a leaf list: a column for each leaf
        return isinstance(kind, self._kinds.numerical.AsDtype) and self._branch.interpretation is kind

    def read(self, count: int, context: Context) -> Any:
        """Return the first entries: an array, texts, `{values, counts}` of uneven rows, or an array for each leaf."""
        array = self._branch.array(library="np", entry_stop=count)
        if isinstance(self._branch.interpretation, self._kinds.strings.AsStrings):
            return [decode(item) for item in array.tolist()]
        if array.dtype.kind == "O":
            return jagged(array, array.shape, context, self.name)
        if array.dtype.names is not None:
            return {clean(leaf): native(array[leaf], context, f"{self.name}.{leaf}") for leaf in array.dtype.names}
        return native(array, context, self.name)


class _Field:
    """A field of an RNTuple, ROOT's format since 2024."""

    def __init__(self, table: Any, name: str, kind: str) -> None:
        self.name, self._table, self._path = clean(name), table, name
        self.type = clean(kind)
        inner = re.search(r",(\d+)>$", kind)
        self.width = int(inner[1]) if inner else 1
        self.problem = "" if _READABLE.fullmatch(kind) else f"of the type {self.type}"

    def read(self, count: int, context: Context) -> Any:
        """Return the first entries: an array, texts, or `{values, counts}` of uneven rows."""
        import awkward

        whole = self._table.arrays(filter_name=self._path, entry_stop=count)
        for part in self._path.split("."):
            whole = whole[part]
        if self.type == "std::string":
            return [decode(item) for item in whole.to_list()]
        if self.type.startswith("std::vector"):
            return jagged((awkward.to_numpy(row) for row in whole), (len(whole),), context, self.name)
        return native(awkward.to_numpy(whole), context, self.name)
