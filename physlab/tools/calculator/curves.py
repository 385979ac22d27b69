"""`graphing_calculator`: curves y = f(x), (x(t), y(t)) and r(θ), several in one picture, still or as a film."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.errors import ComputationError, ValidationError, nearest
from physlab.expressions import Expression, normal_name
from physlab.tools.calculator.format import SUCCESS
from physlab.tools.calculator.names import require_names
from physlab.tools.calculator.plot_params import CurvePlotParams, Series, check_colour, pair_of, real_values, shown
from physlab.tools.context import Context
from physlab.tools.figures import COLOURS, INK, drawing
from physlab.tools.movie import ANIMATION_PORTS, Blitter, save_movie
from physlab.tools.plot.params import symbol, table
from physlab.tools.plot.show import FIGURE_PORTS, dots, show, titled, to_scale
from physlab.tools.registry import Port
from physlab.tools.types import Array

PORTS = (
    SUCCESS,
    *FIGURE_PORTS,
    *ANIMATION_PORTS,
    Port("curves", "list", description="For each curve {label, x, y}, polar ones with theta and r; null in gaps"),
    Port("x", "array", description="Points of the first curve"),
    Port("y", "array", description="Values of the first curve; NaN where there is none"),
    Port("x_range", "list", description="[min, max] of the picture"),
    Port("y_range", "list", description="[min, max] of the picture"),
    Port("samples", "number", description="Points of each curve"),
    Port("frames", "number", description="Pictures of the film"),
)
STEEP = 25.0  # a view is cut when poles make the values reach so many times the middle nine tenths


@dataclass(frozen=True)
class Curve:
    """One curve: its formulas, its name and its colour; polar and plain ones have one formula, others two."""

    formulas: tuple[Expression, ...]
    label: str
    colour: str
    parametric: bool


@dataclass
class Scene:
    """All curves of a picture.

    Attributes:
        curves: What is drawn.
        variable: Their variable.
        u: Its points.
        polar: True reads formulas as r(θ).
        sweep: Name of the value that a film changes, None without one or when it is `variable`.
    """

    curves: list[Curve]
    variable: str
    u: Array
    polar: bool
    sweep: str | None = None

    def places(self, curve: Curve, value: float | None) -> tuple[Array, Array]:
        """Return x and y of a curve, with the swept value put in."""
        at: dict[str, Any] = {self.variable: self.u}
        if self.sweep is not None:
            at[self.sweep] = np.float64(value if value is not None else 0.0)
        values = [real_values(formula, **at) for formula in curve.formulas]
        if self.polar:
            return values[0] * np.cos(self.u), values[0] * np.sin(self.u)
        if curve.parametric:
            gap = np.isnan(values[0]) | np.isnan(values[1])
            return np.where(gap, np.nan, values[0]), np.where(gap, np.nan, values[1])
        return self.u, _cut_at_poles(self.u, values[0], curve.formulas[0], at, self.variable)


def plot_function(params: CurvePlotParams, context: Context) -> dict[str, Any]:
    """Draw curves y = f(x).

    Args:
        params: The curves, their domain, their look, a value to sweep in a film.
        context: The surroundings of the call.

    Returns:
        The picture, the points, the film when one is asked.

    Raises:
        ComputationError: A curve has no real value anywhere.
    """
    view = params.x_range or (-10.0, 10.0)
    return _plot(params, context, "plot_function", params.variable or "x", view)


def plot_parametric(params: CurvePlotParams, context: Context) -> dict[str, Any]:
    """Draw curves (x(t), y(t)).

    Args:
        params: The curves, the domain of t (default 0 to 2π), their look, a value to sweep in a film.
        context: The surroundings of the call.

    Returns:
        The picture, the points, the film when one is asked.

    Raises:
        ComputationError: A curve has no real point anywhere.
    """
    return _plot(params, context, "plot_parametric", params.variable or "t", (0.0, 2 * np.pi), parametric=True)


def plot_polar(params: CurvePlotParams, context: Context) -> dict[str, Any]:
    """Draw curves r(θ); where r is negative the point lies opposite, at θ + π.

    Args:
        params: The curves, the domain of theta (default 0 to 2π), their look, a value to sweep in a film.
        context: The surroundings of the call.

    Returns:
        The picture, the points, the film when one is asked.

    Raises:
        ComputationError: A curve has no real value anywhere.
    """
    return _plot(params, context, "plot_polar", params.variable or "theta", (0.0, 2 * np.pi), polar=True)


def _plot(
    params: CurvePlotParams,
    context: Context,
    name: str,
    variable: str,
    default: tuple[float, float],
    *,
    parametric: bool = False,
    polar: bool = False,
) -> dict[str, Any]:
    scene = _scene(params, context, normal_name(variable), default, parametric=parametric, polar=polar)
    clock = _clock(params, scene, context)
    middle = None if clock is None or scene.sweep is None else float(clock[len(clock) // 2])
    drawn = [scene.places(curve, middle) for curve in scene.curves]
    for curve, (_, y) in zip(scene.curves, drawn, strict=True):
        if np.isnan(y).all():
            raise ComputationError(f"{curve.label} has no real value there.", hint="Check the formula and its domain.")
    limits = _limits(params, scene, drawn, clock)
    caption = _caption(params, scene, middle)
    context.meta.update(samples=len(scene.u), dtype="float64")
    fields: dict[str, Any] = {
        "success": True, "curves": [_listed(scene, curve, *xy) for curve, xy in zip(scene.curves, drawn, strict=True)],
        "x": drawn[0][0], "y": drawn[0][1], "samples": len(scene.u),
        "x_range": list(limits[0]), "y_range": list(limits[1]),
    }  # fmt: skip
    fields |= show(
        context, params, name, caption,
        draw=lambda figure: _draw(figure, params, scene, drawn, limits, middle),
        columns=lambda: _columns(scene, drawn),
    )  # fmt: skip
    if context.wants("animation"):
        if clock is None:
            raise ValidationError("A film needs to know what to sweep.", hint="Give animations.sweep.")
        fields |= {"frames": len(clock), **_film(params, context, scene, clock, limits, name, titled(params, caption))}
    return fields


def _scene(
    params: CurvePlotParams,
    context: Context,
    variable: str,
    default: tuple[float, float],
    *,
    parametric: bool,
    polar: bool,
) -> Scene:
    swept = params.animations.sweep
    name = normal_name(swept.variable) if swept is not None else variable
    series = params.curves(parametric=parametric)
    mixed = not parametric and not polar and any(item.parametric for item in series)
    inner = "t" if mixed and all(item.parametric for item in series) else variable
    bound = {inner, name, *(("t",) if mixed else ())}
    names = params.names(*bound)
    curves = []
    for index, item in enumerate(series):
        check_colour(item.color)
        texts = pair_of(item.expression) if item.parametric else (item.expression,)
        if polar and item.parametric:
            raise ValidationError("A polar curve has one formula, r(theta).", hint="Leave `parametric` out.")
        if not all(isinstance(text, str) for text in texts):
            raise ValidationError(f"{list(texts[0])} are two formulas.", hint="Set parametric: true.")
        formulas = tuple(names.read(str(text), context) for text in texts)
        own = "t" if item.parametric and mixed else inner
        for formula in formulas:
            require_names(formula, {own, *({name} if swept else ())})
        curves.append(
            Curve(formulas, _label(item, texts), item.color or COLOURS[index % len(COLOURS)], item.parametric)
        )
    if swept is not None and name not in (inner, "t" if mixed else inner):
        used = {found for curve in curves for formula in curve.formulas for found in formula.names}
        if name not in used:
            raise ValidationError(f"'{name}' takes no part in the formulas.", hint=nearest(name, used))
    u = params.points(default, context)
    if mixed and inner != "t":
        return _MixedScene(curves, inner, u, polar, None if name in (inner, "t") else name)
    return Scene(curves, inner, u, polar, None if name == inner else name)


class _MixedScene(Scene):
    """Curves y = f(x) beside parametric ones; all run over one domain."""

    def places(self, curve: Curve, value: float | None) -> tuple[Array, Array]:
        """Return x and y of a curve, with the swept value put in."""
        if not curve.parametric:
            return super().places(curve, value)
        return Scene(self.curves, "t", self.u, False, self.sweep).places(curve, value)


def _label(item: Series, texts: Sequence[Any]) -> str:
    return item.label or shown(", ".join(map(str, texts)) if len(texts) == 1 else f"({', '.join(map(str, texts))})")


def _clock(params: CurvePlotParams, scene: Scene, context: Context) -> Array | None:
    """Return the swept values of all frames; over the curve's own variable they are its points."""
    swept = params.animations.sweep
    if swept is None:
        return None
    context.enforce("frames", swept.frames, "animations.sweep.frames")
    low, high = swept.start, swept.end
    if scene.sweep is None:
        low, high = float(scene.u[0]) if low is None else low, float(scene.u[-1]) if high is None else high
    if low is None or high is None:
        raise ValidationError(
            f"The sweep of {swept.variable} has no range.", hint="Give animations.sweep.start and .end."
        )
    if low == high:
        raise ValidationError(f"The sweep of {swept.variable} stays at {low:g}.", hint="Give two different ends.")
    return np.linspace(low, high, swept.frames)


