"""Curves in the plane: known curves, other nodes' arrays, caps and bad input."""

from __future__ import annotations

import numpy as np
import pytest

from physlab.errors import ComputationError, ValidationError

BOTH = {"static": True, "series": True}
TURN = {"t_min": 0, "t_max": 2 * np.pi}


def read(file):
    """Return header and columns of a CSV file."""
    header, *lines = file.path.read_text().splitlines()
    return header.split(","), np.array([line.split(",") for line in lines], dtype=float).T


def test_every_point_of_a_circle_has_the_same_radius(ask):
    a = ask("plot", "parametric_2d", _visuals=BOTH, x_t="R*cos(t)", y_t="R*sin(t)", vars={"R": 2.5}, **TURN)
    header, (t, x, y) = read(a["csv_data"])
    assert header == ["t", "x", "y"] and len(t) == a["samples"] == 1000
    assert np.hypot(x, y) == pytest.approx(2.5, abs=1e-14)  # exact but for rounding
    assert a["t_range"] == [0, 2 * np.pi] and a["x_range"] == pytest.approx([-2.5, 2.5], rel=1e-5)
    assert a["image_png_b64"].show == "base64" and a["svg"].show == "text" and len(a["thumbnails"]) == 1
    assert a.context.written[0].caption == (
        "x(t) = R*cos(t), y(t) = R*sin(t) with R = 2.5, 1000 points for t from 0 to 6.28319."
    )
    assert a.context.meta == {"samples": 1000, "dtype": "float64"}


def test_the_length_of_a_cycloid_is_8_radii(ask):
    a = ask("plot", "parametric_2d", x_t="t - sin(t)", y_t="1 - cos(t)", **TURN, samples=2001)
    length = np.hypot(np.diff(a["x"]), np.diff(a["y"])).sum()
    assert length == pytest.approx(8, rel=1e-5)  # C. Wren, 1658; chords are shorter by O(step²)


def test_arrays_of_another_node(ask):
    h = ask("quantum", "solve", problem="hydrogen", n=2, l=1)
    a = ask("plot", "parametric_2d", _visuals=BOTH, x_t=h["r"], y_t=h["psi"], xlabel="r [$a_0$]")
    assert a["t"].tolist() == list(range(1000)) and a["y"] == pytest.approx(h["psi"])
    assert read(a["csv_path"])[0] == ["t", "r [a_0]", "y"]
    assert ask("plot", "parametric_2d", x_t=[1, 2, 3], y_t="t^2", t=[0, 1])["y"].tolist() == [0, 0.25, 1]


def test_ranges_and_a_constant(ask):
    a = ask("plot", "parametric_2d", _visuals=BOTH, x_t=3, y_t="t", t=[0, 1, 11], tlabel="t [s]", equal_aspect=False)
    assert a["samples"] == 11 and a["x_range"] == [3, 3]


def test_gaps_are_gaps_of_both(ask):
    a = ask("plot", "parametric_2d", _visuals=BOTH, x_t="sqrt(t)", y_t="t", t=[-1, 1, 21])
    assert "not finite at 10 of 21" in a.context.warnings[0]
    assert np.isnan(a["y"][:10]).all() and np.isfinite(a["y"][10:]).all()
    with pytest.raises(ComputationError, match="nowhere together"):
        ask("plot", "parametric_2d", x_t="sqrt(t)", y_t="sqrt(-1 - t)", t=[-2, 2, 20])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"t_max": None}, "range of t is missing"),
        ({"t_min": 7}, "empty"),
        ({"samples": 5}, "samples"),
        ({"samples": 100_001}, "cap of 100000"),
        ({"x_t": "cos(x)"}, "unknown name 'x'"),
        ({"vars": {"t": 1}}, "an axis"),
        ({"x_t": [1, 2, 3], "y_t": [1, 2]}, "x_t has 3 points and y_t has 2"),
        ({"x_t": [[1, 2]]}, "shape"),
        ({"y_t": {"real": [1, 2], "imag": [0, 1]}}, "complex"),
        ({"linestyle": "-"}, "unknown parameter"),
    ],
)
def test_wrong_requests(ask, wrong, says):
    with pytest.raises(ValidationError, match=says):
        ask("plot", "parametric_2d", **{"x_t": "cos(t)", "y_t": "sin(t)", **TURN, **wrong})
