# ruff: noqa: E741  — l is the orbital quantum number
"""The parameters of the quantum tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from physlab.errors import PhysicsError, ValidationError
from physlab.tools.hydrogen import PROTON_ME, Atom, check_numbers
from physlab.tools.types import VisualParams

COMMON = frozenset({"problem", "n", "samples", "dpi", *VisualParams.model_fields})
BELONGS: dict[str, frozenset[str]] = {
    "hydrogen": frozenset(
        {"l", "m", "Z", "reduced_mass", "nuclear_mass", "r_max", "density_samples", "density_extent"}
    ),
    "sho": frozenset({"n_max", "omega", "mass", "hbar"}),
    "particle_in_box": frozenset({"n_max", "length", "mass", "hbar"}),
}
SUPERPOSITION = "hydrogen_superposition"  # another name of hydrogen for evolve
LOWEST = {"hydrogen": 1, "sho": 0, "particle_in_box": 1}
RENAMED = {"sho": {"m": "mass"}, "particle_in_box": {"m": "mass", "L": "length"}}


def merge_nested(data: Any) -> Any:
    """Lift the documented nested `params` object to the flat fields."""
    if not isinstance(data, Mapping) or not isinstance(data.get("params"), Mapping):
        return data
    flat = {key: value for key, value in data.items() if key != "params"}
    if clash := sorted(set(flat) & set(data["params"])):
        raise ValidationError(f"'{clash[0]}' stands both beside and inside 'params'.", hint="Give it once.")
    return {**flat, **data["params"]}


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

    problem: Literal["hydrogen", "sho", "particle_in_box"] = Field(
        description="hydrogen, sho (harmonic oscillator) or particle_in_box."
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
        None, ge=0, le=500, description="sho, box: highest level (defaults 10 and 5); n_levels counts them instead."
    )
    omega: float = Field(1.0, gt=0, description="sho: angular frequency.")
    length: float = Field(1.0, gt=0, description="particle_in_box: width L.")
    mass: float = Field(1.0, gt=0, description="sho, box: mass of the particle.")
    hbar: float = Field(1.0, gt=0, description="sho, box: the reduced Planck constant in your units.")
    dpi: int = Field(150, ge=50, le=600, description="Resolution of the PNG [pixels per inch].")

    @property
    def level(self) -> int:
        """The quantum number n that is meant."""
        return LOWEST[self.problem] if self.n is None else self.n

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        data = merge_nested(data)
        if isinstance(data, Mapping) and data.get("problem") == SUPERPOSITION:
            raise ValidationError(f"'{SUPERPOSITION}' moves.", hint="Use the action 'evolve', with 'superposition'.")
        if not isinstance(data, Mapping) or data.get("problem") not in BELONGS:
            return data
        fields, problem = dict(data), data["problem"]
        for old, new in RENAMED.get(problem, {}).items():
            if fields.get(old):  # a magnetic quantum number of 0 is the default, not a mass
                if new in fields:
                    raise ValidationError(f"'{old}' and '{new}' mean the same.", hint="Give one of them.")
                fields[new] = fields.pop(old)
        if problem != "hydrogen" and isinstance(fields.get("n_levels"), int):
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
        strange = [name for name in fields if name not in accepted and getattr(self, name) != fields[name].default]
        if strange:
            named = ", ".join(sorted(accepted - COMMON | {"n", "samples"}))
            raise ValueError(f"{', '.join(strange)} means nothing to {self.problem}, which takes {named}")
        return self


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
