"""`constants_get`: values against CODATA and the IAU, names, units."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pint
import pytest
import scipy.constants as codata

from physlab.errors import ValidationError
from physlab.tools.constants import ALIASES, CONSTANTS, find
from physlab.tools.units import spell_dimensions

CONTRACT = ["c", "h", "hbar", "e", "m_e", "m_p", "k_B", "N_A", "epsilon_0", "mu_0", "G", "R", "sigma", "a_0", "alpha",
            "M_sun", "pc", "ly", "au"]  # fmt: skip
FULL_NAMES = {
    "c": "speed of light in vacuum", "h": "Planck constant", "hbar": "reduced Planck constant",
    "e": "elementary charge",
    "m_e": "electron mass", "m_p": "proton mass", "m_n": "neutron mass", "m_u": "atomic mass constant",
    "k_B": "Boltzmann constant", "N_A": "Avogadro constant", "R": "molar gas constant", "F": "Faraday constant",
    "epsilon_0": "vacuum electric permittivity", "mu_0": "vacuum mag. permeability",
    "G": "Newtonian constant of gravitation", "sigma": "Stefan-Boltzmann constant",
    "b_wien": "Wien wavelength displacement law constant", "a_0": "Bohr radius", "r_e": "classical electron radius",
    "lambda_C": "Compton wavelength", "alpha": "fine-structure constant", "g_e": "electron g factor",
    "R_inf": "Rydberg constant", "E_h": "Hartree energy", "Ry": "Rydberg constant times hc in J", "eV": "electron volt",
    "mu_B": "Bohr magneton", "mu_N": "nuclear magneton", "Phi_0": "mag. flux quantum",
    "sigma_T": "Thomson cross section", "g_n": "standard acceleration of gravity",
}  # fmt: skip


@pytest.mark.parametrize("name", FULL_NAMES)
def test_values_are_those_of_codata_2022(name: str) -> None:
    value, unit, uncertainty = codata.physical_constants[FULL_NAMES[name]]
    found = CONSTANTS[name]
    assert found.value == pytest.approx(value, rel=1e-15 if uncertainty else 1e-12)
    assert found.uncertainty == pytest.approx(uncertainty, rel=0.05)
    registry = pint.get_application_registry()
    theirs = registry.parse_units(unit.replace(" ", " * ").replace("^", "**"))
    assert registry.Quantity(1.0, found.unit).to(theirs).magnitude == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("name", CONSTANTS)
def test_units_are_spelled_as_pint_spells_them(name: str) -> None:
    registry = pint.get_application_registry()
    found = CONSTANTS[name]
    assert str(registry.parse_units(found.unit)) == found.unit
    assert found.dimensionality == spell_dimensions(registry.parse_units(found.unit))


def test_astronomical_values() -> None:
    # IAU 2012 Resolution B2; IAU 2015 Resolutions B2 and B3; IAU Style Manual (Julian year of 365.25 days).
    assert CONSTANTS["au"].value == 149_597_870_700
    assert CONSTANTS["pc"].value == pytest.approx(3.0856775814913673e16, rel=1e-15)
    assert CONSTANTS["ly"].value == 9_460_730_472_580_800
    assert CONSTANTS["M_sun"].value == pytest.approx(1.988409870698051e30, rel=1e-15)
    assert CONSTANTS["M_sun"].uncertainty / CONSTANTS["M_sun"].value == pytest.approx(2.2e-5, rel=0.03)
    assert CONSTANTS["M_earth"].value == pytest.approx(5.9722e24, rel=3e-5)


@pytest.mark.parametrize("name", CONTRACT)
def test_every_name_of_the_contract_is_answered(ask: Callable[..., Any], name: str) -> None:
    answer = ask("constants_get", name=name)
    assert answer["name"] == name
    assert answer["exact"] == (answer["uncertainty"] == 0)
    assert answer["relative_uncertainty"] == answer["uncertainty"] / abs(answer["value"])
    assert answer["source"]
    assert answer["description"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("speed of light", "c"), ("Electron Mass", "m_e"), ("bohr radius", "a_0"), ("fine-structure constant", "alpha"),
        ("Reduced Planck constant", "hbar"), ("ℏ", "hbar"), ("kB", "k_B"), ("solar mass", "M_sun"),
        ("light-year", "ly"),
        ("gravitational constant", "G"), ("ε₀", "epsilon_0"), ("neutron mass", "m_n"), ("Rydberg constant", "R_inf"),
    ],
)  # fmt: skip
def test_everyday_names(text: str, name: str) -> None:
    assert find(text)[0] == name


def test_symbols_keep_their_case() -> None:
    assert find("G")[0] == "G"
    assert find("R")[0] == "R"
    for wrong in ("C", "g", "r", "K", "E", "M_E", "MP"):
        with pytest.raises(ValidationError):
            find(wrong)


def test_aliases_lead_somewhere() -> None:
    assert set(ALIASES.values()) <= CONSTANTS.keys()
    assert not set(ALIASES) & set(CONSTANTS)


def test_every_codata_name_works(ask: Callable[..., Any]) -> None:
    for name in codata.find():
        assert find(name)[1].value == pytest.approx(codata.value(name), rel=1e-12)
    answer = ask("constants_get", name="muon mass")
    assert answer["value"] == 1.883531627e-28  # CODATA 2022
    assert answer["unit"] == "kilogram"
    assert answer["source"] == "CODATA 2022"


def test_unknown_names_are_told(ask: Callable[..., Any]) -> None:
    with pytest.raises(ValidationError, match="no constant 'hbarr'") as caught:
        ask("constants_get", name="hbarr")
    assert "hbar" in caught.value.hint
    with pytest.raises(ValidationError) as caught:
        find("muon")
    assert "muon mass" in caught.value.hint
    with pytest.raises(ValidationError):
        ask("constants_get", name="")


def test_the_short_table_needs_no_heavy_library() -> None:
    code = (
        "import sys; from physlab.tools.constants import find; find('hbar'); find('electron mass');"
        "print([m for m in ('scipy', 'pint', 'sympy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
