"""`statmech_partition`: the canonical ensemble of given energy levels."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from physlab.errors import ComputationError, PhysicsError, ValidationError
from physlab.tools.constants import CONSTANTS
from physlab.tools.context import Context
from physlab.tools.measures import conversion_factor
from physlab.tools.registry import Port, registry
from physlab.tools.types import Array, Params, Unit, quantity, to_unit

K_B = CONSTANTS["k_B"].value


def _to_joule(value: Any) -> Any:
    """Read `[0, 1]`, `["0 eV", "0.1 eV"]` and `{"value": [0, 0.1], "unit": "eV"}`."""
    if isinstance(value, dict) and set(value) == {"value", "unit"} and not isinstance(value["value"], int | float):
        return np.asarray(value["value"], dtype=float) * conversion_factor(str(value["unit"]), "joule")
    if isinstance(value, list | tuple):
        return [to_unit(item, "joule") for item in value]
    return value


class PartitionParams(Params):
    """Parameters of `statmech_partition`."""

    energy_levels: Annotated[Array, BeforeValidator(_to_joule), Unit("joule")] = Field(
        description='Energies [J], (levels,): `[0, 1e-21]`, `["0 eV", "0.1 eV"]`, or `{"value": [0, 0.1], "unit": '
        '"eV"}`; in any order, counted from any zero.',
    )
    temperature: quantity("kelvin") = Field(  # type: ignore[valid-type]
        300.0,
        validation_alias=AliasChoices("temperature", "T"),
        allow_inf_nan=False,
        description="Temperature [K], above zero.",
    )
    degeneracies: Array | None = Field(
        None, description="How many states each level has, (levels,), above zero; default 1 each."
    )

    @model_validator(mode="after")
    def _fits(self) -> PartitionParams:
        levels = np.asarray(self.energy_levels)
        _require_list("energy_levels", levels)
        if not self.temperature > 0:
            raise PhysicsError(
                f"temperature = {self.temperature:g} K is not above zero.",
                hint="The canonical ensemble needs T > 0; take a small T for the limit.",
            )
        if self.degeneracies is None:
            return self
        weights = np.asarray(self.degeneracies)
        _require_list("degeneracies", weights)
        if weights.shape != levels.shape:
            raise ValidationError(
                f"there are {levels.size} energy_levels and {weights.size} degeneracies.", hint="Give one for each."
            )
        if (weights <= 0).any():
            raise PhysicsError(
                f"degeneracies hold {weights.min():g}.", hint="A level has one state or more; leave empty levels out."
            )
        return self


def _require_list(name: str, values: Any) -> None:
    if values.ndim != 1 or not values.size or values.dtype.kind not in "biuf":
        raise ValidationError(f"{name} is no list of one or more real numbers.", hint="Write for instance [0, 1e-21].")
    if not np.isfinite(values).all():
        raise ValidationError(f"{name} holds what is not finite.", hint="Leave such levels out.")


registry.tool("statmech_partition", summary="Partition function and thermodynamics of given energy levels.")


@registry.method(
    "statmech_partition",
    params=PartitionParams,
    returns=(
        Port("temperature", "number", "kelvin", "Temperature"),
        Port("temperature_unit", "text", description="K"),
        Port("energy_levels", "array", "joule", "Energies as given, (levels,)"),
        Port("energy_levels_unit", "text", description="J"),
        Port("degeneracies", "array", description="Degeneracies, (levels,)"),
        Port("partition_function", "number", description="Z = Σ g exp(−(E − E₀)/kT), E₀ the lowest energy"),
        Port("ln_partition_function", "number", description="ln Z, counted from the lowest energy like Z"),
        Port("internal_energy", "number", "joule", "U, on the scale of the given energies"),
        Port("internal_energy_unit", "text", description="J"),
        Port("heat_capacity", "number", "joule / kelvin", "C = dU/dT at fixed levels"),
        Port("heat_capacity_unit", "text", description="J/K"),
        Port("helmholtz_free_energy", "number", "joule", "F = E₀ − kT ln Z, on the scale of the given energies"),
        Port("helmholtz_free_energy_unit", "text", description="J"),
        Port("entropy", "number", "joule / kelvin", "S = (U − F)/T"),
        Port("entropy_unit", "text", description="J/K"),
        Port("populations", "array", "dimensionless", "Probability of each level, all its states together, (levels,)"),
        Port("most_populated_level", "number", description="Place of the most probable level, counted from 0"),
    ),
    inline=True,
    libraries=("numpy",),
    caps={"energy_levels": "samples"},
)
def partition(params: PartitionParams, context: Context) -> dict[str, Any]:
    """Compute the canonical ensemble of energy levels: partition function, U, C, F, S and populations.

    Energies are counted from the lowest one, so that no exponential overflows at any temperature, and S and C are sums
    of terms that do not cancel. L. D. Landau, E. M. Lifshitz, Statistical Physics, §31; k_B is exact (SI 2019).

    Args:
        params: Energies [J], degeneracies, temperature [K].
        context: Holds the cap on the number of levels.

    Returns:
        All quantities for one system of these levels, in SI units.

    Raises:
        ValidationError: The lists do not fit, or there are more levels than the cap allows.
        PhysicsError: The temperature or a degeneracy is not above zero.
        ComputationError: The partition function is beyond floating point.
    """
    levels = np.asarray(params.energy_levels, dtype=float)
    context.enforce("samples", levels.size, "energy_levels")
    weights = np.ones_like(levels) if params.degeneracies is None else np.asarray(params.degeneracies, dtype=float)
    temperature, ground = float(params.temperature), float(levels.min())
    with np.errstate(over="ignore", under="ignore"):
        x = (levels - ground) / K_B / temperature
        terms = np.where(x > 0, weights * np.exp(-x), 0.0)
        lowest = float(weights[x == 0].sum())
        excited = float(terms.sum()) / lowest
        z = lowest * (1 + excited)
        ln_z = float(np.log(lowest) + np.log1p(excited))
        populations = np.where(x > 0, terms, weights) / z
        held = populations > 0
        mean = float((populations[held] * x[held]).sum())
        spread = float((populations[held] * (x[held] - mean) ** 2).sum())
    if not np.isfinite(z):
        raise ComputationError(
            f"The partition function is beyond floating point: degeneracies go up to {weights.max():g}.",
            hint="Divide all degeneracies by one number; that changes S by a constant only.",
        )
    thermal = K_B * temperature
    return {
        "temperature": temperature,
        "temperature_unit": "K",
        "energy_levels": levels,
        "energy_levels_unit": "J",
        "degeneracies": weights,
        "partition_function": z,
        "ln_partition_function": ln_z,
        "internal_energy": ground + thermal * mean,
        "internal_energy_unit": "J",
        "heat_capacity": K_B * spread,
        "heat_capacity_unit": "J/K",
        "helmholtz_free_energy": ground - thermal * ln_z,
        "helmholtz_free_energy_unit": "J",
        "entropy": K_B * (ln_z + mean),
        "entropy_unit": "J/K",
        "populations": populations,
        "most_populated_level": int(np.argmax(populations)),
    }
