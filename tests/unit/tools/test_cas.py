"""`cas`: closed forms, units, and failures that say which."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physlab.errors import ComputationError, UnitsError, ValidationError
from physlab.expressions import parse
from physlab.tools import load_tools
from physlab.tools.cas.algebra import sides, write

Ask = Callable[..., Any]


def test_evaluate_simplifies_and_computes(ask: Ask) -> None:
    answer = ask("cas", "evaluate", expr="sin(x)^2 + cos(x)^2 + sqrt(8)")
    assert answer["str"] == "1 + 2*sqrt(2)"
    assert answer["latex"] == r"1 + 2 \sqrt{2}"
    assert answer["original"] == "sin(x)^2 + cos(x)^2 + sqrt(8)"
    assert answer["evalf"] == answer["value"] == pytest.approx(1 + math.sqrt(8), rel=1e-15)
    assert answer["unit"] is None


def test_evaluate_without_a_number(ask: Ask) -> None:
    answer = ask("cas", "evaluate", expr="x + x")
    assert (answer["str"], answer["evalf"], answer["value"]) == ("2*x", None, None)
    answer = ask("cas", "evaluate", expr="a*x", vars={"a": 2})
    assert answer["str"] == "2*x"
    assert ask("cas", "evaluate", expr="sqrt(-4)")["value"] == {"real": 0.0, "imag": 2.0}
    assert ask("cas", "evaluate", expr="sqrt(-4)")["evalf"] is None


def test_whole_numbers_and_floats_that_are_whole_are_one_value(ask: Ask) -> None:
    assert ask("cas", "evaluate", expr="x/3", vars={"x": 2}).fields == (
        ask("cas", "evaluate", expr="x/3", vars={"x": 2.0}).fields
    )


@pytest.mark.parametrize(
    ("expr", "x", "value"),
    [
        ("1 - cos(x)", 1e-10, 5e-21),  # x^2/2
        ("(exp(x) - 1 - x)/x^2", 1e-9, 0.5 + 1e-9 / 6),  # the series of exp
        ("sqrt(x + 1) - sqrt(x)", 1.5e18, 0.5 / math.sqrt(1.5e18)),
        ("where(x > 0, 1 - cos(x), 2)", 1e-10, 5e-21),
        ("sqrt(x^2)", -1.5, 1.5),
    ],
)
def test_digits_that_cancel_are_computed(ask: Ask, expr: str, x: float, value: float) -> None:
    reply = ask("cas", "evaluate", expr=expr, vars={"x": x})
    assert reply["value"] == pytest.approx(value, rel=1e-14, abs=0)
    assert float(reply["str"]) == pytest.approx(value, rel=1e-13, abs=0)


def test_evaluate_warns_of_letters_read_as_constants(ask: Ask) -> None:
    answer = ask("cas", "evaluate", expr="I*R", vars={"R": 2})
    assert answer["value"] == {"real": 0.0, "imag": 2.0}
    assert any("imaginary unit" in text for text in answer.context.warnings)
    assert ask("cas", "evaluate", expr="I*R", vars={"R": 2, "I": 3})["evalf"] == 6
    assert ask("cas", "evaluate", expr="e^2").context.meta["read_as"] == {"e": "Euler's number"}


def test_beyond_floating_point(ask: Ask) -> None:
    answer = ask("cas", "evaluate", expr="10^400")
    assert answer["str"] == "1" + 400 * "0"
    assert answer["evalf"] is None
    assert answer.context.warnings


@pytest.mark.parametrize(
    ("expr", "values", "says"),
    [
        ("1/0", {}, "divides by zero"),
        ("1/x", {"x": 0}, "divides by zero"),
        ("log(x)", {"x": 0.0}, "divides by zero"),
        ("0/0", {}, "undefined"),
        ("x/x", {"x": 0}, "undefined"),
        ("sin(x)/x", {"x": 0}, "undefined"),
        ("inf - inf", {}, "undefined"),
        ("sin(inf)", {}, "undefined"),
        ("inf", {}, "infinite"),
        ("exp(inf)", {}, "infinite"),
        ("tan(pi/2)", {}, "divides by zero"),
    ],
)
def test_what_has_no_value_says_so(ask: Ask, expr: str, values: dict[str, float], says: str) -> None:
    with pytest.raises(ComputationError, match=says):
        ask("cas", "evaluate", expr=expr, vars=values)


MASS = {"value": 2, "unit": "kg"}


@pytest.mark.parametrize(
    ("expr", "values", "to", "value", "unit"),
    [
        ("m*v^2/2", {"m": MASS, "v": "3 m/s"}, None, 9, "joule"),
        ("m*v^2/2", {"m": MASS, "v": "3 m/s"}, "eV", 9 / 1.602176634e-19, "electron_volt"),
        ("a + b", {"a": "3 cm", "b": "40 mm"}, None, 7, "centimeter"),
        ("sqrt(a^2 + b^2)", {"a": "3 cm", "b": "4 cm"}, None, 5, "centimeter"),
        ("sin(a)", {"a": "30 degree"}, None, 0.5, "dimensionless"),
        ("a/b", {"a": "1 km", "b": "1 m"}, None, 1000, "dimensionless"),
        ("a^(b/c)", {"a": "4 m^2", "b": 1, "c": 2}, None, 2, "meter"),
        ("k T", {"k": {"value": 1.380649e-23, "unit": "J/K"}, "T": "25 degC"}, "meV", 25.6925791, "millielectron_volt"),
        ("max(a, b)", {"a": "1 m", "b": "20 cm"}, "cm", 100, "centimeter"),
        ("where(a > b, a, 0)", {"a": "1 m", "b": "20 cm"}, None, 1, "meter"),
        (
            "2 G M/c^2",
            {"G": "6.6743e-11 m^3/kg/s^2", "M": "1.98841e30 kg", "c": "299792458 m/s"},
            "km",
            2.9532501,
            "kilometer",
        ),
        ("1/2", {}, "percent", 50, "percent"),
        ("0*a", {"a": "3 m"}, "m", 0, "meter"),
    ],
)
def test_units_stay_with_the_numbers(
    ask: Ask, expr: str, values: dict[str, Any], to: str | None, value: float, unit: str
) -> None:
    answer = ask("cas", "evaluate", expr=expr, vars=values, to=to)
    assert answer["value"] == answer["evalf"] == pytest.approx(value, rel=1e-7)
    assert answer["unit"] == unit


@pytest.mark.parametrize(
    ("expr", "values", "to"),
    [
        ("a + b", {"a": "3 cm", "b": "4 s"}, None),
        ("a + 1", {"a": "3 cm"}, None),
        ("sin(a)", {"a": "3 m"}, None),
        ("exp(a/b)", {"a": "3 m", "b": "1 s"}, None),
        ("2^a", {"a": "3 m"}, None),
        ("a > b", {"a": "3 m", "b": "1 s"}, None),
        ("where(a > b, 1, 2)", {"a": "3 m", "b": "1 s"}, None),
        ("where(b > 0, a, 2)", {"a": "3 m", "b": 1}, None),
        ("atan2(a, b)", {"a": "3 m", "b": "1 s"}, None),
        ("a", {"a": "3 m"}, "s"),
        ("a", {"a": "3 meeter"}, None),
    ],
)
def test_dimensions_that_do_not_fit_are_refused(ask: Ask, expr: str, values: dict[str, Any], to: str | None) -> None:
    with pytest.raises(ValidationError if expr == "a > b" else UnitsError):
        ask("cas", "evaluate", expr=expr, vars=values, to=to)


def test_with_units_every_variable_needs_a_value(ask: Ask) -> None:
    with pytest.raises(ValidationError, match="no value for t"):
        ask("cas", "evaluate", expr="v*t", vars={"v": "3 m/s"})


@pytest.mark.parametrize(
    ("expr", "symbol", "order", "wanted"),
    [
        ("x^3", "x", 1, "3*x**2"),
        ("x^3", "x", 3, "6"),
        ("sin(ω t)", "t", 1, "omega*cos(omega*t)"),
        ("abs(x)", "x", 1, "sign(x)"),
        ("exp(-x^2)", "x", 1, "-2*x*exp(-x**2)"),
        ("erf(λ)", "λ", 1, "2*exp(-lambda**2)/sqrt(pi)"),
        ("besselj(0, x)", "x", 1, "-besselj(1, x)"),
        ("1/r", "r", 2, "2/r**3"),
    ],
)
def test_derivatives(ask: Ask, expr: str, symbol: str, order: int, wanted: str) -> None:
    answer = ask("cas", "diff", expr=expr, symbol=symbol, order=order)
    assert answer["str"] == wanted
    assert answer["original"] == expr


def test_a_derivative_at_a_point(ask: Ask) -> None:
    assert ask("cas", "diff", expr="x^3", symbol="x", vars={"x": 2})["evalf"] == 12
    answer = ask("cas", "diff", expr="a t^2/2", symbol="t", vars={"a": "2 m/s^2", "t": "500 ms"})
    assert (answer["str"], answer["value"], answer["unit"]) == ("a*t", 1.0, "meter / second")
    # The force of gravity from its potential: G M m / r^2 on the Earth's surface, 9.82 N for 1 kg.
    given = {"G": "6.6743e-11 m^3/kg/s^2", "M": "5.9722e24 kg", "m": "1 kg", "r": "6371 km"}
    assert ask("cas", "diff", expr="-G M m/r", symbol="r", vars=given, to="N")["value"] == pytest.approx(
        9.8203, rel=1e-4
    )
    with pytest.raises(ComputationError, match="divides by zero"):
        ask("cas", "diff", expr="sqrt(x)", symbol="x", vars={"x": 0})


def test_a_derivative_for_a_name_that_is_not_there_warns(ask: Ask) -> None:
    answer = ask("cas", "diff", expr="y^2", symbol="x")
    assert answer["str"] == "0"
    assert "does not contain x" in answer.context.warnings[0]


@pytest.mark.parametrize(
    ("expr", "options", "wanted"),
    [
        ("x^2", {}, "x**3/3"),
        ("1/(1 + x^2)", {}, "atan(x)"),
        ("0.5 x", {}, "x**2/4"),
        ("exp(-x^2)", {"bounds": ["-inf", "inf"]}, "sqrt(pi)"),
        ("exp(-a x^2)", {"bounds": ["-inf", "inf"], "assumptions": {"a": "positive"}}, "sqrt(pi)/sqrt(a)"),
        ("sin(x)", {"bounds": [0, "pi"]}, "2"),
        ("x^3/(exp(x) - 1)", {"bounds": [0, "inf"]}, "pi**4/15"),
        ("k x", {"bounds": [0, "L"]}, "L**2*k/2"),
    ],
)
def test_integrals(ask: Ask, expr: str, options: dict[str, Any], wanted: str) -> None:
    answer = ask("cas", "integrate", expr=expr, symbol="x", **options)
    assert answer["definite"] == ("bounds" in options)
    difference = parse(f"({answer['str']}) - ({wanted})", variables=["a"])
    assert float(difference.evaluate(**dict.fromkeys(difference.names, 1.3))) == pytest.approx(0, abs=1e-12)


def test_a_definite_integral_has_its_unit(ask: Ask) -> None:
    # Isothermal work of an ideal gas, n R T ln 2.
    answer = ask(
        "cas", "integrate", expr="n R T/V", symbol="V", bounds=[{"value": 1, "unit": "L"}, {"value": 2, "unit": "L"}],
        vars={"n": "1 mol", "R": "8.31446261815324 J/mol/K", "T": "300 K"}, to="J",
    )  # fmt: skip
    assert answer["value"] == pytest.approx(8.31446261815324 * 300 * math.log(2), rel=1e-12)
    spring = ask(
        "cas", "integrate", expr="k x", symbol="x", bounds=[0, {"value": 2, "unit": "cm"}], vars={"k": "5 N/m"}
    )
    assert (spring["value"], spring["unit"]) == (pytest.approx(1e-3), "joule")
    with pytest.raises(UnitsError):
        ask("cas", "integrate", expr="k x", symbol="x", bounds=[1, {"value": 2, "unit": "cm"}], vars={"k": "5 N/m"})
    with pytest.raises(ValidationError, match="indefinite"):
        ask("cas", "integrate", expr="k x", symbol="x", vars={"k": "5 N/m"})


@pytest.mark.parametrize(
    ("expr", "bounds", "says"),
    [
        ("1/x^2", [-1, 1], "diverges"),
        ("1/x", [1, "inf"], "diverges"),
        ("1/x", [-1, 1], "undefined"),
        ("x^x", None, "no closed form"),
        ("exp(x^x)", [0, "b"], "no closed form"),
    ],
)
def test_integrals_that_do_not_exist_say_so(ask: Ask, expr: str, bounds: Any, says: str) -> None:
    with pytest.raises(ComputationError, match=says):
        ask("cas", "integrate", expr=expr, symbol="x", bounds=bounds)


def test_a_number_without_closed_form_comes_from_quadrature(ask: Ask) -> None:
    answer = ask("cas", "integrate", expr="x^x", symbol="x", bounds=[0, 1])
    # The sophomore's dream: sum of -(-n)^-n (J. Bernoulli, 1697).
    assert answer["evalf"] == pytest.approx(-sum((-n) ** -n for n in range(1, 20)), rel=1e-9)
    assert "quadrature" in answer.context.warnings[0]
    answer = ask("cas", "integrate", expr="k x^x", symbol="x", bounds=[0, 1], vars={"k": 2}, numeric=True)
    assert answer["evalf"] == pytest.approx(2 * 0.7834305107, rel=1e-9)
    with pytest.raises(ComputationError, match="no number"):
        ask("cas", "integrate", expr="1/x", symbol="x", bounds=[0, 1], numeric=True)


def test_an_integral_says_where_its_formula_has_no_value(ask: Ask) -> None:
    with pytest.raises(ComputationError, match=r"no value at x = \d+\.") as caught:  # exp(x) overflows from 710 on
        ask("cas", "integrate", expr="x*exp(x)/(1 + exp(x))^2", symbol="x", bounds=[0, "inf"], numeric=True)
    assert "\n" not in caught.value.message and "exp(-x)" in caught.value.hint


@pytest.mark.parametrize(
    ("equation", "options", "wanted"),
    [
        ("x^2 = 4", {}, ["-2", "2"]),
        ("x^2 - 4", {}, ["-2", "2"]),
        ("x^2 == 4", {}, ["-2", "2"]),
        ("x^2 = 4", {"assumptions": {"x": ["positive"]}}, ["2"]),
        ("x^2 = 4", {"assumptions": "negative"}, ["-2"]),
        ("x^2 = -4", {}, ["-2*I", "2*I"]),
        ("a x = b", {}, ["b/a"]),
        ("E = m c^2", {"symbol": "m"}, ["E/c**2"]),
        ("0.1 x = 0.37", {}, ["3.7"]),
        ("x exp(x) = 1", {}, ["LambertW(1)"]),
        ("a x = 6", {"vars": {"a": 3}}, ["2"]),
    ],
)
def test_solutions(ask: Ask, equation: str, options: dict[str, Any], wanted: list[str]) -> None:
    answer = ask("cas", "solve_equation", equation=equation, **{"symbol": "x", **options})
    assert answer["solutions"] == wanted
    assert answer["count"] == len(wanted) == len(answer["latex_solutions"]) == len(answer["numeric_solutions"])


def test_numeric_solutions_are_real_where_they_are_real(ask: Ask) -> None:
    # Three real roots 2 cos(2 pi k / 9), though Cardano's formula goes through complex numbers.
    answer = ask("cas", "solve_equation", equation="x^3 - 3x + 1 = 0", symbol="x")
    wanted = sorted(2 * math.cos(2 * math.pi * k / 9) for k in (1, 2, 4))
    assert answer["numeric_solutions"] == pytest.approx(wanted, rel=1e-14)
    assert ask("cas", "solve_equation", equation="a x = b", symbol="x")["numeric_solutions"] == [None]


@pytest.mark.parametrize(
    ("equation", "options", "says"),
    [
        ("x = x + 1", {}, "no solution"),
        ("x^2 = -4", {"assumptions": "real"}, "no solution for x that is real"),
        ("x = x", {}, "Every x solves"),
        ("(x + 1)^2 = x^2 + 2x + 1", {}, "Every x solves"),
        ("cos(x) = x", {}, "no closed form"),
        ("x^2 = -1", {"guess": 1.0}, "No root"),
        ("x = 1/0", {}, "divides by zero"),
    ],
)
def test_equations_without_an_answer_say_so(ask: Ask, equation: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ComputationError, match=says):
        ask("cas", "solve_equation", equation=equation, symbol="x", **options)


def test_a_guess_finds_a_numeric_root(ask: Ask) -> None:
    answer = ask("cas", "solve_equation", equation="cos(x) = x", symbol="x", guess=1)
    assert answer["numeric_solutions"] == [pytest.approx(0.7390851332151607, rel=1e-14)]  # the Dottie number
    with pytest.raises(ValidationError, match="value for a"):
        ask("cas", "solve_equation", equation="cos(x) = a x", symbol="x", guess=1)


def test_periodic_equations_warn(ask: Ask) -> None:
    answer = ask("cas", "solve_equation", equation="sin(x) = 1/2", symbol="x")
    assert answer["solutions"] == ["pi/6", "5*pi/6"]
    assert "repeats every 2*pi" in answer.context.warnings[0]


def test_the_unit_of_the_unknown_follows_from_the_equation(ask: Ask) -> None:
    force = {"F": "10 N", "m": "2 kg"}
    answer = ask("cas", "solve_equation", equation="F = m a", symbol="a", vars=force)
    assert (answer["numeric_solutions"], answer["unit"]) == ([5.0], "meter / second ** 2")
    answer = ask("cas", "solve_equation", equation="F = m a", symbol="a", vars=force, to="km/h/s")
    assert answer["numeric_solutions"] == [18.0]
    answer = ask("cas", "solve_equation", equation="sin(w t) = 0.5", symbol="w", vars={"t": "2 s"})
    assert answer["unit"] == "1 / second"
    electron = {"m": "9.1093837139e-31 kg", "q": "1.602176634e-19 C", "U": "100 V"}
    answer = ask(
        "cas", "solve_equation", equation="0.5 m v^2 = q U", symbol="v", vars=electron, assumptions={"v": "positive"}
    )
    assert answer["numeric_solutions"] == [pytest.approx(math.sqrt(2 * 1.602176634e-17 / 9.1093837139e-31), rel=1e-13)]
    assert answer["unit"] == "meter / second"


def test_equations_between_unlike_quantities_are_refused(ask: Ask) -> None:
    with pytest.raises(UnitsError):
        ask("cas", "solve_equation", equation="F + a = m a", symbol="a", vars={"F": "10 N", "m": "2 kg"})
    with pytest.raises(UnitsError):
        ask("cas", "solve_equation", equation="F = m a", symbol="a", vars={"F": "10 N", "m": "2 kg"}, to="m")
    with pytest.raises(ValidationError, match="do not follow"):
        ask("cas", "solve_equation", equation="x^2 = 4 x^2", symbol="x", vars={"b": "1 m"})


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("evaluate", {"expr": "x + "}),
        ("evaluate", {"expr": "x > 1"}),
        ("evaluate", {"expr": "x", "vars": {"x": "five"}}),
        ("evaluate", {"expr": "x", "vars": {"x": {"value": 1, "sigma": -1}}}),
        ("evaluate", {"expr": "x", "vars": {"2x": 1}}),
        ("evaluate", {"expr": "x", "assumptions": {"x": "posit"}}),
        ("evaluate", {}),
        ("diff", {"expr": "x", "symbol": "x", "order": 0}),
        ("diff", {"expr": "x"}),
        ("diff", {"expr": "x", "symbol": "1"}),
        ("integrate", {"expr": "x", "symbol": "x", "bounds": [1]}),
        ("integrate", {"expr": "x", "symbol": "x", "vars": {"x": 1}}),
        ("solve_equation", {"equation": "x = 1 = 2", "symbol": "x"}),
        ("solve_equation", {"equation": "x < 1", "symbol": "x"}),
        ("solve_equation", {"equation": "y = 1", "symbol": "x"}),
        ("solve_equation", {"equation": "x = 1", "symbol": "x", "vars": {"x": 1}}),
        ("solve_equation", {"equation": "x = ", "symbol": "x"}),
    ],
)
def test_wrong_parameters(ask: Ask, method: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ask("cas", method, **params)


def test_sigma_is_not_silently_dropped(ask: Ask) -> None:
    answer = ask("cas", "evaluate", expr="2x", vars={"x": {"value": 1, "sigma": 0.1}})
    assert "uncertainty of x" in answer.context.warnings[0]


def test_other_spellings(ask: Ask) -> None:
    registry = load_tools()
    assert registry.find("cas", "solve") is registry.find("cas", "solve_equation")
    assert registry.find("cas", "differentiate") is registry.find("cas", "diff")
    assert registry.aliases["cas_diff"] == ("cas", "diff")
    assert ask("cas", "diff", expression="x^2", variable="x")["str"] == "2*x"
    assert sides("a == b") == ("a ", " b")


@given(
    st.recursive(
        st.sampled_from(["x", "2", "pi", "3/7"]),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+*-"), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"),
            st.tuples(st.sampled_from(["sin", "exp", "atan", "erf", "abs"]), inner).map(lambda t: f"{t[0]}({t[1]})"),
        ),
        max_leaves=6,
    )
)
def test_what_sympy_writes_the_parser_reads(text: str) -> None:
    expression = parse(text)
    again = parse(write(expression.to_sympy())["str"])
    first, second = (np.asarray(one.evaluate(x=0.37), dtype=float) for one in (expression, again))
    assert second == pytest.approx(first, rel=1e-9, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("expr", "bounds", "value"),
    [
        ("exp(-(x-1000)^2)", [-1e6, 1e6], math.sqrt(math.pi)),
        ("exp(-(x-1000)^2)", [1e6, -1e6], -math.sqrt(math.pi)),
        ("exp(-(x-1234.567)^2)", ["-inf", "inf"], math.sqrt(math.pi)),
        ("exp(-(x+5e5)^2) + exp(-(x-5e5)^2)", [-1e6, 1e6], 2 * math.sqrt(math.pi)),
        ("exp(-x/1e-9)", [0, 1], 1e-9),
        ("cos(x)/sqrt(x)", [0, 1], 1.809048475800544),  # Σ (−1)ⁿ/((2n)! (2n + 1/2))
        ("x^(-9/10)", [0, 1], 10),
    ],
)
def test_quadrature_does_not_miss_narrow_peaks(ask: Ask, expr: str, bounds: list[Any], value: float) -> None:
    """Closed forms: Gauss's integral, an exponential, powers; QUADPACK alone answers 0 for the first ones."""
    found = ask("cas", "integrate", expr=expr, symbol="x", bounds=bounds, numeric=True)
    assert found["evalf"] == pytest.approx(value, rel=1e-9)


