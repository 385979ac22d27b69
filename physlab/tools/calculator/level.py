"""Where a formula of x and y vanishes: marching squares whose points are moved onto the curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from physlab.errors import ValidationError
from physlab.expressions import Expression, parse
from physlab.tools.calculator.plot_params import real_values
from physlab.tools.cas.algebra import rational, write
from physlab.tools.types import Array

Branch = tuple[Array, Array]
Plane = Callable[[Array, Array], Array]


def plane(expression: Expression) -> Plane:
    """Return a formula as a function of x and y: its real values, NaN where it has none."""

    def value(x: Array, y: Array) -> Array:
        return real_values(expression, x=np.asarray(x, dtype=float), y=np.asarray(y, dtype=float))

    return value


def factors(whole: Expression) -> list[Expression]:
    """Return the distinct factors of the numerator; the formula itself when it has no such form."""
    import sympy

    function = rational(whole.to_sympy())
    top, _ = sympy.fraction(sympy.together(function))
    try:
        _, pairs = sympy.factor_list(top)
    except (sympy.PolynomialError, NotImplementedError):
        return [whole]
    found = [item for item, _ in pairs if item.free_symbols]
    try:
        return [parse(write(item)["str"], {"x", "y"}) for item in found] or [whole]
    except ValidationError:  # a function without a spelling
        return [whole]


def trace(factor: Plane, original: Plane, x: Array, y: Array) -> list[Branch]:
    """Return the branches of factor = 0, their points exact; poles are taken out."""
    from contourpy import contour_generator

    z = factor(x[None, :], y[:, None])
    z = np.where(z == 0, np.finfo(float).tiny, z)  # a grid point on the curve has a side too
    if np.isnan(z).all():
        return []
    lines = contour_generator(x, y, np.ma.masked_invalid(z), corner_mask=True).lines(0.0)
    found: list[Branch] = []
    scale = float(np.nanmedian(np.abs(z))) or 1.0
    for line in lines:
        px, py = _refined(np.asarray(line), factor, x, y)
        value = np.abs(factor(px, py))
        good = (value <= 1e-6 * scale) & np.isfinite(original(px + 0.0, py + 0.0) + 0.0)
        good |= (value <= 1e-6 * scale) & _defined_beside(original, px, py, x, y)
        found += stretches(px, py, good)
    return found


def _defined_beside(original: Plane, px: Array, py: Array, x: Array, y: Array) -> Array:
    """Say where the formula has values on a side of a point: a root on the border of the domain counts."""
    near = 1e-9 * (x[-1] - x[0]), 1e-9 * (y[-1] - y[0])
    found = np.zeros(px.shape, dtype=bool)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        value = original(px + dx * near[0], py + dy * near[1])
        found |= np.isfinite(value) & (np.abs(value) < 1e6)
    return found


def _refined(line: Array, value: Plane, x: Array, y: Array) -> Branch:
    """Move the points of a contour line along their grid edges to where the value vanishes."""
    px, py = line[:, 0].copy(), line[:, 1].copy()
    column, row = np.abs(px[:, None] - x[None, :]).argmin(1), np.abs(py[:, None] - y[None, :]).argmin(1)
    upright = np.abs(px - x[column]) / (x[1] - x[0]) < np.abs(py - y[row]) / (y[1] - y[0])  # on a vertical grid line
    cell_x = np.clip(np.searchsorted(x, px, side="right") - 1, 0, len(x) - 2)
    cell_y = np.clip(np.searchsorted(y, py, side="right") - 1, 0, len(y) - 2)
    low = np.where(upright, y[cell_y], x[cell_x])
    high = np.where(upright, y[cell_y + 1], x[cell_x + 1])
    px, py = np.where(upright, x[column], px), np.where(upright, py, y[row])

    def at(place: Array) -> Array:
        return value(np.where(upright, px, place), np.where(upright, place, py))

    first, last = at(low), at(high)
    proper = first * last < 0
    for _ in range(60):
        middle = (low + high) / 2
        same = np.sign(at(middle)) == np.sign(first)
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    place = np.where(proper, np.where(np.abs(at(low)) <= np.abs(at(high)), low, high), np.where(upright, py, px))
    return np.where(upright, px, place), np.where(upright, place, py)


def stretches(px: Array, py: Array, good: Array) -> list[Branch]:
    """Return the stretches of a line whose points are good."""
    borders = np.flatnonzero(np.diff(np.concatenate(([False], good, [False])).astype(int)))
    return [
        (px[start:end], py[start:end])
        for start, end in zip(borders[::2], borders[1::2], strict=True)
        if end - start > 1
    ]
