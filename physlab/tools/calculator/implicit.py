"""`graphing_calculator`: curves F(x, y) = 0 and regions of inequalities, by marching squares made exact.

A formula is first split into its distinct factors, so that curves that cross (x² = y²) cross, and a factor that
occurs twice, which never changes its sign, is seen. Marching squares then finds where each factor changes sign on the
grid; every point is moved along its grid edge by bisection until the formula vanishes to rounding, and points where it
does not (a pole) are taken out.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from pydantic import AliasChoices, Field, model_validator

from physlab.errors import ComputationError, ValidationError
from physlab.expressions import Apply, Expression, combine
from physlab.expressions.tree import Node, Truth
from physlab.tools.calculator.format import SUCCESS
from physlab.tools.calculator.level import Branch, factors, plane, stretches, trace
from physlab.tools.calculator.names import Text, require_names
from physlab.tools.calculator.plot_params import PlotParams, shown
from physlab.tools.cas.algebra import sides, write
from physlab.tools.context import Context
from physlab.tools.figures import BLUE, COLOURS
from physlab.tools.plot.params import symbol, table
from physlab.tools.plot.show import FIGURE_PORTS, show, to_scale
from physlab.tools.registry import Port
from physlab.tools.types import Array

VIEW = (-10.0, 10.0)
COMPARISONS = ("<", "<=", ">", ">=")


class PlaneParams(PlotParams):
    """A window of the plane and its grid."""

    samples: int = Field(401, ge=21, le=4001, description="Grid points along each axis; above 1001 with allow_large.")

    @model_validator(mode="after")
    def _fits(self) -> PlaneParams:
        if self.samples > 1001 and not self.allow_large:
            raise ValidationError(
                f"samples = {self.samples} is above the cap of 1001 points per axis.", hint="Set allow_large: true."
            )
        return self

    def axes(self) -> tuple[Array, Array]:
        """Return the grid lines; their count is odd in no round way, so that they miss the symmetry axes of curves."""
        x, y = self.x_range or VIEW, self.y_range or VIEW
        return np.linspace(*x, self.samples), np.linspace(*y, self.samples)


class ImplicitParams(PlaneParams):
    """Curves given by equations."""

    samples: int = Field(401, ge=21, le=4001, description="Grid points along each axis; above 1001 with allow_large.")
    equation: Text | None = Field(
        None,
        validation_alias=AliasChoices("equation", "expression", "function"),
        description="`x^2 + y^2 = 4`, or a formula that is to be zero.",
    )
    equations: list[Text] = Field([], max_length=12, description="Several curves.")

    @model_validator(mode="after")
    def _one(self) -> ImplicitParams:
        if (self.equation is None) == (not self.equations):
            raise ValidationError("One of `equation` and `equations` is needed.", hint='Write "x^2 + y^2 = 4".')
        return self


class InequalityParams(PlaneParams):
    """A region given by inequalities."""

    samples: int = Field(401, ge=21, le=4001, description="Grid points along each axis; above 1001 with allow_large.")
    expression: Text | None = Field(
        None,
        validation_alias=AliasChoices("expression", "equation", "inequality", "function"),
        description="`y < x^2`; several are joined with `and`, `or`, `not`.",
    )
    equations: list[Text] = Field(
        [], max_length=12, validation_alias=AliasChoices("equations", "inequalities"),
        description="Inequalities that hold together.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _one(self) -> InequalityParams:
        if (self.expression is None) == (not self.equations):
            raise ValidationError("One of `expression` and `equations` is needed.", hint='Write "y < x^2".')
        return self


WINDOW = (
    Port("x_range", "list", description="[min, max] of the window"),
    Port("y_range", "list", description="[min, max] of the window"),
    Port("samples", "number", description="Grid points along each axis"),
)
IMPLICIT_PORTS = (
    SUCCESS,
    *FIGURE_PORTS,
    Port("curves", "list", description="For each equation its branches, each {x, y, closed}"),
    Port("x", "array", description="All points, branch after branch with NaN between"),
    Port("y", "array", description="All points, branch after branch with NaN between"),
    Port("branches", "number", description="How many branches"),
    *WINDOW,
)
INEQUALITY_PORTS = (
    SUCCESS,
    *FIGURE_PORTS,
    Port("area", "number", description="Area of the region inside the window"),
    Port("fraction", "number", description="The same as a part of the window"),
    Port("boundaries", "list", description="For each inequality {expression, strict}"),
    Port("empty", "boolean", description="True when no point of the window satisfies it"),
    *WINDOW,
)


def plot_implicit(params: ImplicitParams, context: Context) -> dict[str, Any]:
    """Draw the curves of equations in x and y.

    Args:
        params: The equations, the window (default -10 to 10), the grid.
        context: Gets a warning when a curve leaves no trace.

    Returns:
        The picture and the branches, whose points satisfy the equation to rounding.

    Raises:
        ComputationError: No curve passes through the window.
    """
    x, y = params.axes()
    texts = params.equations or [str(params.equation)]
    found = [_curve(text, params, x, y) for text in texts]
    for text, branches in zip(texts, found, strict=True):
        if not branches:
            said = f"No point of {text!r} was found between x = {x[0]:g} … {x[-1]:g}, y = {y[0]:g} … {y[-1]:g}."
            if len(texts) == 1:
                raise ComputationError(said, hint="Change x_range and y_range; a curve that only touches has no sign.")
            context.warn(said)
    if not any(found):
        raise ComputationError("No curve passes through the window.", hint="Change x_range and y_range.")
    context.meta.update(mesh=[len(x), len(y)], samples=x.size * y.size, dtype="float64")
    gap = np.array([np.nan])
    every = [(i, branch) for i, branches in enumerate(found) for branch in branches]
    joined = [np.concatenate([part for _, b in every for part in (b[axis], gap)])[:-1] for axis in (0, 1)]
    owner = np.concatenate([np.full(len(b[0]), i + 1) for i, b in every])
    pieces = np.concatenate([np.full(len(b[0]), k + 1) for k, (_, b) in enumerate(every)])
    labels = {"curve": owner, "branch": pieces}
    return {
        "success": True, "x": joined[0], "y": joined[1], "branches": len(every),
        "curves": [
            {"equation": text, "branches": [{"x": b[0], "y": b[1], "closed": _closed(b)} for b in branches]}
            for text, branches in zip(texts, found, strict=True)
        ],
        **_window(params, x, y),
        **show(
            context, params, "plot_implicit", f"{'; '.join(texts)}, {_range_text(x, y)}.",
            draw=lambda figure: _draw_curves(figure, params, texts, found, x, y),
            columns=lambda: table(
                ("x", "y", *labels), (*(np.concatenate([b[a] for _, b in every]) for a in (0, 1)), *labels.values())
            ),
        ),
    }  # fmt: skip


def _window(params: PlaneParams, x: Array, y: Array) -> dict[str, Any]:
    return {"x_range": [float(x[0]), float(x[-1])], "y_range": [float(y[0]), float(y[-1])], "samples": params.samples}


def _range_text(x: Array, y: Array) -> str:
    return f"x from {x[0]:.6g} to {x[-1]:.6g}, y from {y[0]:.6g} to {y[-1]:.6g}"


def _closed(branch: Branch) -> bool:
    return len(branch[0]) > 2 and bool(branch[0][0] == branch[0][-1] and branch[1][0] == branch[1][-1])


def _curve(text: str, params: ImplicitParams, x: Array, y: Array) -> list[Branch]:
    names = params.names("x", "y")
    left, right = (names.read(side) for side in sides(text))
    whole = combine(text, Apply("+", (left.tree, Apply("neg", (right.tree,)))))
    require_names(whole, {"x", "y"})
    if not whole.names:
        raise ValidationError(f"{text!r} contains neither x nor y.", hint="Write an equation in x and y.")
    original = plane(whole)
    return [branch for factor in factors(whole) for branch in trace(plane(factor), original, x, y)]


def _plane_axes(figure: Any, params: PlaneParams, x: Array, y: Array, title: str) -> Any:
    axes = figure.add_subplot(
        title=params.title if params.title is not None else title, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]),
        xlabel=symbol(params.xlabel or "x"), ylabel=symbol(params.ylabel or "y"),
    )  # fmt: skip
    axes.grid(params.show_grid)
    if to_scale(None, float(np.ptp(x)), float(np.ptp(y))):
        axes.set_aspect("equal")
    return axes


def _draw_curves(
    figure: Any, params: ImplicitParams, texts: list[str], found: list[list[Branch]], x: Array, y: Array
) -> None:
    title = shown(texts[0]) if len(texts) == 1 and len(texts[0]) <= 60 else ""
    axes = _plane_axes(figure, params, x, y, title)
    for index, (text, branches) in enumerate(zip(texts, found, strict=True)):
        for number, branch in enumerate(branches):
            axes.plot(*branch, color=COLOURS[index % len(COLOURS)], label=shown(text) if number == 0 else None)
    if len(texts) > 1:
        figure.legend(loc="outside right upper")


def plot_inequality(params: InequalityParams, context: Context) -> dict[str, Any]:
    """Shade where inequalities in x and y hold; a border that belongs to the region is solid, otherwise dashed.

    Args:
        params: The inequalities, the window (default -10 to 10), the grid.
        context: Gets a warning when no point satisfies them.

    Returns:
        The picture, the region's area inside the window (by marching squares, error of the order of the cell squared).

    Raises:
        ValidationError: It is no inequality, or uses other names than x and y.
    """
    x, y = params.axes()
    texts = params.equations or [str(params.expression)]
    names = params.names("x", "y")
    read = [names.read(_plain(text), condition=True) for text in texts]
    tree: Node = read[0].tree if len(read) == 1 else Apply("and", tuple(item.tree for item in read))
    whole = combine("; ".join(texts), tree)
    require_names(whole, {"x", "y"})
    atoms = _atoms(tree)
    margin = _margin(tree, atoms, x[None, :], y[:, None])
    area = _area(x, y, margin)
    window = float(np.ptp(x) * np.ptp(y))
    empty = not bool((margin > 0).any())
    if empty:
        context.warn("No point of the grid satisfies it; the region is empty, or thinner than the grid.")
    context.meta.update(mesh=[len(x), len(y)], samples=x.size * y.size, dtype="float64")
    return {
        "success": True, "area": area, "fraction": area / window, "empty": empty,
        "boundaries": [{"expression": _text(atom), "strict": atom.operation in ("<", ">")} for atom in atoms],
        **_window(params, x, y),
        **show(
            context, params, "plot_inequality",
            f"{'; '.join(texts)}, {_range_text(x, y)}; borders that belong to the region are solid.",
            draw=lambda figure: _draw_region(figure, params, texts, tree, atoms, margin, x, y),
            columns=lambda: table(
                ("x", "y", "inside"), (*np.meshgrid(x, y), (margin > 0).astype(int))
            ),
        ),
    }  # fmt: skip


def _plain(text: str) -> str:
    if "=" in text and not any(sign in text for sign in ("<", ">", "≤", "≥", "!=")):
        raise ValidationError(f"{text!r} is an equation.", hint="Use plot_implicit, or write < or <=.")
    return text


def _atoms(tree: Node) -> list[Apply]:
    """Return the comparisons of a condition.

    Raises:
        ValidationError: One of them is `==` or `!=`, whose region has no area or no border.
    """
    if isinstance(tree, Truth):
        raise ValidationError("The condition does not depend on x and y.", hint="Write for instance y < x^2.")
    assert isinstance(tree, Apply)  # noqa: S101 — the parser makes conditions of nothing else
    if tree.operation in ("and", "or", "not"):
        return [atom for arg in tree.args for atom in _atoms(arg)]
    if tree.operation not in COMPARISONS:
        raise ValidationError(
            f"'{tree.operation}' bounds no region.", hint="Use <, <=, >, >=; plot_implicit for curves."
        )
    return [tree]


def _text(atom: Apply) -> str:
    left, right = (write(combine("", arg).to_sympy())["str"] for arg in atom.args)
    return f"{left} {atom.operation} {right}"


def _difference(atom: Apply) -> Expression:
    """Return the formula that is positive where a comparison holds."""
    greater, less = atom.args if atom.operation in (">", ">=") else reversed(atom.args)
    return combine("", Apply("+", (greater, Apply("neg", (less,)))))


def _margin(tree: Node, atoms: list[Apply], x: Array, y: Array, fixed: int | None = None) -> Array:
    """Return how far inside points are: positive inside, zero on the border; `fixed` sets one comparison to zero."""
    counter = iter(range(len(atoms)))

    def walk(node: Any) -> Array:
        if node.operation in COMPARISONS:
            index = next(counter)
            shape = np.broadcast_shapes(np.shape(x), np.shape(y))
            if index == fixed:
                return np.zeros(shape)
            found = np.broadcast_to(plane(_difference(node))(x, y), shape)
            return np.where(np.isnan(found), -np.inf, found)
        parts = [walk(arg) for arg in node.args]
        if node.operation == "not":
            return np.asarray(-parts[0])
        joined = np.minimum.reduce(parts) if node.operation == "and" else np.maximum.reduce(parts)
        return np.asarray(joined)

    return walk(tree)


def _area(x: Array, y: Array, margin: Array) -> float:
    """Return the area where the margin is positive, of the polygons of marching squares (shoelace formula)."""
    from contourpy import FillType, contour_generator

    z = np.where(np.isinf(margin), np.sign(margin) * 1e300, margin)
    if (z > 0).all():
        return float(np.ptp(x) * np.ptp(y))
    polygons = contour_generator(x, y, z, fill_type=FillType.OuterOffset).filled(0.0, np.inf)
    total = 0.0
    for points, offsets in zip(*polygons, strict=True):
        for start, end in pairwise(offsets):
            px, py = points[start:end].T
            total += float(np.sum(px[:-1] * py[1:] - px[1:] * py[:-1])) / 2
    return abs(total)


def _draw_region(
    figure: Any,
    params: InequalityParams,
    texts: list[str],
    tree: Node,
    atoms: list[Apply],
    margin: Array,
    x: Array,
    y: Array,
) -> None:
    title = shown("; ".join(texts)) if len("; ".join(texts)) <= 70 else ""
    axes = _plane_axes(figure, params, x, y, title)
    if (margin > 0).any():
        z = np.where(np.isinf(margin), np.sign(margin) * 1e300, margin)
        axes.contourf(x, y, z, levels=[0, np.inf], colors=[BLUE], alpha=0.22)
    for index, atom in enumerate(atoms):
        colour = COLOURS[index % len(COLOURS)]
        value = plane(_difference(atom))
        for px, py in trace(value, value, x, y):
            bounds = np.abs(_margin(tree, atoms, px, py, fixed=index)) == 0
            axes.plot(px, py, color=colour, linewidth=0.7, alpha=0.45)
            for part in stretches(px, py, bounds):
                axes.plot(*part, color=colour, linestyle="--" if atom.operation in ("<", ">") else "-")
