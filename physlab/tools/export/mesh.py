"""A mesh that was checked: corners, triangles, normals and colours, and what can be measured on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.tools.plot.isosurface import area
from physlab.tools.types import Array

FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Mesh:
    """Triangles in space.

    Attributes:
        vertices: Shape (n, 3), finite.
        triangles: Numbers of corners, shape (m, 3); counter-clockwise seen from outside.
        normals: Unit vectors at the corners, shape (n, 3).
        colors: RGBA from 0 to 255 at the corners, shape (n, 4).
    """

    vertices: Array
    triangles: Array
    normals: Array | None = None
    colors: Array | None = None

    def area(self) -> float:
        """Return the area of all triangles."""
        return area(self.vertices, self.triangles)

    def volume(self) -> float | None:
        """Return the enclosed volume by the divergence theorem, None unless the surface is closed and oriented.

        It is negative when the triangles turn inwards.
        """
        if not self.closed():
            return None
        a, b, c = np.moveaxis(self.vertices[self.triangles] - self.vertices.mean(axis=0), 1, 0)
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    def closed(self) -> bool:
        """Say whether every edge is used as often in one direction as in the other, so that nothing leaks.

        Corners at one place (within 1e-9 of the mesh's size) count as one.
        """
        size = float(np.ptp(self.vertices, axis=0).max()) or 1.0
        places = np.round((self.vertices - self.vertices.min(axis=0)) / size * 1e9)
        merged = np.unique(places, axis=0, return_inverse=True)[1].ravel()[self.triangles]
        a, b, c = merged.T
        merged = merged[(a != b) & (b != c) & (c != a)]
        ends = np.concatenate([merged[:, [0, 1]], merged[:, [1, 2]], merged[:, [2, 0]]]).astype(np.int64)
        count = len(self.vertices)
        _, place = np.unique(np.sort(ends, axis=1) @ np.array([count, 1]), return_inverse=True)
        balance = np.bincount(place.ravel(), weights=np.where(ends[:, 0] < ends[:, 1], 1.0, -1.0))
        return bool(len(ends)) and not balance.any()


def check_vertices(value: Any) -> Array:
    """Return corners, shape (n, 3).

    Raises:
        ValidationError: Another shape, not finite, or too large for the 32-bit numbers of the formats.
    """
    array = np.asarray(value)
    if array.ndim != 2 or array.shape[1] != 3 or len(array) < 3 or array.dtype.kind not in "iuf":
        raise ValidationError(
            f"geometry.vertices has the shape {array.shape}.", hint="Give three or more points [x, y, z], shape (n, 3)."
        )
    array = array.astype(np.float64)
    _finite(array, "vertices")
    if np.abs(array).max() > FLOAT32_MAX:
        raise ValidationError(
            f"geometry.vertices reaches {np.abs(array).max():.3g}, more than a 32-bit number holds.",
            hint="Use a larger unit of length.",
        )
    return array


def check_triangles(value: Any, count: int) -> Array:
    """Return triangles of faces with three or more corners each; polygons are cut as fans from their first corner.

    Raises:
        ValidationError: A face has fewer than three corners, or names a corner that is not there.
    """
    rows = value if isinstance(value, np.ndarray) and value.ndim == 2 else list(value)
    if not len(rows):
        raise ValidationError("geometry.faces is empty.", hint="Give at least one face [i, j, k].")
    if isinstance(rows, np.ndarray):
        sizes = {rows.shape[1]}
    else:
        sizes = {len(row) if isinstance(row, Sequence | np.ndarray) else 0 for row in rows}
    if min(sizes) < 3:
        raise ValidationError("A face of geometry.faces has fewer than three corners.", hint="Give [i, j, k].")
    grouped = [rows] if len(sizes) == 1 else [[row for row in rows if len(row) == size] for size in sorted(sizes)]
    fans = []
    for group in grouped:
        polygons = np.asarray(group)
        if polygons.dtype.kind == "f" and (polygons == np.floor(polygons)).all():
            polygons = polygons.astype(np.int64)
        if polygons.dtype.kind not in "iu" or polygons.ndim != 2:
            raise ValidationError("geometry.faces holds what is no whole number.", hint="Faces number the vertices.")
        fans += [polygons[:, [0, k, k + 1]] for k in range(1, polygons.shape[1] - 1)]
    triangles = np.concatenate(fans)
    low, high = int(triangles.min()), int(triangles.max())
    if low < 0 or high >= count:
        face = int(np.argmax(((triangles < 0) | (triangles >= count)).any(axis=1)))
        raise ValidationError(
            f"geometry.faces names the vertex {low if low < 0 else high} (face {triangles[face].tolist()}), and there "
            f"are {count}.",
            hint=f"Vertices are numbered from 0 to {count - 1}.",
        )
    return np.asarray(triangles.astype(np.int64))


def check_normals(value: Any, count: int) -> Array:
    """Return unit normals, shape (n, 3).

    Raises:
        ValidationError: Another shape, not finite, or a vector without length.
    """
    array = np.asarray(value)
    if array.shape != (count, 3) or array.dtype.kind not in "iuf":
        raise ValidationError(
            f"geometry.normals has the shape {array.shape}, and there are {count} vertices.",
            hint=f"Give one vector for each vertex, shape ({count}, 3), or leave them out.",
        )
    array = array.astype(np.float64)
    _finite(array, "normals")
    length = np.linalg.norm(array, axis=1)
    if (length < 1e-12).any():
        raise ValidationError(
            f"The normal of vertex {int(np.argmin(length))} has no length.", hint="Give a direction, or no normals."
        )
    return np.asarray(array / length[:, None])


def check_colors(value: Any, count: int) -> Array:
    """Return RGBA colours from 0 to 255, shape (n, 4), uint8.

    Fractions go from 0 to 1; whole numbers of which one is above 1 go from 0 to 255.

    Raises:
        ValidationError: Another shape, not finite, or out of range.
    """
    array = np.asarray(value)
    if array.ndim != 2 or len(array) != count or array.shape[1] not in (3, 4) or array.dtype.kind not in "iuf":
        raise ValidationError(
            f"geometry.colors has the shape {array.shape}, and there are {count} vertices.",
            hint=f"Give [r, g, b] or [r, g, b, a] for each vertex, shape ({count}, 3) or ({count}, 4).",
        )
    _finite(array.astype(np.float64), "colors")
    top = 255 if array.dtype.kind in "iu" and array.max() > 1 else 1
    if array.min() < 0 or array.max() > top:
        raise ValidationError(
            f"geometry.colors goes from {array.min():g} to {array.max():g}.",
            hint="Give fractions from 0 to 1, or whole numbers from 0 to 255.",
        )
    scaled = np.round(array * (255 / top)).astype(np.uint8)
    if scaled.shape[1] == 3:
        scaled = np.column_stack([scaled, np.full(count, 255, dtype=np.uint8)])
    return np.asarray(scaled)


def _finite(array: Array, name: str) -> None:
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValidationError(
            f"geometry.{name}: row {row} is {array[row].tolist()}, which is not finite.", hint="Leave such points out."
        )
