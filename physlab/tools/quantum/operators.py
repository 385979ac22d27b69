"""Operators as people write them (`X*Z`, `Z0*Z1 + 0.5*X0`, `X ⊗ a_dag`, `x*p - p*x`) as matrices.

Qubit operators are exact. Operators of the harmonic oscillator (a, a_dag, n, x, p) have infinite matrices; products are
formed in a space that is larger by as many levels as the expression can climb, and cut afterwards, so that every
element returned is the exact one: [a, a_dag] is the identity and not the identity with one wrong corner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod, sqrt
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.expressions import Constant, Name, Number
from physlab.expressions.tree import TABLE, Leaf, constant_value
from physlab.tools.quantum.operator_names import FLIPS, JOINED, LADDER, OSCILLATOR, PAULI, SITE, Reading
from physlab.tools.quantum.qubits import GATES, SPELLINGS, TURNS, embed
from physlab.tools.types import Array

_EXACT = 1e-12


@dataclass(frozen=True)
class Operator:
    """A matrix and the spaces that it acts on.

    Attributes:
        matrix: Shape (dimension, dimension).
        spaces: Dimension of each factor; negative for an oscillator's.
    """

    matrix: Array
    spaces: tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """What operators act on.

    Attributes:
        dimension: Levels of an oscillator that are kept.
        values: Numbers that the expressions may name.
        phase: Angle of a bare PHASE [rad].
        scale_x: √(ħ/2mω).
        scale_p: √(ħmω/2).
        sites: Qubits, when operators name theirs (`X0`); 0 otherwise.
        padding: Levels added while products are formed.
        oscillator_only: True when `I` is the identity of an oscillator.
        admit: Refuses a dimension that is too large.
    """

    dimension: int = 10
    values: Mapping[str, float] = field(default_factory=dict)
    phase: float = np.pi / 2
    scale_x: float = sqrt(0.5)
    scale_p: float = sqrt(0.5)
    sites: int = 0
    padding: int = 0
    oscillator_only: bool = False
    admit: Callable[[int], None] = lambda dimension: None


def build(readings: list[Reading], space: Space) -> list[Operator]:
    """Return expressions as matrices on one common space.

    Raises:
        ValidationError: They do not fit together.
    """
    kinds = frozenset().union(*(reading.kinds for reading in readings))
    sites = max(reading.sites for reading in readings)
    if sites and "ladder" in kinds:
        raise ValidationError("Numbered qubits and oscillators do not mix.", hint="Write tensor products: X ⊗ a.")
    space = replace(
        space,
        sites=max(sites, space.sites),
        padding=sum(reading.climb for reading in readings),
        oscillator_only="ladder" in kinds and kinds <= {"ladder", "identity"},
    )
    space.admit(2**space.sites)
    space.admit(space.dimension + space.padding if "ladder" in kinds else 0)
    return [_Builder(reading, space).operator() for reading in readings]


def trim(operator: Operator, dimension: int) -> Array:
    """Return the matrix with only the lowest levels of each oscillator."""
    shape = [abs(size) for size in operator.spaces]
    kept = [slice(dimension) if size < 0 else slice(None) for size in operator.spaces]
    size = prod(min(dimension, -k) if k < 0 else k for k in operator.spaces)
    return operator.matrix.reshape(*shape, *shape)[(*kept, *kept)].reshape(size, size)


def is_hermitian(matrix: Array) -> bool:
    """Say whether M = M† to 1e-12 of its norm."""
    return bool(np.linalg.norm(matrix - matrix.conj().T) <= _EXACT * max(float(np.linalg.norm(matrix)), 1e-300))


def is_unitary(matrix: Array) -> bool:
    """Say whether M†M = 1 to 1e-12 in each element."""
    return bool(np.abs(matrix.conj().T @ matrix - np.eye(len(matrix))).max() <= _EXACT)


class _Builder:
    """Reads one expression into a matrix."""

    def __init__(self, reading: Reading, space: Space) -> None:
        self.reading, self.space = reading, space

    def refuse(self, what: str, hint: str) -> ValidationError:
        return ValidationError(f"The operator {self.reading.text!r} {what}.", hint=hint)

    def operator(self) -> Operator:
        found = self.reading.expression.fold(self.leaf, self.apply)
        if not isinstance(found, Operator):
            found = self.scaled(self.identity(), found)
        if not np.isfinite(found.matrix).all():
            raise self.refuse("has elements that are not finite", "Check its coefficients.")
        return found

    def identity(self) -> Operator:
        if self.space.sites:
            return Operator(np.eye(2**self.space.sites, dtype=complex), (2,) * self.space.sites)
        if self.space.oscillator_only:
            size = self.space.dimension + self.space.padding
            return Operator(np.eye(size, dtype=complex), (-size,))
        return Operator(GATES["I"], (2,))

    def leaf(self, node: Leaf) -> Operator | complex:
        if not isinstance(node, Name):
            if isinstance(node, Number | Constant):
                return constant_value(node)
            raise self.refuse("holds a condition", "Use numbers and operators.")
        name = node.name
        if name in self.space.values:
            return complex(self.space.values[name])
        if name == "I":
            return self.identity()
        if site := SITE.fullmatch(name):
            matrix = FLIPS[site[1]] if site[1] in FLIPS else GATES[site[1]]
            return self.on(matrix, (int(site[2]),))
        if pauli := PAULI.fullmatch(name):
            matrix = GATES[pauli[1].upper()]
            return self.on(matrix, (int(pauli[2]),)) if pauli[2] else self.bare(matrix, name)
        ladder = OSCILLATOR.get(name, name)
        if ladder in LADDER:
            return self.ladder(ladder)
        gate = SPELLINGS.get(name.upper(), name)
        if gate in GATES or name in FLIPS or name == "PHASE":
            known = {**GATES, **FLIPS, "PHASE": TURNS["PHASE"](self.space.phase)}
            return self.bare(known[gate], name)
        result = Operator(np.ones((1, 1), dtype=complex), ())
        for letter in name:
            result = Operator(np.kron(result.matrix, GATES[letter]), (*result.spaces, 2))
        return self.bare(result.matrix, name)

    def on(self, matrix: Array, qubits: tuple[int, ...]) -> Operator:
        return Operator(embed(matrix, qubits, self.space.sites), (2,) * self.space.sites)

    def bare(self, matrix: Array, name: str) -> Operator:
        count = len(matrix).bit_length() - 1
        if self.space.sites not in (0, count):
            raise self.refuse(
                f"has {name} without its qubit beside numbered ones",
                f"Write {name}0, or {name}(0) with the qubit's number.",
            )
        return Operator(matrix, (2,) * count)

    def ladder(self, name: str) -> Operator:
        size = self.space.dimension + self.space.padding
        lower = np.diag(np.sqrt(np.arange(1.0, size)), 1).astype(complex)
        upper = lower.T
        matrix = {
            "a": lower, "a_dag": upper, "n": np.diag(np.arange(size)).astype(complex),
            "x": self.space.scale_x * (lower + upper), "p": 1j * self.space.scale_p * (upper - lower),
        }[name]  # fmt: skip
        return Operator(matrix, (-size,))

    def scaled(self, operator: Operator, number: complex) -> Operator:
        return Operator(operator.matrix * number, operator.spaces)

    def apply(self, sign: str, args: list[Operator | complex]) -> Operator | complex:
        if sign in GATES or sign in TURNS or sign in SPELLINGS:
            return self.gate(SPELLINGS.get(sign, sign), args)
        operation = JOINED.get(sign, sign)
        if not any(isinstance(arg, Operator) for arg in args) and operation in TABLE and operation != "%":
            return complex(TABLE[operation].numeric(*args))
        if operation not in _OPERATIONS:
            raise self.refuse(f"takes {sign} of an operator", f"Known are + - * ^ ⊗, {', '.join(sorted(JOINED))}, exp.")
        return _OPERATIONS[operation](self, args)

    def gate(self, name: str, args: list[Any]) -> Operator:
        if name in TURNS:
            if abs(complex(args[0]).imag) > 0:
                raise self.refuse(f"turns by {args[0]}, which is not real", "Give an angle in radians.")
            matrix, qubits = TURNS[name](float(args[0].real)), tuple(round(arg.real) for arg in args[1:])
            return self.on(matrix, qubits) if qubits else self.bare(matrix, name)
        return self.on(GATES[name], tuple(round(arg.real) for arg in args))

    def add(self, args: list[Any]) -> Operator:
        model = next(arg for arg in args if isinstance(arg, Operator))
        size = np.eye(len(model.matrix))
        terms = [arg if isinstance(arg, Operator) else Operator(arg * size, model.spaces) for arg in args]
        self.fit(terms, "adds")
        return Operator(np.sum([term.matrix for term in terms], axis=0), model.spaces)

    def fit(self, operators: list[Operator], verb: str) -> None:
        sizes = {operator.spaces for operator in operators}
        if len(sizes) > 1:
            shown = " and ".join(sorted("×".join("N" if k < 0 else str(k) for k in spaces) for spaces in sizes))
            raise self.refuse(
                f"{verb} operators on different spaces ({shown})",
                "Join spaces by ⊗, and put parentheses: (X ⊗ I)*(I ⊗ Z).",
            )

    def multiply(self, args: list[Any]) -> Operator:
        self.fit([arg for arg in args if isinstance(arg, Operator)], "multiplies")
        result: Any = 1.0 + 0j
        for arg in args:
            if isinstance(result, Operator) and isinstance(arg, Operator):
                result = Operator(result.matrix @ arg.matrix, result.spaces)
            elif isinstance(arg, Operator):
                result = self.scaled(arg, result)
            else:
                result = self.scaled(result, arg) if isinstance(result, Operator) else result * arg
        return result  # type: ignore[no-any-return]

    def tensor(self, args: list[Any]) -> Operator:
        result = Operator(np.ones((1, 1), dtype=complex), ())
        for arg in args:
            if isinstance(arg, Operator):
                self.space.admit(len(result.matrix) * len(arg.matrix))
                result = Operator(np.kron(result.matrix, arg.matrix), (*result.spaces, *arg.spaces))
            else:
                result = self.scaled(result, arg)
        return result

    def divide(self, args: list[Any]) -> Operator:
        if isinstance(args[1], Operator) or args[1] == 0:
            raise self.refuse("divides by an operator or by zero", "Multiply by the inverse, written X^(-1).")
        return self.scaled(args[0], 1 / args[1])

    def power(self, args: list[Any]) -> Operator:
        base, exponent = args
        if isinstance(exponent, Operator) or not isinstance(base, Operator):
            raise self.refuse("has an operator as an exponent", "Write exp(…).")
        whole = round(exponent.real)
        if exponent != whole or (whole < 0 and any(size < 0 for size in base.spaces)):
            raise self.refuse(f"has the power {exponent.real:g}", "Powers are whole, and not negative for oscillators.")
        try:
            return Operator(np.linalg.matrix_power(base.matrix, whole), base.spaces)
        except np.linalg.LinAlgError as error:
            raise self.refuse("inverts an operator that has no inverse", "Drop the negative power.") from error

    def dag(self, args: list[Any]) -> Operator:
        self.count(args, 1, "dag")
        return Operator(args[0].matrix.conj().T, args[0].spaces)

    def count(self, args: list[Any], wanted: int, name: str) -> None:
        if len(args) != wanted or not all(isinstance(arg, Operator) for arg in args):
            raise self.refuse(
                f"gives {name} other arguments than {wanted} operator(s)",
                f"Write {name}({'X, Z'[: 4 if wanted > 1 else 1]}).",
            )

    def bracket(self, args: list[Any], sign: int) -> Operator:
        self.count(args, 2, "commutator" if sign < 0 else "anticommutator")
        self.fit(args, "compares")
        a, b = args[0].matrix, args[1].matrix
        return Operator(a @ b + sign * (b @ a), args[0].spaces)

    def exponential(self, args: list[Any]) -> Operator:
        from scipy.linalg import expm

        if any(size < 0 for size in args[0].spaces):
            raise self.refuse("takes exp of an oscillator's operator", "A finite matrix cannot hold it; expand it.")
        return Operator(expm(args[0].matrix), args[0].spaces)


_OPERATIONS: dict[str, Callable[[_Builder, list[Any]], Operator]] = {
    "+": _Builder.add,
    "*": _Builder.multiply,
    "%": _Builder.tensor,
    "/": _Builder.divide,
    "**": _Builder.power,
    "neg": lambda builder, args: builder.scaled(args[0], -1),
    "dag": _Builder.dag,
    "commutator": lambda builder, args: builder.bracket(args, -1),
    "anticommutator": lambda builder, args: builder.bracket(args, 1),
    "exp": _Builder.exponential,
}
