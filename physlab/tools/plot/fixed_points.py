"""Fixed points of a flow in the plane: found by Newton's method, classified by the eigenvalues of the Jacobian.

The classes are those of S. H. Strogatz, Nonlinear Dynamics and Chaos, section 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.tools.plot.phase_flow import Flow
from physlab.tools.types import Array

STARTS = 31  # starting points per axis
STEPS = 60  # of Newton's method
REACH, LONGEST, AT_REST = 2.0, 0.25, 1e-14  # how far out a search may go, its longest and its last step [windows]
RESIDUAL = 1e-9  # speed at a fixed point, in units of the flow's pace
APART = 1e-6  # fixed points nearer than this (in windows) are one; degenerate ones are found less sharply
APART_DEGENERATE = 1e-3
SINGULAR = 1e-7  # smallest singular value of a degenerate Jacobian, in units of the largest (or of the flow's pace)
MOST_DRAWN = 50  # more fixed points are a curve or a fine lattice: they are listed, not drawn
STEP = 1e-3  # of the differences, in windows
KINK_STEP = 1e-6  # of the comparison of both sides, in windows
STENCIL = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}  # central first difference of sixth order
ROUNDING = 1e-9  # relative error of a Jacobian that is taken for granted
SMOOTH = 1e-3  # relative error above which the flow is not differentiable


@dataclass(frozen=True)
class FixedPoint:
    """A place where the flow rests.

    Attributes:
        place: x and y, shape (2,).
        scaled: The same in the flow's own measure.
        jacobian: ∂(dx/dt, dy/dt)/∂(x, y), shape (2, 2).
        eigenvalues: Of the Jacobian [1/time], shape (2,), complex.
        vectors: Eigenvectors in the flow's own measure, in columns.
        kind: Class of the linearised flow.
    """

    place: Array
    scaled: Array
    jacobian: Array
    eigenvalues: Array
    vectors: Array
    kind: str

    def as_field(self) -> dict[str, Any]:
        """Return the fixed point as a reply shows it."""
        return {
            "x": float(self.place[0]),
            "y": float(self.place[1]),
            "kind": self.kind,
            "stability": stability(self.kind),
            "hyperbolic": self.kind not in ("centre", "degenerate", "undetermined"),
            "eigenvalues": [complex(value) for value in self.eigenvalues],
            "trace": float(np.trace(self.jacobian)),
            "determinant": float(np.linalg.det(self.jacobian)),
            "jacobian": self.jacobian.tolist(),
        }


def stability(kind: str) -> str:
    """Return `stable`, `unstable`, `neutral` (a centre of the linearised flow) or `undetermined`."""
    if kind == "saddle":
        return "unstable"
    head = kind.partition(" ")[0]
    return {"centre": "neutral"}.get(kind, head if head in ("stable", "unstable") else "undetermined")


def differences(flow: Flow, places: Array, step: float = STEP) -> Array:
    """Return the scaled Jacobian, shape (2, 2, …), at scaled places, shape (2, …), by sixth-order differences."""
    columns = []
    for axis in (0, 1):
        shift = np.zeros((2, *[1] * (places.ndim - 1)))
        column = np.zeros_like(places)
        for count, weight in STENCIL.items():
            shift[axis] = count * step
            column += weight / step * (flow.scaled(places + shift) - flow.scaled(places - shift))
        columns.append(column)
    return np.stack(columns, axis=1)


def find_fixed_points(flow: Flow) -> list[FixedPoint]:
    """Return the fixed points inside the window, each once, from left to right.

    Newton's method starts from a grid of 31 × 31 points; a fixed point whose basin none of them hits is missed.
    """
    ticks = np.linspace(0, 1, STARTS)
    places, step = _newton(flow, np.stack([axis.ravel() for axis in np.meshgrid(ticks, ticks)]))
    with np.errstate(all="ignore"):
        speed = np.linalg.norm(flow.scaled(places), axis=0)
        inside = (np.abs(places - 0.5) <= 0.5 + APART).all(axis=0)
        good = inside & (speed <= RESIDUAL) & (step <= APART)
    places = places[:, good][:, np.argsort(speed[good], kind="stable")]
    apart = np.where(_is_singular(np.moveaxis(differences(flow, places), -1, 0)), APART_DEGENERATE, APART)
    found: list[Array] = []
    while places.size:
        found.append(places[:, 0])
        far = np.linalg.norm(places - places[:, :1], axis=0) > apart
        places, apart = places[:, far], apart[far]
    return [_classified(flow, place) for place in sorted(found, key=lambda place: (round(place[0], 9), place[1]))]


def _newton(flow: Flow, places: Array) -> tuple[Array, Array]:
    """Return where Newton's method leads, shape (2, n), and the length of its last step, (n,)."""
    arrived, lengths = [], []
    length = np.full(places.shape[1], np.inf)
    for _ in range(STEPS):
        with np.errstate(all="ignore"):
            speed, slopes = flow.scaled(places), np.moveaxis(differences(flow, places), -1, 0)
        alive = np.isfinite(speed).all(axis=0) & np.isfinite(slopes).all(axis=(1, 2))
        alive &= (np.abs(places - 0.5) <= REACH).all(axis=0)
        places, speed, slopes = places[:, alive], speed[:, alive], slopes[alive]
        step = -np.einsum("nij,jn->in", np.linalg.pinv(slopes, rcond=1e-12), speed)
        length = np.linalg.norm(step, axis=0)
        places = places + step * np.minimum(1, LONGEST / np.maximum(length, 1e-300))
        still = length <= AT_REST
        arrived.append(places[:, still])
        lengths.append(length[still])
        places, length = places[:, ~still], length[~still]
    return np.concatenate([*arrived, places], axis=1), np.concatenate([*lengths, length])


