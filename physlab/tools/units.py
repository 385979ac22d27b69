"""`units_convert`: a quantity in another unit."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from physlab.errors import ComputationError, PhysicsError, UnitsError
from physlab.tools.context import Context
from physlab.tools.measures import UNITS_LOCK, parse_unit, unit_registry
from physlab.tools.registry import Port, registry
from physlab.tools.types import Array, Params, array_to_json

Equivalence = Literal["spectroscopy", "boltzmann", "energy", "Gaussian", "textile", "chemistry"]
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.DOTALL)


def spell_dimensions(unit: Any) -> str:
    """Return the dimensions of a Pint unit or quantity, in alphabetical order: `[length] / [time]`."""
    over: list[str] = []
    under: list[str] = []
    for name, power in sorted(unit.dimensionality.items()):
        (over if power > 0 else under).append(name if abs(power) == 1 else f"{name} ** {abs(power):g}")
    if not over and not under:
        return "dimensionless"
    return " / ".join([" * ".join(over) or "1", *under])


def split_quantity(value: Any) -> Any:
    """Read `"5 eV"` as `{value, unit}`."""
    if not isinstance(value, str):
        return value
    match = _QUANTITY.fullmatch(value)
    if match is None:
        raise ValueError('a number and a unit are needed, for instance "5 eV"')
    return {"value": float(match[1]), "unit": match[2].strip()}


class Measured(BaseModel):
    """A number or an array with its unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    value: float | Array = Field(description="A number, or an array of numbers, in `unit`.", union_mode="left_to_right")
    unit: str = Field(description="Unit as Pint spells it: `eV`, `nm`, `m/s^2`, `degC`; empty for a pure number.")


class UnitsConvert(Params):
    """Parameters of `units_convert`."""

    quantity: Annotated[Measured, BeforeValidator(split_quantity)] = Field(
        description='What to convert: `{"value": 5, "unit": "eV"}`, or the text `"5 eV"`.'
    )
    to: str = Field(description="The unit wanted, for instance `J` or `km/h`.")
    context: Equivalence | None = Field(
        None,
        description="Physics that lets different dimensions stand for each other: `spectroscopy` (wavelength, "
        "frequency, wavenumber, photon energy), `boltzmann` (temperature, thermal energy), `energy` (per particle, "
        "per mole, mass), `chemistry` (mass, amount; needs `molar_mass`), `Gaussian` (SI and Gaussian), `textile`.",
    )
    molar_mass: str | None = Field(None, description='Molar mass for `chemistry`, such as `"18.015 g/mol"`.')
    refractive_index: float = Field(1.0, gt=0, description="Refractive index for the context `spectroscopy`.")

    @model_validator(mode="after")
    def _fits_context(self) -> UnitsConvert:
        if (self.molar_mass is not None) != (self.context == "chemistry"):
            raise ValueError("the context `chemistry` and `molar_mass` belong together")
        if self.refractive_index != 1 and self.context != "spectroscopy":
            raise ValueError("`refractive_index` belongs to the context `spectroscopy`")
        return self


registry.tool("units_convert", summary="A quantity in another unit, with its dimensions checked.")


@registry.method(
    "units_convert",
    params=UnitsConvert,
    returns=(
        Port("input", "object", description="The given quantity as {value, unit}, the unit spelled out"),
        Port("output", "object", description="The quantity in the wanted unit as {value, unit}"),
        Port("conversion_factor", "number", description="output / input; null where they are not proportional"),
        Port("dimensionality", "text", description="Dimensions of the output, for instance `[length] / [time]`"),
    ),
    inline=True,
    libraries=("pint",),
    kind="lookup",
)
def convert(params: UnitsConvert, context: Context) -> dict[str, Any]:
    """Convert a quantity to another unit.

    Args:
        params: The quantity, the unit wanted, and the equivalence to use between dimensions.
        context: Gets a warning where a radian per second stands for a cycle per second.

    Returns:
        Input and output as {value, unit}, the factor between them (null for temperatures with an offset and for
        equivalences such as wavelength to energy), and the dimensions.

    Raises:
        UnitsError: A unit is unknown, or the dimensions differ.
        PhysicsError: A temperature is below absolute zero.
        ComputationError: The result is not a finite number.
    """
    with UNITS_LOCK:  # an equivalence changes the registry while it is used, and this runs in threads
        _tell_cycles(params, context)
        return _converted(params)


_ANGLES = {"radian", "degree", "turn", "revolution", "cycle", "arcminute", "arcsecond", "grade",
           "revolutions_per_minute", "revolutions_per_second"}  # fmt: skip


def _tell_cycles(params: UnitsConvert, context: Context) -> None:
    """Warn where an angular frequency meets a frequency: the radian is 1 (SI Brochure, 9th edition, table 4)."""
    source, target = parse_unit(params.quantity.unit), parse_unit(params.to)
    turning, plain = (source, target) if _turns(source) else (target, source)
    if _turns(turning) and not _turns(plain) and all(_spell(u)[1] == "1 / [time]" for u in (source, target)):
        context.warn(
            f"The radian counts as 1 here, so a turn is 2π: between {source} and {target} no cycles are counted. "
            f"For cycles take turn/s in the place of {plain}."
        )


