"""What the plots share: their look, and how a formula or another node's array becomes numbers on a grid."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from physlab.errors import ComputationError, ValidationError
from physlab.expressions import is_latex, normal_name, parse
from physlab.expressions.latex_tokens import body
from physlab.tools.context import Context
from physlab.tools.types import Array, VisualParams

MOST_PIXELS = 40_000_000
Colormap = Literal["auto", "viridis", "magma", "inferno", "plasma", "cividis", "gray", "RdBu_r", "coolwarm", "twilight"]


Formula = str | Array


class FigureParams(VisualParams):
    """The look of a figure; labels may hold mathematics between dollar signs."""

    title: str | None = Field(None, max_length=300, description="Title; default: the formula.")
    xlabel: str | None = Field(None, max_length=300, description="Label of the x axis, with its unit.")
    ylabel: str | None = Field(None, max_length=300, description="Label of the y axis, with its unit.")
    dpi: int = Field(100, ge=50, le=600, description="Resolution of the PNG [pixels per inch].")
    width: float = Field(8.0, ge=1, le=40, description="Width [inch].")
    height: float = Field(6.0, ge=1, le=40, description="Height [inch].")
    vars: dict[str, float] = Field({}, description="Values of the formula's other names.")

    @model_validator(mode="after")
    def _printable(self) -> FigureParams:
        pixels = self.width * self.height * self.dpi**2
        if pixels > MOST_PIXELS:
            raise ValueError(
                f"{self.width:g} x {self.height:g} inch at {self.dpi} dpi are {pixels / 1e6:.0f} million pixels;"
                f" at most {MOST_PIXELS / 1e6:.0f} million can be drawn"
            )
        return self


def axis_points(
    name: str,
    given: Array | None,
    low: float | None,
    high: float | None,
    *,
    samples: int,
    length: int | None,
    admit: Callable[[int], None],
) -> Array:
    """Return the points of an axis.

    Args:
        name: `x`, `y` or `t`, for the messages.
        given: `[min, max]`, `[min, max, steps]`, or the points themselves.
        low: Start, when `given` is None.
        high: End, when `given` is None.
        samples: Points when nothing says how many.
        length: Points that the data have, None for a formula.
        admit: Refuses too many points.

    Raises:
        ValidationError: The range is missing, empty, or does not fit the data.
    """
    values = None if given is None else np.asarray(given, dtype=float)
    if values is not None and values.ndim != 1:
        raise ValidationError(f"{name} has the shape {values.shape}.", hint="A list of numbers is needed.")
    if values is not None and len(values) in (2, 3) and len(values) != length:
        low, high = float(values[0]), float(values[1])
        samples = length or samples
        if len(values) == 3:
            samples = int(values[2])
            if samples != values[2] or samples < 2:
                raise ValidationError(f"{name} = {values.tolist()}: the third number counts points, 2 or more.")
    elif values is not None:
        if length is not None and len(values) != length:
            raise ValidationError(
                f"{name} has {len(values)} points and f has {length} along it.",
                hint=f"Give {name} as the array that f was computed on, or as [min, max].",
            )
        if len(values) < 2 or not np.isfinite(values).all():
            raise ValidationError(f"{name} needs two or more finite points.")
        admit(len(values))
        return values
    elif low is None and high is None and length is not None:
        return np.arange(length, dtype=float)
    if low is None or high is None:
        raise ValidationError(
            f"The range of {name} is missing.", hint=f"Give {name}_min and {name}_max, or {name}: [min, max, steps]."
        )
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValidationError(f"The range of {name}, {low:g} to {high:g}, is empty.", hint="Give min below max.")
    if length is not None and samples != length and values is not None:
        raise ValidationError(f"{name} asks for {samples} points and f has {length} along it.")
    count = length or samples
    admit(count)
    return np.linspace(low, high, count)


def reader(formula: str, axes: Iterable[str], values: Mapping[str, float]) -> Callable[..., Array]:
    """Return a formula as a function of its axes, which are given by name as arrays that broadcast.

    Args:
        formula: In the names of `axes` and `values`.
        axes: The variables.
        values: Numbers for other names.

    Returns:
        What gives real numbers of the broadcast shape; NaN where the formula has no real value.

    Raises:
        ValidationError: The formula is wrong.
    """
    known = {normal_name(name): value for name, value in values.items()}
    expression = parse(formula, {*axes, *known})

    def read(**places: Array) -> Array:
        result = expression.evaluate(**places, **known)
        if result.dtype.kind == "c":
            result = np.where(np.abs(result.imag) <= 1e-12 * np.abs(result), result.real, np.nan)
        return result.astype(float)

    return read


def evaluate(formula: str, axes: Mapping[str, Array], values: Mapping[str, float]) -> Array:
    """Return a formula's values where its axes meet.

    Args:
        formula: In the names of `axes` and `values`.
        axes: Arrays that broadcast against each other.
        values: Numbers for other names.

    Returns:
        Real numbers of the broadcast shape; NaN where the formula has no real value.

    Raises:
        ValidationError: The formula is wrong.
    """
    return reader(formula, axes, values)(**axes)


def check_formula(value: Formula, axes: Iterable[str], values: Mapping[str, float]) -> None:
    """Refuse a formula that cannot be read, before anything runs.

    Raises:
        ValidationError: The formula is wrong, uses an unknown name, or a name stands for two things.
    """
    if isinstance(value, str):
        if clash := sorted(set(axes) & set(map(normal_name, values))):
            raise ValidationError(f"vars gives a value to '{clash[0]}', which is an axis.", hint="Rename it.")
        used_names(value, axes, values)


def used_names(formula: str, axes: Iterable[str], values: Mapping[str, float]) -> frozenset[str]:
    """Return which names a formula uses.

    Raises:
        ValidationError: The formula is wrong.
    """
    return parse(formula, {*axes, *map(normal_name, values)}).names


def check_order(axis: Array, name: str, *, descending: bool = False) -> None:
    """Refuse the axis of a map whose points are not in order.

    Raises:
        ValidationError: Points go back and forth, or downwards where that is not accepted.
    """
    steps = np.diff(axis)
    if not (np.all(steps > 0) or (descending and np.all(steps < 0))):
        raise ValidationError(f"The points along {name} are not in order.", hint="Sort them, and the values with them.")


def real_array(values: Array, dimensions: int, name: str = "f") -> Array:
    """Return another node's array as real numbers.

    Raises:
        ValidationError: It is complex, or has another number of dimensions.
    """
    values = np.asarray(values)
    if values.dtype.kind == "c":
        raise ValidationError(f"{name} is complex.", hint="Plot its real part, its imaginary part or its modulus.")
    if values.ndim != dimensions:
        raise ValidationError(
            f"{name} has the shape {values.shape}.", hint=f"An array of {dimensions} dimension(s) is needed."
        )
    return values.astype(float)


def check_finite(values: Array, context: Context, name: str = "f") -> Array:
    """Return values with infinities as gaps, and say so.

    Raises:
        ComputationError: No value is finite.
    """
    finite = np.isfinite(values)
    if finite.all():
        return values
    if not finite.any():
        raise ComputationError(f"{name} is not finite anywhere.", hint="Check the formula and its range.")
    context.warn(f"{name} is not finite at {values.size - finite.sum()} of {values.size} points; they are left out.")
    return np.where(finite, values, np.nan)


def span(values: Array) -> list[float]:
    """Return the smallest and the largest finite value."""
    return [float(np.nanmin(values)), float(np.nanmax(values))]


def symbol(label: str) -> str:
    """Set a bare symbol such as `x` or `f(x, y)` as mathematics; leave every other label alone."""
    return f"${label}$" if re.fullmatch(r"[a-zA-Z](\([a-z](, [a-z])*\))?", label) else label


def is_formula(value: Formula) -> bool:
    """Say whether a parameter is a formula (or a lone number) and not an array."""
    return isinstance(value, str) or np.ndim(value) == 0


def plain(label: str) -> str:
    """Return a label without the marks of mathematics, for CSV headers and captions: `a_0^-3` for `$a_0^{-3}$`."""
    return re.sub(r"[${}\\]", "", label)


def written(formula: object, values: Mapping[str, float]) -> str:
    """Return a formula, and its given values, as people write them."""
    given = ", ".join(f"{name} = {value:g}" for name, value in values.items())
    return str(formula).replace("**", "^") + (f" with {given}" if given else "")


def heading(title: str | None, formula: Formula, signature: str) -> str:
    """Return the title over a figure: the given one, or a short formula after its signature such as `f(x)`."""
    if title is not None:
        return title
    if isinstance(formula, str) and is_latex(formula) and (drawn := _mathtext(formula)):
        return f"${signature} = {drawn}$"
    text = written(formula, {}) if is_formula(formula) else ""
    return f"${signature}$ = {text}" if 0 < len(text) <= 60 else ""


def _mathtext(formula: str) -> str:
    """Return a short LaTeX formula as Matplotlib typesets it; nothing when it cannot."""
    from matplotlib.mathtext import MathTextParser

    text = body(formula)[0].strip().replace("\n", " ")
    try:
        MathTextParser("path").parse(f"${text}$")
    except ValueError:
        return ""
    return text if len(text) <= 120 else ""


def table(names: Sequence[str], arrays: Sequence[Array]) -> dict[str, Array]:
    """Return the columns of a CSV file under their labels.

    Raises:
        ValidationError: Two labels are equal.
    """
    columns = {plain(name): np.ravel(array) for name, array in zip(names, arrays, strict=True)}
    if len(columns) < len(names):
        raise ValidationError(f"Two of the labels {', '.join(names)} are equal.", hint="Make them different.")
    return columns
