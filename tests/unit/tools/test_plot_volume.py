"""Functions of space: the area and shape of known surfaces, slices, films, caps and bad input."""

from __future__ import annotations

import numpy as np
import pytest

from physlab.errors import ComputationError, ValidationError
from physlab.tools.plot.isosurface import area, isosurface, normals
from physlab.tools.plot.volume_picture import chosen_slices
from tests.unit.tools.test_plot_parametric import read

BOTH = {"static": True, "series": True}
CUBE = {"x": [-1.5, 1.5, 31], "y": [-1.5, 1.5, 31], "z": [-1.5, 1.5, 31]}
BALL = {"f": "x^2 + y^2 + z^2", "mode": "isosurface", "iso_level": 1}


def grid(function, count, reach=1.5):
    """Return axes and values of a function on a cube."""
    points = np.linspace(-reach, reach, count)
    z, y, x = np.meshgrid(points, points, points, indexing="ij")
    return [points] * 3, function(x, y, z)


def edges_of(triangles):
    """Return every edge once, and how many triangles share it."""
    pairs = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    return np.unique(pairs, axis=0, return_counts=True)


class TestSurface:
    def test_a_sphere_has_its_area_and_volume(self):
        errors = []
        for count in (31, 61):
            axes, values = grid(lambda x, y, z: x**2 + y**2 + z**2, count)
            vertices, triangles = isosurface(axes, values, 1.0)
            inside_out = -(vertices[triangles].mean(axis=1) * normals(vertices, triangles)).sum() / 6
            errors.append([area(vertices, triangles) / (4 * np.pi) - 1, inside_out / (4 * np.pi / 3) - 1])
        assert np.abs(errors[0]).max() < 0.01 and np.abs(errors[1]).max() < 0.0025
        assert np.array(errors[0]) / errors[1] == pytest.approx(4, rel=0.1)  # second order in the spacing

    @pytest.mark.parametrize(
        ("function", "characteristic"),
        [
            (lambda x, y, z: x**2 + y**2 + z**2 - 1, 2),
            (lambda x, y, z: (np.hypot(x, y) - 0.9) ** 2 + z**2 - 0.1, 0),
            (lambda x, y, z: np.minimum((x - 0.7) ** 2, (x + 0.7) ** 2) + y**2 + z**2 - 0.2, 4),
        ],
        ids=["sphere", "torus", "two spheres"],
    )
    def test_a_surface_inside_the_grid_is_closed(self, function, characteristic):
        vertices, triangles = isosurface(*grid(function, 25), 0.0)
        edges, shared = edges_of(triangles)
        assert (shared == 2).all()
        assert len(vertices) - len(edges) + len(triangles) == characteristic  # Euler

    def test_a_plane_is_exact_on_an_uneven_grid(self):
        x, y, z = np.array([0, 0.3, 1]), np.array([0, 0.1, 0.7, 1]), np.linspace(0, 1, 5)
        values = z[:, None, None] + 0.5 * y[None, :, None] + 0 * x
        vertices, triangles = isosurface([x, y, z], values, 0.61)
        assert vertices[:, 2] + 0.5 * vertices[:, 1] == pytest.approx(0.61)
        assert area(vertices, triangles) == pytest.approx(np.sqrt(1.25))
        faces = normals(vertices, triangles)
        assert (faces[:, 2] <= 0).all() and faces.sum(axis=0) == pytest.approx([0, -1, -2])  # to smaller values

    def test_gaps_make_holes(self):
        axes, values = grid(lambda x, y, z: z, 5)
        whole = area(*isosurface(axes, values, 0.1))
        values[2, 2, 2] = np.nan
        assert area(*isosurface(axes, values, 0.1)) == pytest.approx(whole * 12 / 16)


def test_an_isosurface(ask):
    a = ask("plot", "volume_3d", _visuals=BOTH, **BALL, **CUBE)
    assert a["surface_area"] == pytest.approx(4 * np.pi, rel=0.005)  # error of second order: 0.4 % at 10 steps a radius
    header, corners = read(a["csv_data"])
    assert header == ["x", "y", "z"] and np.allclose(corners.T, a["vertices"], rtol=1e-15)
    assert np.linalg.norm(a["vertices"], axis=1) == pytest.approx(1, abs=0.01)
    assert a["triangles"].max() == len(a["vertices"]) - 1
    assert a["png_contact_sheet_b64"].show == "base64" and a["svg"].show == "text" and len(a["thumbnails"]) == 1
    meta = a.context.meta
    assert (meta["mesh"], meta["mode"], meta["samples"]) == ([31, 31, 31], "isosurface", 31**3)
    assert a.context.written[0].caption.startswith("Surface on which f(x, y, z) = x^2 + y^2 + z^2 is 1, and middle")


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_slices(ask, axis):
    ranges = {"x": [0, 1, 4], "y": [0, 2, 5], "z": [0, 3, 26]}
    a = ask("plot", "volume_3d", _visuals=BOTH, f="a*x + 10*y + 100*z", vars={"a": 2}, **ranges, animate_axis=axis)
    assert a["values"].shape == (26, 5, 4) and a["f_range"] == [0, 322] and a["mode"] == "slices"
    header, (x, y, z, f) = read(a["csv_path"])
    assert header == ["x", "y", "z", "f"] and f == pytest.approx(2 * x + 10 * y + 100 * z)
    assert len(f) == (12 * 5 * 4 if axis == "z" else 26 * 5 * 4)
    assert "vertices" not in a.fields and a.context.meta["mesh"] == [4, 5, 26]


