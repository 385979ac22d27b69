"""The hydrogen molecule in a minimal basis (STO-3G), from its integrals to a Hamiltonian of two qubits.

Each atom has one 1s function of three Gaussians; symmetry alone gives the molecular orbitals g and u. With one electron
of each spin, qubit 0 says in which orbital the electron of spin up is (|0⟩ is g) and qubit 1 the same for spin down.

Source of the integrals: A. Szabo and N. S. Ostlund, *Modern Quantum Chemistry* (Dover, 1996), appendix A, with the
Gaussians of W. J. Hehre, R. F. Stewart and J. A. Pople, J. Chem. Phys. 51, 2657 (1969), scaled by ζ = 1.24.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import erf, exp, pi, sqrt

import numpy as np

from physlab.tools.types import Array

BOHR_ANGSTROM = 0.529177210544  # CODATA 2022
EXPONENTS = (3.425250914, 0.6239137298, 0.1688554040)  # [a_0^-2]
WEIGHTS = tuple(
    c * (2 * a / pi) ** 0.75 for c, a in zip((0.1543289673, 0.5353281423, 0.4446345422), EXPONENTS, strict=True)
)


@dataclass(frozen=True)
class Molecule:
    """Integrals over the orbitals g and u [E_h].

    Attributes:
        core: One-electron energies h_gg, h_uu.
        coulomb: J_gg, J_gu, J_uu.
        exchange: K_gu = (gu|gu).
        repulsion: Energy of the nuclei.
        overlap: Overlap of the two atomic functions.
    """

    core: tuple[float, float]
    coulomb: tuple[float, float, float]
    exchange: float
    repulsion: float
    overlap: float

    def terms(self) -> dict[str, float]:
        """Return the electronic Hamiltonian as coefficients of Pauli strings [E_h]; qubit 0 is the left letter."""
        (h_g, h_u), (j_gg, j_gu, j_uu) = self.core, self.coulomb
        one, gap = h_g + h_u, (h_g - h_u) / 2
        return {
            "II": one + (j_gg + 2 * j_gu + j_uu) / 4,
            "ZI": gap + (j_gg - j_uu) / 4,
            "IZ": gap + (j_gg - j_uu) / 4,
            "ZZ": (j_gg - 2 * j_gu + j_uu) / 4,
            "XX": self.exchange,
        }


def integrate(bond_length: float) -> Molecule:
    """Return the integrals of H2.

    Args:
        bond_length: Distance of the nuclei [Å].
    """
    r = bond_length / BOHR_ANGSTROM
    at = (0.0, r)
    overlap, core = np.zeros((2, 2)), np.zeros((2, 2))
    pairs = {(i, j): list(_pairs(at[i], at[j])) for i, j in product(range(2), repeat=2)}
    for (i, j), parts in pairs.items():
        for weight, a, b, exponent, centre in parts:
            apart2 = (at[i] - at[j]) ** 2
            reduced = a * b / exponent
            basis = weight * (pi / exponent) ** 1.5
            overlap[i, j] += basis
            core[i, j] += basis * reduced * (3 - 2 * reduced * apart2)
            core[i, j] -= sum(weight * 2 * pi / exponent * _boys(exponent * (centre - nucleus) ** 2) for nucleus in at)
    two = {
        (i, j, k, l): _repulsion(pairs[i, j], pairs[k, l])
        for i, j, k, l in product(range(2), repeat=4)  # noqa: E741
    }
    s = float(overlap[0, 1])
    orbitals = np.array([[1, 1], [1, -1]]) / np.sqrt([[2 * (1 + s)], [2 * (1 - s)]])

    def electron(i: int, j: int) -> float:
        return float(orbitals[i] @ core @ orbitals[j])

    def coulomb(i: int, j: int, k: int, l: int) -> float:  # noqa: E741
        return float(
            sum(
                orbitals[i, p] * orbitals[j, q] * orbitals[k, t] * orbitals[l, u] * value
                for (p, q, t, u), value in two.items()
            )
        )

    return Molecule(
        (electron(0, 0), electron(1, 1)),
        (coulomb(0, 0, 0, 0), coulomb(0, 0, 1, 1), coulomb(1, 1, 1, 1)),
        coulomb(0, 1, 0, 1),
        1 / r,
        s,
    )


Pair = tuple[float, float, float, float, float]


def _pairs(left: float, right: float) -> list[Pair]:
    """Return the products of two atomic functions as Gaussians: weight, both exponents, their sum, centre."""
    found = []
    for (a, c), (b, d) in product(zip(EXPONENTS, WEIGHTS, strict=True), repeat=2):
        weight = c * d * exp(-a * b / (a + b) * (left - right) ** 2)
        found.append((weight, a, b, a + b, (a * left + b * right) / (a + b)))
    return found


def _repulsion(first: list[Pair], second: list[Pair]) -> float:
    total = 0.0
    for (w, _, _, p, centre), (v, _, _, q, other) in product(first, second):
        total += w * v * 2 * pi**2.5 / (p * q * sqrt(p + q)) * _boys(p * q / (p + q) * (centre - other) ** 2)
    return total


def _boys(t: float) -> float:
    """Return the Boys function F_0(t)."""
    return 1 - t / 3 if t < 1e-10 else sqrt(pi / t) / 2 * erf(sqrt(t))


def matrix_of(terms: dict[str, float]) -> Array:
    """Return a sum of Pauli strings as a matrix, shape (2^n, 2^n)."""
    from physlab.tools.quantum.qubits import GATES

    total: Array = np.zeros(1)
    for string, coefficient in terms.items():
        part = np.ones((1, 1), dtype=complex)
        for letter in string:
            part = np.kron(part, GATES[letter])
        total = total + coefficient * part
    return total
