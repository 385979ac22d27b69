# ruff: noqa: E741  — l is the orbital quantum number
"""Bound states of one electron around a point nucleus, without spin and relativity.

Lengths are in Bohr radii a_0, energies in eV. Source of the formulas: H. A. Bethe and E. E. Salpeter, *Quantum
Mechanics of One- and Two-Electron Atoms* (Springer, 1957), sections 1 to 3 and 63. Constants: CODATA 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import lgamma, log, pi, sqrt

import numpy as np

from physlab.errors import PhysicsError
from physlab.tools.types import Array

RYDBERG_EV = 13.605693122990
PROTON_ME = 1836.152673426
H_EV_FS = 4.135667696923859
HC_EV_NM = 1239.8419843320026


def check_numbers(n: int, l: int = 0, m: int = 0) -> None:
    """Refuse quantum numbers that no state has.

    Raises:
        PhysicsError: n < 1, l outside 0 … n − 1, or |m| > l.
    """
    if n < 1:
        raise PhysicsError(f"n = {n} is no principal quantum number.", hint="Use n = 1, 2, 3, …")
    if not 0 <= l < n:
        raise PhysicsError(f"l = {l} does not exist for n = {n}.", hint=f"Use l from 0 to {n - 1}.")
    if abs(m) > l:
        raise PhysicsError(f"m = {m} does not exist for l = {l}.", hint=f"Use m from {-l} to {l}.")


@dataclass(frozen=True)
class Atom:
    """A nucleus and one electron.

    Attributes:
        Z: Charge of the nucleus [e], > 0.
        mass: Reduced mass [m_e]; 1 for a nucleus that never moves.
    """

    Z: float = 1.0
    mass: float = 1.0

    @property
    def scale(self) -> float:
        """Length of this atom's 1s state [a_0]."""
        return 1.0 / (self.Z * self.mass)

    @property
    def title(self) -> str:
        """Its name over a figure."""
        return "Hydrogen" if self.Z == 1 else f"Hydrogen-like ion, $Z = {self.Z:g}$"

    def energy_ev(self, n: int) -> float:
        """Return the energy of the shell n [eV]: −μ Ry Z²/n²."""
        return -RYDBERG_EV * self.mass * self.Z**2 / n**2

    def radial(self, n: int, l: int, r: Array) -> Array:
        """Return R_nl(r) [a_0^-3/2], positive next to the nucleus, with ∫R²r²dr = 1.

        Args:
            n: Principal quantum number.
            l: Orbital quantum number, below n.
            r: Distance [a_0] (any shape), ≥ 0.
        """
        from scipy.special import eval_genlaguerre

        rho = 2.0 * r / (n * self.scale)
        log_norm = 0.5 * (3 * log(2.0 / (n * self.scale)) + lgamma(n - l) - log(2 * n) - lgamma(n + l + 1))
        with np.errstate(divide="ignore"):
            power = l * np.log(rho) if l else np.zeros_like(rho)
        return np.asarray(np.exp(log_norm - rho / 2 + power) * eval_genlaguerre(n - l - 1, 2 * l + 1, rho))

    def mean_r(self, n: int, l: int) -> float:
        """Return ⟨r⟩ [a_0]."""
        return (3 * n**2 - l * (l + 1)) / 2 * self.scale

    def mean_r2(self, n: int, l: int) -> float:
        """Return ⟨r²⟩ [a_0²]."""
        return n**2 * (5 * n**2 + 1 - 3 * l * (l + 1)) / 2 * self.scale**2

    def mean_inverse_r(self, n: int) -> float:
        """Return ⟨1/r⟩ [1/a_0]."""
        return 1.0 / (n**2 * self.scale)

    def node_radii(self, n: int, l: int) -> Array:
        """Return the n − l − 1 radii where R_nl vanishes [a_0]: the zeros of the Laguerre polynomial."""
        from scipy.linalg import eigvalsh_tridiagonal

        count = n - l - 1
        if count == 0:
            return np.empty(0)
        k, alpha = np.arange(count), 2 * l + 1
        off = np.sqrt(k[1:] * (k[1:] + alpha))
        return np.asarray(eigvalsh_tridiagonal(2.0 * k + alpha + 1, off) * n * self.scale / 2)

    def most_probable_r(self, n: int, l: int) -> float:
        """Return the distance where r²R² is largest [a_0]: the best zero of the derivative of rR."""
        from scipy.optimize import brentq
        from scipy.special import eval_genlaguerre

        k, alpha = n - l - 1, 2 * l + 1

        def slope(rho: float) -> float:  # of log(rR), times rho·L
            inner = rho * eval_genlaguerre(k - 1, alpha + 1, rho) if k else 0.0
            return float((l + 1 - rho / 2) * eval_genlaguerre(k, alpha, rho) - inner)

        borders = np.array([0.0, *self.node_radii(n, l), self.reach(n)]) * 2 / (n * self.scale)
        peaks = [brentq(slope, low, high, xtol=1e-12) for low, high in pairwise(borders)]
        radii = np.array(peaks) * n * self.scale / 2
        return float(radii[np.argmax((radii * self.radial(n, l, radii)) ** 2)])

    def reach(self, n: int) -> float:
        """Return a distance beyond which less than about 1e-8 of the electron is found [a_0]."""
        return float(2 * n**2 + 12 * n**1.2) * self.scale

    def transitions(self, n: int, l: int) -> Iterator[dict[str, float]]:
        """Yield the electric dipole lines (l → l ± 1) to lower shells, vacuum wavelengths [nm]."""
        for lower in range(1, n):
            for other in (l - 1, l + 1):
                if 0 <= other < lower:
                    gap = self.energy_ev(n) - self.energy_ev(lower)
                    yield {"to_n": lower, "to_l": other, "energy_ev": gap, "wavelength_nm": HC_EV_NM / gap}