def test_a_formula_that_underflows_everywhere_is_said(ask: Ask) -> None:
    found = ask("cas", "integrate", expr="exp(-x^2)", symbol="x", bounds=[100, 200], numeric=True)
    assert found["evalf"] == 0 and "zero in double precision" in found.context.warnings[0]


def test_a_closed_form_that_quadrature_contradicts_is_refused(ask: Ask) -> None:
    """∫exp(−(x−3)⁴) over the line is 2Γ(5/4) = 1.8128; SymPy 1.13 loses the half below 3 and answers 6e-38."""
    with pytest.raises(ComputationError, match=r"1\.8128\d* by quadrature"):
        ask("cas", "integrate", expr="exp(-(x-3)^4)", symbol="x", bounds=[0, 10])
    found = ask("cas", "integrate", expr="exp(-(x-3)^4)", symbol="x", bounds=[0, 10], numeric=True)
    assert found["evalf"] == pytest.approx(2 * math.gamma(1.25), rel=1e-9)


@pytest.mark.parametrize("equation", ["exp(-x) = 0", "1/x = 0", "x^2 + 1 = 0"])
def test_small_is_no_root(ask: Ask, equation: str) -> None:
    with pytest.raises(ComputationError, match="No root"):
        ask("cas", "solve_equation", equation=equation, symbol="x", guess=5)


