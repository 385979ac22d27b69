"""A picture of a mesh in space, lit from beside the eye."""

from __future__ import annotations

from typing import Any

import numpy as np

from physlab.tools.export.mesh import Mesh
from physlab.tools.figures import BLUE
from physlab.tools.plot.isosurface import normals, smooth_normals
from physlab.tools.types import Array

DRAWN = 60_000  # triangles; a finer mesh is drawn with its corners gathered on a grid
AMBIENT = 0.42  # part of the light that comes from everywhere
ELEVATION, AZIMUTH = 24.0, -50.0  # where the eye stands [degrees]


def draw_mesh(figure: Any, mesh: Mesh) -> None:
    """Draw a mesh.

    Args:
        figure: An empty figure.
        mesh: The mesh; its colours are used when it has some.
    """
    from matplotlib.colors import to_rgb
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    vertices, triangles, colors, gathered = _gathered(mesh)
    base = np.tile(to_rgb(BLUE), (len(triangles), 1))
    if colors is not None:
        base = colors[triangles].mean(axis=1)[:, :3] / 255
    if gathered:
        directions = smooth_normals(vertices, triangles)
    else:
        crossed = normals(vertices, triangles)
        directions = crossed / np.maximum(np.linalg.norm(crossed, axis=1, keepdims=True), 1e-300)
    bright = AMBIENT + (1 - AMBIENT) * np.abs(directions @ _light())
    faces = np.clip(base * bright[:, None] + 0.2 * (bright**6)[:, None], 0, 1)
    axes = figure.add_subplot(projection="3d", elev=ELEVATION, azim=AZIMUTH)
    axes.add_collection3d(
        Poly3DCollection(
            vertices[triangles], facecolors=faces, edgecolors=faces, linewidths=0.2, antialiased=False, rasterized=True
        )
    )
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    spans = np.maximum(high - low, 1e-3 * max(float((high - low).max()), 1e-300))
    for place, name in enumerate("xyz"):
        middle = (low[place] + high[place]) / 2
        getattr(axes, f"set_{name}lim")(middle - spans[place] / 2, middle + spans[place] / 2)
        getattr(axes, f"set_{name}label")(f"${name}$", labelpad=8)
        getattr(axes, f"{name}axis").set_pane_color((1, 1, 1, 0))
        axes.locator_params(axis=name, nbins=5)
    axes.set_box_aspect(np.maximum(spans / spans.max(), 0.05))
    note = f", drawn with {len(triangles)}" if gathered else ""
    axes.set_title(f"{len(mesh.vertices)} vertices, {len(mesh.triangles)} triangles{note}", fontsize=12)


def _gathered(mesh: Mesh) -> tuple[Array, Array, Array | None, bool]:
    """Return a mesh of at most `DRAWN` triangles: corners of one cell of a grid become one."""
    vertices, triangles, colors = mesh.vertices, mesh.triangles, mesh.colors
    if len(triangles) <= DRAWN:
        return vertices, triangles, colors, False
    low = vertices.min(axis=0)
    size = float(np.ptp(vertices, axis=0).max()) or 1.0
    cells = 160
    while True:
        grid = np.floor((vertices - low) / size * cells * (1 - 1e-12)).astype(np.int64)
        _, first, place = np.unique(
            grid @ np.array([1, cells + 1, (cells + 1) ** 2]), return_index=True, return_inverse=True
        )
        coarse = place.ravel()[triangles]
        a, b, c = coarse.T
        coarse = coarse[(a != b) & (b != c) & (a != c)]
        _, kept = np.unique(np.sort(coarse, axis=1), axis=0, return_index=True)
        if len(kept) <= DRAWN or cells <= 10:
            return vertices[first], coarse[np.sort(kept)][:DRAWN], None if colors is None else colors[first], True
        cells = int(cells * 0.8)


def _light() -> Array:
    """Return the direction of the light: beside the eye and above it."""
    elevation, azimuth = np.radians([ELEVATION, AZIMUTH])
    towards = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    light = 0.8 * towards + 0.35 * np.cross(towards, right) - 0.45 * right
    return np.asarray(light / np.linalg.norm(light))
