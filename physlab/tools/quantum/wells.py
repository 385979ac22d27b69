"""The harmonic oscillator and the particle in a box, in units of the caller's ħ and mass.

Source of the formulas: D. J. Griffiths, *Introduction to Quantum Mechanics* (2nd ed., Pearson, 2005), sections 2.2 and
2.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import ClassVar

import numpy as np

from physlab.tools.types import Array


@dataclass(frozen=True)
class Oscillator:
    """V(x) = m ω² x² / 2.

    Attributes:
        omega: Angular frequency, > 0.
        mass: > 0.
        hbar: > 0.
    """

    omega: float = 1.0
    mass: float = 1.0
    hbar: float = 1.0
    lowest: ClassVar = 0
    units: ClassVar = {"energy": "that of hbar*omega", "x": "that of sqrt(hbar/(mass*omega))", "psi": "x^-1/2"}

    @property
    def length(self) -> float:
        """The oscillator length √(ħ/mω)."""
        return sqrt(self.hbar / (self.mass * self.omega))

    def energy(self, n: int) -> float:
        """Return ħω(n + 1/2)."""
        return self.hbar * self.omega * (n + 0.5)

    def states(self, n_max: int, x: Array) -> Array:
        """Return ψ_0 … ψ_n_max by the recurrence of the normalised Hermite functions, which never overflows."""
        xi = x / self.length
        psi = np.zeros((n_max + 1, len(x)))
        psi[0] = (pi * self.length**2) ** -0.25 * np.exp(-(xi**2) / 2)
        for n in range(1, n_max + 1):
            psi[n] = sqrt(2 / n) * xi * psi[n - 1]
            if n > 1:
                psi[n] -= sqrt((n - 1) / n) * psi[n - 2]
        return psi

    def span(self, n: int) -> tuple[float, float]:
        """Return the classical turning points and some oscillator lengths more."""
        reach = (sqrt(2 * n + 1) + 4.0) * self.length
        return -reach, reach

    def potential(self, x: Array) -> Array:
        """Return V(x)."""
        return self.mass * self.omega**2 * x**2 / 2


@dataclass(frozen=True)
class Box:
    """V(x) = 0 for 0 < x < L, infinite elsewhere.

    Attributes:
        length: L, > 0.
        mass: > 0.
        hbar: > 0.
    """

    length: float = 1.0
    mass: float = 1.0
    hbar: float = 1.0
    lowest: ClassVar = 1
    units: ClassVar = {"energy": "that of hbar^2/(mass*length^2)", "x": "that of length", "psi": "x^-1/2"}

    def energy(self, n: int) -> float:
        """Return n²π²ħ²/2mL²."""
        return (n * pi * self.hbar / self.length) ** 2 / (2 * self.mass)

    def states(self, n_max: int, x: Array) -> Array:
        """Return ψ_1 … ψ_n_max = √(2/L) sin(nπx/L), zero outside the box."""
        inside = (x >= 0) & (x <= self.length)
        n = np.arange(1, n_max + 1)[:, None]
        return np.where(inside, sqrt(2 / self.length) * np.sin(n * pi * x / self.length), 0.0)

    def span(self, n: int) -> tuple[float, float]:
        """Return the walls."""
        return 0.0, self.length