def legendre(l: int, m: int, cosine: Array) -> Array:
    """Return Y_lm(θ, φ = 0), with the Condon-Shortley phase, by the stable upward recurrence in l.

    Args:
        l: Degree.
        m: Order, |m| ≤ l.
        cosine: cos θ (any shape).
    """
    order = abs(m)
    sine = np.sqrt(np.clip(1 - cosine**2, 0, None))
    value = np.full_like(cosine, sqrt(1 / (4 * pi)))
    for k in range(1, order + 1):
        value = -sqrt((2 * k + 1) / (2 * k)) * sine * value
    previous = np.zeros_like(cosine)
    for k in range(order + 1, l + 1):
        a = sqrt((4 * k**2 - 1) / (k**2 - order**2))
        b = sqrt(((k - 1) ** 2 - order**2) / (4 * (k - 1) ** 2 - 1))
        value, previous = a * (cosine * value - b * previous), value
    return value if m >= 0 else (-1) ** order * value


def on_plane(atom: Atom, n: int, l: int, m: int, x: Array, z: Array) -> Array:
    """Return ψ_nlm on the x–z plane [a_0^-3/2], where it is real.

    Args:
        atom: The atom.
        n: Principal quantum number.
        l: Orbital quantum number.
        m: Magnetic quantum number.
        x: Positions [a_0] (columns).
        z: Positions [a_0] (rows).

    Returns:
        Shape (rows, columns).
    """
    grid_x, grid_z = np.meshgrid(x, z)
    r = np.hypot(grid_x, grid_z)
    cosine = np.divide(grid_z, r, out=np.zeros_like(r), where=r > 0)
    turn = np.where(grid_x < 0, (-1.0) ** m, 1.0)  # e^{imφ} at φ = π
    return np.asarray(atom.radial(n, l, r) * legendre(l, m, cosine) * turn)


def dipole_z(atom: Atom, bra: tuple[int, int, int], ket: tuple[int, int, int]) -> float:
    """Return the matrix element ⟨n'l'm'|z|nlm⟩ [a_0]."""
    from scipy.integrate import simpson

    (n, l, m), (n2, l2, m2) = bra, ket
    if m != m2 or abs(l - l2) != 1:
        return 0.0
    upper = max(l, l2)
    angular = sqrt((upper**2 - m**2) / (4 * upper**2 - 1))
    r = np.linspace(0, atom.reach(max(n, n2)), 8001)
    return angular * float(simpson(atom.radial(n, l, r) * atom.radial(n2, l2, r) * r**3, x=r))
