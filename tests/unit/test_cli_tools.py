"""Parameters of every method as people read them."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field

from physlab.cli.tools import _range, _type, describe
from physlab.plugins import all_tools
from physlab.tools.types import InputFile, Params, quantity


class Example(Params):
    """One of each."""

    mode: Literal["a", "b"]
    count: int = Field(3, ge=1, le=9)
    above: float | None = Field(None, gt=0)
    below: float = Field(1.0, lt=2)
    names: list[str] | None = None
    energy: quantity("eV") = 1.0  # type: ignore[valid-type]
    file: InputFile | None = None
    several: int | str = 1


@pytest.mark.parametrize(
    ("name", "kind", "accepted"),
    [
        ("mode", "a | b", ""),
        ("count", "integer", "1 … 9"),
        ("above", "number", "> 0"),
        ("below", "number", "< 2"),
        ("names", "list of string", ""),
        ("energy", "number", ""),
        ("file", "path", ""),
        ("several", "integer | string", ""),
    ],
)
def test_types_and_ranges(name: str, kind: str, accepted: str) -> None:
    field: dict[str, Any] = Example.model_json_schema()["properties"][name]
    assert (_type(field), _range(field, None)) == (kind, accepted)


def test_a_cap_is_named() -> None:
    assert _range({"minimum": 2}, "samples") == "≥ 2, cap samples"


METHODS = [method for tool in all_tools().tools.values() for method in tool.methods.values()]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_every_method_describes_itself(method: Any) -> None:
    described = describe(method)
    assert described["summary"] and described["params"]["properties"] and described["returns"]
    lacking = [name for name, field in described["params"]["properties"].items() if not field.get("description")]
    assert lacking == []
