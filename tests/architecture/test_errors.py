"""Every error is in the tree, carries a known code, is also a builtin, and survives pickling."""

from __future__ import annotations

import pickle

import pytest

from physlab import errors
from physlab.errors import ERRORS, PhyslabError
from tests.architecture.source import LIBRARY, tree

CODES = {
    "VALIDATION_ERROR",
    "COMPUTATION_ERROR",
    "UNITS_ERROR",
    "RESOURCE_ERROR",
    "CONFIGURATION_ERROR",
    "PHYSICS_ERROR",
    "ACCESS_ERROR",
}
BUILTINS = (ValueError, RuntimeError, OSError, TimeoutError, ImportError)


@pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)
def test_an_error_travels(kind: type[PhyslabError]) -> None:
    error = kind("It broke at 3.", hint="Give 2.", details={"value": 3})
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes: process pools and Prefect pickle errors
    assert type(again) is kind
    assert again.as_reply() == error.as_reply()
    assert str(again) == "It broke at 3. Give 2."
    assert again.code in CODES
    assert kind is PhyslabError or issubclass(kind, BUILTINS)


def test_the_tree_is_whole_and_drawn() -> None:
    import ast

    defined = {
        node.name
        for path in LIBRARY
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and any("Error" in ast.unparse(base) for base in node.bases)
    }
    assert defined | {"PhyslabError"} == set(ERRORS)
    assert all(name in str(errors.__doc__) for name in ERRORS)
