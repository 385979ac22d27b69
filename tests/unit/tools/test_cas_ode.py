"""`cas.solve_ode`: closed forms, notations, conditions, and equations without a closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from physlab.errors import ComputationError, ValidationError
from physlab.expressions import parse
from physlab.tools import load_tools
from physlab.tools.cas.algebra import sides
from physlab.tools.cas.derivatives import UnknownFunction

Ask = Callable[..., Any]


NOTATIONS = (
    "y'' + y = 0", "y′′ = −y", "y'' + y", "Derivative(y(x), x, 2) + y(x) = 0", "diff(y,x,2) = -y",
    "diff(y(x), x, x) + y(x)", "Derivative(y(x), (x, 2)) + y(x)", "d^2y/dx^2 = -y", "d²y/dx² + y = 0",
    "d2y/dx2 == -y", "ÿ + y = 0", "y(x).diff(x, 2) + y(x)", "Eq(diff(diff(y, x), x), -y)", "y''(x) + y(x) = 0",
)  # fmt: skip


@pytest.mark.parametrize("ode", NOTATIONS)
def test_every_notation_is_one_equation(ode: str) -> None:
    unknown = UnknownFunction("y", "x")
    left, right = (parse(unknown.mark(side), variables=("y", "y__2")) for side in sides(ode))
    assert left.evaluate(y=3.0, y__2=5.0, x=0) - right.evaluate(y=3.0, y__2=5.0, x=0) == 8


@pytest.mark.parametrize("ode", NOTATIONS[::5])
def test_the_oscillator(ask: Ask, ode: str) -> None:
    answer = ask("cas", "solve_ode", ode=ode, symbol="x", func="y")
    assert answer["general_solution"] == "y(x) = C1*sin(x) + C2*cos(x)"
    assert (answer["order"], answer["verified"], answer["ode_original"]) == (2, "exactly", ode)
    assert answer["particular_solution"] is None


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("2y'", "2 y__1 "), ("x y''", "x  y__2 "), ("y'^2", " y__1 ^2"), ("dy/dx", " y__1 "), ("4y(x)", "4 y "),
        ("a_y + y", "a_y + y"), ("dy/dx2 ", None),
    ],
)  # fmt: skip
def test_marking(text: str, marked: str | None) -> None:
    unknown = UnknownFunction("y", "x")
    if marked is None:
        with pytest.raises(ValidationError, match="orders"):
            unknown.mark(text)
    else:
        assert unknown.mark(text) == marked


def particular(ask: Ask, ode: str, ics: dict[str, Any], **options: Any) -> Any:
    return ask("cas", "solve_ode", **{"ode": ode, "symbol": "x", "func": "y", "ics": ics, **options})


@pytest.mark.parametrize(
    ("ode", "ics", "truth"),
    [
        ("y'' + y = 0", {"y(0)": 1, "y'(0)": 0}, np.cos),
        ("y'' + y = 0", {"y(0)": 1, "Derivative(y(x), x)(0)": 0}, np.cos),
        ("y'' + y = 0", {"y(0)": 1, "y(x).diff(x).subs(x, 0)": 0}, np.cos),
        ("y'' + y = 0", {"y(0)": 0, "y(pi/2)": "1"}, np.sin),  # a boundary-value problem
        ("y' = y", {"y(1)": "e"}, np.exp),
        ("y'' + 2y' + y = 0", {"y(0)": 1, "y'(0)": 0}, lambda x: (1 + x) * np.exp(-x)),  # critically damped
        ("y' = y*(1 - y)", {"y(0)": 0.5}, lambda x: 1 / (1 + np.exp(-x))),  # logistic
        ("x y' = -y", {"y(1)": 2}, lambda x: 2 / x),
        ("y'' + 0.2 y' + 4y = 0", {"y(0)": 1.5, "y'(0)": 0}, None),
        ("y'' - y = x", {"y(0)": 0, "y'(0)": 0}, lambda x: np.sinh(x) - x),
        ("y'' = 2", {"y(0)": 0, "y'(0)": 1}, lambda x: x**2 + x),
    ],
)
def test_particular_solutions(ask: Ask, ode: str, ics: dict[str, Any], truth: Any) -> None:
    x = np.linspace(0.1, 2, 7)
    if truth is None:  # weakly damped: decay 0.1, frequency √(4 − 0.01)
        w = np.sqrt(3.99)
        truth = lambda x: 1.5 * np.exp(-0.1 * x) * (np.cos(w * x) + 0.1 / w * np.sin(w * x))  # noqa: E731
    answer = particular(ask, ode, ics)
    assert answer["particular_solution"] == f"y(x) = {answer['expr']}"
    assert parse(answer["expr"]).evaluate(x=x) == pytest.approx(truth(x), rel=1e-12)
    assert answer["free_constants"] == []


def test_parameters_and_assumptions(ask: Ask) -> None:
    ics = {"y(0)": "A", "y'(0)": "v"}
    answer = particular(ask, "y'' = -ω^2 y", ics, assumptions={"omega": "positive"})
    assert answer["expr"] == "A*cos(omega*x) + v*sin(omega*x)/omega"
    assert answer["initial_conditions"] == {"y(0)": "A", "y'(0)": "v"}
    assert particular(ask, "y' = k y", {"y(0)": 1}, vars={"k": 2})["expr"] == "exp(2*x)"
    assert particular(ask, "ψ' = ψ", {"ψ(0)": 1}, func="ψ")["particular_solution"] == "psi(x) = exp(x)"


def test_bessel(ask: Ask) -> None:
    answer = ask("cas", "solve_ode", ode="x^2 y'' + x y' + (x^2 - 4) y = 0", symbol="x", func="y(x)")
    assert answer["general_solution"] == "y(x) = C1*besselj(2, x) + C2*bessely(2, x)"  # DLMF 10.2.1
    with pytest.raises(ComputationError, match="no value for y\\(0\\)"):
        particular(ask, "x^2 y'' + x y' + x^2 y = 0", {"y(0)": 1})


def test_conditions_that_leave_a_constant_or_a_choice(ask: Ask) -> None:
    answer = particular(ask, "y'' + y = 0", {"y(0)": 0, "y(pi)": 0})
    assert (answer["expr"], answer["free_constants"]) == ("C1*sin(x)", ["C1"])
    assert "C1 free" in answer.context.warnings[0]
    answer = particular(ask, "y'^2 = y", {"y(0)": 1})
    assert answer["expr"] is None
    assert "2 solutions" in answer.context.warnings[0]


@pytest.mark.parametrize("ode", ["y'' + sin(y) = 0", "y'' + cos(x) y = 0"])
def test_without_a_closed_form_a_numerical_way_is_named(ask: Ask, ode: str) -> None:
    with pytest.raises(ComputationError, match="no closed-form") as caught:
        ask("cas", "solve_ode", ode=ode, symbol="x", func="y")
    assert "solve_ivp" in caught.value.hint


def test_conditions_that_nothing_fulfils(ask: Ask) -> None:
    with pytest.raises(ComputationError, match="No solution of"):
        particular(ask, "y'' + y = 0", {"y(0)": 0, "y(pi)": 1})


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"ode": "y + x = 0"}, "no derivative"),
        ({"ode": "y' + z' = 0"}, "prime"),
        ({"ode": "Derivative(y(x), t) = y"}, "respect to t"),
        ({"ode": "y' = y", "ics": {"y": 1}}, "cannot be read"),
        ({"ode": "y' = y", "ics": {"y(0)": "x"}}, "holds x"),
        ({"ode": "y' = k y", "vars": {"k": "2 1/s"}}, "pure numbers"),
        ({"ode": "y' = k y", "vars": {"k": {"value": 2, "sigma": 1}}}, "uncertainty of k"),
        ({"ode": "y' = y", "vars": {"y": 2}}, "y has a value"),
        ({"ode": "y' = y", "func": "x"}, "both"),
        ({"ode": "y' = y(x + 1)"}, "calls the variable y"),
        ({"ode": "y' + = 2"}, "y' \\+"),
        ({"ode": "y' = y", "func": None}, "func"),
    ],
)
def test_wrong_parameters(ask: Ask, params: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ask("cas", "solve_ode", **{"symbol": "x", "func": "y", **params})


def test_legacy_name_and_limit() -> None:
    registry = load_tools()
    assert registry.aliases["cas_solve_ode"] == ("cas", "solve_ode")
    assert registry.find("cas", "solve_ode").time_limit_s == 10
