"""`ml_ai_augmentation.explain_derivation`: textbook results, every step checked, nothing wrong gets through."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sympy

from physlab.errors import ComputationError, ConfigurationError, UnitsError, ValidationError
from physlab.expressions import parse
from physlab.model import Node
from physlab.tools import load_tools
from physlab.tools.derivation.params import DerivationParams, read_problem
from physlab.tools.derivation.steps import Ledger, equal, slope_agrees
from physlab.tools.prepare import Findings, prepare
from tests.unit.tools.test_endpoint import Server, server  # noqa: F401  (the fixture)

Ask = Callable[..., Any]


def derive(ask: Ask, problem: str, **params: Any) -> Any:
    answer = ask("ml_ai_augmentation", "explain_derivation", goal="derive", context_expr_sympy=problem, **params)
    assert answer["verified"] is True
    assert answer.context.meta["model_used"] == "sympy" or params.get("model")
    return answer


def same(text: str, expected: str) -> bool:
    """Two formulas that are equal for all values."""
    left, right = parse(text).to_sympy(), parse(expected).to_sympy()
    return bool(sympy.simplify(left - right) == 0)


def rules(answer: Any) -> list[str]:
    return [step["rule"] for step in answer["steps"]]


@pytest.mark.parametrize(
    ("problem", "expected", "used"),
    [
        ("diff(x^2*sin(x), x)", "2*x*sin(x) + x^2*cos(x)", "product"),
        ("diff(sin(x)/x, x)", "cos(x)/x - sin(x)/x^2", "quotient"),
        ("diff(ln(cos(3x)), x)", "-3*tan(3*x)", "derivative of log, chain rule"),
        ("diff(x^5, x, 3)", "60*x^2", "power"),
        ("Derivative(exp(-x**2), x)", "-2*x*exp(-x^2)", "exponential, chain rule"),
        ("differentiate a*x^3 + b with respect to x", "3*a*x^2", "sum"),
        ("diff((1 + x)/(1 - x), x)", "2/(1 - x)^2", "quotient"),
        ("diff(x^x, x)", "x^x*(1 + log(x))", "logarithmic derivative"),
    ],
)
def test_derivatives(ask: Ask, problem: str, expected: str, used: str) -> None:
    answer = derive(ask, problem, audience_level="undergrad")
    assert answer["task"] == "derivative"
    assert same(answer["result"][0], expected)
    assert used in rules(answer)


@pytest.mark.parametrize(
    ("problem", "expected", "used"),
    [
        ("integrate(x*exp(-x), (x, 0, inf))", "1", "integration by parts"),  # Γ(2)
        ("integrate(exp(-a*x^2), (x, -oo, oo))", "sqrt(pi/a)", "error function"),  # Gauss
        ("integrate(1/(1 + x^2), (x, 0, 1))", "pi/4", "arctangent"),  # Leibniz
        ("integrate(sqrt(1 - x^2), (x, 0, 1))", "pi/4", "root of a quadratic"),
        ("integrate sin(x)*cos(x)^2 from 0 to pi", "2/3", "substitution"),
        ("integrate x^2 dx from 0 to 3", "9", "power rule"),
    ],
)
def test_definite_integrals(ask: Ask, problem: str, expected: str, used: str) -> None:
    answer = derive(ask, problem, audience_level="undergrad", assumptions=["a > 0"])
    left, right = (parse(text).to_sympy({"a": {"positive": True}}) for text in (answer["result"][0], expected))
    assert sympy.simplify(left - right) == 0
    assert used in rules(answer)


@pytest.mark.parametrize(
    ("problem", "used"),
    [
        ("integrate(x^2*log(x), x)", "integration by parts"),
        ("integrate(exp(x)*cos(x), x)", "solving for the integral"),
        ("integrate(1/(x^2 - 1), x)", "rewriting"),
        ("integrate(x/(1 + x^2), x)", "substitution"),
    ],
)
def test_antiderivatives(ask: Ask, problem: str, used: str) -> None:
    answer = derive(ask, problem, audience_level="undergrad")
    found = parse(answer["result"][0]).to_sympy()
    integrand = parse(problem.removeprefix("integrate(").rpartition(",")[0]).to_sympy()
    assert sympy.simplify(found.diff(sympy.Symbol("x")) - integrand) == 0
    assert used in rules(answer)
    assert "+ C" in answer["latex"]


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ("series(cos(x), x, 0, 6)", "1 - x^2/2 + x^4/24"),
        ("expand exp(x) around 0 to order 3", "1 + x + x^2/2 + x^3/6"),
        ("expand sin(x)/x around 0", "1 - x^2/6 + x^4/120"),
        ("series(log(x), x, 1, 4)", "(x-1) - (x-1)^2/2 + (x-1)^3/3"),
        ("series(1/sqrt(1 - v^2), v, 0, 5)", "1 + v^2/2 + 3*v^4/8"),  # the Lorentz factor
    ],
)
def test_series(ask: Ask, problem: str, expected: str) -> None:
    assert same(derive(ask, problem)["result"][0], expected)


@pytest.mark.parametrize(
    ("problem", "params", "expected", "used"),
    [
        ("solve v = v_0 + g*t for t", {}, ["(v - v_0)/g"], "linear equation"),
        ("a*x^2 + b*x + c = 0", {}, ["(-b + sqrt(b^2 - 4*a*c))/(2*a)", "(-b - sqrt(b^2 - 4*a*c))/(2*a)"],
         "quadratic formula"),
        ("x^3 - 6x^2 + 11x - 6 = 0", {}, ["1", "2", "3"], "factoring"),
        ("1/x + 1/y = 1/f", {"symbol": "x"}, ["f*y/(y - f)"], "collecting"),  # the thin lens
        ("E = m*c^2", {"symbol": "c", "assumptions": ["E, m, c > 0"]}, ["sqrt(E/m)"], "quadratic formula"),
        ("sqrt(x + 1) = x - 1", {}, ["3"], "algorithm"),  # 0 solves the squared equation only
    ],
)  # fmt: skip
def test_equations(ask: Ask, problem: str, params: dict[str, Any], expected: list[str], used: str) -> None:
    answer = derive(ask, problem, **params)
    positive = {name: {"positive": True} for name in "Emc"} if params.get("assumptions") else {}
    found = [parse(text).to_sympy(positive) for text in answer["result"]]
    wanted = [parse(text).to_sympy(positive) for text in expected]
    assert len(found) == len(wanted)
    assert all(any(sympy.simplify(one - other) == 0 for other in wanted) for one in found)
    assert used in rules(answer)


def test_an_unknown_that_stands_once_is_isolated(ask: Ask) -> None:
    answer = derive(ask, "N_0*exp(-k*t) = N", symbol="t", assumptions=["N_0 > 0", "N > 0", "k > 0", "t real"])
    assert rules(answer).count("isolating") == 3
    assert "log" in answer["result"][0]


@pytest.mark.parametrize(
    ("problem", "params", "method"),
    [
        ("y' + y/x = x", {}, "integrating factor"),
        ("dN/dt = -k*N", {}, "integrating factor"),
        ("y' = x*y^2", {}, "separation"),
        ("y'' + 2*y' + y = exp(x)", {}, "particular solution"),
        ("m*x'' + k*x = F*cos(w*t)", {"symbol": "t", "assumptions": ["m > 0", "k > 0", "w > 0"]}, "roots"),
        ("Derivative(y(x), x, 2) = -y(x)", {}, "roots"),
    ],
)
def test_differential_equations(ask: Ask, problem: str, params: dict[str, Any], method: str) -> None:
    answer = derive(ask, problem, **params)
    assert answer["task"] == "ode"
    assert method in rules(answer)
    assert rules(answer)[-1] == "general solution"


def test_an_initial_value_problem(ask: Ask) -> None:
    answer = derive(ask, "y'' + y = 0", ics={"y(0)": 1, "y'(0)": 0}, audience_level="undergrad")
    assert answer["result"] == ["y(x) = cos(x)"]
    assert rules(answer).count("condition met") == 2


@pytest.mark.parametrize(
    ("lagrangian", "expected", "used"),
    [
        ("L = m*x'^2/2 - k*x^2/2", ["-k*X/m"], "energy"),
        ("L = m*l^2*θ'^2/2 + m*g*l*cos(θ)", ["-g*sin(T)/l"], "energy"),
        ("m*(r'^2 + r^2*phi'^2)/2 + G*M*m/r", ["-G*M/R^2 + R*V^2", "-2*W*V/R"], "conserved"),
    ],
)
def test_equations_of_motion(ask: Ask, lagrangian: str, expected: list[str], used: str) -> None:
    """Oscillator, pendulum, Kepler's problem (L. D. Landau, E. M. Lifshitz, Mechanics, §5, §14)."""
    answer = derive(ask, lagrangian)
    assert answer["task"] == "euler_lagrange"
    assert used in rules(answer)
    spelled = {"Derivative(phi(t), t)": "V", "Derivative(r(t), t)": "W", "x(t)": "X", "theta(t)": "T", "r(t)": "R"}
    for found, wanted in zip(answer["result"], expected, strict=True):
        right = found.partition(" = ")[2]
        for long, short in spelled.items():
            right = right.replace(long, short)
        assert same(right, wanted)


