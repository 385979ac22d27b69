"""Plots: the contract's names and ranges, formulas and arrays, and what goes wrong."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from PIL import Image

from physlab.errors import ComputationError, ValidationError
from physlab.tools import load_tools

BOTH = {"static": True, "series": True}
SQUARE = {"x_min": -2, "x_max": 2, "y_min": -1, "y_max": 1}


class TestFunction2d:
    def test_formula(self, ask):
        a = ask("plot", "function_2d", _visuals=BOTH, f="sin(x)/x", x_min=1, x_max=5, samples=11)
        assert a["x_range"] == [1, 5] and a["samples"] == 11
        assert a["y"] == pytest.approx(np.sin(np.linspace(1, 5, 11)) / np.linspace(1, 5, 11))
        assert a["y_range"] == [a["y"].min(), a["y"].max()]
        assert a["csv_data"].path.read_text().startswith("x,f(x)\n1.0,0.841470984807")
        assert a["image_png_b64"].show == "base64" and a["svg"].show == "text" and len(a["thumbnails"]) == 1
        assert a.context.written[0].caption == "f(x) = sin(x)/x, 11 points from 1 to 5."
        assert a.context.meta == {"samples": 11, "dtype": "float64"}

    def test_nothing_is_drawn_unless_wanted(self, ask):
        a = ask("plot", "function_2d", f="x", x_min=0, x_max=1)
        assert a.context.written == [] and "image_png_b64" not in a.fields and a["samples"] == 1000

    def test_size_of_the_picture(self, ask):
        a = ask("plot", "function_2d", _visuals={"static": True}, f="x", x_min=0, x_max=1, width=4, height=3, dpi=50)
        with Image.open(a["image_png_b64"].path) as picture:
            assert picture.size == (200, 150)

    def test_the_documented_spelling_of_a_range(self, ask):
        a = ask("plot", "function_2d", f="x**2", x=[0, 3, 31])
        assert a["samples"] == 31 and a["y"][-1] == 9
        assert ask("plot", "function_2d", f="x**2", x=[0, 3])["samples"] == 1000

    def test_values_of_other_names(self, ask):
        a = ask("plot", "function_2d", _visuals=BOTH, f="A*exp(-k*x)", vars={"A": 2, "k": 0.5}, x=[0, 1, 11])
        assert a["y"] == pytest.approx(2 * np.exp(-0.5 * a["x"]))
        assert "A*exp(-k*x) with A = 2, k = 0.5" in a.context.written[0].caption

    def test_array_of_another_node(self, ask):
        h = ask("quantum", "solve", problem="hydrogen", n=2, l=1)
        a = ask(
            "plot", "function_2d", _visuals=BOTH, f=h["psi"], x=h["r"], xlabel="$r$ [$a_0$]",
            ylabel="$R_{21}$ [$a_0^{-3/2}$]", x_max=20,
        )  # fmt: skip
        assert a["samples"] == 1000 and a["x_range"][1] == h["r"][-1]
        assert a["csv_path"].path.read_text().startswith("r [a_0],R_21 [a_0^-3/2]\n")
        assert a.context.written[0].caption.startswith("R_21 [a_0^-3/2] against r [a_0], 1000 points")

    def test_array_alone_is_drawn_by_index(self, ask):
        a = ask("plot", "function_2d", f=[3.0, 1.0, 2.0])
        assert list(a["x"]) == [0, 1, 2]
        assert list(ask("plot", "function_2d", f=[3.0, 1.0, 2.0], x=[0, 1])["x"]) == [0, 0.5, 1]

    def test_three_points_of_an_array_of_three_are_points(self, ask):
        assert list(ask("plot", "function_2d", f=[3.0, 1.0, 2.0], x=[0, 1, 5])["x"]) == [0, 1, 5]

    def test_a_number_is_a_constant_function(self, ask):
        assert ask("plot", "function_2d", f=3, x=[0, 1, 10])["y_range"] == [3, 3]

    def test_gaps_are_said(self, ask):
        a = ask("plot", "function_2d", _visuals=BOTH, f="log(x)", x=[-1, 1, 21])
        assert "not finite at 11 of 21 points" in a.context.warnings[0]
        assert np.isnan(a["y"][:11]).all() and a["y_range"][1] == 0

    def test_a_function_that_is_nowhere(self, ask):
        with pytest.raises(ComputationError, match="not finite anywhere"):
            ask("plot", "function_2d", f="sqrt(x)", x=[-2, -1, 10])

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"f": "x"}, "x_min and x_max"),
            ({"f": "x", "x_min": 0}, "range of x is missing"),
            ({"f": "x", "x_min": 1, "x_max": 0}, "empty"),
            ({"f": "x", "x": [0, 1, 2.5]}, "third number"),
            ({"f": "x", "x_min": 0, "x_max": 1, "samples": 5}, "samples"),
            ({"f": "x", "x_min": 0, "x_max": 1, "samples": 100_001}, "cap"),
            ({"f": "x", "x": [0, 1, 100_001]}, "cap"),
            ({"f": "x", "x": [0, 1], "dpi": 20}, "dpi"),
            ({"f": "x", "x": [0, 1], "width": 40, "height": 40, "dpi": 600}, "million pixels"),
            ({"f": "x", "x": [0, 1], "vars": {"x": 2}}, "an axis"),
            ({"f": "q*x", "x": [0, 1]}, "q"),
            ({"f": "__import__('os')", "x": [0, 1]}, "__import__"),
            ({"f": [1, 2, 3], "x": [1, 2, 3, 4]}, "has 4 points and f has 3"),
            ({"f": [[1, 2], [3, 4]]}, "shape"),
            ({"f": {"real": [1, 2], "imag": [0, 1]}}, "complex"),
            ({"f": "x", "x": [0, 1], "colour": "red"}, "unknown parameter 'colour'"),
        ],
    )
    def test_wrong_requests(self, ask, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("plot", "function_2d", **wrong)

    def test_equal_labels_would_lose_a_column(self, ask):
        with pytest.raises(ValidationError, match="equal"):
            ask("plot", "function_2d", _visuals={"series": True}, f="x", x=[0, 1], xlabel="a", ylabel="$a$")


@pytest.mark.parametrize("method", ["surface_3d", "contour_2d"])
class TestGrids:
    def test_formula(self, ask, method):
        a = ask("plot", method, _visuals=BOTH, f="x*y", **SQUARE, samples=20)
        assert a["z"].shape == (20, 20) and a["z_range"] == [-2, 2] and a["samples"] == 20
        assert a["z"] == pytest.approx(np.outer(np.linspace(-1, 1, 20), np.linspace(-2, 2, 20)))
        lines = a["csv_data"].path.read_text().splitlines()
        assert lines[:2] == ["x,y,f", "-2.0,-1.0,2.0"] and len(lines) == 401
        assert "x*y for x from -2 to 2 and y from -1 to 1." in a.context.written[0].caption
        assert a.context.meta["mesh"] == [20, 20]
        assert base64.b64encode(a["image_png_b64"].path.read_bytes())

    def test_array_with_its_axes(self, ask, method):
        x, y = np.linspace(0, 1, 4), np.linspace(0, 2, 3) ** 2
        a = ask("plot", method, _visuals=BOTH, f=np.outer(y, x), x=x, y=y)
        assert a["z"][2, 3] == 4 and a.context.meta["mesh"] == [4, 3]

    def test_axes_that_run_down_are_turned_with_their_values(self, ask, method):
        a = ask("plot", method, f=[[1, 2], [3, 4]], x=np.array([1.0, 0.0]), y=[0, 1])
        assert a["x"].tolist() == [0, 1] and a["z"].tolist() == [[2, 1], [4, 3]]

    def test_ranges_with_steps(self, ask, method):
        assert ask("plot", method, f="x+y", x=[0, 1, 30], y=[0, 1, 20])["z"].shape == (20, 30)

    def test_gaps_and_constants_are_drawn(self, ask, method):
        a = ask("plot", method, _visuals=BOTH, f="1/(x**2+y**2)", x=[-1, 1, 21], y=[-1, 1, 21])
        assert "1 of 441" in a.context.warnings[0]
        ask("plot", method, _visuals=BOTH, f="2", x=[-1, 1, 21], y=[-1, 1, 21])

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"f": "x*y", "x": [0, 1]}, "range of y"),
            ({"f": "x*y", **SQUARE, "samples": 161}, "cap of 160"),
            ({"f": "x*y", "x": [0, 1, 161], "y": [0, 1]}, "cap of 160"),
            ({"f": "x*y", **SQUARE, "samples": 5}, "samples"),
            ({"f": [1, 2, 3]}, "2 dimension"),
            ({"f": [[1, 2], [3, 4]], "x": [0, 1, 3]}, "asks for 3 points and f has 2"),
            ({"f": np.ones((3, 3)), "x": np.array([0.0, 2.0, 1.0])}, "not in order"),
            ({"f": "x*y", **SQUARE, "colormap": "jet"}, "viridis"),
        ],
    )
    def test_wrong_requests(self, ask, method, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("plot", method, **wrong)

    def test_allow_large_lifts_the_cap(self, ask, method):
        a = ask("plot", method, f="x*y", x=[0, 1, 170], y=[0, 1, 20], allow_large=True)
        assert a["z"].shape == (20, 170)


def test_density_picture(ask):
    h = ask("quantum", "solve", problem="hydrogen", n=2, l=1, density_samples=41)
    a = ask(
        "plot", "contour_2d", _visuals=BOTH, f=h["density"], x=h["density_x"], y=h["density_z"], style="image",
        equal_aspect=True, gamma=0.5, colormap="magma", zlabel=r"$|\psi_{210}|^2$ [$a_0^{-3}$]",
    )  # fmt: skip
    assert a["levels"] == 15
    assert a.context.written[0].caption.startswith("Map of |psi_210|^2 [a_0^-3] for x from ")


class TestAnimation:
    def test_line(self, ask):
        a = ask(
            "plot", "animation", _visuals={**BOTH, "animation": True}, frame_expr="sin(x - t)", t_range=[0, 1, 5],
            x_range=[-3, 3, 30], renderer="line", dpi=50, emit_frames=True,
        )  # fmt: skip
        assert a["frames"] == 5 and a["frames_data"].shape == (5, 30)
        assert a["frames_data"][2, 0] == pytest.approx(np.sin(-3 - 0.5))
        assert a["animation_path"] is a["mp4_path"]
        assert a["csv_data"].path.read_text().startswith("t,x,f\n0.0,-3.0,")
        roles = ["static", "static", "thumbnail", "series", "thumbnail", "animation"]  # the second: a contact sheet
        assert [item.role for item in a.context.written] == roles
        assert a.context.written[-1].caption == "f(x, t) = sin(x - t) for t from 0 to 1."
        meta = a.context.meta
        assert (meta["frames"], meta["renderer"], meta["format"], meta["mesh"]) == (5, "line", "mp4", [30])

    @pytest.mark.parametrize("renderer", ["imshow", "contour"])
    @pytest.mark.parametrize("formula", ["sin(x - t)", "sin(x - t)*cos(y)"])
    def test_colours(self, ask, renderer, formula):
        a = ask(
            "plot", "animation", _visuals={"static": True, "animation": True}, frame_expr=formula, t_range=[0, 1, 4],
            x_range=[-3, 3, 20], renderer=renderer, dpi=50, equal_aspect=True,
        )  # fmt: skip
        assert a["animation_path"].path.stat().st_size > 500
        assert ("y" in a.fields) == ("y" in formula)

    @pytest.mark.parametrize(("format", "kind"), [("webm", "video/webm"), ("gif", "image/gif")])
    def test_formats(self, ask, format, kind):
        a = ask(
            "plot", "animation", _visuals={"animation": True}, frame_expr="x*t", t_range=[0, 1, 3], x_range=[0, 1, 10],
            renderer="line", dpi=50, format=format,
        )  # fmt: skip
        assert a["animation_path"].media_type == kind and "mp4_path" not in a.fields

    def test_array_of_frames(self, ask):
        values = np.arange(24.0).reshape(4, 2, 3)
        a = ask(
            "plot", "animation", _visuals={"static": True, "animation": True}, frame_expr=values, t_range=[0, 3],
            x_range=[0.0, 1.0, 5.0], y_range=[0, 1], dpi=50,
        )  # fmt: skip
        assert a["frames"] == 4 and a["x"].tolist() == [0, 1, 5] and a["z_range"] == [0, 23]

    def test_defaults(self, ask):
        a = ask("plot", "animation", frame_expr="x*t", t_range=[0, 1])
        assert a["frames"] == 100 and a["x"].tolist() == np.linspace(-5, 5, 100).tolist()
        assert a["renderer"] == "imshow" and a["format"] == "mp4"
        method = load_tools().find("plot", "animation")
        assert method.time_limit_s == 30 and method.visuals.animation and not method.visuals.series

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"t_range": [0, 1, 301]}, "cap of 300"),
            ({"t_range": [0, 1, 20], "frames_cap": 10}, "frames_cap = 10"),
            ({"t_range": [0, 0, 20]}, "empty"),
            ({"x_range": [0, 1, 161]}, "cap of 160"),
            ({"frame_expr": "x*y*t", "renderer": "line"}, "cannot draw f"),
            ({"y_range": [0, 1]}, "y does not take part"),
            ({"frame_expr": "x*z"}, "z"),
            ({"fps": 0}, "fps"),
            ({"renderer": "surface"}, "imshow"),
            ({"frame_expr": [1, 2, 3]}, "shape"),
        ],
    )
    def test_wrong_requests(self, ask, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("plot", "animation", **{"frame_expr": "x*t", "t_range": [0, 1, 5], **wrong})

    def test_a_csv_of_millions_is_refused(self, ask):
        with pytest.raises(ValidationError, match="values in the CSV"):
            ask(
                "plot", "animation", _visuals={"series": True}, frame_expr="x*y*t", t_range=[0, 1, 50],
                x_range=[0, 1, 100],
            )  # fmt: skip


def test_legacy_names():
    aliases = load_tools().aliases
    for name in ("function_2d", "surface_3d", "contour_2d", "animation"):
        assert aliases[f"plot_{name}"] == ("plot", name)


def test_an_unknown_plot_lists_the_known():
    with pytest.raises(ValidationError, match="function_2d"):
        load_tools().find("plot", "function_3d")


@pytest.mark.parametrize("method", ["function_2d", "surface_3d", "contour_2d", "animation"])
def test_what_a_dump_of_the_parameters_says_is_the_same_request(method):
    model = load_tools().find("plot", method).params
    request = {"f": "x", "x": [0, 1]} if method != "animation" else {"frame_expr": "x", "t_range": [0, 1]}
    once = model.model_validate(request).model_dump(mode="json")
    assert model.model_validate(once).model_dump(mode="json") == once
