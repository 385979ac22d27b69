"""A small simulator of ideal qubits: gates, circuits, and the state vector that they make.

Qubit 0 is the leftmost in a ket and the most significant bit of an index: |q0 q1 …⟩. Gates are those of M. A. Nielsen
and I. L. Chuang, *Quantum Computation and Quantum Information* (Cambridge, 2000), section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import cos, sin, sqrt

import numpy as np

from physlab.tools.types import Array

GATES: dict[str, Array] = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]).astype(complex),
    "H": np.array([[1, 1], [1, -1]], dtype=complex) / sqrt(2),
    "S": np.diag([1, 1j]),
    "T": np.diag([1, np.exp(0.25j * np.pi)]),
    "SX": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "CNOT": np.eye(4, dtype=complex)[[0, 1, 3, 2]],
    "CZ": np.diag([1, 1, 1, -1]).astype(complex),
    "SWAP": np.eye(4, dtype=complex)[[0, 2, 1, 3]],
    "TOFFOLI": np.eye(8, dtype=complex)[[0, 1, 2, 3, 4, 5, 7, 6]],
}


def _turn(axis: str) -> Callable[[float], Array]:
    """Return exp(−iθσ/2) as a function of θ [rad]."""
    return lambda theta: np.asarray(cos(theta / 2) * GATES["I"] - 1j * sin(theta / 2) * GATES[axis])


TURNS: dict[str, Callable[[float], Array]] = {
    "RX": _turn("X"),
    "RY": _turn("Y"),
    "RZ": _turn("Z"),
    "PHASE": lambda phi: np.diag([1, np.exp(1j * phi)]),
}
SPELLINGS = {
    "CX": "CNOT", "CCX": "TOFFOLI", "CCNOT": "TOFFOLI", "HADAMARD": "H", "NOT": "X", "ID": "I", "P": "PHASE",
    "PAULI_X": "X", "PAULI_Y": "Y", "PAULI_Z": "Z", "SIGMA_X": "X", "SIGMA_Y": "Y", "SIGMA_Z": "Z",
}  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """One step of a circuit.

    Attributes:
        name: Of `GATES` or `TURNS`, or a name to draw when `matrix` is given.
        qubits: What it acts on, in the order of its matrix.
        angle: Of a gate in `TURNS` [rad].
        matrix: Its own matrix (2^k, 2^k), when the name is not in the tables.
    """

    name: str
    qubits: tuple[int, ...]
    angle: float | None = None
    matrix: Array | None = None

    @property
    def unitary(self) -> Array:
        """The matrix, shape (2^k, 2^k) for k qubits."""
        if self.matrix is not None:
            return self.matrix
        return GATES[self.name] if self.angle is None else TURNS[self.name](self.angle)

    def __str__(self) -> str:
        angle = "" if self.angle is None else f"({self.angle:.6g})"
        return f"{self.name}{angle} {','.join(map(str, self.qubits))}"


def apply(matrix: Array, state: Array, qubits: tuple[int, ...]) -> Array:
    """Return the state after a gate.

    Args:
        matrix: Shape (2^k, 2^k).
        state: Shape (2^n,).
        qubits: The k qubits it acts on.
    """
    count, k = int(state.size).bit_length() - 1, len(qubits)
    if k == 1:  # the common case, without moving axes
        halves = state.reshape(2 ** qubits[0], 2, -1)
        zero, one = halves[:, 0], halves[:, 1]
        turned = (matrix[0, 0] * zero + matrix[0, 1] * one, matrix[1, 0] * zero + matrix[1, 1] * one)
        return np.stack(turned, axis=1).reshape(-1)
    tensor = np.moveaxis(state.reshape((2,) * count), qubits, range(k))
    moved = (matrix @ tensor.reshape(2**k, -1)).reshape(tensor.shape)
    return np.ascontiguousarray(np.moveaxis(moved, range(k), qubits)).reshape(-1)


@dataclass(frozen=True)
class Circuit:
    """Gates on some qubits, from left to right."""

    qubits: int
    gates: tuple[Gate, ...]

    def run(self, state: Array | None = None) -> Array:
        """Return the state that the circuit makes of |0…0⟩ or of another one, shape (2^n,)."""
        result = basis_state(0, self.qubits) if state is None else np.asarray(state, dtype=complex)
        for gate in self.gates:
            result = apply(gate.unitary, result, gate.qubits)
        return result

    @property
    def columns(self) -> list[list[Gate]]:
        """Gates that can act at once, column by column; a gate covers the wires between its qubits, too."""
        free, columns = [0] * self.qubits, list[list[Gate]]()
        for gate in self.gates:
            wires = range(min(gate.qubits), max(gate.qubits) + 1)
            place = max(free[wire] for wire in wires)
            if place == len(columns):
                columns.append([])
            columns[place].append(gate)
            for wire in wires:
                free[wire] = place + 1
        return columns

    @property
    def depth(self) -> int:
        """How many gates stand one after the other at most."""
        last = [0] * self.qubits
        for gate in self.gates:
            after = 1 + max(last[qubit] for qubit in gate.qubits)
            for qubit in gate.qubits:
                last[qubit] = after
        return max(last, default=0)

    def __str__(self) -> str:
        return "; ".join(map(str, self.gates))


def basis_state(index: int, qubits: int) -> Array:
    """Return one state of the computational basis, shape (2^n,)."""
    state = np.zeros(2**qubits, dtype=complex)
    state[index] = 1
    return state


def embed(matrix: Array, qubits: tuple[int, ...], count: int) -> Array:
    """Return a gate as a matrix on all qubits, shape (2^n, 2^n)."""
    columns = [apply(matrix, column, qubits) for column in np.eye(2**count, dtype=complex)]
    return np.array(columns).T


def labels(dimension: int) -> list[str]:
    """Return the names of the basis states: bits for qubits, numbers for other dimensions."""
    bits = dimension.bit_length() - 1
    if dimension == 2**bits:
        return [f"{index:0{bits}b}" for index in range(dimension)]
    return [str(index) for index in range(dimension)]


def reduced(state: Array, qubits: Iterable[int]) -> Array:
    """Return the density matrix of some qubits of a pure state, shape (2^k, 2^k)."""
    kept = tuple(qubits)
    count = int(state.size).bit_length() - 1
    tensor = np.moveaxis(state.reshape((2,) * count), kept, range(len(kept))).reshape(2 ** len(kept), -1)
    return np.asarray(tensor @ tensor.conj().T)


def bloch_vector(density: Array) -> Array:
    """Return (⟨X⟩, ⟨Y⟩, ⟨Z⟩) of one qubit's density matrix."""
    return np.array([float(np.trace(density @ GATES[axis]).real) for axis in "XYZ"])


