"""The calculator's plots: points against closed forms, topology, the documented form, films."""

from __future__ import annotations

import numpy as np
import pytest

from physlab.errors import ComputationError, ValidationError
from physlab.tools import load_tools
from physlab.tools.call import check_params
from tests.unit.tools.test_plot_parametric import read

TOOL = "graphing_calculator"
BOTH = {"static": True, "series": True}


def test_a_curve_and_its_picture(ask):
    a = ask(TOOL, "plot_function", _visuals=BOTH, expression="A*sin(x)", variables={"A": "3/2"}, x_range=[0, 6])
    assert a["success"] and a["y"] == pytest.approx(1.5 * np.sin(a["x"]), abs=1e-15) and a["samples"] == 1000
    header, (x, y) = read(a["csv_data"])
    assert header == ["x", "A*sin(x)"] and y == pytest.approx(a["y"]) and x[-1] == 6
    assert a["image_png_b64"].show == "base64" and a.context.written[0].caption.startswith("f(x) = A*sin(x), x from 0")


def test_poles_are_gaps_and_zeros_are_not(ask):
    a = ask(TOOL, "plot_function", _visuals={"static": True}, expression="tan(x)")
    assert np.isnan(a["y"]).sum() == 6  # the odd multiples of π/2 between -10 and 10
    assert not np.isnan(ask(TOOL, "plot_function", expression="x^3 - x")["y"]).any()
    assert a["y_range"][1] < 30 < np.nanmax(a["y"])  # the view is not flattened by the poles


def test_the_documented_form(ask):
    series = [
        {"expression": "a*sin(x)", "label": "sine", "color": "#d55e00"},
        {"expression": "(2*cos(t), 2*sin(t))", "label": "circle", "parametric": True},
    ]
    a = ask(
        TOOL, "plot_function", _visuals={**BOTH, "animation": True}, series=series, variables={},
        domain={"start": 0, "end": 6.5, "step": 0.1}, export={"format": "csv"}, plot_title="Two",
        animations={"sweep": {"variable": "a", "start": 0, "end": 2, "frames": 5, "fps": 10, "format": "gif"}},
    )  # fmt: skip
    assert a["samples"] == 66 and a["frames"] == 5 and a["animation_path"].name.endswith(".gif")
    circle = a["curves"][1]
    assert np.hypot(circle["x"], circle["y"]) == pytest.approx(2, rel=1e-15)
    assert a["curves"][0]["y"] == pytest.approx(np.sin(a["x"]), abs=1e-15)  # drawn at the middle of the sweep, a = 1


def test_flags_are_read_from_the_documented_form():
    method = load_tools().find(TOOL, "plot_function")
    params = {"expression": "x", "export_data": True, "animations": {"sweep": {"variable": "x"}}}
    checked = check_params(method, params)
    assert checked.emit_csv and checked.emit_animation and checked.title is None
    assert check_params(method, {"expression": "x", "export": {"format": "csv"}}).emit_csv
    assert check_params(method, {"expression": "x"}).emit_csv is None and not method.visuals.series
    assert check_params(method, {"expression": "x", "emit_csv": False, "export_data": True}).emit_csv is False


def test_a_film_that_draws_the_curve(ask):
    a = ask(
        TOOL, "plot_polar", _visuals={"animation": True}, expression="cos(3*theta)",
        animations={"sweep": {"variable": "theta", "frames": 4}},
    )  # fmt: skip
    assert a["frames"] == 4 and a["mp4_path"].path.stat().st_size > 1000


def test_parametric(ask):
    a = ask(TOOL, "plot_parametric", _visuals=BOTH, expression="cos(t)^3, sin(t)^3", samples=4001)
    x, y = a["x"], a["y"]
    assert np.abs(x) ** (2 / 3) + np.abs(y) ** (2 / 3) == pytest.approx(1, abs=1e-12)  # the astroid
    assert np.hypot(np.diff(x), np.diff(y)).sum() == pytest.approx(6, rel=1e-5)  # its length is 6
    b = ask(TOOL, "plot_parametric", _visuals={"series": True}, series=[{"expression": "t, t^2", "label": "p"}])
    assert read(b["csv_data"])[0] == ["t", "x: p", "y: p"]
    assert ask(TOOL, "plot_parametric", expression=["t", "t^2"], domain={"start": 0, "end": 2})["y"][-1] == 4