@pytest.mark.parametrize(
    ("equation", "guess", "root"),
    [
        ("x^2 = 2e-20", 1e-10, math.sqrt(2) * 1e-10), ("x^2 = 2e-40", 1e-20, math.sqrt(2) * 1e-20),
        ("x^2 = 1e20", 1e9, 1e10), ("(x-1)^2 = 0", 3, 1), ("x = tan(x)", 4.4, 4.493409457909064),
        ("x^3 + x = 0", 0, 0),
    ],
)  # fmt: skip
def test_roots_near_a_guess_have_all_digits_at_any_scale(ask: Ask, equation: str, guess: float, root: float) -> None:
    found = ask("cas", "solve_equation", equation=equation, symbol="x", guess=guess)
    assert found["numeric_solutions"] == [pytest.approx(root, rel=1e-12)]


def test_both_real_branches_of_lamberts_function_are_listed(ask: Ask) -> None:
    """Wien's displacement law: 5(eˣ − 1) = x eˣ has the roots 0 and 4.965114231744276 (CODATA 2022, b = hc/(k x))."""
    found = ask("cas", "solve_equation", equation="5*(exp(x)-1) = x*exp(x)", symbol="x")
    assert found["numeric_solutions"] == [0, pytest.approx(4.965114231744276, rel=1e-14)]
    assert "complex branches" in found.context.warnings[0]
    assert ask("cas", "solve_equation", equation="x*exp(x) = 1", symbol="x")["count"] == 1


def test_a_corner_has_no_slope(ask: Ask) -> None:
    with pytest.raises(ComputationError, match="corner"):
        ask("cas", "diff", expr="abs(x)", symbol="x", vars={"x": 0})
    with pytest.raises(ComputationError, match="corner"):
        ask("graphing_calculator", "derivative", expression="abs(x-2)", point="2")
    assert ask("cas", "diff", expr="abs(x)", symbol="x", vars={"x": -2})["evalf"] == -1
