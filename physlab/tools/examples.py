"""One example of each built-in method: `examples.yaml`, run by a test, shown by `tools show` and on the pages."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from physlab.tools.registry import Method

_FILE = Path(__file__).with_name("examples.yaml")


@cache
def examples() -> dict[str, dict[str, Any]]:
    """Return the parameters of every example by the full name of its method."""
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe", pure=True).load(_FILE.read_text(encoding="utf-8")))


def example(method: Method) -> dict[str, Any] | None:
    """Return the parameters of a method's example; None where there is none."""
    return examples().get(method.full_name)


def command(name: str, params: Mapping[str, Any]) -> str:
    """Return the command line that makes a call: `physlab call cas.diff expr='x^2' symbol=x`."""
    words = [f"{key}={shlex.quote(spell(value))}" for key, value in params.items()]
    return " ".join(("physlab call", name, *words))


def spell(value: Any) -> str:
    """Return a parameter as a command line spells it: text as it is, everything else as JSON."""
    if isinstance(value, str) and read(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def read(text: str) -> Any:
    """Return the parameter that a command line spells: JSON where it is JSON, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