def entropy(density: Array) -> float:
    """Return the von Neumann entropy −Tr ρ log₂ρ [bit]."""
    values = np.linalg.eigvalsh(density)
    values = values[values > 1e-15]
    return float(abs(-(values * np.log2(values)).sum()))


def prepare(state: Array) -> Circuit:
    """Return a circuit of RY, RZ and CNOT that makes a state of |0…0⟩, up to a global phase.

    Source: M. Möttönen et al., "Transformation of quantum states using uniformly controlled rotations", Quantum Inf.
    Comput. 5, 467 (2005): the qubits are disentangled from the last to the first, and the steps turned around.

    Args:
        state: Normalised amplitudes, shape (2^n,).
    """
    count = int(state.size).bit_length() - 1
    rest, undo = np.asarray(state, dtype=complex), list[list[Gate]]()
    for target in reversed(range(count)):
        low, high = rest.reshape(-1, 2).T
        weight = np.hypot(np.abs(low), np.abs(high))
        theta = 2 * np.arctan2(np.abs(high), np.abs(low))
        phase_low = np.where(np.abs(low) > 1e-14, np.angle(low), np.angle(high))
        phase_high = np.where(np.abs(high) > 1e-14, np.angle(high), np.angle(low))
        controls = tuple(range(target))
        undo.append(
            [*_controlled("RY", theta, controls, target), *_controlled("RZ", phase_high - phase_low, controls, target)]
        )
        rest = weight * np.exp(0.5j * (phase_low + phase_high))
    return Circuit(count, tuple(gate for step in reversed(undo) for gate in step))


def _controlled(name: str, angles: Array, controls: tuple[int, ...], target: int) -> list[Gate]:
    """Return a rotation whose angle depends on the controls, one angle for each of their basis states."""
    if np.abs(angles).max() < 1e-12:
        return []
    if np.ptp(angles) < 1e-12 or not controls:
        return [Gate(name, (target,), float(angles[0]))]
    even, odd = np.split(angles, 2)  # the first control is 0, or 1
    mean, half = (even + odd) / 2, (even - odd) / 2
    link = Gate("CNOT", (controls[0], target))
    first, second = _controlled(name, mean, controls[1:], target), _controlled(name, half, controls[1:], target)
    return [*first, link, *second, link]
