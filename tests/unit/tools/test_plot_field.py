"""Vector fields: fields of charges and vortices, the legacy key, caps and bad input."""

from __future__ import annotations

import numpy as np
import pytest

from physlab.errors import ComputationError, ValidationError
from tests.unit.tools.test_plot_parametric import read

BOTH = {"static": True, "series": True}
SQUARE = {"x_min": -2, "x_max": 2, "y_min": -1, "y_max": 1}
CHARGE = {"fx": "q*x/(x^2+y^2)^(3/2)", "fy": "q*y/(x^2+y^2)^(3/2)", "vars": {"q": 2}}


@pytest.mark.parametrize("kind", ["quiver", "stream"])
def test_a_point_charge(ask, kind):
    a = ask("plot", "field_2d", _visuals=BOTH, **CHARGE, **SQUARE, plot_type_field=kind, colour_scale="log")
    header, (x, y, u, v) = read(a["csv_data"])
    assert header == ["x", "y", "fx", "fy"] and len(x) == 400 and a["grid_points"] == 20
    distance = np.hypot(x, y)
    assert np.hypot(u, v) == pytest.approx(2 / distance**2, rel=1e-13)  # Coulomb's law
    assert x * v - y * u == pytest.approx(0, abs=1e-12)  # radial
    assert a["magnitude"].ravel() == pytest.approx(2 / distance**2) and a["plot_type"] == kind
    assert a["magnitude_range"] == [a["magnitude"].min(), a["magnitude"].max()]
    assert a.context.meta["mesh"] == [20, 20] and a["x_range"] == [-2, 2] and a["y_range"] == [-1, 1]
    assert "with q = 2 for x from -2 to 2 and y from -1 to 1; colours" in a.context.written[0].caption


def test_a_rigid_rotation_has_the_vorticity_of_twice_its_rate(ask):
    a = ask("plot", "field_2d", _visuals=BOTH, fx="-w*y", fy="w*x", vars={"w": 3}, **SQUARE, arrows="proportional")
    vorticity = np.gradient(a["v"], a["x"], axis=1) - np.gradient(a["u"], a["y"], axis=0)
    assert vorticity == pytest.approx(6, rel=1e-12)
    assert "as long as the field is strong" in a.context.written[0].caption


def test_the_legacy_key(ask):
    assert ask("plot", "field_2d", fx="x", fy="y", **SQUARE, plot_type="stream")["plot_type"] == "stream"
    with pytest.raises(ValidationError, match="both given"):
        ask("plot", "field_2d", fx="x", fy="y", **SQUARE, plot_type="stream", plot_type_field="stream")


def test_arrays_with_their_axes(ask):
    x, y = np.array([2.0, 1.0, 0.0]), np.array([0.0, 1.0, 4.0, 9.0])
    u, v = np.meshgrid(x, y)
    a = ask("plot", "field_2d", _visuals=BOTH, fx=u, fy=v, x=x, y=y)
    assert a["x"].tolist() == [0, 1, 2] and a["u"][0].tolist() == [0, 1, 2] and a["v"][3, 0] == 9
    with pytest.raises(ValidationError, match="evenly spaced"):
        ask("plot", "field_2d", fx=u, fy=v, x=x, y=y, plot_type_field="stream")
    assert (
        ask("plot", "field_2d", _visuals=BOTH, fx=u, fy="x", x=[0, 2], y=[0, 9], plot_type_field="stream")["x"][1] == 1
    )


def test_gaps_and_zeros_are_drawn(ask):
    for kind in ("quiver", "stream"):
        a = ask(
            "plot",
            "field_2d",
            _visuals=BOTH,
            fx="1/x",
            fy="y",
            x=[-1, 1, 21],
            y=[-1, 1, 20],
            plot_type_field=kind,
            density=0.4,
        )
        assert "not finite at 20 of 420 points" in a.context.warnings[0] and np.isnan(a["v"]).sum() == 20
        ask("plot", "field_2d", _visuals=BOTH, fx="0", fy="0", **SQUARE, plot_type_field=kind, density=0.4)
    ask("plot", "field_2d", _visuals=BOTH, fx="x", fy="0", x=[-1, 1, 21], y=[0, 1], colour_scale="log")
    with pytest.raises(ComputationError, match="not finite anywhere"):
        ask("plot", "field_2d", fx="sqrt(-1-x^2)", fy="y", **SQUARE)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"grid_points": 65}, "cap of 64"),
        ({"grid_points": 4}, "grid_points"),
        ({"x": [0, 1, 65]}, "cap of 64"),
        ({"y_min": None}, "range of y is missing"),
        ({"fx": "z"}, "unknown name 'z'"),
        ({"fx": [[1, 2], [3, 4]], "fy": [[1, 2, 3], [4, 5, 6]]}, "fx has the shape"),
        ({"fx": [1, 2]}, "2 dimension"),
        ({"plot_type_field": "arrows"}, "quiver"),
        ({"plot_type": "lic"}, "quiver"),
        ({"density": 9}, "density"),
        ({"vars": {"y": 1}}, "an axis"),
    ],
)
def test_wrong_requests(ask, wrong, says):
    with pytest.raises(ValidationError, match=says):
        ask("plot", "field_2d", **{"fx": "x", "fy": "y", **SQUARE, **wrong})


def test_allow_large_lifts_the_cap(ask):
    assert ask("plot", "field_2d", fx="x", fy="y", **SQUARE, grid_points=70, allow_large=True)["u"].shape == (70, 70)


def test_a_field_without_strength_has_no_logarithm(ask):
    with pytest.raises(ValidationError, match="zero everywhere"):
        ask("plot", "field_2d", _visuals=BOTH, fx="0", fy="0", **SQUARE, colour_scale="log")
