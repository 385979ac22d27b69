# ruff: noqa: E741  — l is the orbital quantum number
"""The parameters of the quantum tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from physlab.errors import PhysicsError, ValidationError
from physlab.tools.quantum.hydrogen import PROTON_ME, Atom, check_numbers
from physlab.tools.types import VisualParams, quantity

COMMON = frozenset({"problem", "dpi", *VisualParams.model_fields})
BELONGS: dict[str, frozenset[str]] = {
    "hydrogen": frozenset(
        {"n", "samples", "l", "m", "Z", "reduced_mass", "nuclear_mass", "r_max", "density_samples", "density_extent"}
    ),
    "sho": frozenset({"n", "samples", "n_max", "omega", "mass", "hbar"}),
    "particle_in_box": frozenset({"n", "samples", "n_max", "length", "mass", "hbar"}),
    "custom": frozenset(
        {"hamiltonian", "vars", "n", "n_max", "x_min", "x_max", "grid_points", "dimension", "num_qubits", "mass",
         "hbar", "omega"}
    ),
    "bell_state": frozenset({"bell", "num_qubits"}),
    "teleportation": frozenset({"state", "num_qubits"}),
    "grover": frozenset({"num_qubits", "marked_item", "iterations"}),
    "vqe": frozenset({"num_qubits", "max_iterations", "bond_length", "hamiltonian", "vars", "layers"}),
    "qaoa": frozenset({"num_qubits", "max_iterations", "p_layers", "edges"}),
}  # fmt: skip
SUPERPOSITION = "hydrogen_superposition"  # another name of hydrogen for evolve
LOWEST = {"hydrogen": 1, "sho": 0, "particle_in_box": 1, "custom": 0}
RENAMED = {
    "sho": {"m": "mass"},
    "particle_in_box": {"m": "mass", "L": "length"},
    "custom": {"m": "mass", "L": "length"},
    "grover": {"n": "num_qubits", "n_qubits": "num_qubits"},
    "vqe": {"n": "num_qubits", "n_qubits": "num_qubits"},
    "qaoa": {"n": "num_qubits", "n_qubits": "num_qubits", "p": "p_layers"},
}
FIXED_QUBITS = {"bell_state": 2, "teleportation": 3}


def merge_nested(data: Any) -> Any:
    """Lift the documented nested `params` object to the flat fields."""
    if not isinstance(data, Mapping) or not isinstance(data.get("params"), Mapping):
        return data
    flat = {key: value for key, value in data.items() if key != "params"}
    if clash := sorted(set(flat) & set(data["params"])):
        raise ValidationError(f"'{clash[0]}' stands both beside and inside 'params'.", hint="Give it once.")
    return {**flat, **data["params"]}


def rename(data: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return parameters with other names of them replaced."""
    fields = dict(data)
    for old, new in renamed.items():
        if fields.get(old):  # a magnetic quantum number of 0 is the default, not a mass
            if fields.get(new) is not None:
                raise ValidationError(f"'{old}' and '{new}' mean the same.", hint="Give one of them.")
            fields[new] = fields.pop(old)
    return fields


def lift_spellings(data: Any, renamed: Mapping[str, str]) -> Any:
    """Lift a nested `params` object and replace other names."""
    data = merge_nested(data)
    return rename(data, renamed) if isinstance(data, Mapping) else data


class AtomParams(VisualParams):
    """A nucleus and one electron."""

    Z: float = Field(1.0, gt=0, le=1000, description="hydrogen: charge of the nucleus [e].")
    reduced_mass: bool = Field(False, description="hydrogen: let the nucleus move; otherwise its mass is infinite.")
    nuclear_mass: float | None = Field(
        None, gt=0, description="hydrogen: mass of the nucleus [electron masses]; the proton for Z = 1."
    )

    def atom(self) -> Atom:
        """Return the atom that is meant."""
        if not self.reduced_mass:
            return Atom(self.Z)
        nucleus = self.nuclear_mass or PROTON_ME
        return Atom(self.Z, nucleus / (nucleus + 1))

    @model_validator(mode="after")
    def _nucleus(self) -> AtomParams:
        if self.reduced_mass and self.Z != 1 and self.nuclear_mass is None:
            raise ValueError(f"reduced_mass needs nuclear_mass [electron masses] when Z = {self.Z:g}, not 1")
        if self.nuclear_mass is not None and not self.reduced_mass:
            raise ValueError("nuclear_mass is used only with reduced_mass: true")
        return self


