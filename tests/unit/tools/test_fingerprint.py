"""The fingerprint changes with everything that a function computes with, and with nothing else."""

from __future__ import annotations

import importlib
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ConfigurationError
from physlab.tools import load_tools
from physlab.tools.fingerprint import code_digest, code_identity, fingerprint, version
from physlab.tools.registry import Method

PACKAGE = "fingerprinted"
FILES = {
    "__init__.py": "from fingerprinted.core import solve\n",
    "core.py": """
        import math

        from pydantic import BaseModel, Field

        from fingerprinted import figures
        from fingerprinted.base import Model as Base, LIMIT

        TABLE = {"a": 1.0}
        TABLE["b"] = 2.0

        class Params(Base):
            n: int = 3

        def solve(n, context):
            '''Solve it.'''
            from fingerprinted.lazy import helper
            # a comment
            return helper(n) + figures.draw(n) + TABLE["a"] + LIMIT + ping(n)

        def ping(n):
            return pong(n - 1) if n else 0

        def pong(n):
            return ping(n - 1) if n else math.pi

        class Registry:
            def method(self, **settings):
                return lambda function: function

        registry = Registry()

        class Described(BaseModel):
            n: int = Field(1, ge=0, description='how many')

        @registry.method(summary='one')
        def run(params, context):
            return params.n

        def unrelated():
            return 1
        """,
    "base.py": "LIMIT = 10\nOTHER = 11\nclass Root:\n    a = 1\nclass Model(Root):\n    b = 2\n",
    "lazy.py": """
        from .deep import *

        def helper(n):
            scale = 2
            return scale * deepest(n)

        def scale():
            return 5
        """,
    "deep.py": "def deepest(n: int) -> int:\n    return n\n\ndef spare():\n    return 0\n",
    "figures.py": "STYLE = {'dpi': 100}\ndef draw(n):\n    return STYLE['dpi']\ndef other():\n    return 0\n",
}

Build = Callable[..., Any]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """`build(core=("old", "new"))` makes the package with one text replaced and returns it, imported afresh."""
    counter = itertools.count()

    def forget() -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]

    def build(**changes: tuple[str, str]) -> Any:
        forget()
        folder = tmp_path / f"copy{next(counter)}"
        (folder / PACKAGE).mkdir(parents=True)
        for name, text in FILES.items():
            text = textwrap.dedent(text)
            if name[:-3] in changes:
                old, new = changes[name[:-3]]
                assert old in text
                text = text.replace(old, new)
            (folder / PACKAGE / name).write_text(text)
        monkeypatch.syspath_prepend(str(folder))
        return importlib.import_module(f"{PACKAGE}.core")

    yield build
    forget()


@pytest.mark.parametrize(
    "changes",
    [
        {"core": ("# a comment", "# another one\n    # and more")},
        {"core": ("Solve it.", "Find what was asked.")},
        {"core": ("def ping(n):", "def ping( n: int ) -> float :  # typed")},
        {"core": ("def unrelated():\n    return 1", "def unrelated():\n    return 2")},
        {"core": ("def unrelated():", "NEW = 3\n\n\ndef unrelated():")},
        {"base": ("OTHER = 11", "OTHER = 12")},
        {"deep": ("return 0", "return 1")},
        {"figures": ("def other():\n    return 0", "def other():\n    return 9")},
        {"lazy": ("return 5", "return 6")},  # shadowed by a local variable
        {"core": ("n: int = 3", "n: int = 4")},  # Params is not used by solve itself
    ],
    ids=str,
)
def test_wording_and_strangers_do_not_count(build: Build, changes: dict[str, tuple[str, str]]) -> None:
    before = fingerprint(build().solve)
    assert fingerprint(build(**changes).solve) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"core": ("+ LIMIT", "- LIMIT")},
        {"core": ('TABLE = {"a": 1.0}', 'TABLE = {"a": 1.5}')},
        {"core": ('TABLE["b"] = 2.0', 'TABLE["a"] = 3.0')},
        {"core": ("math.pi", "math.e")},
        {"base": ("LIMIT = 10", "LIMIT = 12")},
        {"lazy": ("scale = 2", "scale = 3")},
        {"deep": ("return n", "return -n")},
        {"figures": ("100", "200")},
        {"core": ("from fingerprinted.lazy import helper", "from fingerprinted.deep import deepest as helper")},
    ],
    ids=str,
)
def test_whatever_is_reached_counts(build: Build, changes: dict[str, tuple[str, str]]) -> None:
    before = fingerprint(build().solve)
    assert fingerprint(build(**changes).solve) != before


def test_a_class_brings_its_bases(build: Build) -> None:
    before = fingerprint(build().Params)
    assert fingerprint(build(base=("a = 1", "a = 5")).Params) != before
    assert fingerprint(build(core=("n: int = 3", "n: float = 3")).Params) != before
    assert fingerprint(build(base=("LIMIT = 10", "LIMIT = 5")).Params) == before


def test_parameters_enter_the_identity_of_a_method(build: Build) -> None:
    def identity(**changes: tuple[str, str]) -> dict[str, str]:
        core = build(**changes)
        return code_identity(Method("t", None, core.solve, core.Params, (), libraries=("numpy", "no-such-thing")))

    before = identity()
    assert before["physlab"] == version("physlab")
    assert before["numpy"][0].isdigit()
    assert before["no-such-thing"] == "not installed"
    assert identity(core=("n: int = 3", "n: int = 4"))["fingerprint"] != before["fingerprint"]


def test_registration_and_field_descriptions_do_not_count(build: Build) -> None:
    before = fingerprint(build().run), fingerprint(build().Described)
    reworded = build(core=("summary='one'", "summary='two'"))
    assert fingerprint(reworded.run) == before[0]
    reworded = build(core=("description='how many'", "description='number'"))
    assert fingerprint(reworded.Described) == before[1]
    assert fingerprint(build(core=("ge=0", "ge=1")).Described) != before[1]


def test_a_release_alone_keeps_results(monkeypatch: pytest.MonkeyPatch) -> None:
    method = load_tools().find("data", "statistics")
    before = code_digest(method)
    monkeypatch.setattr("physlab.tools.fingerprint.version", lambda name: "9" if name == "physlab" else version(name))
    assert code_digest(method) == before
    monkeypatch.setattr("physlab.tools.fingerprint.version", lambda name: "9")
    assert code_digest(method) != before


def test_every_built_in_method_has_one() -> None:
    found = [code_identity(method) for tool in load_tools().tools.values() for method in tool.methods.values()]
    assert all(len(identity["fingerprint"]) == 64 for identity in found)
    assert len({identity["fingerprint"] for identity in found}) == len(found)


def test_code_without_source_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be found"):
        fingerprint(len)
    with pytest.raises(ConfigurationError, match="cannot be found"):
        fingerprint(type("Made", (), {"__module__": "nowhere"}))
