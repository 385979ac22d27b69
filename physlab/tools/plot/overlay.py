"""Several curves in one figure: theory as a line, measurements as points with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from physlab.errors import ComputationError, ValidationError
from physlab.tools.context import Context
from physlab.tools.plot.params import Formula, check_finite, check_formula, evaluate, is_formula, plain, real_array
from physlab.tools.plot.show import dots
from physlab.tools.types import Array

Scale = Literal["linear", "log"]


class FurtherCurve(BaseModel):
    """One more curve in a figure."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    f: Formula = Field(description="A formula in the figure's variable, or an array of values.")
    x: Array | None = Field(None, description="Its own points; default: those of the figure.")
    label: str = Field(min_length=1, max_length=200, description="What the legend says.")
    style: Literal["line", "points"] = Field("line", description="line, or points without a line.")
    error: Array | None = Field(None, description="Standard uncertainty of each value, drawn as a bar.")


@dataclass(frozen=True)
class Curve:
    """A curve as it is drawn."""

    label: str
    x: Array
    y: Array
    style: str = "line"
    error: Array | None = None

    @property
    def points(self) -> tuple[Array, Array]:
        """Its points and values."""
        return self.x, self.y


def positive(error: Array | None, name: str) -> None:
    """Refuse uncertainties below zero.

    Raises:
        ValidationError: One is below zero.
    """
    if error is not None and (error < 0).any():
        raise ValidationError(f"{name} holds {error.min():g}.", hint="Uncertainties are zero or above.")


def further(
    given: Sequence[FurtherCurve], x: Array, variable: str, values: dict[str, float], context: Context
) -> list[Curve]:
    """Return the further curves of a figure as numbers.

    Args:
        given: As they were asked for.
        x: Points of the figure (points,).
        variable: Name of the variable of formulas.
        values: Numbers for other names.
        context: Told of values that are not finite.

    Raises:
        ValidationError: An array does not fit its points.
    """
    found = []
    for number, item in enumerate(given):
        points = x if item.x is None else real_array(item.x, 1, f"curves.{number}.x")
        if is_formula(item.f):
            y = evaluate(str(item.f), {variable: points}, values)
        else:
            y = real_array(item.f, 1, f"curves.{number}.f")  # type: ignore[arg-type]
        for name, array in (("f", y), ("error", item.error)):
            if array is not None and np.shape(array) != points.shape:
                raise ValidationError(
                    f"curves.{number}.{name} has {np.size(array)} values and its x has {len(points)} points.",
                    hint="Give it its own x, or as many values as the figure has points.",
                )
        error = None if item.error is None else real_array(item.error, 1, f"curves.{number}.error")
        label = f"curves.{number}.f"
        positive(error, f"curves.{number}.error")
        found.append(Curve(item.label, points, check_finite(y, context, label), item.style, error))
    return found


def check_further(given: Sequence[FurtherCurve], variable: str, values: dict[str, float]) -> None:
    """Refuse a formula that cannot be read, and two curves of one name.

    Raises:
        ValidationError: One of the two.
    """
    for item in given:
        check_formula(item.f, [variable], values)
    labels = [plain(item.label) for item in given]
    if len(set(labels)) < len(labels):
        raise ValidationError("two curves have the same label.", hint="Give each its own.")


def on_scale(values: Array, scale: Scale, name: str, context: Context) -> Array:
    """Return values with gaps where a logarithmic axis has no place for them, and say so.

    Raises:
        ComputationError: It has a place for none.
    """
    if scale == "linear":
        return values
    with np.errstate(invalid="ignore"):
        good = values > 0
    if not good.any():
        raise ComputationError(f"{name} is nowhere positive.", hint=f"Leave {name[0]}scale linear.")
    if not good.all():
        context.warn(f"{name} is not positive at {values.size - good.sum()} of {values.size} points: left out.")
    return np.where(good, values, np.nan)


def draw_curves(axes: Any, curves: Sequence[Curve]) -> None:
    """Draw curves, and a legend where they have names."""
    for curve in curves:
        look: dict[str, Any] = dots(len(curve.x)) if curve.style == "line" else {"linestyle": "", "marker": "o"}
        if curve.style == "points":
            look["markersize"] = 4.5
        label = curve.label or None
        if curve.error is not None:
            axes.errorbar(curve.x, curve.y, yerr=curve.error, capsize=2.5, elinewidth=1, label=label, **look)
        else:
            axes.plot(curve.x, curve.y, label=label, **look)
    if any(curve.label for curve in curves):
        axes.legend(loc="best")


def columns(curves: Sequence[Curve], xlabel: str, ylabel: str) -> dict[str, Array]:
    """Return the curves as columns: points that they share once, shorter columns ended by NaN.

    Raises:
        ValidationError: Two labels are equal.
    """
    longest = max(len(curve.x) for curve in curves)

    def fill(values: Array) -> Array:
        return np.concatenate([values.astype(float), np.full(longest - len(values), np.nan)])

    first, found = curves[0], {plain(xlabel): fill(curves[0].x)}
    for curve in curves:
        name = plain(curve.label or ylabel)
        if curve.x is not first.x and not np.array_equal(curve.x, first.x):
            found[f"{plain(xlabel)} ({name})"] = fill(curve.x)
        if name in found:
            raise ValidationError(f"Two of the labels are equal: {name}.", hint="Make them different.")
        found[name] = fill(curve.y)
        if curve.error is not None:
            found[f"error of {name}"] = fill(curve.error)
    return found