def test_dimensions(ask: Ask) -> None:
    units = {"E": "J", "m": "kg", "v": "m/s", "g": "m/s^2", "h": "m"}
    answer = derive(ask, "E = m*v^2/2 + m*g*h", task="dimensions", units=units)
    assert answer["result"] == ["[length] ** 2 * [mass] / [time] ** 2"]
    with pytest.raises(UnitsError, match="puts"):
        derive(ask, "E = m*v/2", task="dimensions", units=units)
    with pytest.raises(UnitsError, match="puts"):
        derive(ask, "E = m*v/2", symbol="v", units=units)


def test_levels_show_more_or_less_and_check_the_same(ask: Ask) -> None:
    answers = [derive(ask, "diff(x^2*sin(x), x)", audience_level=level) for level in ("undergrad", "grad", "expert")]
    counts = [len(answer["steps"]) for answer in answers]
    assert counts[0] > counts[1] > counts[2] == 2
    assert len({answer.context.meta["steps_checked"] for answer in answers}) == 1
    assert len(derive(ask, "diff(x^2*sin(x), x)", level="undergraduate", include_steps=False)["steps"]) == 2


def test_latex_is_whole(ask: Ask) -> None:
    """Braces and environments are balanced, rows are separated, and nothing reserved stands outside mathematics."""
    text = derive(ask, "integrate(x^2*log(x), x)", audience_level="undergrad")["latex"]
    assert text.startswith("\\begin{aligned}") and text.endswith("\\end{aligned}")
    bare = text.replace("\\{", "").replace("\\}", "")
    assert bare.count("{") == bare.count("}")
    assert len(re.findall(r"\\left", text)) == len(re.findall(r"\\right", text))
    assert text.count("\\\\") == text.count("&&") - 1