class SolveParams(AtomParams):
    """Which bound states to find; the fields may also stand in a nested `params` object."""

    problem: Literal[
        "hydrogen", "sho", "particle_in_box", "custom", "bell_state", "teleportation", "grover", "vqe", "qaoa"
    ] = Field(
        description="hydrogen, sho (harmonic oscillator), particle_in_box, custom (your hamiltonian), bell_state,"
        " teleportation, grover, vqe or qaoa."
    )
    n: int | None = Field(
        None, validate_default=True, description="The state returned as psi; default: the ground state."
    )
    l: int = Field(0, description="hydrogen: orbital quantum number, 0 … n − 1.")
    m: int = Field(0, description="hydrogen: magnetic quantum number, −l … l (sho, box: another name of mass).")
    r_max: float | None = Field(None, gt=0, description="hydrogen: end of the radial grid [a_0].")
    samples: int = Field(1000, ge=10, description="Points of each wave function.")
    density_samples: int = Field(151, ge=11, description="hydrogen: points per axis of the density map.")
    density_extent: float | None = Field(None, gt=0, description="hydrogen: the map reaches from −this to this [a_0].")
    n_max: int | None = Field(
        None,
        ge=0,
        le=500,
        description="sho, box, custom: highest level (defaults 10, 5, 9); n_levels counts them instead.",
    )
    omega: float = Field(1.0, gt=0, description="sho, custom: angular frequency.")
    length: float | None = Field(
        None, gt=0, description="particle_in_box: width L, 1 by default (custom: x from −L/2 to L/2)."
    )
    mass: float = Field(1.0, gt=0, description="sho, box, custom: mass of the particle.")
    hbar: float = Field(1.0, gt=0, description="sho, box, custom: the reduced Planck constant in your units.")
    hamiltonian: Any = Field(
        None,
        description="custom, vqe: in x and p (`p^2/2 + x^4`, also m, hbar, omega), Pauli operators (`Z0*Z1 + 0.5*X0`),"
        " ladder operators with dimension (`a_dag*a`), or (custom) a matrix as nested lists.",
    )
    vars: dict[str, float] = Field({}, description="custom, vqe: values of other names in the Hamiltonian.")
    x_min: float | None = Field(None, description="custom: left end of the grid; found by itself otherwise.")
    x_max: float | None = Field(None, description="custom: right end of the grid.")
    grid_points: int | None = Field(None, ge=17, description="custom: points of the grid (with x_min) or at most.")
    dimension: int | None = Field(None, ge=2, description="custom: oscillator levels for a, a_dag, n, x, p.")
    num_qubits: int | None = Field(
        None, ge=1, description="Qubits (grover: 2, qaoa: 4 by default; those of a Hamiltonian otherwise)."
    )
    bell: Literal["phi+", "phi-", "psi+", "psi-"] = Field("phi+", description="bell_state: which of the four.")
    state: Any = Field(None, description="teleportation: the state to send, such as `|0> + i|1>`; default: random.")
    marked_item: int | tuple[int, ...] | str = Field(
        1, description="grover: what is searched: index, bits, or several."
    )
    iterations: int | None = Field(None, ge=0, le=10_000, description="grover: default: the best number.")
    max_iterations: int = Field(200, ge=1, le=2000, description="vqe, qaoa: steps of the optimiser at most.")
    bond_length: quantity("angstrom") = Field(  # type: ignore[valid-type]
        0.735, ge=0.2, le=5.0, description="vqe without hamiltonian: distance of the nuclei of H2 [Å]."
    )
    layers: int = Field(2, ge=1, le=10, description="vqe with hamiltonian: layers of the ansatz.")
    p_layers: int = Field(1, ge=1, le=10, description="qaoa: layers p.")
    edges: tuple[tuple[int, int], ...] | None = Field(
        None, min_length=1, description="qaoa: the graph as pairs of nodes; default: a ring of num_qubits."
    )
    dpi: int = Field(150, ge=50, le=600, description="Resolution of the PNG [pixels per inch].")

    @property
    def level(self) -> int:
        """The quantum number n that is meant."""
        return LOWEST[self.problem] if self.n is None else self.n

    @property
    def count(self) -> int:
        """How many levels of a custom Hamiltonian are meant."""
        return 10 if self.n_max is None else self.n_max + 1

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        data = merge_nested(data)
        if isinstance(data, Mapping) and data.get("problem") == SUPERPOSITION:
            raise ValidationError(f"'{SUPERPOSITION}' moves.", hint="Use the action 'evolve', with 'superposition'.")
        if not isinstance(data, Mapping) or data.get("problem") not in BELONGS:
            return data
        problem = data["problem"]
        fields = rename(data, RENAMED.get(problem, {}))
        if problem == "custom" and isinstance(fields.get("length"), int | float):
            if fields.get("x_min") is not None or fields.get("x_max") is not None:
                raise ValidationError(
                    "'L' and 'x_min', 'x_max' all say where the grid ends.", hint="Give L or the ends."
                )
            half = fields.pop("length") / 2
            fields |= {"x_min": -half, "x_max": half}
        if problem in LOWEST and problem != "hydrogen" and isinstance(fields.get("n_levels"), int):
            if fields.get("n_max") is not None:
                raise ValidationError("'n_levels' and 'n_max' both say how many levels.", hint="Give one.")
            fields["n_max"] = fields.pop("n_levels") - 1 + LOWEST[problem]
        return fields

    @field_validator("n")
    @classmethod
    def _level(cls, n: int | None, info: ValidationInfo) -> int | None:
        problem = info.data.get("problem")
        if problem is None:
            return n
        if problem not in LOWEST:
            return n
        n = LOWEST[problem] if n is None else n
        if problem == "hydrogen":
            check_numbers(n)
            if n > 100:
                raise ValueError("hydrogen is solved up to n = 100")
        elif n < LOWEST[problem]:
            raise PhysicsError(f"no state of {problem} lies below n = {LOWEST[problem]}.")
        elif n > 500:
            raise ValueError(f"{problem} is solved up to n = 500")
        return n

    @field_validator("l", "m")
    @classmethod
    def _numbers(cls, value: int, info: ValidationInfo) -> int:
        n = info.data.get("n")
        if info.data.get("problem") == "hydrogen" and n is not None:
            if info.field_name == "l":
                check_numbers(n, value)
            elif "l" in info.data:
                check_numbers(n, info.data["l"], value)
        return value

    @model_validator(mode="after")
    def _belonging(self) -> SolveParams:
        fields = type(self).model_fields
        accepted = COMMON | BELONGS[self.problem]
        strange = [
            name for name in fields if name not in accepted and not _same(getattr(self, name), fields[name].default)
        ]
        if strange:
            named = ", ".join(sorted(accepted - COMMON))
            raise ValueError(f"{', '.join(strange)} means nothing to {self.problem}, which takes {named}")
        return self

    @model_validator(mode="after")
    def _complete(self) -> SolveParams:
        if self.problem == "custom":
            if self.hamiltonian is None:
                raise ValueError(
                    "custom needs hamiltonian, for instance p^2/2 + x^4/4, Z0*Z1 + 0.5*X0 or [[1, 0], [0, -1]]"
                )
            if (self.x_min is None) != (self.x_max is None):
                raise ValueError("x_min and x_max belong together")
            if self.x_min is not None and self.x_max is not None and not self.x_min < self.x_max:
                raise ValueError(f"the grid from {self.x_min:g} to {self.x_max:g} is empty")
        fixed = FIXED_QUBITS.get(self.problem)
        if fixed and self.num_qubits not in (None, fixed):
            raise ValueError(f"{self.problem} has {fixed} qubits, not {self.num_qubits}")
        return self


