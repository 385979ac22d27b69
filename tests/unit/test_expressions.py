"""The one parser of formulas."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.special as special
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

from physlab.errors import ComputationError, ValidationError
from physlab.expressions import FUNCTIONS, normal_name, parse


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2x", "2*x"),
        ("2 sin(x)", "2*sin(x)"),
        ("3(x+1)", "3*(x+1)"),
        ("(x+1)(x-1)", "(x+1)*(x-1)"),
        ("x^2 y", "x**2*y"),
        ("x²y³", "x**2*y**3"),
        ("m c^2", "m*c**2"),
        ("2πf", "2*pi*f"),
        ("ωt", "omega*t"),
        ("Δx/Δt", "Deltax/Deltat"),
        ("ω₀t", "omega_0*t"),
        ("2 pi (x - t)", "2*pi*(x - t)"),
        ("ħ·ω", "hbar*omega"),
        ("x ≤ 1", "x <= 1"),
        ("−x", "-x"),
        ("√(x)", "sqrt(x)"),
        ("arctan2(y, x)", "atan2(y, x)"),
        ("ln(x)", "log(x)"),
        ("where(Ne(n, 1), 2, 3)", "where(n != 1, 2, 3)"),
        ("1e-3x", "0.001*x"),
        ("Γ(x)", "gamma(x)"),
        ("(x > 0) & ~(y < 1)", "x > 0 and not y < 1"),
    ],
)
def test_spellings_mean_the_same(text: str, same: str) -> None:
    assert parse(text).tree == parse(same).tree


def test_powers_bind_as_in_mathematics() -> None:
    assert float(parse("-2^2").evaluate()) == -4
    assert float(parse("2^3^2").evaluate()) == 512
    assert float(parse("6/2*3").evaluate()) == 9
    assert float(parse("10 - 3 - 2").evaluate()) == 5
    assert float(parse("2^-1").evaluate()) == 0.5


@pytest.mark.parametrize("text", ["1/2x", "1/2 x", "e^2x", "e^-2x", "1/(2)x", "1/sin(x) y", "2^3(x)"])
def test_ambiguous_products_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="ambiguous"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "-", "2 3", "x 2", "√2", "sin x", "sin", "f(x)", "x.real", "x[0]", "[x]", "{x}", "'x'", "f'{x}'",
        "x:=1",
        "lambda: 1", "x if y else z", "x for x in y", "__import__('os')", "().__class__", "_x", "sin(*x)", "sin(x=1)",
        "sin(x, y)", "x = 1", "n!", "x // 2", "x @ y", "x << 2", "1e400", "9" * 400, "0x10", "1_000", "x + (y > 1)",
        "x and y", "where(x, 1, 2)", "(x, y)", "...", "None", "x is y", "import os", "\x00", "x\\\n+1", "½",
        "𝟏+𝐱", "2;3",
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["9**9**9", "9^9^9", "2^(10^9)", "(2^9999*x)^9999", "((9^99)^99)^99", "factorial(10^9)", "gamma(1e9)", "x^(9^9)",
     "legendre(10^6, x)", "factorial(factorial(20))", "2^inf", "2^(1/0)"],
)  # fmt: skip
def test_numbers_without_bound_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="digits"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["(" * 2000 + "x" + ")" * 1999, "-" * 3999 + "x", "sin(" * 100 + "x" + ")" * 100, "x" * 4001, "1/" * 1000 + "x"],
)
def test_long_and_deep_formulas_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        parse(text)


def test_a_long_sum_is_not_deep() -> None:
    assert float(parse(" + ".join(["x"] * 900)).evaluate(x=2)) == 1800


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(ValidationError, match="unknown name 'alfa'") as caught:
        parse("sin(x) + alfa", ["x", "alpha"])
    assert "alpha" in caught.value.hint
    with pytest.raises(ValidationError, match="unknown function 'sine'") as caught:
        parse("sine(x)")
    assert "sin" in caught.value.hint


def test_declared_names_win_over_constants() -> None:
    assert parse("e*x").constants == {"e"}
    assert parse("e*x", ["e", "x"]).names == {"e", "x"}
    assert parse("I*R", variables=["I"]).names == {"I", "R"}
    assert complex(parse("i^2").evaluate()) == -1
    assert parse("ω t", ["ω", "t"]).names == {"omega", "t"}


def test_a_variable_is_not_called() -> None:
    with pytest.raises(ValidationError, match="calls the variable gamma"):
        parse("gamma(v + 1)", ["gamma", "v"])
    with pytest.raises(ValidationError, match="unknown function 'x'"):
        parse("x(x + 1)")


def test_python_words_can_be_names() -> None:
    assert float(parse("2 lambda").evaluate(**{"lambda": 3})) == 6
    assert parse("λ").to_sympy() == sympy.Symbol("lambda")


def test_names_are_normalised() -> None:
    assert normal_name("ω₀") == "omega_0"
    assert normal_name("Δx") == "Deltax"
    for wrong in ("a b", "αx", "2x", "", "if", "a.b", "_a"):
        with pytest.raises(ValidationError):
            normal_name(wrong)


def test_evaluation_broadcasts_and_keeps_the_kind_of_number() -> None:
    x, y = np.linspace(0, 1, 5), np.linspace(0, 1, 3)[:, None]
    assert parse("x + y").evaluate(x=x, y=y).shape == (3, 5)
    assert parse("3").evaluate(x=x).tolist() == [3] * 5
    assert parse("2x + 1").evaluate(x=x.astype(np.float32)).dtype == np.float32
    assert parse("x^-1").evaluate(x=np.array([1, 2])).tolist() == [1, 0.5]
    assert np.isnan(parse("sqrt(x)").evaluate(x=-1.0))
    assert parse("exp(I pi)").evaluate() == pytest.approx(-1)


def test_conditions_choose() -> None:
    x = np.array([-2.0, 0.5, 3.0])
    assert parse("where(0 < x < 1, 10, x)").evaluate(x=x).tolist() == [-2, 10, 3]
    assert parse("Piecewise((0, x < 0), (x, x < 1), (1, True))").evaluate(x=x).tolist() == [0, 0.5, 1]
    assert parse("piecewise(0, x < 0, x, x < 1, 1)").evaluate(x=x).tolist() == [0, 0.5, 1]
    assert np.isnan(parse("piecewise(0, x < 0)").evaluate(x=x)).tolist() == [False, True, True]


def test_missing_and_misshapen_values_are_told() -> None:
    with pytest.raises(ValidationError, match="no value for x, y"):
        parse("x + y").evaluate()
    with pytest.raises(ValidationError, match="cannot be computed"):
        parse("x + y").evaluate(x=np.ones(2), y=np.ones(3))
    with pytest.raises(ValidationError, match="not a number"):
        parse("x").evaluate(x="1")
    with pytest.raises(ValidationError, match="cannot be computed"):
        parse("floor(x)").evaluate(x=1j)


def test_assumptions_reach_sympy() -> None:
    assert parse("sqrt(x^2)").to_sympy({"x": {"positive": True}}) == sympy.Symbol("x", positive=True)
    with pytest.raises(ValidationError, match="does not exist"):
        parse("x").to_sympy({"x": {"posit": True}})
    with pytest.raises(ValidationError, match="contradict"):
        parse("x").to_sympy({"x": {"positive": True, "negative": True}})


def test_values_are_there_before_anything_cancels() -> None:
    assert parse("sin(x)/x").to_sympy(values={"x": 0}) is sympy.nan
    assert parse("1/x").to_sympy(values={"x": 0}) is sympy.zoo


def test_what_sympy_refuses_is_told() -> None:
    with pytest.raises(ComputationError, match="no meaning"):
        parse("where(I < 1, 1, 2)").to_sympy()


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from physlab.expressions import parse; parse('sin(x)').evaluate(x=1.0);"
        "print([m for m in ('sympy', 'scipy', 'pint') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SPECIAL: dict[str, tuple[str, float]] = {
    # Abramowitz & Stegun, Handbook of Mathematical Functions: tables 7.1, 6.1, 9.1, 9.8, 10.1, 10.11 and 8.1, 22.
    "erf(0.5)": ("erf", 0.5204998778),
    "gamma(1.5)": ("gamma", 0.8862269255),
    "besselj(0, 1)": ("besselj", 0.7651976866),
    "bessely(1, 2)": ("bessely", -0.1070324315),
    "besseli(0, 1)": ("besseli", 1.2660658778),
    "besselk(0, 1)": ("besselk", 0.4210244382),
    "jn(1, 1)": ("jn", 0.3011686789),
    "airyai(0)": ("airyai", 0.3550280539),
    "legendre(2, 0.5)": ("legendre", -0.125),
    "hermite(3, 1)": ("hermite", -4.0),
    "laguerre(2, 1)": ("laguerre", -0.5),
    "factorial(5)": ("factorial", 120.0),
    "binomial(5, 2)": ("binomial", 10.0),
    "zeta(2)": ("zeta", np.pi**2 / 6),
    "LambertW(1)": ("LambertW", 0.5671432904),
    "heaviside(0)": ("heaviside", 0.5),
    "sinc(pi/2)": ("sinc", 2 / np.pi),
    "cbrt(-8)": ("cbrt", -2.0),
}


@pytest.mark.parametrize("text", SPECIAL)
def test_special_functions_have_their_published_values(text: str) -> None:
    wanted = SPECIAL[text][1]
    assert float(parse(text).evaluate()) == pytest.approx(wanted, rel=1e-9)
    assert float(parse(text).to_sympy().evalf()) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_means_the_same_to_numpy_and_sympy(name: str) -> None:
    table = FUNCTIONS[name]
    if name in ("where", "piecewise"):
        text = {"where": "where(x < 1, x, y)", "piecewise": "piecewise(x, x < 1, y)"}[name]
    elif name in ("legendre", "hermite", "laguerre", "chebyshevt", "assoc_laguerre", "jn", "yn"):
        text = f"{name}({'2, ' * (table.fewest - 1)}x)"
    else:
        text = f"{name}({', '.join('xyz'[: table.fewest])})"
    point = {"x": 1.7, "y": 0.6} if name in ("acosh", "coth", "zeta") else {"x": 0.7, "y": 1.6}
    expression = parse(text)
    used = {key: value for key, value in point.items() if key in expression.names}
    assert complex(expression.evaluate(**used)) == pytest.approx(
        complex(expression.to_sympy(values=used).evalf()), rel=1e-12
    )


@given(st.text(max_size=60))
def test_arbitrary_text_gives_a_formula_or_a_validation_error(text: str) -> None:
    with contextlib.suppress(ValidationError):
        parse(text)


WORDS = ["x", "α", "sin", "(", ")", "+", "-", "*", "/", "^", "**", "2", "1.5", "e", "I", ",", "<", "and", "not", " ",
         "where", "lambda", "²", "√", ".", "=", "[", "factorial", "9", "piecewise", "%", "inf"]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=25).map("".join))
def test_almost_formulas_give_a_formula_or_a_validation_error(text: str) -> None:
    with contextlib.suppress(ValidationError):
        expression = parse(text)
        expression.evaluate(**dict.fromkeys(expression.names, 0.5))


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.integers(-3, 3)).map(lambda t: f"({t[0]})^({t[1]})"),
        st.tuples(st.sampled_from(["sin", "cos", "exp", "tanh", "sqrt", "log", "abs", "atan", "erf"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        ),
        inner.map(lambda t: f"-{t}"),
    )


FORMULAS = st.recursive(
    st.one_of(
        st.sampled_from(["x", "y", "pi", "e"]), st.integers(0, 9).map(str), st.floats(0.1, 9).map(lambda v: f"{v:.3f}")
    ),
    _grow,
    max_leaves=8,
)


@given(FORMULAS, st.floats(0.2, 2).map(lambda v: round(v, 2)), st.floats(0.2, 2).map(lambda v: round(v, 2)))
def test_both_readings_agree(text: str, x: float, y: float) -> None:
    expression = parse(text, ["x", "y"])
    numeric = float(expression.evaluate(x=x, y=y))
    symbolic: Any = expression.to_sympy(values={"x": x, "y": y})
    assume(np.isfinite(numeric) and abs(numeric) < 1e12 and symbolic.is_finite)
    exact = complex(symbolic.evalf(30))
    assume(abs(exact.imag) < 1e-9)
    # Rounding of the numbers inside is amplified by the function's slope; what stays is one value.
    slope = np.ptp([float(expression.evaluate(x=x * (1 + d), y=y * (1 + d))) for d in (-1e-13, 0, 1e-13)])
    assume(np.isfinite(slope) and slope < 1e-6 * max(1, abs(numeric)))
    assert numeric == pytest.approx(exact.real, rel=1e-6, abs=1e-6)


def test_spherical_bessel_functions_have_their_own_name() -> None:
    x = np.linspace(0.5, 20, 40)
    assert parse("spherical_jn(2, x)").evaluate(x=x) == pytest.approx(special.spherical_jn(2, x), rel=1e-10)