def _turns(unit: Any) -> bool:
    """Say whether a unit holds an angle."""
    return any(name.endswith(tuple(_ANGLES)) for name in dict(unit._units))


def _converted(params: UnitsConvert) -> dict[str, Any]:
    source, target = parse_unit(params.quantity.unit), parse_unit(params.to)
    given = np.asarray(params.quantity.value)
    if given.dtype.kind in "biu":
        given = given.astype(float)
    _check_temperature(given, source)
    result = np.asarray(_convert(given, source, target, params))
    if not np.isfinite(result).all():
        raise ComputationError(
            f"{params.quantity.value} {source} is not a finite number of {target}.",
            hint="Give finite values; zero has no wavelength or frequency counterpart.",
        )
    return {
        "input": {"value": _plain(given), "unit": _spell(source)[0]},
        "output": {"value": _plain(result), "unit": _spell(target)[0]},
        "conversion_factor": _factor(source, target),
        "dimensionality": _spell(target)[1],
    }


@lru_cache(4096)
def _spell(unit: Any) -> tuple[str, str]:
    """Return a unit and its dimensions in words."""
    return str(unit), spell_dimensions(unit)


def _check_temperature(given: Any, unit: Any) -> None:
    """Refuse what is colder than absolute zero; a difference of temperatures may be negative."""
    name, dimensions = _spell(unit)
    if dimensions != "[temperature]" or "delta" in name:
        return
    if (np.asarray(unit_registry().Quantity(given, unit).to("kelvin").magnitude) < -1e-9).any():
        raise PhysicsError(
            f"{_plain(given)} {unit} is below absolute zero.",
            hint="Absolute temperatures are at least 0 K (-273.15 degC); for a difference use delta_degC.",
        )


def _plain(value: Any) -> Any:
    return value.item() if value.dtype.kind != "c" and value.ndim == 0 else array_to_json(value)


@lru_cache(4096)
def _factor(source: Any, target: Any) -> float | None:
    """Return the factor between two units, or None when they are not proportional."""
    if source.dimensionality != target.dimensionality:
        return None
    registry_ = unit_registry()
    zero, one = (registry_.Quantity(value, source).to(target).magnitude for value in (0.0, 1.0))
    return float(one) if zero == 0 and registry_.Quantity(2.0, source).to(target).magnitude == 2 * one else None


def _convert(value: Any, source: Any, target: Any, params: UnitsConvert) -> Any:
    import pint

    quantity = unit_registry().Quantity(value, source)
    if source.dimensionality == target.dimensionality:
        try:
            return quantity.to(target).magnitude
        except pint.DimensionalityError as error:
            raise UnitsError(
                f"'{source}' and '{target}': one is a temperature, the other a difference of temperatures.",
                hint="Convert temperatures into K, degC, degF; differences into K, delta_degC, delta_degF.",
            ) from error
    if params.context is None:
        raise _mismatch(source, target, "")
    options: dict[str, Any] = {}
    if params.context == "spectroscopy":
        options["n"] = params.refractive_index
    elif params.molar_mass is not None:
        options["mw"] = _molar_mass(params.molar_mass)
    try:
        with np.errstate(all="ignore"):
            return quantity.to(target, params.context, **options).magnitude
    except pint.DimensionalityError as error:
        raise _mismatch(source, target, params.context) from error
    except ZeroDivisionError:
        return np.inf


def _molar_mass(text: str) -> Any:
    measured = Measured.model_validate(split_quantity(text))
    mass = unit_registry().Quantity(measured.value, parse_unit(measured.unit))
    if spell_dimensions(mass) != "[mass] / [substance]":
        raise UnitsError(f"molar_mass = '{text}' has the dimensions {spell_dimensions(mass)}.", hint='Give "18 g/mol".')
    return mass


def _mismatch(source: Any, target: Any, context: str) -> UnitsError:
    dimensions = [spell_dimensions(source), spell_dimensions(target)]
    hint = f"The context '{context}' does not connect them." if context else _connecting(source, target)
    return UnitsError(
        f"'{source}' has the dimensions {dimensions[0]}, '{target}' has {dimensions[1]}.",
        hint=hint,
        details={"from": dimensions[0], "to": dimensions[1]},
    )


def _connecting(source: Any, target: Any) -> str:
    """Say which equivalence connects two units."""
    import pint

    one = unit_registry().Quantity(1.0, source)
    for context in ("spectroscopy", "boltzmann", "energy", "Gaussian", "textile"):
        try:
            one.to(target, context)
        except pint.DimensionalityError:
            continue
        return f"If you mean the equivalence, set context: {context}."
    return f"Use a unit with the dimensions {spell_dimensions(source)}."
