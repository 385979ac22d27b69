"""Several curves in one figure, points with errors, logarithmic axes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from physlab.errors import ComputationError, ValidationError
from physlab.tools.plot.curve import CurveParams, _view
from physlab.tools.plot.overlay import Curve

DRAWN = {"static": True, "series": True}
T = [0.0, 0.5, 1.0, 1.5, 2.0]


def columns(answer: Any) -> dict[str, list[float]]:
    with answer["csv_path"].path.open(newline="") as stream:
        header, *rows = csv.reader(stream)
    return {name: [float(row[index]) for row in rows] for index, name in enumerate(header)}


def test_measurements_lie_on_their_theory(ask: Callable[..., Any]) -> None:
    answer = ask(
        "plot", "function_2d", _visuals=DRAWN, f="g*t^2/2", variable="t", x=[0, 2, 50], vars={"g": 9.81},
        label="theory", xlabel="t [s]", ylabel="s [m]",
        curves=[{"f": [0.0, 1.2, 4.9, 11.0, 19.6], "x": T, "label": "measured", "style": "points", "error": [0.1] * 5}],
    )  # fmt: skip
    table = columns(answer)
    assert list(table) == ["t [s]", "theory", "t [s] (measured)", "measured", "error of measured"]
    assert table["theory"] == pytest.approx(9.81 * np.linspace(0, 2, 50) ** 2 / 2)
    assert table["measured"][:5] == [0, 1.2, 4.9, 11, 19.6] and np.isnan(table["measured"][5:]).all()
    [curve] = answer["curves"]
    assert curve["label"] == "measured" and curve["x"].tolist() == T
    assert next(item.caption for item in answer.context.written if item.role == "static").endswith("with measured.")


def test_curves_of_one_range_share_their_points(ask: Callable[..., Any]) -> None:
    answer = ask("plot", "function_2d", _visuals=DRAWN, f="sin(x)", x=[0, 3, 10], label="sin",
                 curves=[{"f": "cos(x)", "label": "cos"}, {"f": list(range(10)), "label": "index"}])  # fmt: skip
    table = columns(answer)
    assert list(table) == ["x", "sin", "cos", "index"]
    assert np.hypot(table["sin"], table["cos"]) == pytest.approx(np.ones(10))


def test_a_power_law_is_a_line_of_its_slope_on_logarithmic_axes(ask: Callable[..., Any]) -> None:
    answer = ask("plot", "function_2d", f="a^1.5", variable="a", x=[0.1, 100, 31], xscale="log", yscale="log")
    assert np.diff(np.log(answer["x"])) == pytest.approx(np.full(30, np.log(1000) / 30))
    assert np.diff(np.log(answer["y"])) / np.diff(np.log(answer["x"])) == pytest.approx(np.full(30, 1.5))


def test_what_has_no_logarithm_is_left_out_and_told(ask: Callable[..., Any]) -> None:
    answer = ask("plot", "function_2d", _visuals=DRAWN, f="sin(x)", x=[0, 6, 100], yscale="log")
    assert "y is not positive" in answer.context.warnings[0]
    assert np.nanmin(answer["y"]) < 0, "the values themselves stay"
    with pytest.raises(ComputationError, match="nowhere positive"):
        ask("plot", "function_2d", f="-x^2", x=[1, 2], yscale="log")
    with pytest.raises(ValidationError, match="begins above 0"):
        ask("plot", "function_2d", f="x", x=[0, 2], xscale="log")


@pytest.mark.parametrize(("curve", "said"), [
    ({"f": [1.0, 2.0], "label": "a"}, "curves.0.f has 2 values and its x has 10 points"),
    ({"f": "x", "label": "a", "error": [1.0]}, "curves.0.error has 1 values"),
    ({"f": "q*x", "label": "a"}, "unknown name 'q'"),
    ({"f": "x"}, "label"),
    ({"f": "x", "label": "a", "colour": "red"}, "colour"),
])  # fmt: skip
def test_wrong_curves(ask: Callable[..., Any], curve: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ask("plot", "function_2d", f="x", x=[0, 1, 10], curves=[curve])


def test_two_curves_of_one_name(ask: Callable[..., Any]) -> None:
    two = [{"f": "x", "label": "a"}, {"f": "x^2", "label": "a"}]
    with pytest.raises(ValidationError, match="same label"):
        ask("plot", "function_2d", f="x", x=[0, 1], curves=two)


def test_the_view_of_an_array_fits_what_is_seen() -> None:
    x = np.linspace(0, 10, 201)
    axes = Figure().add_subplot()
    curve = Curve("", x, np.exp(x))
    axes.plot(*curve.points)
    _view(axes, CurveParams(f=curve.y, x=x, x_min=0, x_max=1), [curve])
    low, high = axes.get_ylim()
    assert (low, high) == pytest.approx((1 - 0.05 * (np.e - 1), np.e + 0.05 * (np.e - 1)))


@pytest.mark.parametrize(
    "more", [{"error": [1, -1, 1]}, {"curves": [{"f": [1, 2, 3], "label": "a", "error": [1, -1, 1]}]}]
)
def test_an_uncertainty_below_zero_is_refused(ask: Callable[..., Any], more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="holds -1"):
        ask("plot", "function_2d", f=[1.0, 2.0, 3.0], x=[0.0, 1.0, 2.0], **more)