def test_polar(ask):
    a = ask(TOOL, "plot_polar", _visuals=BOTH, expression="1 + 2*cos(theta)", samples=2001)
    curve = a["curves"][0]
    assert curve["r"] == pytest.approx(1 + 2 * np.cos(curve["theta"]), abs=1e-14)  # negative where it is
    assert 0.5 * np.trapezoid(curve["r"] ** 2, curve["theta"]) == pytest.approx(3 * np.pi, rel=1e-12)  # ½∫r² dθ
    middle = len(a["x"]) // 2  # θ = π: r = -1 lies at x = +1
    assert a["x"][middle] == pytest.approx(1) and a["y"][middle] == pytest.approx(0, abs=1e-14)


def test_implicit_points_lie_on_the_curve(ask):
    a = ask(TOOL, "plot_implicit", _visuals=BOTH, equation="x^2 + y^2 = 4", x_range=[-3, 3], y_range=[-3, 3])
    assert a["x"] ** 2 + a["y"] ** 2 == pytest.approx(4, abs=1e-12)
    assert a["branches"] == 1 and a["curves"][0]["branches"][0]["closed"]
    header, (_, _, curve, branch) = read(a["csv_data"])
    assert header == ["x", "y", "curve", "branch"] and set(curve) == set(branch) == {1}


def test_implicit_topology(ask):
    window = {"x_range": [-3, 3], "y_range": [-3, 3]}
    cross = ask(TOOL, "plot_implicit", equation="x^2 = y^2", **window)  # two lines, not a hyperbola
    assert cross["branches"] == 2 and np.abs(cross["x"]) == pytest.approx(np.abs(cross["y"]), abs=1e-12, nan_ok=True)
    twice = ask(TOOL, "plot_implicit", equation="(x - y)^2 = 0", **window)  # never changes its sign
    assert twice["branches"] == 1 and twice["x"] == pytest.approx(twice["y"], abs=1e-12)
    pole = ask(TOOL, "plot_implicit", equation="y = 1/x", **window)  # the axis x = 0 is no part of it
    assert pole["branches"] == 2 and np.nanmax(np.abs(pole["x"] * pole["y"] - 1)) < 1e-12
    tangent = ask(TOOL, "plot_implicit", equation="y = tan(x)", **window)
    assert tangent["branches"] == 3 and not np.any(np.abs(np.abs(tangent["x"]) - np.pi / 2) < 1e-6)
    edge = ask(TOOL, "plot_implicit", equation="sqrt(x) + sqrt(y) = 1", x_range=[-0.5, 1.5], y_range=[-0.5, 1.5])
    assert edge["branches"] == 1 and np.sqrt(edge["x"]) + np.sqrt(edge["y"]) == pytest.approx(1, abs=1e-7)


def test_inequalities(ask):
    window = {"x_range": [-2, 2], "y_range": [-2, 2]}
    disk = ask(TOOL, "plot_inequality", _visuals=BOTH, expression="x^2 + y^2 <= 1", **window)
    assert disk["area"] == pytest.approx(np.pi, rel=1e-4)  # chords inside the circle: error of the order of h²
    assert disk["boundaries"] == [{"expression": "x**2 + y**2 <= 1", "strict": False}]
    ring = ask(TOOL, "plot_inequality", expression="1 < x^2 + y^2 < 9/4", **window)
    assert ring["area"] == pytest.approx(np.pi * 5 / 4, rel=1e-4)  # with a hole
    assert [item["strict"] for item in ring["boundaries"]] == [True, True]
    both = ask(TOOL, "plot_inequality", equations=["y > x", "y < 1", "not x < -1"], **window)
    assert both["area"] == pytest.approx(2, rel=1e-3)  # a right triangle with legs of 2
    either = ask(TOOL, "plot_inequality", _visuals={"static": True}, expression="x < -1 or x >= 1", **window)
    assert either["area"] == pytest.approx(8, rel=1e-12) and either["fraction"] == pytest.approx(0.5)
    none = ask(TOOL, "plot_inequality", expression="x^2 + y^2 < -1", **window)
    assert none["empty"] and none["area"] == 0 and "No point" in none.context.warnings[0]