def test_explain_says_why(ask: Ask) -> None:
    short = ask("ml_ai_augmentation", "explain_derivation", goal="derive", problem="diff(x^2*sin(x), x)")
    long = ask("ml_ai_augmentation", "explain_derivation", goal="explain", problem="diff(x^2*sin(x), x)")
    assert "Product rule" in long["summary_md"] and "Product rule" not in short["summary_md"]
    assert "verified" in short["summary_md"]


def test_a_picture(ask: Ask) -> None:
    answer = derive(ask, "y'' + y = 0", _visuals={"static": True})
    assert answer["png_b64"].path.read_bytes().startswith(b"\x89PNG")


def test_what_is_wrong_never_becomes_a_step() -> None:
    x = sympy.Symbol("x", real=True)
    ledger = Ledger()
    with pytest.raises(ComputationError, match="could not be verified"):
        ledger.claim("wrong", "", "", (sympy.sin(x) ** 2, 1 - sympy.cos(x)))
    with pytest.raises(ComputationError):
        ledger.claim("nearly", "", "", (sympy.sin(x), x - x**3 / 6))
    assert not ledger.steps
    assert equal(sympy.sin(x) ** 2 + sympy.cos(x) ** 2, sympy.Integer(1)) == "symbolically"
    assert slope_agrees(sympy.exp(2 * x), 2 * sympy.exp(2 * x), x)
    assert not slope_agrees(sympy.exp(2 * x), sympy.exp(2 * x), x)


