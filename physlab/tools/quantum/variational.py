"""Variational algorithms on the simulator: their states, exact gradients, and an optimiser's real steps.

Sources: A. Peruzzo et al., Nature Commun. 5, 4213 (2014) for the eigensolver; E. Farhi, J. Goldstone and S. Gutmann,
arXiv:1411.4028 (2014) for QAOA; T. Jones and J. Gacon, arXiv:2009.02823 (2020) for gradients by going backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import pi

import numpy as np

from physlab.errors import ComputationError
from physlab.tools.quantum.qubits import GATES, Circuit, Gate, apply
from physlab.tools.types import Array

Objective = Callable[[Array], tuple[float, Array]]


@dataclass(frozen=True)
class Ansatz:
    """A circuit with angles to be found.

    Attributes:
        qubits: How many.
        gates: Names and qubits from left to right; the angle is a number, None for gates without, or "free".
    """

    qubits: int
    gates: tuple[tuple[str, tuple[int, ...], float | str | None], ...]

    @property
    def size(self) -> int:
        """How many angles are free."""
        return sum(angle == "free" for _, _, angle in self.gates)

    def circuit(self, angles: Array) -> Circuit:
        """Return the circuit with its angles [rad], shape (size,)."""
        given = iter(angles)
        steps = [
            Gate(name, qubits, float(next(given)) if angle == "free" else angle)  # type: ignore[arg-type]
            for name, qubits, angle in self.gates
        ]
        return Circuit(self.qubits, tuple(steps))

    def objective(self, hamiltonian: Array) -> Objective:
        """Return ⟨H⟩ and its gradient as a function of the angles."""

        def energy(angles: Array) -> tuple[float, Array]:
            circuit = self.circuit(angles)
            ket = circuit.run()
            bra = hamiltonian @ ket
            value, slopes = float(np.vdot(ket, bra).real), list[float]()
            for gate, (_, _, angle) in zip(reversed(circuit.gates), reversed(self.gates), strict=True):
                if angle == "free":  # d/dθ of exp(−iθσ/2)
                    slopes.append(float(np.vdot(bra, apply(GATES[gate.name[1]], ket, gate.qubits)).imag))
                back = gate.unitary.conj().T
                ket, bra = apply(back, ket, gate.qubits), apply(back, bra, gate.qubits)
            return value, np.array(slopes[::-1])

        return energy


def pair_excitation() -> Ansatz:
    """Return exp(−iθ XY/2)|00⟩ = cos(θ/2)|00⟩ + sin(θ/2)|11⟩: both electrons of H2 move from g to u."""
    turned = (("H", (0,), None), ("RX", (1,), pi / 2), ("CNOT", (0, 1), None))
    back = (("CNOT", (0, 1), None), ("RX", (1,), -pi / 2), ("H", (0,), None))
    return Ansatz(2, (*turned, ("RZ", (1,), "free"), *back))


def layered(qubits: int, layers: int) -> Ansatz:
    """Return layers of RY and RZ on every qubit with a chain of CNOT between them."""
    turns: tuple[tuple[str, tuple[int, ...], float | str | None], ...] = tuple(
        (name, (qubit,), "free") for qubit in range(qubits) for name in ("RY", "RZ")
    )
    chain: tuple[tuple[str, tuple[int, ...], float | str | None], ...] = tuple(
        ("CNOT", (qubit, qubit + 1), None) for qubit in range(qubits - 1)
    )
    return Ansatz(qubits, (*turns, *((*chain, *turns) * layers)))


@dataclass(frozen=True)
class Descent:
    """What an optimiser did.

    Attributes:
        trajectory: The objective at the start and after each step, shape (steps + 1,).
        angles: Where it was, shape (steps + 1, angles).
        converged: False when it ran out of steps.
    """

    trajectory: Array
    angles: Array
    converged: bool


def descend(objective: Objective, starts: Iterable[Array], steps: int) -> Descent:
    """Return the best descent (BFGS) of several starts.

    Raises:
        ComputationError: The objective is not finite.
    """
    from scipy.optimize import minimize

    found: list[Descent] = []
    for start in starts:
        path = [np.array(start, dtype=float)]
        result = minimize(
            objective, path[0], jac=True, method="BFGS", callback=lambda at, path=path: path.append(np.array(at)),
            options={"maxiter": steps, "gtol": 1e-9},
        )  # fmt: skip
        values = np.array([objective(at)[0] for at in path])
        if not np.isfinite(values).all():
            raise ComputationError("The energy is not finite.", hint="Check the Hamiltonian's coefficients.")
        settled = bool(np.abs(result.jac).max() < 1e-5 * max(1.0, float(np.abs(values).max())))
        found.append(Descent(values, np.array(path), settled))
    return min(found, key=lambda descent: round(float(descent.trajectory[-1]), 12))


@dataclass(frozen=True)
class CutProblem:
    """Cutting a graph in two so that as many edges as can be are cut.

    Attributes:
        qubits: Nodes of the graph.
        cuts: How many edges each partition cuts, shape (2^n,).
    """

    qubits: int
    cuts: Array

    @classmethod
    def of(cls, qubits: int, edges: Iterable[tuple[int, int]]) -> CutProblem:
        """Return the problem of a graph; node i is bit i from the left."""
        index, cuts = np.arange(2**qubits), np.zeros(2**qubits)
        for i, j in edges:
            cuts += ((index >> (qubits - 1 - i)) ^ (index >> (qubits - 1 - j))) & 1
        return cls(qubits, cuts)

    def state(self, angles: Array) -> Array:
        """Return the QAOA state for angles (γ_1 … γ_p, β_1 … β_p)."""
        gammas, betas = np.split(np.asarray(angles), 2)
        state = np.full(2**self.qubits, 2 ** (-self.qubits / 2), dtype=complex)
        for gamma, beta in zip(gammas, betas, strict=True):
            state = self._mix(np.exp(-1j * gamma * self.cuts) * state, beta)
        return state

    def objective(self, angles: Array) -> tuple[float, Array]:
        """Return −⟨C⟩ and its gradient."""
        gammas, betas = np.split(np.asarray(angles), 2)
        ket = self.state(angles)
        bra = self.cuts * ket
        value, slopes = float(np.vdot(ket, bra).real), np.zeros((2, len(gammas)))
        for layer in reversed(range(len(gammas))):
            slopes[1, layer] = 2 * np.vdot(bra, self._flip_each(ket)).imag
            ket, bra = self._mix(ket, -betas[layer]), self._mix(bra, -betas[layer])
            slopes[0, layer] = 2 * np.vdot(bra, self.cuts * ket).imag
            back = np.exp(1j * gammas[layer] * self.cuts)
            ket, bra = back * ket, back * bra
        return -value, -slopes.ravel()

    def _mix(self, state: Array, beta: float) -> Array:
        """Apply exp(−iβX) to every qubit."""
        turn = np.cos(beta) * GATES["I"] - 1j * np.sin(beta) * GATES["X"]
        for qubit in range(self.qubits):
            state = apply(turn, state, (qubit,))
        return state

    def _flip_each(self, state: Array) -> Array:
        """Apply the sum of all X."""
        index = np.arange(len(state))
        return np.asarray(sum((state[index ^ (1 << qubit)] for qubit in range(self.qubits)), np.zeros_like(state)))


def ramps(layers: int, rng: np.random.Generator, count: int) -> list[Array]:
    """Return starts for QAOA: an annealing ramp and random ones."""
    part = (np.arange(layers) + 0.5) / layers
    ramp = np.concatenate([0.8 * part, 0.6 * (1 - part)])
    return [ramp, *(rng.uniform(0, [pi] * layers + [pi / 2] * layers) for _ in range(count - 1))]


def ground_energy(hamiltonian: Array) -> float:
    """Return the lowest eigenvalue."""
    return float(np.linalg.eigvalsh(hamiltonian)[0])
