"""What every reader of foreign text promises: a value or one of our errors. Used by the tests and by the fuzzers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from physlab.errors import ComputationError, ValidationError
from physlab.expressions import Name, Number, Truth, normal_name, parse
from physlab.expressions.tree import Constant, Leaf
from physlab.model.reference import Reference, find_references
from physlab.spelling import Vocabulary, read_call, read_dag

VOCABULARY = Vocabulary(
    discriminators={"cas": "action", "plot": "kind", "units_convert": None},
    aliases={"cas_diff": ("cas", "diff")},
    method_aliases={"cas": {"derivative": "diff"}},
)
POINT = np.array([0.5, -1.25])


def read_formula(text: str) -> None:
    """Read a formula and compute it."""
    try:
        expression = parse(text)
        values = dict.fromkeys(expression.names, POINT)
        result = expression.evaluate(**values)
        assert result.shape == (POINT.shape if values else ()), result.shape
        assert result.dtype.kind in "fcb", result.dtype
        assert expression.fold(_leaf, lambda _, args: all(args))
    except (ValidationError, ComputationError) as error:
        _check(error)


def read_name(text: str) -> None:
    """Read a name of a variable; what comes out is read as itself."""
    try:
        name = normal_name(text)
        assert normal_name(name) == name
        assert parse(name, variables=[name]).tree == Name(name)
    except ValidationError as error:
        _check(error)


def read_payload(payload: Any) -> None:
    """Read JSON as a tool call, as a graph, and for its references."""
    for read in (read_call, read_dag):
        try:
            read(payload, VOCABULARY)
        except ValidationError as error:
            _check(error, hinted=False)
    try:
        found = find_references(payload)
    except ValidationError as error:
        _check(error)
        found = []
    for reference in found:
        assert Reference.parse(str(reference)) == reference


def read_json(text: str) -> None:
    """Read a text as JSON, and its value as a payload."""
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return
    read_payload(payload)


def _leaf(leaf: Leaf) -> bool:
    return isinstance(leaf, Number | Name | Truth | Constant)


def _check(error: ValidationError | ComputationError, *, hinted: bool = True) -> None:
    assert error.message and str(error)
    assert error.hint or not hinted, error.message
    json.dumps(error.as_reply())
