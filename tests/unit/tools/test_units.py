"""`units_convert`: factors, offsets, equivalences, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physlab.errors import ComputationError, UnitsError, ValidationError
from physlab.tools.units import parse_unit, spell_dimensions


def test_a_quantity_as_object_and_as_text(ask: Callable[..., Any]) -> None:
    answer = ask("units_convert", quantity={"value": 5, "unit": "eV"}, to="J")
    assert answer["output"]["value"] == pytest.approx(5 * 1.602176634e-19, rel=1e-15)  # SI 2019, exact
    assert answer["output"]["unit"] == "joule"
    assert answer["input"] == {"value": 5.0, "unit": "electron_volt"}
    assert answer["conversion_factor"] == pytest.approx(1.602176634e-19, rel=1e-15)
    assert answer["dimensionality"] == "[length] ** 2 * [mass] / [time] ** 2"
    assert ask("units_convert", quantity="5 eV", to="J").fields == answer.fields
    assert ask("units_convert", quantity="5e0eV", to="J")["output"] == answer["output"]


@pytest.mark.parametrize(
    ("quantity", "to", "value"),
    [
        ("25 degC", "K", 298.15), ("-40 degC", "degF", -40), ("212 degF", "degC", 100), ("5 delta_degC", "K", 5),
        ("100 km/h", "m/s", 100 / 3.6), ("1 s⁻¹", "Hz", 1), ("1 m^2·kg", "cm² * g", 1e7), ("1 1/s", "Hz", 1),
        ("1 pc", "ly", 3.261563777), ("1 atm", "Pa", 101325), ("180 degree", "rad", 3.141592653589793),
    ],
)  # fmt: skip
def test_values(ask: Callable[..., Any], quantity: str, to: str, value: float) -> None:
    assert ask("units_convert", quantity=quantity, to=to)["output"]["value"] == pytest.approx(value, rel=1e-9)


def test_offsets_have_no_factor(ask: Callable[..., Any]) -> None:
    assert ask("units_convert", quantity="25 degC", to="K")["conversion_factor"] is None
    assert ask("units_convert", quantity="0 delta_degC", to="K")["conversion_factor"] == 1
    assert ask("units_convert", quantity="5 dBm", to="mW")["conversion_factor"] is None


@pytest.mark.parametrize(("quantity", "to"), [("20 degC", "delta_degC"), ("20 delta_degC", "degF")])
def test_a_temperature_is_no_difference(ask: Callable[..., Any], quantity: str, to: str) -> None:
    with pytest.raises(UnitsError, match="the other a difference"):
        ask("units_convert", quantity=quantity, to=to)


def test_arrays_keep_their_shape(ask: Callable[..., Any]) -> None:
    answer = ask("units_convert", quantity={"value": [[0, 100], [20, 37]], "unit": "degC"}, to="K")
    assert answer["output"]["value"] == [[273.15, 373.15], [293.15, 310.15]]


@pytest.mark.parametrize(
    ("quantity", "to", "options", "value"),
    [
        # h c = 1239.841984... eV nm; k_B = 8.617333262e-5 eV/K; c / 500 nm (CODATA 2022).
        ("500 nm", "eV", {"context": "spectroscopy"}, 1239.841984332 / 500),
        ("500 nm", "THz", {"context": "spectroscopy"}, 599.584916),
        ("1 eV", "nm", {"context": "spectroscopy"}, 1239.841984332),
        ("1000 1/cm", "um", {"context": "spectroscopy"}, 10),
        ("300 K", "eV", {"context": "boltzmann"}, 300 * 8.617333262e-5),
        ("1 eV", "kJ/mol", {"context": "energy"}, 96.48533212),
        ("18 g", "mol", {"context": "chemistry", "molar_mass": "18 g/mol"}, 1),
        ("1 T", "gauss", {"context": "Gaussian"}, 1e4),
    ],
)
def test_equivalences(ask: Callable[..., Any], quantity: str, to: str, options: dict[str, Any], value: float) -> None:
    answer = ask("units_convert", quantity=quantity, to=to, **options)
    assert answer["output"]["value"] == pytest.approx(value, rel=1e-8)
    assert answer["conversion_factor"] is None


def test_both_dimensions_are_told(ask: Callable[..., Any]) -> None:
    with pytest.raises(UnitsError, match=r"\[mass\].*\[length\]"):
        ask("units_convert", quantity="5 kg", to="m")
    with pytest.raises(UnitsError) as caught:
        ask("units_convert", quantity="500 nm", to="eV")
    assert "context: spectroscopy" in caught.value.hint
    with pytest.raises(UnitsError, match=r"\[mass\]"):
        ask("units_convert", quantity="5 kg", to="eV", context="spectroscopy")


def test_unknown_units_offer_the_nearest() -> None:
    with pytest.raises(UnitsError, match="'jouel' is unknown") as caught:
        parse_unit("jouel")
    assert "joule" in caught.value.hint


@pytest.mark.parametrize(
    "unit",
    ["m**9**9**9", "m^999", "9**9", "2 m", "m +", "m.__class__", "__import__('os')", "m[0]", "(m", "m/", "'m'", "m**m",
     "(" * 90, "m" * 300, "m; s", "m**(1/0)"],
)  # fmt: skip
def test_what_is_no_unit_is_refused(unit: str) -> None:
    with pytest.raises(UnitsError):
        parse_unit(unit)


@given(st.text(max_size=30))
def test_any_text_is_a_unit_or_an_error(text: str) -> None:
    try:
        unit = parse_unit(text)
    except UnitsError:
        return
    assert spell_dimensions(unit)


@given(st.floats(-1e6, 1e6), st.sampled_from(["degC", "degF", "K"]), st.sampled_from(["degC", "degF", "K"]))
def test_there_and_back(value: float, source: str, target: str) -> None:
    from physlab.tools.units import unit_registry

    there = unit_registry().Quantity(value, parse_unit(source)).to(parse_unit(target))
    assert there.to(parse_unit(source)).magnitude == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize(
    "params",
    [
        {"quantity": "five eV", "to": "J"},
        {"quantity": {"value": "x", "unit": "m"}, "to": "km"},
        {"quantity": {"value": 1}, "to": "km"},
        {"quantity": "5 nm", "to": "eV", "context": "magic"},
        {"quantity": "5 g", "to": "mol", "context": "chemistry"},
        {"quantity": "5 nm", "to": "m", "refractive_index": 1.5},
    ],
)
def test_wrong_parameters(ask: Callable[..., Any], params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ask("units_convert", **params)


def test_what_is_not_finite_is_told(ask: Callable[..., Any]) -> None:
    with pytest.raises(ComputationError, match="not a finite number"):
        ask("units_convert", quantity="0 nm", to="eV", context="spectroscopy")
    with pytest.raises(ComputationError, match="not a finite number"):
        ask("units_convert", quantity={"value": float("nan"), "unit": "m"}, to="km")


@pytest.mark.parametrize(
    ("quantity", "to", "told"),
    [("60 rpm", "Hz", True), ("1 Hz", "rad/s", True), ("1 deg/s", "1/hour", True), ("60 rpm", "turn/s", False),
     ("60 rpm", "rad/s", False), ("1 kHz", "1/s", False), ("90 degree", "rad", False)],
)  # fmt: skip
def test_a_turn_is_not_a_cycle_and_that_is_said(ask: Callable[..., Any], quantity: str, to: str, told: bool) -> None:
    """The radian is the number 1 in the SI (SI Brochure, 9th edition, table 4), so 60 rpm are 2π and not 1 of 1/s."""
    answer = ask("units_convert", quantity=quantity, to=to)
    assert bool(answer.context.warnings) is told
    if to == "turn/s":
        assert answer["output"]["value"] == pytest.approx(1, rel=1e-15)
