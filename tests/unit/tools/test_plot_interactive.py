"""Sliders: what they show, their description, caps and bad input; and what all plots have in common."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from physlab.errors import ValidationError
from physlab.tools import load_tools
from tests.unit.tools.test_plot_parametric import read

BOTH = {"static": True, "series": True}
K = {"name": "k", "min": 1, "max": 3, "step": 0.5, "default": 1.5}
A = {"name": "A", "min": 0, "max": 1}


def test_line(ask):
    a = ask("plot", "interactive", _visuals=BOTH, expr="A*sin(k*x)", controls=[K, A], x_range=[0, 2])
    assert a["ui_spec"] == {"type": "sliders", "controls": [K, {**A, "step": 0.01, "default": 0.5}]}
    expected = [[k, amplitude] for k in (1, 1.5, 3) for amplitude in (0, 0.5, 1)]
    assert a["control_values"].tolist() == expected
    assert [t["control_values"] for t in a["thumbnails"]] == [{"k": k, "A": b} for k, b in expected]
    x = np.linspace(0, 2, 24)
    assert a["values"] == pytest.approx(np.array([b * np.sin(k * x) for k, b in expected]))
    header, (k, amplitude, x, f) = read(a["csv_data"])
    assert header == ["k", "A", "x", "f"] and len(f) == 9 * 24 and f == pytest.approx(amplitude * np.sin(k * x))
    with Image.open(a["thumbnails"][0]["png_b64"].path) as picture:
        assert picture.width == 384
    assert a["thumbnails"][0]["png_b64"].show == "base64" and a["image_png_b64"].show == "base64"
    assert (a.context.meta["grid_size"], a.context.meta["renderer"]) == (24, "line")
    [series] = [item for item in a.context.written if item.role == "series"]
    assert series.caption.startswith("A*sin(k*x) for k from 1 to 3, A from 0 to 1, 24 points")


@pytest.mark.parametrize("renderer", ["contour", "surface"])
def test_planes(ask, renderer):
    a = ask(
        "plot", "interactive", _visuals=BOTH, expr="sin(k*x)*y", controls=[K], renderer=renderer, x_range=[0, 2, 10],
        y_range=[0, 1, 8], title="Waves",
    )  # fmt: skip
    assert a["values"].shape == (3, 8, 10) and len(a["thumbnails"]) == 3
    header, (k, y, x, f) = read(a["csv_path"])
    assert header == ["k", "y", "x", "f"] and f == pytest.approx(np.sin(k * x) * y)
    assert a.context.meta["mesh"] == [10, 8]


def test_defaults_and_values_of_other_names(ask):
    a = ask("plot", "interactive", expr="w*k*x", vars={"w": 2}, controls=[K])
    assert a["x"].tolist() == np.linspace(-5, 5, 24).tolist() and a["z_range"] == [-30, 30]
    assert "thumbnails" not in a.fields and a.context.written == []
    b = ask("plot", "interactive", expr="k*x*y", controls=[K], renderer="surface")
    assert b["y"].tolist() == b["x"].tolist()


@pytest.mark.parametrize(
    ("control", "values"),
    [
        ({"min": 0, "max": 1}, [0, 0.5, 1]),
        ({"min": 0, "max": 1, "default": 0}, [0, 1]),
        ({"min": 0, "max": 1, "step": 0.3}, [0, 0.6, 0.9]),  # the slider does not reach 1
        ({"min": 0, "max": 1, "step": 1}, [0, 1]),
        ({"min": 0, "max": 0.3, "step": 0.1}, [0, 0.2, 0.3]),
    ],
)
def test_values_of_a_slider(ask, control, values):
    a = ask("plot", "interactive", expr="k*x", controls=[{"name": "k", **control}])
    assert a["control_values"].ravel() == pytest.approx(values)


def test_gaps_and_greek(ask):
    a = ask("plot", "interactive", _visuals=BOTH, expr="log(ω*x)", controls=[{"name": "ω", "min": 1, "max": 2}])
    assert "not finite at 36 of 72" in a.context.warnings[0]
    ask("plot", "interactive", _visuals=BOTH, expr="0*k", controls=[K], renderer="contour", dpi=50)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"controls": []}, "controls"),
        ({"controls": [{**K, "name": "x"}]}, "is an axis"),
        ({"controls": [K, K]}, "wo controls"),
        ({"controls": [K, A]}, "takes no part"),
        ({"controls": [{**K, "max": 1}]}, "is empty"),
        ({"controls": [{**K, "default": 9}]}, "lies outside"),
        ({"controls": [{**K, "step": 9}]}, "longer than its range"),
        ({"controls": [{**K, "step": 0}]}, "step"),
        ({"controls": [{**K, "colour": "red"}]}, "colour"),
        ({"controls": [{**K, "name": "2k"}]}, "name"),
        ({"vars": {"k": 1}}, "is a control and in vars"),
        ({"expr": "k*x*y"}, "unknown name 'y'"),
        ({"expr": [1, 2]}, "as text"),
        ({"y_range": [0, 1]}, "has no y"),
        ({"grid_limit": 25}, "cap of 24"),
        ({"grid_limit": 10, "x_range": [0, 1, 11]}, "grid_limit = 10"),
        ({"x_range": [0, 1, 25]}, "cap of 24"),
        ({"renderer": "imshow"}, "surface"),
    ],
)
def test_wrong_requests(ask, wrong, says):
    with pytest.raises(ValidationError, match=says):
        ask("plot", "interactive", **{"expr": "k*x", "controls": [K], **wrong})


def test_too_many_controls(ask):
    controls = [{"name": name, "min": 0, "max": 1} for name in "abcd"]
    with pytest.raises(ValidationError, match="81 thumbnails"):
        ask("plot", "interactive", expr="a+b+c+d+x", controls=controls)
    a = ask("plot", "interactive", expr="a+b+c+d+x", controls=controls, grid_limit=30, allow_large=True)
    assert a["values"].shape == (81, 30)


REQUESTS = {
    "parametric_2d": {"x_t": "t", "y_t": "t", "t": [0, 1]},
    "field_2d": {"fx": "x", "fy": "y", "x": [0, 1], "y": [0, 1], "plot_type": "stream"},
    "phase_portrait": {"dx": 1, "dy": "y", "x": [0, 1], "y": [0, 1]},
    "volume_3d": {"f": "x", "x": [0, 1], "y": [0, 1], "z": [0, 1]},
    "interactive": {"expr": "k*x", "controls": [K]},
}


@pytest.mark.parametrize("method", REQUESTS)
def test_what_a_dump_of_the_parameters_says_is_the_same_request(method):
    model = load_tools().find("plot", method).params
    once = model.model_validate(REQUESTS[method]).model_dump(mode="json")
    assert model.model_validate(once).model_dump(mode="json") == once


@pytest.mark.parametrize("method", REQUESTS)
def test_legacy_names(method):
    assert load_tools().aliases[f"plot_{method}"] == ("plot", method)
