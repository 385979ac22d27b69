"""`graphing_calculator.convert_units`: the conversion of `units_convert`, under the calculator's names."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from physlab.tools.calculator.format import SUCCESS, Spelled
from physlab.tools.context import Context
from physlab.tools.registry import Port
from physlab.tools.types import Array
from physlab.tools.units import Equivalence, Measured, UnitsConvert, convert


class ConvertParams(Spelled):
    """What to convert."""

    value: float | Array = Field(description="A number, or an array of numbers.", union_mode="left_to_right")
    from_unit: str = Field(description="Its unit: `eV`, `km/h`, `degC`.")
    to_unit: str = Field(description="The unit wanted.")
    context: Equivalence | None = Field(
        None, description="Physics that lets different dimensions stand for each other, as in `units_convert`."
    )


PORTS = (
    SUCCESS,
    Port("result", "text", description="Number and unit; null for an array"),
    Port("value", "any", description="The number, or the array, in `to_unit`"),
    Port("unit", "text", description="The unit, spelled out"),
    Port("conversion_factor", "number", description="result / value; null where they are not proportional"),
    Port("dimensionality", "text", description="Dimensions, for instance `[length] / [time]`"),
)


def convert_units(params: ConvertParams, context: Context) -> dict[str, Any]:
    """Convert a number to another unit.

    Args:
        params: The number, its unit and the unit wanted.
        context: The surroundings of the call.

    Returns:
        The number in the unit wanted, and the factor.

    Raises:
        UnitsError: A unit is unknown, or the dimensions differ.
        PhysicsError: A temperature is below absolute zero.
    """
    measured = Measured(value=params.value, unit=params.from_unit)
    found = convert(UnitsConvert(quantity=measured, to=params.to_unit, context=params.context), context)
    value, unit = found["output"]["value"], found["output"]["unit"]
    return {
        "success": True, "value": value, "unit": unit, "conversion_factor": found["conversion_factor"],
        "dimensionality": found["dimensionality"],
        "result": f"{value:.{params.precision}g} {unit}" if isinstance(value, float) else None,
    }  # fmt: skip
