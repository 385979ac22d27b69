"""Reading units: one registry, one guard against hostile text, one lock."""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from typing import Any

from physlab.errors import UnitsError

UNITS_LOCK = threading.RLock()
_PATTERN = re.compile(
    r"""(?:
        [^\W\d][\w°⁺⁻]*(?![\w°⁺⁻]) | °\w+(?!\w) | % | ‰      # a whole name, with superscripts
      | (?:\*\*|\^)\s*(?: [+-]?\d{1,2}(?:\.\d{1,9})?(?![\d.])
                        | \(\s*[+-]?\d{1,2}(?:\.\d{1,9}|\s*/\s*\d{1,2})?\s*\) )(?!\s*(?:\*\*|\^))
      | \*(?!\*) | [/()·\s]
      | (?<![\d.])1(?![\d.])
    )*""",
    re.VERBOSE,
)


_loaded: list[Any] = []


def unit_registry() -> Any:
    """Return Pint's registry of this process (loaded on the first call)."""
    if not _loaded:
        import pint

        with UNITS_LOCK:  # two threads that load it at once would each see half of it
            registry: Any = pint.get_application_registry()  # type: ignore[no-untyped-call]
            registry.meter  # noqa: B018 - the registry is lazy: this loads it
            _loaded.append(registry.get())
    return _loaded[0]


@lru_cache(4096)
def parse_unit(text: str) -> Any:
    """Return a Pint unit.

    Args:
        text: A unit such as `eV`, `m/s^2` or `kilogram * meter ** 2`; at most 200 characters, powers below 100.

    Raises:
        UnitsError: The unit is unknown or not a unit.
    """
    if len(text) > 200 or not _PATTERN.fullmatch(text):
        raise UnitsError(f"'{text[:60]}' is not a unit.", hint="Write for instance 'eV', 'm/s^2' or 'degC'.")
    from tokenize import TokenError

    import pint

    try:
        return unit_registry().parse_units(text.replace("·", "*"))
    except pint.UndefinedUnitError as error:
        raise UnitsError(f"The unit '{text}' is unknown: {error}.", hint=_suggest(error)) from error
    except (
        pint.PintError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
        ArithmeticError,
        TokenError,
    ) as error:
        raise UnitsError(f"'{text}' is not a unit.", hint="Write for instance 'eV', 'm/s^2' or 'degC'.") from error


def _suggest(error: Any) -> str:
    import difflib

    names = error.unit_names if not isinstance(error.unit_names, str) else (error.unit_names,)
    known = dir(unit_registry())
    close = [near for name in names for near in difflib.get_close_matches(name, known, n=1, cutoff=0.7)]
    return (
        f"Did you mean '{close[0]}'?" if close else "Units are spelled as Pint knows them: eV, nm, kelvin, solar_mass."
    )


def conversion_factor(source: str, target: str) -> float:
    """Return the factor from one unit to another.

    Raises:
        UnitsError: A unit is unknown, the dimensions differ, or the units differ by an offset.
    """
    if source == target:
        return 1.0
    import pint

    given, wanted = parse_unit(source), parse_unit(target)
    try:
        with UNITS_LOCK:
            return float(unit_registry().Quantity(1.0, given).to(wanted).magnitude)
    except pint.OffsetUnitCalculusError as error:
        raise UnitsError(f"'{source}' and '{target}' differ by an offset.", hint="Give the value in kelvin.") from error
    except pint.DimensionalityError as error:
        raise UnitsError(
            f"A quantity in '{source}' cannot be given in '{target}': {error}.", hint=f"Use a unit of '{target}'."
        ) from error
