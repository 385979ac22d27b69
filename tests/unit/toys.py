"""Small tools for tests of what surrounds tools; they run inline, so a run needs no worker process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from physlab.errors import ComputationError
from physlab.model import Visuals
from physlab.tools.context import Context
from physlab.tools.registry import Extent, Port, Registry
from physlab.tools.types import Array, InputFile, Params, VisualParams, quantity


class Value(Params):
    value: Any = 0


class Two(Params):
    a: float
    b: float = 0.0


class One(Params):
    x: float = Field(ge=-1000)


class Length(Params):
    length: quantity("m")  # type: ignore[valid-type]


class Many(Params):
    n: int = Field(3, ge=0)
    numbers: Array = ()


class Source(Params):
    file: InputFile


class Count(Params):
    counter: str
    fail_times: int = 0
    x: float = 0.0


class Strip(Params):
    folder: str
    units: int = 6
    bad: int | None = None
    fail_times: int = 1
    held: tuple[int, ...] = ()


class Draw(VisualParams):
    write: list[str] = ["static"]


def give(params: Value, context: Context) -> dict[str, Any]:
    """Return the value."""
    return {"value": params.value}


def lift(params: Value, context: Context) -> dict[str, Any]:
    """Return the value; an accelerator could do it."""
    return {"value": params.value}


def drop(params: Value, context: Context) -> dict[str, Any]:
    """Return the value; the accelerator turns out to be too small."""
    context.meta["device"] = "cpu"
    return {"value": params.value}


def add(params: Two, context: Context) -> dict[str, Any]:
    """Add two numbers."""
    return {"sum": params.a + params.b}


def whole(params: One, context: Context) -> dict[str, Any]:
    """Return the whole part, and the rest."""
    return {"whole": int(params.x // 1), "rest": params.x % 1}


def measure(params: Length, context: Context) -> dict[str, Any]:
    """Return a length and its area of a square."""
    return {"metres": params.length, "square": params.length**2}


def energy(params: One, context: Context) -> dict[str, Any]:
    """Return an energy and a width."""
    return {"energy": params.x, "width": params.x}


def width(params: One, context: Context) -> dict[str, Any]:
    """Return a width in kilometres."""
    return {"width": params.x}


def array(params: Many, context: Context) -> dict[str, Any]:
    """Return 0, 1, 2, …, and the sum of what came in."""
    return {"array": np.arange(params.n, dtype=float), "total": float(np.sum(params.numbers))}


def read(params: Source, context: Context) -> dict[str, Any]:
    """Return what a file says."""
    return {"text": Path(params.file.path).read_text()}


def count(params: Count, context: Context) -> dict[str, Any]:
    """Fail some times, counting the calls in a file."""
    with Path(params.counter).open("a") as stream:
        stream.write(".")
    calls = Path(params.counter).stat().st_size
    if calls <= params.fail_times:
        raise ComputationError(f"call {calls} fails", hint="Try again.")
    return {"calls": calls, "x": params.x}


def strip(params: Strip, context: Context) -> dict[str, Any]:
    """Square numbers, each alone; each call leaves a mark, some fail, some wait for the file `go`."""
    share, folder = context.share, Path(params.folder)
    numbers = range(params.units)[share.start : share.stop] if share else range(params.units)
    if context.parts:
        return {"squares": [square for part in context.parts for square in part["squares"]]}
    for number in numbers:
        while number in params.held and not (folder / "go").exists():
            time.sleep(0.01)
        with (folder / f"unit{number}").open("a") as stream:
            stream.write(".")
        if number == params.bad and (folder / f"unit{number}").stat().st_size <= params.fail_times:
            raise ComputationError(f"unit {number} fails", hint="Try again.")
    squares = {"squares": [number**2 for number in numbers]}
    if share:
        context.hand_in(squares)
    return squares


def draw(params: Draw, context: Context) -> dict[str, Any]:
    """Write what it was told to, whatever was asked for."""
    for what in params.write:
        context.save(f"{what} of a toy", f"{what}.txt", role=what, caption=f"A {what}.")  # type: ignore[arg-type]
    return {"written": params.write}


def register(registry: Registry) -> None:
    """Announce the tools."""
    registry.tool("toy", summary="For tests.", discriminator="action", aliases={"plus": "add"})
    registry.alias("toy_add", "toy", "add")
    for name, function, params, returns in (
        ("give", give, Value, (Port("value"),)),
        ("add", add, Two, (Port("sum", "number"),)),
        ("whole", whole, One, (Port("whole", "number"), Port("rest", "number"))),
        ("measure", measure, Length, (Port("metres", "number", "m"), Port("square", "number", "m**2"))),
        ("energy", energy, One, (Port("energy", "number", "eV"), Port("width", "number", "m"))),
        ("width", width, One, (Port("width", "number", "km"),)),
        ("array", array, Many, (Port("array", "array"), Port("total", "number"))),
        ("read", read, Source, (Port("text", "text"),)),
        ("count", count, Count, (Port("calls", "number"), Port("x", "number"))),
    ):
        caps = {"n": "samples"} if name == "array" else {}
        registry.method("toy", name, params=params, returns=returns, inline=True, caps=caps)(function)
    registry.method("toy", "drop", params=Value, returns=(Port("value"),), inline=True, devices=("cuda", "cpu"))(drop)
    registry.method("toy", "lift", params=Value, returns=(Port("value"),), inline=True, devices=("cuda", "cpu"))(lift)
    registry.method(
        "toy", "strip", params=Strip, returns=(Port("squares", "list"),), inline=True,
        extent=lambda params, visuals: Extent(params["units"], 0.25 * params["units"]),
    )(strip)  # fmt: skip
    can = Visuals(static=True, series=True, animation=False)
    chosen = Visuals(static=True, series=False, animation=False)
    registry.method("toy", "draw", params=Draw, returns=(Port("written"),), inline=True, can=can, visuals=chosen)(draw)
