"""Polynomials in (x − centre)/scale, in which values of x far from zero lose no digits."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import comb

import numpy as np

from physlab.tools.types import Array


@dataclass(frozen=True)
class Centred:
    """A polynomial in (x − centre)/scale, highest power first, with the covariance of its coefficients."""

    centre: float
    scale: float
    coefficients: Array
    covariance: Array | None = None

    def __call__(self, x: Array) -> Array:
        """Return its value at x."""
        return np.asarray(np.polyval(self.coefficients, (x - self.centre) / self.scale))

    def design(self, x: Array) -> Array:
        """Return its derivatives by the coefficients at x, shape (n, coefficients)."""
        return np.vander((x - self.centre) / self.scale, len(self.coefficients))

    def in_x(self) -> tuple[Array, Array | None]:
        """Return coefficients and covariance in x itself, rounded only once: the binomial sums are exact."""
        order, centre, scale = len(self.coefficients) - 1, Fraction(self.centre), Fraction(self.scale)
        turn = [
            [comb(k, j) * (-centre) ** (k - j) / scale**k if j <= k else Fraction(0) for k in range(order, -1, -1)]
            for j in range(order, -1, -1)
        ]
        own = [Fraction(float(value)) for value in self.coefficients]
        found = np.array([float(sum(t * u for t, u in zip(row, own, strict=True))) for row in turn])
        if self.covariance is None:
            return found, None
        inner = [[Fraction(float(value)) for value in row] for row in self.covariance]
        half = [[sum(t * c for t, c in zip(row, column, strict=True)) for column in inner] for row in turn]
        return found, np.array(
            [[float(sum(h * t for h, t in zip(left, row, strict=True))) for row in turn] for left in half]
        )
