"""The graphics contract: style without global state, the same bytes twice, full precision in the series."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from physlab.model import Visuals
from physlab.tools.context import Context
from physlab.tools.figures import colour_bar, drawing, heat_map, save_series, save_static, series_text, tones


@pytest.fixture
def context(tmp_path):
    return Context(scratch=lambda: tmp_path, visuals=Visuals(static=True, series=True, animation=False))


def draw(context, name):
    x = np.linspace(-3, 3, 40)
    with drawing(6, 4, 100) as figure:
        line, plane = figure.subplots(1, 2)
        line.plot(x, np.sin(x), label=r"$\sin x$")
        line.legend()
        colour_bar(figure, heat_map(plane, x, x, np.outer(x, x)), plane, "label")
        return save_static(context, figure, name, "A sentence.")


def test_png_svg_and_thumbnail(context):
    fields = draw(context, "figure")
    assert [(item.role, item.field, item.file.show) for item in context.written] == [
        ("static", "png_b64", "base64"),
        ("static", "svg", "text"),
        ("thumbnail", "thumbnails", "path"),
    ]
    assert {item.caption for item in context.written if item.role == "static"} == {"A sentence."}
    with Image.open(fields["png_b64"].path) as picture:
        assert picture.size == (600, 400)
    with Image.open(fields["thumbnails"][0].path) as small:
        assert small.size == (384, 256)
    assert fields["svg"].path.read_text().startswith("<?xml")


def test_the_same_figure_has_the_same_bytes(context):
    first, second = draw(context, "a"), draw(context, "b")
    for one, two in ((first["png_b64"], second["png_b64"]), (first["svg"], second["svg"])):
        assert one.path.read_bytes() == two.path.read_bytes()
    assert b"Software" not in first["png_b64"].path.read_bytes()
    assert "<dc:date>" not in first["svg"].path.read_text()


def settings_of_matplotlib():
    import matplotlib as mpl

    return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}  # asking for it would choose one


def test_matplotlib_is_as_before(context):
    before = settings_of_matplotlib()
    draw(context, "a")
    assert settings_of_matplotlib() == before


def test_style_is_restored_after_an_error():
    before = settings_of_matplotlib()
    with pytest.raises(ZeroDivisionError), drawing():
        raise ZeroDivisionError
    assert settings_of_matplotlib() == before


def test_pyplot_stays_out():
    code = """
import io, sys
from physlab.tools.figures import drawing
assert "matplotlib" not in sys.modules
with drawing() as figure:
    figure.add_subplot().plot([1, 2])
    figure.savefig(io.BytesIO(), format="svg")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_series_keeps_every_digit(context):
    columns = {"r [a_0]": np.array([0.1, 1 / 3]), "R [a_0^-3/2]": np.array([1e-300, np.pi])}
    fields = save_series(context, columns, "series", "A series.", text_field="csv_data")
    text = fields["csv_path"].path.read_text()
    assert text == "r [a_0],R [a_0^-3/2]\n0.1,1e-300\n0.3333333333333333,3.141592653589793\n"
    assert fields["csv_data"].path == fields["csv_path"].path and fields["csv_data"].show == "text"
    assert context.written[0].role == "series"


def test_series_header_with_a_comma_is_quoted():
    assert series_text({"f(x, y)": np.array([1])}) == '"f(x, y)"\n1\n'


@pytest.mark.parametrize(
    ("values", "cmap", "low", "high"),
    [
        ([1.0, 3.0], "viridis", 1, 3),
        ([-1.0, 3.0], "RdBu_r", -3, 3),
        ([-0.01, 3.0], "viridis", -0.01, 3),
        ([2.0, 2.0], "viridis", 1.5, 2.5),
        ([np.nan, 0.0, 4.0], "viridis", 0, 4),
    ],
)
def test_tones(values, cmap, low, high):
    found = tones(np.array(values))
    assert (found["cmap"], found["norm"].vmin, found["norm"].vmax) == (cmap, low, high)


def test_faint_parts_show_with_a_power_scale():
    norm = tones(np.array([0.0, 1.0]), gamma=0.5)["norm"]
    assert norm(0.25) == pytest.approx(0.5)


def test_an_uneven_grid_is_drawn_at_its_places():
    x = np.array([0.0, 1.0, 4.0])
    with drawing(2, 2, 50) as figure:
        axes = figure.add_subplot()
        heat_map(axes, x, np.array([0.0, 1.0]), np.ones((2, 3)))
        figure.savefig(BytesIO(), format="png")
        assert axes.get_xlim()[1] == pytest.approx(5.5)
