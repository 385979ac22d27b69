"""What the plots over the x–y plane share: its ranges, and the points along its axes."""

from __future__ import annotations

from pydantic import Field

from physlab.tools.context import Context
from physlab.tools.plot.params import FigureParams, axis_points, check_order
from physlab.tools.types import Array


class PlaneParams(FigureParams):
    """A rectangle of the x–y plane."""

    x: Array | None = Field(None, description="[min, max], [min, max, steps], or the points along x.")
    y: Array | None = Field(None, description="[min, max], [min, max, steps], or the points along y.")
    x_min: float | None = Field(None, description="Start of x.")
    x_max: float | None = Field(None, description="End of x.")
    y_min: float | None = Field(None, description="Start of y.")
    y_max: float | None = Field(None, description="End of y.")


def plane_points(
    params: PlaneParams, name: str, context: Context, *, cap: str, samples: int, length: int | None = None
) -> Array:
    """Return the points along one axis of a plane, in order.

    Args:
        params: The plane.
        name: `x` or `y`.
        context: Knows the caps.
        cap: Which cap holds for the points of an axis.
        samples: Points when the range does not say how many.
        length: Points that given values have along this axis, None for a formula.

    Raises:
        ValidationError: The range is missing, empty, not in order, too fine, or does not fit the values.
    """
    points = axis_points(
        name, getattr(params, name), getattr(params, f"{name}_min"), getattr(params, f"{name}_max"),
        samples=samples, length=length, admit=lambda count: context.enforce(cap, count, f"points along {name}"),
    )  # fmt: skip
    check_order(points, name, descending=True)
    return points


def over_plane(params: PlaneParams, x: Array, y: Array) -> str:
    """Return the end of a caption: `for x from -1 to 1 and y from 0 to 2`."""
    xlabel, ylabel = params.xlabel or "x", params.ylabel or "y"
    return f"for {xlabel} from {x[0]:.6g} to {x[-1]:.6g} and {ylabel} from {y[0]:.6g} to {y[-1]:.6g}"
