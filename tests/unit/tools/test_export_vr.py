"""Meshes: held against closed forms, read back by trimesh, refused when they are broken."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from physlab.errors import ValidationError
from physlab.tools.export import vr_picture
from physlab.tools.export.mesh import Mesh
from physlab.tools.plot.isosurface import isosurface

trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed: pip install 'physlab[export]'")

Ask = Callable[..., Any]
TETRAHEDRON = {
    "vertices": [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "faces": [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]],
}
CUBE = {
    "vertices": [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)],
    "faces": [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]],
}


def sphere(points: int = 40) -> dict[str, Any]:
    axes = [np.linspace(-1.2, 1.2, points)] * 3
    z, y, x = np.meshgrid(*axes, indexing="ij")
    vertices, triangles = isosurface(axes, -(x**2 + y**2 + z**2), -1.0)
    return {"vertices": vertices, "faces": triangles}


def tree_of(path: Any) -> dict[str, Any]:
    """Return the JSON of a GLB file (glTF 2.0, section 4.4, "GLB File Format Specification")."""
    content = path.read_bytes()
    magic, version, length = struct.unpack("<4sII", content[:12])
    size, kind = struct.unpack("<I4s", content[12:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(content), b"JSON") and size % 4 == 0
    return dict(json.loads(content[20 : 20 + size]))


@pytest.mark.parametrize("form", ["glb", "ply"])
def test_a_sphere_has_the_area_and_volume_of_one(ask: Ask, form: str) -> None:
    """4 π and 4 π / 3 for radius 1; the error of a mesh with spacing h is of the order h²."""
    given = sphere()
    answer = ask("export_tool", "vr_export", geometry=given, format=form)
    h = 2.4 / 39
    assert answer["area"] == pytest.approx(4 * np.pi, rel=h**2)
    assert answer["volume"] == pytest.approx(4 * np.pi / 3, rel=h**2) and answer["watertight"]
    found = trimesh.load(answer["path"].path, file_type=form, force="mesh", process=False)
    assert found.is_watertight and found.volume == pytest.approx(answer["volume"], rel=1e-5)
    np.testing.assert_allclose(found.vertices, given["vertices"], atol=1e-6)
    np.testing.assert_array_equal(found.faces, given["faces"])
    again = ask("export_tool", "vr_export", geometry=given, format=form)
    assert again["path"].path.read_bytes() == answer["path"].path.read_bytes()


def test_closed_forms_of_polyhedra(ask: Ask) -> None:
    """The corner tetrahedron: volume 1/6, area (3 + √3)/2. The unit cube from squares: 1 and 6."""
    answer = ask("export_tool", "vr_export", geometry=TETRAHEDRON)
    assert answer["volume"] == pytest.approx(1 / 6) and answer["area"] == pytest.approx((3 + np.sqrt(3)) / 2)
    assert answer["bounds"] == [[0, 0, 0], [1, 1, 1]]
    cube = ask("export_tool", "vr_export", geometry=CUBE)
    assert cube["volume"] == pytest.approx(1) and cube["area"] == pytest.approx(6)
    assert cube.context.meta["faces"] == 12


def test_volume_does_not_depend_on_place_and_knows_inside_out() -> None:
    vertices, triangles = np.array(TETRAHEDRON["vertices"], dtype=float), np.array(TETRAHEDRON["faces"])
    assert Mesh(vertices + 1000, triangles).volume() == pytest.approx(1 / 6, rel=1e-9)
    assert Mesh(vertices, triangles[:, ::-1]).volume() == pytest.approx(-1 / 6)
    assert Mesh(vertices, triangles[:3]).volume() is None
    turned = np.vstack([triangles[:3], triangles[3:, ::-1]])
    assert not Mesh(vertices, turned).closed()


def test_a_mesh_that_is_no_manifold_is_taken(ask: Ask) -> None:
    fan = {
        "vertices": [[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, -1, 0]],
        "faces": [[0, 1, 2], [0, 1, 3], [0, 1, 4]],
    }
    answer = ask("export_tool", "vr_export", geometry=fan)
    assert answer["volume"] is None and not answer["watertight"] and answer["area"] == pytest.approx(1 + np.sqrt(2) / 2)


@pytest.mark.parametrize("form", ["glb", "ply"])
def test_normals_colours_and_extras_are_kept(ask: Ask, form: str) -> None:
    normals = [[0, 0, 2], [3, 0, 0], [0, 1, 0], [0, 0, 1]]
    colors = [[255, 0, 0], [0, 128, 0], [0, 0, 255], [10, 20, 30]]
    extras = {"unit": "a₀", "levels": [1, 2.5], "nested": {"l": 1}}
    answer = ask(
        "export_tool",
        "vr_export",
        format=form,
        extras=extras,
        geometry={**TETRAHEDRON, "normals": normals, "colors": colors},
    )
    meta = answer.context.meta
    assert {name: meta[name] for name in ("vertices", "faces", "format", "has_normals", "has_colors", "extras")} == {
        "vertices": 4, "faces": 4, "format": form, "has_normals": True, "has_colors": True, "extras": extras,
    }  # fmt: skip
    path = answer["path"].path
    found = trimesh.load(path, file_type=form, process=False)
    [found] = found.geometry.values() if form == "glb" else [found]
    unit = np.array(normals) / np.linalg.norm(normals, axis=1)[:, None]
    np.testing.assert_allclose(found.vertex_normals, unit, atol=1e-6)
    np.testing.assert_array_equal(found.visual.vertex_colors[:, :3], colors)
    if form == "glb":
        [item] = tree_of(path)["meshes"]
        assert item["extras"] == extras
        assert set(item["primitives"][0]["attributes"]) == {"POSITION", "NORMAL", "COLOR_0"}
    else:
        head = path.read_bytes().split(b"end_header")[0].decode("ascii")
        line = next(line for line in head.splitlines() if line.startswith("comment extras "))
        assert json.loads(line.removeprefix("comment extras ")) == extras


def test_fractions_are_colours_too(ask: Ask) -> None:
    colors = [[1, 0, 0, 0.5], [0, 1, 0, 1], [0, 0, 1, 1], [0.2, 0.2, 0.2, 1]]
    answer = ask("export_tool", "vr_export", geometry={**TETRAHEDRON, "colors": colors}, format="ply")
    found = trimesh.load(answer["path"].path, file_type="ply", process=False)
    np.testing.assert_array_equal(found.visual.vertex_colors[0], [255, 0, 0, 128])


def test_z_points_up_where_it_is_asked_for(ask: Ask) -> None:
    """Y is up in glTF: the node turns (x, y, z) to (x, z, -y); volume and stored corners stay."""
    answer = ask("export_tool", "vr_export", geometry=TETRAHEDRON, up="z")
    scene = trimesh.load(answer["path"].path, file_type="glb", process=False)
    placed = scene.to_geometry()
    np.testing.assert_allclose(placed.vertices, [[0, 0, 0], [1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-9)
    assert abs(placed.volume) == pytest.approx(1 / 6)


def test_the_reply_of_an_isosurface_is_a_mesh(ask: Ask) -> None:
    """Some of its corners coincide: the surface passes through points of the grid."""
    axis = [-1.2, 1.2, 25]
    volume = ask(
        "plot", "volume_3d", f="x^2 + y^2 + z^2", mode="isosurface", iso_level=1.0, x=axis, y=axis, z=axis
    )  # fmt: skip
    answer = ask("export_tool", "vr_export", geometry=volume.fields)
    assert answer["area"] == pytest.approx(volume["surface_area"]) and answer["watertight"]
    parts = {"vertices": volume["vertices"], "triangles": volume["triangles"]}
    assert ask("export_tool", "vr_export", geometry=parts)["volume"] == pytest.approx(answer["volume"])


def test_a_picture_is_drawn_and_a_fine_mesh_is_drawn_coarser(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vr_picture, "DRAWN", 2000)
    answer = ask("export_tool", "vr_export", {"static": True}, geometry=sphere(30))
    with Image.open(answer["png_b64"].path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    blue = (pixels[..., 2] > pixels[..., 0] + 30).mean()
    assert 0.05 < blue < 0.7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"faces": [[0, 1, 4]]}, r"names the vertex 4 .*0 to 3"),
        ({"faces": [[0, 1, -1]]}, "names the vertex -1"),
        ({"faces": [[0, 1]]}, "fewer than three"),
        ({"faces": []}, "faces is empty"),
        ({"faces": [[0, 1, 1.5]]}, "no whole number"),
        ({"faces": "all"}, "a list of faces"),
        ({"vertices": [[0, 0, 0], [1, 0, float("nan")], [0, 1, 0], [0, 0, 1]]}, "row 1 is .*not finite"),
        ({"vertices": [[0, 0], [1, 0], [0, 1]]}, r"shape \(3, 2\)"),
        ({"vertices": [[0, 0, 0], [1e39, 0, 0], [0, 1, 0], [0, 0, 1]]}, "32-bit"),
        ({"normals": [[0, 0, 1]]}, "there are 4 vertices"),
        ({"normals": [[0, 0, 0]] * 4}, "has no length"),
        ({"colors": [[0, 0, 256]] * 4}, "goes from 0 to 256"),
        ({"colors": [[0.0, 0.0, 1.5]] * 4}, "goes from 0 to 1.5"),
        ({"colors": [[0, 0]] * 4}, "shape"),
        ({"colours": [[0, 0, 0]] * 4}, "unknown parameter 'geometry.colours'"),
    ],
)
def test_broken_meshes(ask: Ask, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ask("export_tool", "vr_export", geometry={**TETRAHEDRON, **change})


def test_what_a_user_should_know_is_told(ask: Ask) -> None:
    far = [[x + 1e6, y, z] for x, y, z in np.array(TETRAHEDRON["vertices"]) * 1e-3]
    answer = ask("export_tool", "vr_export", geometry={"vertices": far, "faces": [[0, 1, 2], [0, 0, 1]]})
    assert len(answer.context.warnings) == 3
    for words, warning in zip(("twice", "no face", "32-bit"), answer.context.warnings, strict=True):
        assert words in warning


def test_too_many_vertices_need_allow_large(ask: Ask) -> None:
    many = np.zeros((1_700_000, 3))
    with pytest.raises(ValidationError, match=r"cap of 5e\+06"):
        ask("export_tool", "vr_export", geometry={"vertices": many, "faces": [[0, 1, 2]]})