@pytest.mark.parametrize(
    ("problem", "params", "error"),
    [
        ("what is love", {}, ValidationError),
        ("x^2 + 1", {}, ValidationError),
        ("diff(x*y, x, y)", {}, ValidationError),
        ("L = m*x''", {}, ValidationError),
        ("a*b = c*d", {}, ValidationError),
        ("a = b", {"symbol": "z"}, ValidationError),
        ("diff(x^2, x)", {"audience_level": "child"}, ValidationError),
        ("diff(x^2, x)", {"assumptions": ["x is nice"]}, ValidationError),
        ("diff(__import__('os'), x)", {}, ValidationError),
        ("m*v", {"task": "dimensions"}, ValidationError),
        ("integrate(1/x, (x, -1, 1))", {}, ComputationError),
        ("integrate(1/x^2, (x, -1, 1))", {}, ComputationError),
        ("series(1/x, x, 0, 4)", {}, ComputationError),
        ("cos(x) = x", {}, ComputationError),
        ("x = x + 1", {}, ComputationError),
        ("x^2 = -1", {"assumptions": ["x real"]}, ComputationError),
        ("y' = sin(x*y)", {}, ComputationError),
        ("diff(x^2, x)", {"model": "some-model"}, ConfigurationError),
    ],
)
def test_wrong_problems(
    ask: Ask, problem: str, params: dict[str, Any], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LM_BASE_URL", "PHYSLAB_ENDPOINT__BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(error):
        derive(ask, problem, **params)


def test_problems_are_read() -> None:
    def read(text: str) -> tuple[str, str, Any]:
        found = read_problem(DerivationParams(context_expr_sympy=text))
        return found.kind, found.text, found.symbol

    assert read("Derivative(x**2, (x, 2))") == ("derivative", "x**2", "x")
    assert read("Integral(f*x, (x, 0, a))") == ("integral", "f*x", "x")
    assert read("solve x^2 = 2 for x.") == ("equation", "x^2 = 2", "x")
    assert read("Derive the equations of motion for L = m*x'^2/2")[0] == "euler_lagrange"
    assert read("dsolve(y' = y, y(x))")[0] == "ode"
    assert read_problem(DerivationParams(context_expr_sympy="diff(x**4, x, 3)")).order == 3
    assert read_problem(DerivationParams(context_expr_sympy="Derivative(x**4, (x, 2))")).order == 2


def test_a_commentary_is_labelled(ask: Ask, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("PHYSLAB_ENDPOINT__BASE_URL", server.settings.base_url or "")
    server.say("The product rule at work.", model="small", usage={"total_tokens": 9})
    plain = derive(ask, "diff(x*sin(x), x)")
    answer = derive(ask, "diff(x*sin(x), x)", model="small")
    assert answer["commentary"] == "The product rule at work." and plain["commentary"] is None
    assert (answer["latex"], answer["steps"]) == (plain["latex"], plain["steps"])
    assert "not verified" in answer["summary_md"]
    assert (answer.context.meta["model_used"], answer.context.meta["tokens"]) == ("small", 9)
    assert any("not verified" in text for text in answer.context.warnings)
    server.status = 500
    without = derive(ask, "diff(x*sin(x), x)", model="small")
    assert without["commentary"] is None and without["latex"] == plain["latex"]
    assert without.context.meta["model_used"] == "sympy"
    assert any("no commentary" in text for text in without.context.warnings)


def test_a_configured_model_enters_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result with a commentary and one without are two results."""
    method = load_tools().find("ml_ai_augmentation", "explain_derivation")
    node = Node(id="n", tool="ml_ai_augmentation", method="explain_derivation", params={"problem": "diff(x, x)"})
    monkeypatch.chdir(tmp_path)
    for name in ("LM_BASE_URL", "PHYSLAB_ENDPOINT__BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    bare = prepare(node, method, tmp_path, Findings())
    monkeypatch.setenv("PHYSLAB_ENDPOINT__BASE_URL", "http://127.0.0.1:9/v1")
    named = prepare(node, method, tmp_path, Findings())
    assert bare is not None and bare.params["model"] is None
    assert named is not None and named.params["model"] == "qwen2.5-coder"
