"""`@tool`: types, units and docstrings of a function become the checks, the schema and the fields of a method."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physlab.errors import ComputationError, ConfigurationError, UnitsError, ValidationError
from physlab.model import Visuals
from physlab.tools import registry
from physlab.tools.call import call_method
from physlab.tools.context import Context
from physlab.tools.fingerprint import code_digest
from physlab.tools.own import tool

EXAMPLE = Path(__file__).parents[3] / "examples" / "own-tool" / "optics_tools.py"
TOOLS = '''
"""Toys for a test."""

from pathlib import Path

import numpy as np

from physlab import tool

STEP = 2


@tool("toy")
def toy(count: int, names: list[str], scale: float = 1.0, seed: int = 0, flag: bool = False) -> str:
    """Say what came.

    Args:
        count: How many;
            more than none.
        scale: A length [cm].
    """
    return f"{count} {names} {scale:g} {seed} {flag} {STEP}"


@tool("toys.write")
def write(data: np.ndarray, source: Path, workdir: Path):
    """Write a file.

    Args:
        data: Voltages [V].
        source: A file.

    Returns:
        doubled: Twice the data [V].
        copy: The file again.
        figure: A picture.
    """
    from matplotlib.figure import Figure

    (workdir / "copy.txt").write_text(source.read_text() * 2)
    figure = Figure()
    figure.add_subplot(title="A line").plot(data)
    return {"doubled": 2 * np.asarray(data), "copy": Path("copy.txt"), "figure": figure}
'''


def load(path: Path) -> None:
    name = f"physlab_tools_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


@pytest.fixture
def call(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`call("toy", count=2)` after the toys were written and loaded; the registry is as before afterwards."""
    before = dict(registry.tools)
    path = tmp_path / "toys.py"
    path.write_text(TOOLS)
    load(path)
    load(EXAMPLE)

    def call(tool: str, method: str | None = None, /, **params: Any) -> tuple[dict[str, Any], Context]:
        context = Context(scratch=lambda: tmp_path, visuals=Visuals(static=False, series=False, animation=False))
        return call_method(registry.find(tool, method), params, context), context

    yield call
    registry.tools.clear()
    registry.tools.update(before)


def test_quantities_arrive_in_the_units_of_the_docstring(call: Callable[..., Any]) -> None:
    fields, _ = call("optics", "lens", focal_length="50 mm", distance={"value": 2, "unit": "m"})
    assert fields["image"] == pytest.approx(2 / 39)  # 1/(20 - 1/2) m
    assert fields["magnification"] == pytest.approx(-1 / 39)
    with pytest.raises(UnitsError, match="kg"):
        call("optics", "lens", focal_length="5 kg", distance=1)


def test_the_example_shows_the_first_dark_ring(call: Callable[..., Any]) -> None:
    fields, _ = call("optics", "airy", diameter=0.025, samples=7001)
    dark = fields["angle"][np.argmin(np.where(np.abs(fields["angle"]) < 3e-5, fields["intensity"], 1))]
    assert abs(dark) == pytest.approx(1.2196699 * 550e-9 / 0.025, rel=1e-3)  # first zero of J1 over pi


def test_the_schema_comes_from_the_function(call: Callable[..., Any]) -> None:
    method = registry.find("toy")
    schema = method.params.model_json_schema()
    assert method.summary == "Say what came." and registry.tools["toy"].summary == "Toys for a test."
    assert schema["required"] == ["count", "names"] and "seed" not in schema["properties"]
    assert schema["properties"]["count"] == {
        "description": "How many; more than none.", "title": "Count", "type": "integer",
    }  # fmt: skip
    assert schema["properties"]["scale"]["unit"] == "cm"
    ports = {port.name: (port.kind, port.unit) for port in registry.find("optics", "lens").returns}
    assert ports == {"image": ("number", "m"), "magnification": ("number", "1")}
    assert registry.find("optics", "airy").port("angle").kind == "array"  # type: ignore[union-attr]


def test_defaults_and_what_the_lab_fills_in(call: Callable[..., Any]) -> None:
    fields, _ = call("toy", count=2, names=["a"], scale="1 m", flag=True)
    assert fields == {"result": "2 ['a'] 100 0 True 2"}
    with pytest.raises(ValidationError, match="count"):
        call("toy", count="many", names=[])
    with pytest.raises(ValidationError, match="unknown parameter 'seed'"):
        call("toy", count=1, names=[], seed=3)


def test_files_arrays_and_figures(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("ab")
    fields, context = call("toys", "write", data=[1.0, 2.0], source=str(tmp_path / "in.txt"))
    assert fields["doubled"].tolist() == [2, 4]
    assert fields["copy"].path.read_text() == "abab"
    assert fields["figure"].path.read_bytes().startswith(b"\x89PNG")
    roles = {item.file.name: (item.role, item.caption) for item in context.written}
    assert roles["figure.png"] == ("static", "A line, drawn by toys.write.") and "figure.svg" in roles


def test_the_code_enters_the_key(call: Callable[..., Any], tmp_path: Path) -> None:
    from physlab.tools import source

    before = code_digest(registry.find("toy"))
    other = tmp_path / "later" / "toys.py"
    other.parent.mkdir()
    other.write_text(TOOLS.replace("STEP = 2", "STEP = 3"))
    registry.tools.pop("toy"), registry.tools.pop("toys")
    load(other)
    source._parse.cache_clear()
    assert code_digest(registry.find("toy")) != before


def test_what_cannot_be_a_tool() -> None:
    with pytest.raises(ConfigurationError, match="not the name of a tool"):
        tool("a.b.c")
    with pytest.raises(ConfigurationError, match="workers cannot find it"):
        tool("inner")(lambda: None)

    def untyped(x):  # type: ignore[no-untyped-def]
        """Do nothing."""

    untyped.__qualname__ = "untyped"
    with pytest.raises(ConfigurationError, match="'x' of untyped has no type"):
        tool("untyped")(untyped)


def test_an_error_of_the_function_is_ours(call: Callable[..., Any]) -> None:
    with pytest.raises(ComputationError, match=r"optics\.lens failed: ZeroDivisionError"):
        call("optics", "lens", focal_length=1, distance=1)
