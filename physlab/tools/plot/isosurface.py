"""The surface on which a function of space has one value, as triangles.

Marching tetrahedra: every cell of the grid is cut into six tetrahedra along its main diagonal (H. Freudenthal, Annals
of Mathematics 43 (1942) 580), which meet face to face. On each the function is linear, so that the cut is one triangle
or two, there are no ambiguous cases, and a surface that does not leave the grid is closed. Its error is of second order
in the spacing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from physlab.tools.types import Array

CORNERS = np.array([[corner >> axis & 1 for axis in range(3)] for corner in range(8)])  # (8, 3): steps along x, y, z
TETRAHEDRA = np.array([[0, 1 << a, 1 << a | 1 << b, 7] for a, b, _ in permutations(range(3))])  # (6, 4) corners


def isosurface(axes: Sequence[Array], values: Array, level: float) -> tuple[Array, Array]:
    """Return where a function on a grid has one value.

    Args:
        axes: Points along x, y and z, rising, (nx), (ny) and (nz).
        values: Shape (nz, ny, nx); cells that touch a value that is not finite are left out.
        level: The value.

    Returns:
        Vertices, shape (n, 3), and triangles as numbers of vertices, shape (m, 3). Seen from where the function is
        smaller, the vertices of a triangle run counter-clockwise. Both are empty when there is no such place.
    """
    corners = _cut_tetrahedra(values, level)
    flat = values.ravel()
    inside = flat[corners] > level
    corners = np.take_along_axis(corners, np.argsort(~inside, axis=1, kind="stable"), axis=1)
    counts = inside.sum(axis=1)
    one, two, three = (corners[counts == count] for count in (1, 2, 3))
    edges = np.concatenate([
        _triangles(one, (0, 1), (0, 2), (0, 3)),
        _triangles(two, (0, 2), (0, 3), (1, 3)),
        _triangles(two, (0, 2), (1, 3), (1, 2)),
        _triangles(three, (0, 3), (1, 3), (2, 3)),
    ])  # fmt: skip
    owners = np.concatenate([one, two, two, three])
    insides = np.repeat([1, 2, 2, 3], [len(one), len(two), len(two), len(three)])
    keys, triangles = np.unique(edges[..., 0] * flat.size + edges[..., 1], return_inverse=True)
    triangles = triangles.reshape(-1, 3)
    vertices = _vertices(axes, flat, keys // flat.size, keys % flat.size, level)
    return vertices, _outwards(axes, vertices, triangles, owners, insides)


def _cut_tetrahedra(values: Array, level: float) -> Array:
    """Return the tetrahedra that the surface cuts, as four numbers of grid points each, shape (n, 4)."""
    nz, ny, nx = values.shape
    inside, known = values > level, np.isfinite(values)
    count = np.zeros((nz - 1, ny - 1, nx - 1), dtype=np.int8)
    whole = np.ones_like(count, dtype=bool)
    for i, j, k in CORNERS:
        part = np.s_[k : nz - 1 + k, j : ny - 1 + j, i : nx - 1 + i]
        count += inside[part]
        whole &= known[part]
    k, j, i = np.nonzero((count > 0) & (count < 8) & whole)
    first = (k * ny + j) * nx + i
    corners = first[:, None] + CORNERS @ np.array([1, nx, nx * ny])
    tetrahedra = corners[:, TETRAHEDRA].reshape(-1, 4)
    cut = inside.ravel()[tetrahedra].sum(axis=1)
    return np.asarray(tetrahedra[(cut > 0) & (cut < 4)])


def _triangles(corners: Array, *edges: tuple[int, int]) -> Array:
    """Return triangles whose vertices lie on edges from an inner to an outer corner, shape (n, 3, 2)."""
    return np.stack([corners[:, edge] for edge in edges], axis=1)


def _places(axes: Sequence[Array], points: Array) -> Array:
    """Return the places of numbered grid points, shape (…, 3)."""
    x, y, z = axes
    return np.stack([x[points % len(x)], y[points // len(x) % len(y)], z[points // (len(x) * len(y))]], axis=-1)


def _vertices(axes: Sequence[Array], flat: Array, inner: Array, outer: Array, level: float) -> Array:
    part = (level - flat[inner]) / (flat[outer] - flat[inner])
    start = _places(axes, inner)
    return np.asarray(start + part[:, None] * (_places(axes, outer) - start))


def _outwards(
    axes: Sequence[Array],
    vertices: Array,
    triangles: Array,
    owners: Array,
    insides: Array,
) -> Array:
    """Return the triangles turned so that their normals point to smaller values."""
    places = _places(axes, owners)
    inner = np.arange(4) < insides[:, None]
    towards = (places * ~inner[..., None]).sum(axis=1) / (4 - insides)[:, None]
    towards -= (places * inner[..., None]).sum(axis=1) / insides[:, None]
    wrong = (normals(vertices, triangles) * towards).sum(axis=1) < 0
    return np.where(wrong[:, None], triangles[:, ::-1], triangles)


def normals(vertices: Array, triangles: Array) -> Array:
    """Return the normals of triangles, each as long as twice its area, shape (m, 3)."""
    a, b, c = np.moveaxis(vertices[triangles], 1, 0)
    return np.cross(b - a, c - a)


def area(vertices: Array, triangles: Array) -> float:
    """Return the area of a surface."""
    return float(np.linalg.norm(normals(vertices, triangles), axis=1).sum() / 2)


def smooth_normals(vertices: Array, triangles: Array) -> Array:
    """Return unit normals of triangles, averaged over their neighbours for shading, shape (m, 3)."""
    faces = normals(vertices, triangles)
    corners = np.zeros_like(vertices)
    for column in range(3):
        for axis in range(3):
            corners[:, axis] += np.bincount(triangles[:, column], weights=faces[:, axis], minlength=len(vertices))
    smooth = corners[triangles].sum(axis=1)
    return np.asarray(smooth / np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-300))
