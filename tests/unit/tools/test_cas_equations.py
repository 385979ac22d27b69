"""`cas.solve_equation`: all solutions, exact or with all digits, with their units, or a plain no."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from physlab.errors import ComputationError, UnitsError, ValidationError

Ask = Callable[..., Any]


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
