"""`constants_get`: the constants of nature with their uncertainty, unit and source."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from pydantic import Field

from physlab.errors import ConfigurationError, ValidationError, nearest
from physlab.tools.context import Context
from physlab.tools.measures import parse_unit
from physlab.tools.registry import Port, registry
from physlab.tools.types import Params
from physlab.tools.units import spell_dimensions

CODATA = "CODATA 2022"
SI = "SI (2019), exact"
IAU_2012 = "IAU 2012 Resolution B2"
IAU_2015_B2 = "IAU 2015 Resolution B2"
IAU_2015_B3 = "IAU 2015 Resolution B3"

_C, _H, _E, _K, _NA = 299792458.0, 6.62607015e-34, 1.602176634e-19, 1.380649e-23, 6.02214076e23
_HBAR = _H / (2 * math.pi)
_G, _G_REL = 6.67430e-11, 1.5e-15 / 6.67430e-11
_AU = 149597870700.0
_GM_SUN, _GM_EARTH, _GM_JUPITER = 1.3271244e20, 3.986004e14, 1.2668653e17  # nominal values, m^3/s^2


class Constant(NamedTuple):
    """One constant: its value, unit (as Pint spells it) and dimension, standard uncertainty (0: exact), source."""

    value: float
    unit: str
    dimensionality: str
    description: str
    uncertainty: float = 0.0
    source: str = CODATA


_MASS, _LENGTH = ("kilogram", "[mass]"), ("meter", "[length]")
_ENERGY = ("joule", "[length] ** 2 * [mass] / [time] ** 2")
_PURE = ("dimensionless", "dimensionless")
_ACTION = ("joule * second", "[length] ** 2 * [mass] / [time]")
_MOMENT = ("joule / tesla", "[current] * [length] ** 2")


def _mass_of(gm: float, body: str) -> Constant:
    mass = gm / _G
    return Constant(mass, *_MASS, f"mass of {body}, nominal GM / G", mass * _G_REL, f"{IAU_2015_B3} / {CODATA} G")


CONSTANTS: dict[str, Constant] = {
    "c": Constant(_C, "meter / second", "[length] / [time]", "speed of light in vacuum", source=SI),
    "h": Constant(_H, *_ACTION, "Planck constant", source=SI),
    "hbar": Constant(_HBAR, *_ACTION, "reduced Planck constant", source=SI),
    "e": Constant(_E, "coulomb", "[current] * [time]", "elementary charge", source=SI),
    "m_e": Constant(9.1093837139e-31, *_MASS, "electron mass", 2.8e-40),
    "m_p": Constant(1.67262192595e-27, *_MASS, "proton mass", 5.2e-37),
    "m_n": Constant(1.67492750056e-27, *_MASS, "neutron mass", 8.5e-37),
    "m_u": Constant(1.66053906892e-27, *_MASS, "atomic mass constant", 5.2e-37),
    "k_B": Constant(
        _K, "joule / kelvin", "[length] ** 2 * [mass] / [temperature] / [time] ** 2", "Boltzmann constant", source=SI
    ),
    "N_A": Constant(_NA, "1 / mole", "1 / [substance]", "Avogadro constant", source=SI),
    "R": Constant(
        _NA * _K,
        "joule / kelvin / mole",
        "[length] ** 2 * [mass] / [substance] / [temperature] / [time] ** 2",
        "molar gas constant",
        source=SI,
    ),
    "F": Constant(_NA * _E, "coulomb / mole", "[current] * [time] / [substance]", "Faraday constant", source=SI),
    "epsilon_0": Constant(
        8.8541878188e-12,
        "farad / meter",
        "[current] ** 2 * [time] ** 4 / [length] ** 3 / [mass]",
        "vacuum electric permittivity",
        1.4e-21,
    ),
    "mu_0": Constant(
        1.25663706127e-6,
        "newton / ampere ** 2",
        "[length] * [mass] / [current] ** 2 / [time] ** 2",
        "vacuum magnetic permeability",
        2.0e-16,
    ),
    "G": Constant(
        _G,
        "meter ** 3 / kilogram / second ** 2",
        "[length] ** 3 / [mass] / [time] ** 2",
        "Newtonian constant of gravitation",
        1.5e-15,
    ),
    "sigma": Constant(
        math.pi**2 * _K**4 / (60 * _HBAR**3 * _C**2),
        "watt / kelvin ** 4 / meter ** 2",
        "[mass] / [temperature] ** 4 / [time] ** 3",
        "Stefan-Boltzmann constant",
        source=SI,
    ),
    "b_wien": Constant(
        2.897771955185172e-3,
        "kelvin * meter",
        "[length] * [temperature]",
        "Wien wavelength displacement constant",
        source=SI,
    ),
    "a_0": Constant(5.29177210544e-11, *_LENGTH, "Bohr radius", 8.2e-21),
    "r_e": Constant(2.8179403205e-15, *_LENGTH, "classical electron radius", 1.3e-24),
    "lambda_C": Constant(2.42631023538e-12, *_LENGTH, "Compton wavelength of the electron", 7.6e-22),
    "alpha": Constant(7.2973525643e-3, *_PURE, "fine-structure constant", 1.1e-12),
    "g_e": Constant(-2.00231930436092, *_PURE, "electron g factor", 3.6e-13),
    "R_inf": Constant(10973731.568157, "1 / meter", "1 / [length]", "Rydberg constant", 1.2e-5),
    "E_h": Constant(4.3597447222060e-18, *_ENERGY, "Hartree energy", 4.8e-30),
    "Ry": Constant(4.3597447222060e-18 / 2, *_ENERGY, "Rydberg energy, half a Hartree", 2.4e-30),
    "eV": Constant(_E, *_ENERGY, "electron volt", source=SI),
    "mu_B": Constant(9.2740100657e-24, *_MOMENT, "Bohr magneton", 2.9e-33),
    "mu_N": Constant(5.0507837393e-27, *_MOMENT, "nuclear magneton", 1.6e-36),
    "Phi_0": Constant(
        _H / (2 * _E), "weber", "[length] ** 2 * [mass] / [current] / [time] ** 2", "magnetic flux quantum", source=SI
    ),
    "sigma_T": Constant(6.6524587051e-29, "meter ** 2", "[length] ** 2", "Thomson cross section", 6.2e-38),
    "g_n": Constant(
        9.80665,
        "meter / second ** 2",
        "[length] / [time] ** 2",
        "standard acceleration of gravity",
        0,
        "CGPM 1901, exact",
    ),
    "M_sun": _mass_of(_GM_SUN, "the Sun"),
    "M_earth": _mass_of(_GM_EARTH, "the Earth"),
    "M_jup": _mass_of(_GM_JUPITER, "Jupiter"),
    "R_sun": Constant(6.957e8, *_LENGTH, "nominal solar radius", source=IAU_2015_B3),
    "R_earth": Constant(6.3781e6, *_LENGTH, "nominal equatorial radius of the Earth", source=IAU_2015_B3),
    "L_sun": Constant(
        3.828e26, "watt", "[length] ** 2 * [mass] / [time] ** 3", "nominal solar luminosity", source=IAU_2015_B3
    ),
    "au": Constant(_AU, *_LENGTH, "astronomical unit", source=IAU_2012),
    "pc": Constant(_AU * 648000 / math.pi, *_LENGTH, "parsec, 648000/pi au", source=IAU_2015_B2),
    "ly": Constant(_C * 365.25 * 86400, *_LENGTH, "light-year, c times a Julian year", source="IAU Style Manual 1989"),
}

ALIASES: dict[str, str] = {
    "c_0": "c", "speed of light": "c", "light speed": "c", "planck": "h", "planck constant": "h",
    "ℏ": "hbar", "reduced planck constant": "hbar", "dirac constant": "hbar", "q_e": "e", "electron charge": "e",
    "mn": "m_n", "me": "m_e", "mp": "m_p", "amu": "m_u", "u": "m_u", "atomic mass unit": "m_u", "dalton": "m_u",
    "kB": "k_B", "kb": "k_B", "k": "k_B", "boltzmann": "k_B", "NA": "N_A", "avogadro": "N_A", "avogadro number": "N_A",
    "gas constant": "R", "ideal gas constant": "R", "faraday": "F", "ε₀": "epsilon_0", "eps_0": "epsilon_0",
    "epsilon0": "epsilon_0", "eps0": "epsilon_0", "vacuum permittivity": "epsilon_0", "permittivity": "epsilon_0",
    "μ₀": "mu_0", "mu0": "mu_0", "vacuum permeability": "mu_0", "permeability": "mu_0", "gravitational constant": "G",
    "newton constant": "G", "sigma_sb": "sigma", "σ": "sigma", "stefan boltzmann": "sigma", "wien": "b_wien",
    "a0": "a_0", "bohr": "a_0", "electron radius": "r_e", "compton wavelength": "lambda_C", "α": "alpha",
    "fine structure": "alpha", "fine structure constant": "alpha",
    "electron g": "g_e", "rydberg": "R_inf", "rydberg constant": "R_inf",
    "rydberg energy": "Ry", "hartree": "E_h", "electronvolt": "eV", "μ_B": "mu_B", "muB": "mu_B",
    "flux quantum": "Phi_0", "thomson": "sigma_T", "standard gravity": "g_n", "g_0": "g_n",
    "solar mass": "M_sun", "earth mass": "M_earth",
    "jupiter mass": "M_jup", "solar radius": "R_sun", "earth radius": "R_earth", "solar luminosity": "L_sun",
    "parsec": "pc", "light year": "ly", "lightyear": "ly", "astronomical unit": "au",
}  # fmt: skip


class ConstantsGet(Params):
    """Parameters of `constants_get`."""

    name: str = Field(
        min_length=1,
        max_length=120,
        description="Symbol (`hbar`, `m_e`, `M_sun`), everyday name (`electron mass`), or full CODATA name.",
    )


registry.tool("constants_get", summary="Constants of nature (CODATA 2022, IAU) with unit, uncertainty and source.")


@registry.method(
    "constants_get",
    params=ConstantsGet,
    returns=(
        Port("name", "text", description="Symbol, or the full CODATA name"),
        Port("value", "number", description="Value, in `unit`"),
        Port("unit", "text", description="Unit as Pint spells it"),
        Port("dimensionality", "text", description="Dimensions, for instance `[length] / [time]`"),
        Port("description", "text", description="What the constant is"),
        Port("uncertainty", "number", description="Standard uncertainty, in `unit`; 0 when exact"),
        Port("relative_uncertainty", "number", unit="dimensionless", description="uncertainty / |value|"),
        Port("exact", "boolean", description="True when the value is exact by definition"),
        Port("source", "text", description="Who published the value"),
    ),
    inline=True,
    libraries=("scipy",),
    kind="lookup",
)
def get_constant(params: ConstantsGet, context: Context) -> dict[str, Any]:
    """Look up a constant of nature.

    Args:
        params: The name of the constant.
        context: The surroundings of the call; not used.

    Returns:
        Value, unit, dimensions, standard uncertainty and source. CODATA 2022: P. Mohr, D. Newell, B. Taylor,
        E. Tiesinga, Rev. Mod. Phys. 97, 025002 (2025).

    Raises:
        ValidationError: No constant has this name.
    """
    name, found = find(params.name)
    return {
        "name": name,
        **found._asdict(),
        "relative_uncertainty": found.uncertainty / abs(found.value),
        "exact": found.uncertainty == 0,
    }


def find(text: str) -> tuple[str, Constant]:
    """Return a constant and its name.

    Args:
        text: A symbol, which is case-sensitive (`G` is not `g`), or a name in words, which is not.

    Raises:
        ValidationError: No constant has this name; the hint offers the nearest.
    """
    words = _fold(text)
    symbol = text if text in CONSTANTS else ALIASES.get(text)
    symbol = symbol or _WORDS.get(words)
    return (symbol, CONSTANTS[symbol]) if symbol else _from_codata(text, words)


def _fold(text: str) -> str:
    return " ".join(text.casefold().replace("-", " ").split())


_WORDS = {_fold(one.description.split(",")[0]): symbol for symbol, one in CONSTANTS.items()}
_WORDS |= {_fold(alias): symbol for alias, symbol in ALIASES.items() if len(alias) > 3}


def _from_codata(text: str, words: str) -> tuple[str, Constant]:
    """Return a constant of the whole CODATA list, which SciPy carries."""
    import scipy.constants as table

    if table.value("electron mass") != CONSTANTS["m_e"].value:
        raise ConfigurationError(
            f"'{text}' is not in the short table, and the installed SciPy carries older values than {CODATA}.",
            hint='Install a newer one: pip install "scipy>=1.15".',
        )
    full = {_fold(name): name for name in table.find()}
    if words not in full:
        raise ValidationError(f"There is no constant '{text}'.", hint=_suggest(text, words, full))
    name = full[words]
    value, unit, uncertainty = table.physical_constants[name]
    unit, dimensionality = _spell_unit(unit)
    return name, Constant(value, unit, dimensionality, name, uncertainty)


def _suggest(text: str, words: str, full: dict[str, str]) -> str:
    close = [name for key, name in full.items() if words in key][:5] if len(words) > 2 else []
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return nearest(text, CONSTANTS) + " Any full CODATA name and everyday names ('electron mass') work too."


def _spell_unit(unit: str) -> tuple[str, str]:
    """Return a CODATA unit such as `J K^-1` as Pint spells it, and its dimensions."""
    parsed = parse_unit(unit.replace(" ", " * ").replace("^", "**"))
    return str(parsed), spell_dimensions(parsed)
