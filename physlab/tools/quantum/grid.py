"""A particle on a line with any Hamiltonian of x and p, on a Fourier grid.

A function of x is diagonal at the points, a function of p diagonal in the plane waves of the grid; the discrete Fourier
transform leads from one to the other, so that bound states converge faster than any power of the number of points.
Source: C. C. Marston and G. G. Balint-Kurti, "The Fourier grid Hamiltonian method for bound state eigenvalues and
eigenfunctions", J. Chem. Phys. 91, 3571 (1989).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import pi
from typing import Any

import numpy as np

from physlab.errors import ComputationError, PhysicsError, ValidationError
from physlab.expressions import Constant, Expression, Name, Number
from physlab.expressions.tree import TABLE, Leaf, constant_value
from physlab.tools.types import Array

EDGE = 1e-8  # a bound state is smaller than this at the ends of its grid, relative to its largest value
POOR = 1e-3  # the same for waves: above it the grid is too coarse to tell anything
FEWEST, GROWTH, PATIENCE, TRIES = 129, 1.4, 5, 24


@dataclass(frozen=True)
class Grid:
    """Equally spaced points of a periodic line, and their plane waves.

    Attributes:
        low: Left end.
        high: Right end, which is the left one again.
        points: How many, odd.
        hbar: Reduced Planck constant.
    """

    low: float
    high: float
    points: int
    hbar: float = 1.0

    @property
    def step(self) -> float:
        """Distance of the points."""
        return (self.high - self.low) / self.points

    @property
    def x(self) -> Array:
        """The points, shape (points,), symmetric between the ends."""
        return self.low + (np.arange(self.points) + 0.5) * self.step

    @property
    def p(self) -> Array:
        """ħk of the plane waves, shape (points,), in the order of the FFT."""
        return 2 * pi * self.hbar * np.fft.fftfreq(self.points, self.step)

    def in_x(self, values: Array) -> Array:
        """Return a function of p as a matrix between points, shape (points, points)."""
        column = np.fft.ifft(values)
        index = np.arange(self.points)
        return np.asarray(column[index[:, None] - index[None, :]])


@dataclass(frozen=True)
class Levels:
    """The lowest states on a grid.

    Attributes:
        grid: The grid.
        energies: Shape (levels,).
        states: Normalised on the grid, shape (levels, points).
        left: Largest |ψ| of each state at the left end, relative to its maximum.
        right: The same at the right end.
        fine: The same at the largest momenta.
    """

    grid: Grid
    energies: Array
    states: Array
    left: Array
    right: Array
    fine: Array

    @property
    def edge(self) -> Array:
        """Largest |ψ| of each state at either end, relative to its maximum."""
        return np.maximum(self.left, self.right)

    def lowest(self, count: int) -> Levels:
        """Return only the lowest of the states."""
        return Levels(
            self.grid, *(item[:count] for item in (self.energies, self.states, self.left, self.right, self.fine))
        )


class Hamiltonian:
    """An expression in x and p.

    Args:
        expression: The formula; products keep their order.
        values: Numbers of its other names.
    """

    def __init__(self, expression: Expression, values: Mapping[str, float]) -> None:
        self.expression, self.values = expression, dict(values)

    def matrix(self, grid: Grid) -> Array:
        """Return the Hamiltonian between the points, real where it can be.

        Raises:
            PhysicsError: It is not Hermitian.
            ComputationError: The potential is not finite at a point.
        """
        found = self.expression.fold(
            lambda leaf: self._leaf(leaf, grid), lambda sign, args: self._join(sign, args, grid)
        )
        full = _full(found, grid)
        if not np.isfinite(full).all():
            bad = grid.x[~np.isfinite(np.diag(full))]
            where = f" at x = {bad[0]:.6g}" if len(bad) else ""
            raise ComputationError(
                f"The Hamiltonian {self.expression.text!r} is not finite{where}.",
                hint="Choose x_min and x_max where it is finite, or round off its singularity: 1/sqrt(x^2 + 0.01).",
            )
        size = float(np.abs(full).max())
        if np.abs(full - full.conj().T).max() > 1e-10 * max(size, 1e-300):
            raise PhysicsError(
                f"The Hamiltonian {self.expression.text!r} is not Hermitian: its energies would not be real.",
                hint="Write (x*p + p*x)/2 for a product of x and p, and take imaginary parts out of the potential.",
            )
        full = (full + full.conj().T) / 2
        return full.real if np.abs(full.imag).max() <= 1e-14 * size else full

    def solve(self, grid: Grid, count: int) -> Levels:
        """Return the lowest states on a grid."""
        from scipy.linalg import eigh

        energies, vectors = eigh(self.matrix(grid), subset_by_index=(0, min(count, grid.points) - 1))
        states = vectors.T / np.sqrt(grid.step)
        states = states * np.array([_phase(state) for state in states])[:, None]
        waves = np.abs(np.fft.fftshift(np.fft.fft(states, axis=1), axes=1))
        return Levels(grid, energies, states, *_rims(np.abs(states)), np.maximum(*_rims(waves)))

    def _leaf(self, leaf: Leaf, grid: Grid) -> tuple[str, Any]:
        if isinstance(leaf, Name):
            if leaf.name in ("x", "p"):
                return leaf.name, grid.x if leaf.name == "x" else grid.p
            return "1", complex(self.values[leaf.name])
        if isinstance(leaf, Number | Constant):
            return "1", constant_value(leaf)
        return "1", leaf.value

    def _join(self, sign: str, args: list[tuple[str, Any]], grid: Grid) -> tuple[str, Any]:
        kinds = {kind for kind, _ in args} - {"1"}
        if len(kinds) <= 1 and "xp" not in kinds:  # numbers and functions of one of the two commute
            values = [value.real if isinstance(value, complex) and value.imag == 0 else value for _, value in args]
            with np.errstate(all="ignore"):
                return (kinds.pop() if kinds else "1"), TABLE[sign].numeric(*values)
        if sign == "neg":
            return "xp", -args[0][1]
        if sign == "+":
            return "xp", np.sum([_full(arg, grid) for arg in args], axis=0)
        if sign == "*" or (sign == "/" and args[1][0] == "1"):
            if sign == "/":
                return "xp", args[0][1] / args[1][1]
            result = _full(args[0], grid)
            for arg in args[1:]:
                result = result * arg[1] if arg[0] == "1" else result @ _full(arg, grid)
            return "xp", result
        exponent = args[1][1] if sign == "**" and args[1][0] == "1" else None
        if exponent is not None and exponent == round(np.real(exponent)) and 0 <= np.real(exponent) <= 12:
            return "xp", np.linalg.matrix_power(args[0][1], round(np.real(exponent)))
        raise ValidationError(
            f"The Hamiltonian {self.expression.text!r} applies '{sign}' to x and p together.",
            hint="Sums, products, whole powers (to 12) and functions of x alone or p alone are known.",
        )


def _full(value: tuple[str, Any], grid: Grid) -> Array:
    kind, found = value
    if kind == "xp":
        return np.asarray(found)
    if kind == "p":
        return grid.in_x(np.broadcast_to(found, grid.points).astype(complex))
    return np.diag(np.broadcast_to(np.asarray(found, dtype=complex), grid.points))


def _phase(state: Array) -> complex:
    """Return what makes a state real and positive where it is first large."""
    first = state[np.argmax(np.abs(state) > 0.3 * np.abs(state).max())]
    return complex(np.conj(first) / abs(first))


def _rims(values: Array) -> tuple[Array, Array]:
    """Return the largest of the outer points of each row, left and right, relative to the largest of all."""
    few, top = max(2, values.shape[1] // 50), values.max(axis=1)
    return np.asarray(values[:, :few].max(axis=1) / top), np.asarray(values[:, -few:].max(axis=1) / top)


def find_grid(hamiltonian: Hamiltonian, count: int, most: int, hbar: float, start: float) -> Levels:
    """Return the lowest bound states, on a grid that is wide and fine enough for them.

    The grid is widened while a state reaches its ends, and gets more points while a state reaches its largest
    momentum. States that still reach the ends when widening has stopped to help are not bound and are left out. The
    search stops at `most` points; whether that was enough is for `uncertainty` to say.

    Args:
        hamiltonian: What to solve.
        count: How many states are wanted.
        most: Points at most.
        hbar: Reduced Planck constant.
        start: First half width.

    Raises:
        PhysicsError: No state is bound.
    """
    low, high, points, wanted, idle = -start, start, min(most, max(FEWEST, 4 * count + 1)), count, 0
    shrinks = 12  # enough for a well that is a million times narrower than `start`
    best = (0, low, high, points)  # most bound states so far, and where
    for _ in range(TRIES):
        found = hamiltonian.solve(Grid(low, high, points | 1, hbar), wanted)
        bound = int(np.count_nonzero(np.cumsum(found.edge > EDGE) == 0))
        fine = float(found.fine[: max(bound, 1)].max())
        if bound < wanted:
            idle, best = (0, (bound, low, high, points)) if bound > best[0] else (idle + 1, best)
            if idle >= (PATIENCE if best[0] else 4 * PATIENCE) or (points >= most and fine > POOR):
                slow = int(np.count_nonzero(np.cumsum(found.edge > POOR) == 0))
                if slow > best[0]:  # tails that fall by a power only
                    return found.lowest(slow)
                wanted, idle = min(best[0], wanted - 1), 0  # always fewer, so that the search ends
                if not wanted:
                    raise _unbound(hamiltonian, low, high)
                _, low, high, points = best
                continue
            wider = (GROWTH - 1) * (high - low) / 2
            low -= wider if found.left.max() > EDGE else 0.0  # only there: a steep wall far off would cost digits
            high += wider if found.right.max() > EDGE else 0.0
            points = min(most, int(points * GROWTH)) if fine > 1e-2 * POOR else points
            continue
        if fine <= EDGE:
            return found
        seen = np.abs(found.states) > 1e-4 * np.abs(found.states).max(axis=1)[:, None]
        inside = found.grid.x[seen.any(axis=0)]
        extent = float(inside[-1] - inside[0])
        if extent < 0.4 * (high - low) and shrinks:  # a narrow well wastes fewer points on a narrower grid
            low, high = float(inside[0]) - 0.35 * extent, float(inside[-1]) + 0.35 * extent
            shrinks, idle = shrinks - 1, 0
        elif points >= most:
            return found
        else:
            points = min(most, int(points * GROWTH))
    slow = int(np.count_nonzero(np.cumsum(found.edge > POOR) == 0))
    if not slow:
        raise _unbound(hamiltonian, low, high)
    return found.lowest(slow)


def _unbound(hamiltonian: Hamiltonian, low: float, high: float) -> PhysicsError:
    return PhysicsError(
        f"The Hamiltonian {hamiltonian.expression.text!r} has no bound state between {low:.4g} and {high:.4g}.",
        hint="Check the sign of its potential, or set x_min and x_max to solve it on a ring of that length.",
    )


def uncertainty(hamiltonian: Hamiltonian, found: Levels) -> tuple[Array, dict[str, Any]]:
    """Return how far the energies move when the grid is made coarser and narrower.

    Returns:
        The larger of both changes for each level, and the two grids' figures for the reply's meta. As the method
        converges exponentially, the levels themselves are better than this.
    """
    grid, count = found.grid, len(found.energies)
    coarse = hamiltonian.solve(replace(grid, points=int(0.8 * grid.points) | 1), count)
    cut = 0.05 * (grid.high - grid.low)
    narrow = hamiltonian.solve(
        replace(grid, low=grid.low + cut, high=grid.high - cut, points=int(0.9 * grid.points) | 1), count
    )
    moved = [np.abs(other.energies - found.energies) for other in (coarse, narrow)]
    return np.maximum(*moved), {
        "points": grid.points, "x_min": grid.low, "x_max": grid.high,
        "change_with_fewer_points": float(moved[0].max()), "change_with_a_narrower_grid": float(moved[1].max()),
        "largest_psi_at_the_ends": float(found.edge.max()), "largest_wave_at_the_highest_p": float(found.fine.max()),
    }  # fmt: skip