def test_data_with_errors_and_a_fit(ask):
    x, sigma = np.arange(1.0, 9), np.full(8, 0.1)
    y = 2 * x + 1 + 0.1 * np.array([1, -1, 1, -1, 1, -1, 1, -1])
    a = ask(
        TOOL, "plot_data", _visuals=BOTH, data_x=x, data_y=y, y_errors=sigma, regression_type="linear", xlabel="t [s]"
    )
    assert read(a["csv_data"])[0] == ["t [s]", "y", "y_errors", "fit", "residual"]
    weights, mean = 1 / sigma**2, x.mean()
    slope = np.sum(weights * (x - mean) * y) / np.sum(weights * (x - mean) ** 2)
    assert a["parameters"]["a"] == pytest.approx(slope, rel=1e-13)
    assert a["standard_errors"]["a"] == pytest.approx(np.sum(weights * (x - mean) ** 2) ** -0.5, rel=1e-12)
    assert ask(TOOL, "plot_data", _visuals={"static": True}, data=[3, 1, 2], connect=True)["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("operation", "params", "kind", "says"),
    [
        ("plot_function", {}, ValidationError, "nothing to draw"),
        ("plot_function", {"expression": "a*x"}, ValidationError, "'a', which has no value"),
        ("plot_function", {"expression": "sqrt(-1 - x^2)"}, ComputationError, "no real value"),
        ("plot_function", {"expression": "x", "samples": 100_001}, ValidationError, "cap of 100000"),
        ("plot_function", {"expression": "x", "x_range": [2, 1]}, ValidationError, "empty"),
        ("plot_function", {"series": [{"expression": "x", "color": "redd"}]}, ValidationError, "no.* a colour"),
        ("plot_function", {"expression": "x", "export": {"format": "mp4"}}, ValidationError, "what to sweep"),
        ("plot_parametric", {"expression": "cos(t)"}, ValidationError, "pair of formulas"),
        ("plot_polar", {"expression": "cos(x)"}, ValidationError, "'x', which has no value"),
        ("plot_implicit", {"equation": "x^2 + y^2 = -1"}, ComputationError, "No point"),
        ("plot_implicit", {"equation": "x = z"}, ValidationError, "'z'"),
        ("plot_implicit", {"equation": "x = y", "samples": 2000}, ValidationError, "cap of 1001"),
        ("plot_inequality", {"expression": "x = y"}, ValidationError, "equation"),
        ("plot_inequality", {"expression": "x + y"}, ValidationError, "not a condition"),
        ("plot_inequality", {"expression": "x != y"}, ValidationError, "bounds no region"),
        ("plot_data", {"data_x": [1, 2], "data_y": [1, 2, 3]}, ValidationError, "2 values, not 3"),
        (
            "plot_data",
            {"data_y": [1, 2], "y_errors": [0, 1], "regression_type": "linear"},
            ValidationError,
            "above zero",
        ),
    ],
)
def test_wrong_requests(ask, operation, params, kind, says):
    with pytest.raises(kind, match=says):
        ask(TOOL, operation, **params)


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ({"variable": "a"}, "no range"),
        ({"variable": "b", "start": 0, "end": 1}, "no value|takes no part"),
        ({"variable": "a", "start": 0, "end": 1, "frames": 301}, "cap of 300"),
    ],
)
def test_wrong_sweeps(ask, sweep, says):
    with pytest.raises(ValidationError, match=says):
        ask(TOOL, "plot_function", expression="a*x", animations={"sweep": sweep}, _visuals={"animation": True})


def test_a_film_without_a_sweep(ask):
    with pytest.raises(ValidationError, match="what to sweep"):
        ask(TOOL, "plot_function", expression="x", _visuals={"animation": True})