def _cut_at_poles(x: Array, y: Array, formula: Expression, at: dict[str, Any], name: str) -> Array:
    """Return values with gaps where the curve jumps through infinity, seen by halving the step between two points."""
    jumps = np.flatnonzero(y[:-1] * y[1:] < 0)
    if not len(jumps):
        return y
    low, high, first = x[jumps].copy(), x[jumps + 1].copy(), np.sign(y[jumps])
    for _ in range(40):
        middle = (low + high) / 2
        value = real_values(formula, **{**at, name: middle})
        same = np.sign(value) == first
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    ends = np.abs(np.vstack([real_values(formula, **{**at, name: low}), real_values(formula, **{**at, name: high})]))
    pole = np.nanmin(ends, axis=0) > np.maximum(np.abs(y[jumps]), np.abs(y[jumps + 1]))
    cut = y.copy()
    cut[jumps[pole]] = np.nan
    return cut


def _limits(
    params: CurvePlotParams, scene: Scene, drawn: Sequence[tuple[Array, Array]], clock: Array | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return what the picture shows: as asked, else all of it, cut where poles would flatten everything else."""
    sets = list(drawn)
    if clock is not None and scene.sweep is not None:
        chosen = clock[:: max(1, len(clock) // 12)]
        sets += [scene.places(curve, float(value)) for curve in scene.curves for value in chosen]
    x, y = (np.concatenate([item[axis] for item in sets]) for axis in (0, 1))
    plain = not scene.polar and not any(curve.parametric for curve in scene.curves)
    margin = 0.0 if plain else 0.05
    return params.x_range or _span(x, margin), params.y_range or _span(y, 0.05, cut=plain)


def _span(values: Array, margin: float, *, cut: bool = False) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    if cut:
        inner = np.percentile(finite, (5, 95))
        if high - low > STEEP * (inner[1] - inner[0]) > 0:
            low, high = float(inner[0] - (inner[1] - inner[0]) / 2), float(inner[1] + (inner[1] - inner[0]) / 2)
    room = margin * (high - low) or (0.0 if high > low else 0.5)
    return low - room, high + room


def _listed(scene: Scene, curve: Curve, x: Array, y: Array) -> dict[str, Any]:
    found: dict[str, Any] = {"label": curve.label, "x": x, "y": y}
    if scene.polar:
        found |= {"theta": scene.u, "r": np.where(np.isnan(x), np.nan, x * np.cos(scene.u) + y * np.sin(scene.u))}
    return found


def _columns(scene: Scene, drawn: Sequence[tuple[Array, Array]]) -> dict[str, Array]:
    names, arrays = [scene.variable], [scene.u]
    for index, (curve, (x, y)) in enumerate(zip(scene.curves, drawn, strict=True), start=1):
        label = curve.label if len({item.label for item in scene.curves}) == len(scene.curves) else f"curve {index}"
        if scene.polar:
            names.append(f"r: {label}")
            arrays.append(np.where(np.isnan(x), np.nan, x * np.cos(scene.u) + y * np.sin(scene.u)))
        if scene.polar or curve.parametric:
            names += [f"x: {label}", f"y: {label}"]
            arrays += [x, y]
        else:
            names.append(label)
            arrays.append(y)
    return table(names, arrays)


def _caption(params: CurvePlotParams, scene: Scene, middle: float | None) -> str:
    signature = "r(theta)" if scene.polar else "f(x)"
    what = "; ".join(curve.label if curve.parametric else f"{signature} = {curve.label}" for curve in scene.curves[:4])
    more = f" and {len(scene.curves) - 4} more" if len(scene.curves) > 4 else ""
    given = "".join(f", {name} = {value:g}" for name, value in params.vars.items())
    at = "" if middle is None else f", drawn at {scene.sweep} = {middle:.4g}"
    return f"{what}{more}, {scene.variable} from {scene.u[0]:.6g} to {scene.u[-1]:.6g}{given}{at}."


def _axes(figure: Any, params: CurvePlotParams, scene: Scene, limits: Any) -> Any:
    """Return axes with labels and limits."""
    one = scene.curves[0]
    title = params.title
    if title is None and len(scene.curves) == 1 and len(one.label) <= 60:
        title = one.label
    if scene.polar:
        axes = figure.add_subplot(projection="polar")
        axes.set_title(title or "", pad=16)
        radius = max(abs(end) for pair in limits for end in pair)
        axes.set_rlim(0, radius if radius > 0 else 1.0)
        axes.set_rlabel_position(22.5)
        axes.set_xlabel(symbol(params.xlabel or "") or r"$\theta$ around, $r$ outwards")
    else:
        axes = figure.add_subplot(title=title or "", xlim=limits[0], ylim=limits[1])
        plain = not any(curve.parametric for curve in scene.curves)
        single = plain and len(scene.curves) == 1
        axes.set_xlabel(symbol(params.xlabel or (scene.variable if plain else "x")))
        axes.set_ylabel(symbol(params.ylabel or (f"f({scene.variable})" if single else "y")))
        if not plain and to_scale(None, *(high - low for low, high in limits)):
            axes.set_aspect("equal")
    axes.grid(params.show_grid)
    return axes


def _on(scene: Scene, x: Array, y: Array) -> tuple[Array, Array]:
    """Return the places of a curve on its axes: polar ones want angle and distance, which is never negative."""
    if not scene.polar:
        return x, y
    r = x * np.cos(scene.u) + y * np.sin(scene.u)
    return np.where(r < 0, scene.u + np.pi, scene.u), np.abs(r)


def _draw(figure: Any, params: CurvePlotParams, scene: Scene, drawn: Any, limits: Any, middle: float | None) -> None:
    axes = _axes(figure, params, scene, limits)
    if middle is not None:
        axes.set_title(f"{axes.get_title()} ({scene.sweep} = {middle:.4g})".strip())
    for curve, (x, y) in zip(scene.curves, drawn, strict=True):
        first, second = _on(scene, x, y)
        axes.plot(first, second, color=curve.colour, label=curve.label, **dots(len(scene.u)))
    if len(scene.curves) > 1:
        figure.legend(loc="outside right upper")


def _film(
    params: CurvePlotParams, context: Context, scene: Scene, clock: Array, limits: Any, name: str, caption: str
) -> dict[str, Any]:
    swept = params.animations.sweep
    assert swept is not None  # noqa: S101 — the clock comes from it
    with drawing(params.width, params.height, params.dpi) as figure:
        axes = _axes(figure, params, scene, limits)
        said = figure.text(0.985, 0.985, "", ha="right", va="top", color=INK, fontsize=12.5)
        lines = [axes.plot([], [], color=curve.colour, label=curve.label)[0] for curve in scene.curves]
        if len(lines) > 1:
            axes.legend(loc="upper left")
        update = _mover(scene, clock, lines, said, swept.variable)
        blitter = Blitter(figure, [*lines, said])
        return save_movie(
            context, blitter.frames(len(clock), update), name, f"{caption} Film over {swept.variable} from "
            f"{clock[0]:.6g} to {clock[-1]:.6g}.", fps=swept.fps, format=swept.format,
        )  # fmt: skip


def _mover(scene: Scene, clock: Array, lines: Sequence[Any], said: Any, name: str) -> Callable[[int], None]:
    still = [scene.places(curve, None) for curve in scene.curves] if scene.sweep is None else []

    def update(index: int) -> None:
        value = float(clock[index])
        said.set_text(f"{symbol(name)} = {value:.4g}".replace("-", "\N{MINUS SIGN}"))
        for place, (curve, line) in enumerate(zip(scene.curves, lines, strict=True)):
            x, y = still[place] if still else scene.places(curve, value)
            first, second = _on(scene, x, y)
            if scene.sweep is None:
                until = scene.u <= value if clock[-1] > clock[0] else scene.u >= value
                first, second = np.where(until, first, np.nan), np.where(until, second, np.nan)
            line.set_data(first, second)

    return update
