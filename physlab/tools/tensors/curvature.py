"""Curvature of a metric: Christoffel symbols, Riemann, Ricci and Einstein tensors, Kretschmann scalar.

Signature and sign conventions are those of Misner, Thorne, Wheeler, Gravitation (1973): R^a_bcd = ∂_c Γ^a_bd − …,
R_bd = R^a_bad; formulas (8.24b), (8.44), (8.47)-(8.49), and (14.6) for the covariant Riemann tensor.
"""

from __future__ import annotations

from functools import cached_property
from itertools import combinations, combinations_with_replacement, product
from typing import Any

import sympy

from physlab.errors import PhysicsError
from physlab.tools.tensors.function_field import FunctionField

Components = dict[tuple[int, ...], Any]


class Geometry:
    """A metric with all that follows from it; each tensor is computed when it is asked for.

    Attributes:
        metric: SymPy matrix, (n, n).
        coords: SymPy symbols, (n,).
    """

    def __init__(self, metric: Any, coords: list[Any]) -> None:
        self.metric, self.coords, self.size = metric, coords, len(coords)
        entries = list(dict.fromkeys(metric))
        first = [entry.diff(x) for entry in entries for x in coords]
        second = [entry.diff(x) for entry in dict.fromkeys(first) for x in coords]
        self.algebra = FunctionField([*entries, *first, *second])
        self.lower = [[self.algebra.convert(metric[i, j]) for j in self.axes] for i in self.axes]

    @property
    def axes(self) -> range:
        """The places of the coordinates."""
        return range(self.size)

    def express(self, components: Components) -> dict[tuple[int, ...], Any]:
        """Return components that are not zero, as SymPy expressions."""
        return {place: self.algebra.express(item) for place, item in sorted(components.items()) if item}

    def _sum(self, terms: Any) -> Any:
        total = self.algebra.field.zero
        for first, second in terms:
            if first and second:
                total += self.algebra.reduce(first * second)
        return self.algebra.reduce(total)

    @cached_property
    def upper(self) -> list[list[Any]]:
        """The inverse metric, by elimination.

        Raises:
            PhysicsError: The metric is singular everywhere.
        """
        zero, one, reduce = self.algebra.field.zero, self.algebra.field.one, self.algebra.reduce
        rows = [[*row, *(one if i == j else zero for j in self.axes)] for i, row in enumerate(self.lower)]
        for column in self.axes:
            pivot = next((row for row in range(column, self.size) if rows[row][column]), None)
            if pivot is None:
                raise PhysicsError(
                    "The metric has no inverse: its determinant is zero.",
                    hint="Check its entries; coordinates must be independent.",
                )
            rows[column], rows[pivot] = rows[pivot], rows[column]
            scale = reduce(1 / rows[column][column])
            rows[column] = [reduce(item * scale) for item in rows[column]]
            for row in self.axes:
                factor = rows[row][column]
                if row != column and factor:
                    rows[row] = [reduce(a - factor * b) for a, b in zip(rows[row], rows[column], strict=True)]
        return [row[self.size :] for row in rows]

    @cached_property
    def _slopes(self) -> list[list[list[Any]]]:
        """∂_k g_ij, indexed [k][i][j]."""
        return [[[self.algebra.derive(item, x) for item in row] for row in self.lower] for x in self.coords]

    @cached_property
    def _first_kind(self) -> Components:
        """Γ_abc = (∂_b g_ac + ∂_c g_ab − ∂_a g_bc)/2."""
        d = self._slopes
        half = self.algebra.field.one / 2
        return {
            (a, b, c): self.algebra.reduce((d[b][a][c] + d[c][a][b] - d[a][b][c]) * half)
            for a, b, c in product(self.axes, repeat=3)
        }

    @cached_property
    def christoffel(self) -> Components:
        """Γ^a_bc, indexed (a, b, c)."""
        found: Components = {}
        for a, (b, c) in product(self.axes, combinations_with_replacement(self.axes, 2)):
            value = self._sum((self.upper[a][e], self._first_kind[e, b, c]) for e in self.axes)
            found[a, b, c] = found[a, c, b] = value
        return found

    @cached_property
    def riemann_lower(self) -> Components:
        """R_abcd, from its independent components."""
        found: Components = {}
        pairs = list(combinations(self.axes, 2))
        for one, other in combinations_with_replacement(pairs, 2):
            value = self._riemann(*one, *other)
            for (a, b), (c, d) in {(one, other), (other, one)}:
                found[a, b, c, d] = found[b, a, d, c] = value
                found[b, a, c, d] = found[a, b, d, c] = -value
        return found

    def _riemann(self, a: int, b: int, c: int, d: int) -> Any:
        slope, x, kind = self._slopes, self.coords, self._first_kind
        derive = self.algebra.derive
        bend = (
            derive(slope[c][a][d], x[b]) + derive(slope[d][b][c], x[a])
            - derive(slope[c][b][d], x[a]) - derive(slope[d][a][c], x[b])
        )  # fmt: skip
        turn = self._sum((kind[e, b, c], self.christoffel[e, a, d]) for e in self.axes) - self._sum(
            (kind[e, b, d], self.christoffel[e, a, c]) for e in self.axes
        )
        return self.algebra.reduce(bend / 2 + turn)

    @cached_property
    def riemann(self) -> Components:
        """R^a_bcd, indexed (a, b, c, d)."""
        zero, lower = self.algebra.field.zero, self.riemann_lower
        found: Components = {}
        for a, b, (c, d) in product(self.axes, self.axes, combinations(self.axes, 2)):
            value = self._sum((self.upper[a][e], lower.get((e, b, c, d), zero)) for e in self.axes)
            found[a, b, c, d], found[a, b, d, c] = value, -value
        return found

    @cached_property
    def ricci(self) -> Components:
        """R_bd = g^ac R_abcd."""
        zero, lower = self.algebra.field.zero, self.riemann_lower
        found: Components = {}
        for b, d in combinations_with_replacement(self.axes, 2):
            pairs = product(self.axes, repeat=2)
            found[b, d] = found[d, b] = self._sum((self.upper[a][c], lower.get((a, b, c, d), zero)) for a, c in pairs)
        return found

    @cached_property
    def ricci_scalar(self) -> Any:
        """R = g^ab R_ab."""
        return self._sum((self.upper[a][b], self.ricci[a, b]) for a, b in product(self.axes, repeat=2))

    @cached_property
    def einstein(self) -> Components:
        """G_ab = R_ab − g_ab R/2."""
        half = self.ricci_scalar / 2
        return {
            (a, b): self.algebra.reduce(self.ricci[a, b] - self.lower[a][b] * half)
            for a, b in product(self.axes, repeat=2)
        }

    @cached_property
    def kretschmann(self) -> Any:
        """K = R_abcd R^abcd = 4 Σ R^ab_cd R^cd_ab over pairs a < b, c < d."""
        pairs, up = list(combinations(self.axes, 2)), self.upper
        raised: dict[Any, Any] = {}
        for (a, b), (c, d) in product(pairs, repeat=2):
            terms = []
            for e, f in pairs:
                size = self.algebra.reduce(up[a][e] * up[b][f] - up[a][f] * up[b][e])
                terms.append((size, self.riemann_lower[e, f, c, d]))
            raised[a, b, c, d] = self._sum(terms)
        diagonal = self._sum((raised[(*one, *one)], raised[(*one, *one)]) for one in pairs)
        beside = self._sum((raised[(*one, *other)], raised[(*other, *one)]) for one, other in combinations(pairs, 2))
        return self.algebra.reduce(diagonal * 4 + beside * 8)

    def accelerations(self, velocities: list[Any]) -> list[Any]:
        """Return d²x^a/dλ² = −Γ^a_bc u^b u^c as expressions of coordinates and velocities."""
        found = []
        for a in self.axes:
            terms = [
                (1 if b == c else 2) * self.algebra.express(self.christoffel[a, b, c]) * velocities[b] * velocities[c]
                for b, c in combinations_with_replacement(self.axes, 2)
                if self.christoffel[a, b, c]
            ]
            found.append(-sympy.Add(*terms))
        return found