def _is_singular(slopes: Array) -> Array:
    """Say of matrices, shape (…, 2, 2), whether an eigenvalue is zero as far as can be told."""
    large, small = np.moveaxis(np.linalg.svd(slopes, compute_uv=False), -1, 0)
    return np.asarray(small <= SINGULAR * np.maximum(large, 1.0))


def _classified(flow: Flow, scaled: Array) -> FixedPoint:
    coarse, slopes = differences(flow, scaled), differences(flow, scaled, STEP / 2)
    largest = float(np.abs(slopes).max())
    error = float(np.abs(coarse - slopes).max())
    values, vectors = np.linalg.eig(slopes)
    if error > SMOOTH * max(largest, SINGULAR) or _kink(flow, scaled) > SMOOTH * max(largest, 1.0):
        kind = "undetermined"
    else:
        kind = classify(slopes, max(ROUNDING * largest, error))
    jacobian = slopes * flow.spans[:, None] / flow.spans[None, :] / flow.tau
    order = np.lexsort((values.imag, values.real))
    return FixedPoint(
        flow.to_plane(scaled), scaled, jacobian, values[order].astype(complex) / flow.tau, vectors[:, order], kind
    )


def _kink(flow: Flow, place: Array) -> float:
    """Return how far the slopes on both sides of a place differ; that of a smooth flow vanishes with the step."""
    step = KINK_STEP * np.eye(2)
    here = flow.scaled(place)
    jumps = [flow.scaled(place + shift) + flow.scaled(place - shift) - 2 * here for shift in step]
    return float(np.abs(jumps).max()) / KINK_STEP


def classify(slopes: Array, error: float = 0.0) -> str:
    """Return the class of a linear flow.

    Args:
        slopes: Its matrix, shape (2, 2).
        error: How far its elements may be off.

    Returns:
        `saddle`, `stable node`, `unstable node`, `stable spiral`, `unstable spiral`, `centre`, `stable star`,
        `unstable star`, `stable improper node`, `unstable improper node`, or `degenerate` (an eigenvalue is zero).
    """
    half, determinant = float(np.trace(slopes)) / 2, float(np.linalg.det(slopes))
    spread = half**2 - determinant
    size = float(np.abs(slopes).max())
    if _is_singular(slopes) or abs(determinant) <= 4 * error * size:
        return "degenerate"
    if determinant < 0:
        return "saddle"
    if abs(half) <= 2 * error:
        return "centre"
    side = "stable" if half < 0 else "unstable"
    if abs(spread) <= 4 * error * size:
        return f"{side} star" if np.abs(slopes - half * np.eye(2)).max() <= 4 * error else f"{side} improper node"
    return f"{side} node" if spread > 0 else f"{side} spiral"