def _same(value: Any, default: Any) -> bool:
    """Say whether a parameter was left at its default."""
    return value is default or (isinstance(value, str | int | float | tuple | dict) and value == default)


class Component(BaseModel):
    """One stationary state of a superposition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(description="Principal quantum number, 1 … 10.")
    l: int = Field(0, description="Orbital quantum number.")
    m: int = Field(0, description="Magnetic quantum number.")
    amplitude: float = Field(1.0, description="Real amplitude; all of them are normalised together.")
    phase: float = Field(0.0, description="Phase of the amplitude [rad].")

    @model_validator(mode="after")
    def _exists(self) -> Component:
        check_numbers(self.n, self.l, self.m)
        if self.n > 10:
            raise ValueError(f"n = {self.n}: superpositions go up to n = 10")
        return self


class EvolveParams(AtomParams):
    """A superposition of hydrogen states, and how long to watch it."""

    problem: Literal["hydrogen"] = Field("hydrogen", description="hydrogen.")
    superposition: tuple[Component, ...] = Field(
        (Component(n=1), Component(n=2, l=1)),
        max_length=12,
        description="States {n, l, m, amplitude, phase}; default 1s and 2p in equal parts.",
    )
    duration_fs: float | None = Field(None, gt=0, description="Time to show [fs]; default: one beat period.")
    frames: int = Field(96, ge=2, description="Frames of the animation.")
    fps: float = Field(24.0, ge=1, le=60, description="Frames per second.")
    format: Literal["mp4", "webm", "gif"] = Field("mp4", description="mp4 (H.264), webm (VP9) or gif.")
    samples: int = Field(151, ge=11, description="Points per axis of the density map.")
    extent: float | None = Field(None, gt=0, description="The map reaches from −this to this [a_0].")
    dpi: int = Field(120, ge=50, le=300, description="Resolution [pixels per inch].")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        data = merge_nested(data)
        if isinstance(data, Mapping) and data.get("problem") == SUPERPOSITION:
            return {**data, "problem": "hydrogen"}
        return data

    @model_validator(mode="after")
    def _distinct(self) -> EvolveParams:
        if len(self.superposition) < 2:
            raise ValueError("a superposition needs two or more states")
        names = [(part.n, part.l, part.m) for part in self.superposition]
        if len(set(names)) < len(names):
            raise ValueError("a state stands twice in the superposition; add its amplitudes")
        if not any(part.amplitude for part in self.superposition):
            raise ValueError("all amplitudes are zero")
        return self
