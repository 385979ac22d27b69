"""Algebra of operators: their matrices, and what two of them have to do with each other."""

from __future__ import annotations

from math import pi, sqrt
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from physlab.errors import ValidationError
from physlab.tools.context import Context
from physlab.tools.quantum.operator_names import read_operator
from physlab.tools.quantum.operators import Space, build, is_hermitian, is_unitary, trim
from physlab.tools.quantum.params import lift_spellings
from physlab.tools.registry import Port
from physlab.tools.types import Array, Params

PORTS = (
    Port("task", "text"),
    Port("operators", "list", None, "The operators as they were written."),
    Port("dimension", "number", None, "Dimension of the returned matrices."),
    Port("truncated", "boolean", None, "True when an oscillator was cut at its lowest levels; elements are exact."),
    Port("basis", "text", None, "What the rows stand for."),
    Port("commutator", "array", None, "AB − BA."),
    Port("anticommutator", "array", None, "AB + BA."),
    Port("commutator_norm", "number", None, "Frobenius norm of the commutator."),
    Port("commute", "boolean", None, "True when the commutator vanishes to 1e-12 of the operators' norms."),
    Port("matrices", "object", None, "Matrix of each operator, by its text."),
    Port("matrix", "array", None, "Matrix of the first operator."),
    Port("properties", "object", None, "Of each operator: {unitary, hermitian, trace}; eigenvalues for finite spaces."),
)


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class OpsParams(Params):
    """Operators, and what to do with them."""

    operators: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = Field(
        min_length=1,
        max_length=32,
        description="Such as X, sigma_x, CNOT, X*Z, X ⊗ Z, Z0*Z1 + 0.5*X0, a_dag*a, x*p.",
    )
    task: Literal["commutator", "matrix_rep"] = Field("matrix_rep", description="commutator (of two) or matrix_rep.")
    dimension: int = Field(10, ge=2, description="Oscillator (a, a_dag, n, x, p): how many levels are kept.")
    hbar: float = Field(1.0, gt=0, description="The reduced Planck constant in your units.")
    mass: float = Field(1.0, gt=0, description="Oscillator: mass, the scale of x and p.")
    omega: float = Field(1.0, gt=0, description="Oscillator: angular frequency, the scale of x and p.")
    phase: float = Field(pi / 2, description="Angle of a PHASE without its own [rad]; pi/2 makes it S.")
    vars: dict[str, float] = Field({}, description="Values of other names in the operators.")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        return lift_spellings(data, {"n_levels": "dimension", "m": "mass"})

    @model_validator(mode="after")
    def _count(self) -> OpsParams:
        if self.task == "commutator" and len(self.operators) != 2:
            raise ValueError(f"a commutator is of two operators, not of {len(self.operators)}")
        return self


def operate(params: OpsParams, context: Context) -> dict[str, Any]:
    """Return matrices of operators, or the commutator of two."""
    values = {**params.vars, "hbar": params.hbar}
    readings = [read_operator(text, values) for text in params.operators]
    if params.task == "matrix_rep":  # each one on its own space
        built = [build([reading], _space(params, context, values))[0] for reading in readings]
    else:
        built = build(readings, _space(params, context, values))
        if len({operator.spaces for operator in built}) > 1:
            sizes = " and ".join(str(len(trim(operator, params.dimension))) for operator in built)
            raise ValidationError(
                f"{params.operators[0]!r} and {params.operators[1]!r} act on different spaces (dimensions {sizes}).",
                hint="Say on which qubits: X0 and Z0*Z1, or X ⊗ I and Z ⊗ Z.",
            )
    matrices = [trim(operator, params.dimension) for operator in built]
    truncated = any(size < 0 for operator in built for size in operator.spaces)
    context.meta.update(dtype="complex128")
    fields: dict[str, Any] = {
        "task": params.task, "operators": list(params.operators), "truncated": truncated,
        "basis": _basis(built[0].spaces, params.dimension),
    }  # fmt: skip
    if params.task == "commutator":
        a, b = built[0].matrix, built[1].matrix
        found, other = (
            trim(type(built[0])(matrix, built[0].spaces), params.dimension) for matrix in (a @ b - b @ a, a @ b + b @ a)
        )
        size = float(np.linalg.norm(matrices[0]) * np.linalg.norm(matrices[1]))
        norm = float(np.linalg.norm(found))
        fields |= {
            "commutator": found,
            "anticommutator": other,
            "commutator_norm": norm,
            "commute": norm <= 1e-12 * size,
        }
    else:
        fields["matrices"] = dict(zip(params.operators, matrices, strict=True))
        fields["properties"] = {
            text: _properties(matrix, all(size > 0 for size in operator.spaces))
            for text, matrix, operator in zip(params.operators, matrices, built, strict=True)
        }
        fields["matrix"] = matrices[0]
    return fields | {"dimension": len(matrices[0])}


def _space(params: OpsParams, context: Context, values: dict[str, float]) -> Space:
    def admit(dimension: int) -> None:
        context.enforce("dimension", dimension, "the dimension of the operators")

    return Space(
        params.dimension, values, params.phase, sqrt(params.hbar / (2 * params.mass * params.omega)),
        sqrt(params.hbar * params.mass * params.omega / 2), admit=admit,
    )  # fmt: skip


def _basis(spaces: tuple[int, ...], levels: int) -> str:
    parts = [f"oscillator levels 0 to {levels - 1}" if size < 0 else "|0>, |1>" for size in spaces]
    if all(size > 0 for size in spaces):
        return "|0>, |1>" if len(spaces) == 1 else f"|{'0' * len(spaces)}> to |{'1' * len(spaces)}>, qubit 0 leftmost"
    return " ⊗ ".join(parts)


def _properties(matrix: Array, finite: bool) -> dict[str, Any]:
    hermitian, trace = is_hermitian(matrix), complex(np.trace(matrix))
    found: dict[str, Any] = {
        "unitary": is_unitary(matrix), "hermitian": hermitian, "trace": {"real": trace.real, "imag": trace.imag},
    }  # fmt: skip
    if finite:
        found["eigenvalues"] = np.linalg.eigvalsh(matrix) if hermitian else np.linalg.eigvals(matrix)
    return found