def test_a_charge_density_sums_to_its_charge(ask):
    """∫ |ψ_100|² d³r = 1 with ψ_100 = exp(-r)/√π; the trapezium rule on 81³ points meets the cusp to 1e-3."""
    a = ask(
        "plot", "volume_3d", f="exp(-2*sqrt(x^2+y^2+z^2))/pi", x=[-8, 8, 81], y=[-8, 8, 81], z=[-8, 8, 81]
    )  # fmt: skip
    assert a["values"].sum() * (16 / 80) ** 3 == pytest.approx(1, abs=0.02)


def test_defaults(ask):
    a = ask("plot", "volume_3d", f="x", x=[0, 1], y=[0, 1], z=[0, 1])
    assert a.context.meta["mesh"] == [50, 50, 50] and a.context.written == []


def test_an_array_of_another_node(ask):
    values = np.arange(24.0).reshape(2, 3, 4)
    a = ask("plot", "volume_3d", _visuals=BOTH, f=values, flabel="T [K]", zlabel="$z$ [m]", dpi=50)
    assert a["x"].tolist() == [0, 1, 2, 3] and len(a["z"]) == 2
    assert a["csv_data"].path.read_text().startswith("x,y,z [m],T [K]\n0.0,0.0,0.0,0.0\n")


@pytest.mark.parametrize("mode", ["slices", "isosurface"])
def test_a_film_runs_along_its_axis(ask, mode):
    a = ask(
        "plot", "volume_3d", _visuals={"animation": True}, **{**BALL, "mode": mode}, x=[-2, 2, 20], y=[-2, 2, 21],
        z=[-2, 2, 22], animate_axis="y", format="gif", dpi=50,
    )  # fmt: skip
    assert a["animation_path"].media_type == "image/gif" and "mp4_path" not in a.fields
    assert a.context.written[-1].caption.endswith("one slice after the other along y.")


def test_an_mp4(ask):
    a = ask("plot", "volume_3d", _visuals={"animation": True}, f="x*z", x=[0, 1, 5], y=[0, 1, 5], z=[0, 1, 5], dpi=50)
    assert a["mp4_path"] is a["animation_path"] and a["mp4_path"].path.stat().st_size > 500


def test_a_fine_surface_is_drawn_coarser_and_says_so(ask, monkeypatch):
    monkeypatch.setattr("physlab.tools.plot.volume_picture.DRAWN", 3000)
    a = ask("plot", "volume_3d", _visuals={"static": True}, **BALL, **CUBE, dpi=50, title="Ball")
    assert len(a["triangles"]) > 10_000 and a["png_contact_sheet_b64"]


def test_the_slices_of_a_sheet():
    assert chosen_slices(5).tolist() == [0, 1, 2, 3, 4]
    assert len(chosen_slices(50)) == 12 and chosen_slices(50)[[0, -1]].tolist() == [0, 49]


def test_gaps(ask):
    a = ask("plot", "volume_3d", _visuals=BOTH, f="log(x)", x=[0, 1, 5], y=[0, 1, 4], z=[0, 1, 3], dpi=50)
    assert "12 of 60" in a.context.warnings[0] and np.isnan(a["values"][..., 0]).all()
    with pytest.raises(ComputationError, match="not finite anywhere"):
        ask("plot", "volume_3d", f="sqrt(-1-x^2)", **CUBE)
    with pytest.raises(ValidationError, match="beside gaps"):
        ask(
            "plot", "volume_3d", f="where(x<0.5, -1, sqrt(x - 1.2) + 1)", mode="isosurface", x=[0, 2, 11], y=[0, 1, 3],
            z=[0, 1, 3],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"x": None}, "range of x is missing"),
        ({"z": [0, 1, 161]}, "cap of 160"),
        ({"y": [0, 1, 40], "samples_cap": 35}, "samples_cap = 35"),
        ({"f": "x*t"}, "unknown name 't'"),
        ({"f": [[1, 2], [3, 4]]}, "3 dimension"),
        ({"f": np.ones((2, 1, 2)), "x": None, "y": None, "z": None}, "1 point along y"),
        ({"x": [1, 0]}, "empty"),
        ({"x": [0.0, 2.0, 1.0, 3.0]}, "not in order"),
        ({"iso_level": 30, "mode": "isosurface"}, "iso_level = 30, but f goes from 0 to 6.75"),
        ({"mode": "voxels"}, "isosurface"),
        ({"animate_axis": "t"}, "animate_axis"),
        ({"format": "avi"}, "mp4"),
        ({"fps": 0}, "fps"),
        ({"vars": {"z": 1}}, "an axis"),
    ],
)
def test_wrong_requests(ask, wrong, says):
    with pytest.raises(ValidationError, match=says):
        ask("plot", "volume_3d", **{"f": "x^2+y^2+z^2", **CUBE, **wrong})


def test_allow_large_lifts_the_caps(ask):
    ranges = {"x": [0, 1, 170], "y": [0, 1, 3], "z": [0, 1, 3]}
    assert ask("plot", "volume_3d", f="x", **ranges, samples_cap=10, allow_large=True)["values"].shape == (3, 3, 170)


def test_a_csv_of_millions_is_refused(ask):
    with pytest.raises(ValidationError, match="values in the CSV"):
        ask("plot", "volume_3d", _visuals={"series": True}, f="x", x=[0, 1, 100], y=[0, 1, 100], z=[0, 1])
