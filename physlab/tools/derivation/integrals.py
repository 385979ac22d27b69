"""Integrals by the rules that a person would use; every antiderivative is derived again to prove it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from physlab.errors import ComputationError
from physlab.tools.cas.algebra import require_defined
from physlab.tools.derivation import steps as derivation_steps
from physlab.tools.derivation.steps import Ledger, Step, points

_DIGITS = 30
_TABLE = {
    "ConstantRule": "constant", "PowerRule": "power rule", "NestedPowRule": "power rule",
    "ReciprocalRule": "logarithm, ∫ du/u = ln u", "ExpRule": "exponential", "SinRule": "∫ sin = −cos",
    "CosRule": "∫ cos = sin", "Sec2Rule": "∫ sec² = tan", "ArctanRule": "arctangent", "ArcsinRule": "arcsine",
    "ArcsinhRule": "inverse hyperbolic sine", "SinhRule": "∫ sinh = cosh", "CoshRule": "∫ cosh = sinh",
    "ErfRule": "error function", "SqrtQuadraticRule": "root of a quadratic",
}  # fmt: skip


def latex(item: Any) -> str:
    """Return an expression as LaTeX, with substituted variables called w."""
    import sympy

    item = sympy.sympify(item, strict=True)
    return derivation_steps.latex(item.xreplace({name: sympy.Symbol("w") for name in item.atoms(sympy.Dummy)}))


def integrate(integrand: Any, variable: Any, bounds: tuple[Any, Any] | None, ledger: Ledger) -> Any:
    """Integrate step by step.

    Args:
        integrand: SymPy expression.
        variable: What it is integrated over.
        bounds: Lower and upper end of a definite integral.
        ledger: Takes the steps.

    Returns:
        The antiderivative without its constant, or the value of the definite integral.

    Raises:
        ComputationError: No closed form is known, it diverges, or a step does not hold.
    """
    import sympy

    ledger.given("problem", "What is asked.", _sign(integrand, variable, bounds))
    found = _antiderivative(integrand, variable, ledger)
    if found is None:
        if bounds is None:
            raise ComputationError(
                f"No closed form of the integral of {integrand} is known.", hint="Give bounds to get its number."
            )
        return _definite_at_once(integrand, variable, bounds, ledger)
    ledger.claim(
        "antiderivative" if bounds else "result", "Deriving it gives the integrand back.",
        rf"{_sign(integrand, variable)} = {latex(found)}{'' if bounds else ' + C'}",
        (sympy.Derivative(found, variable), integrand), depth=1 if bounds else 0,
    )  # fmt: skip
    return found if bounds is None else _between(found, integrand, variable, bounds, ledger)


def _sign(integrand: Any, variable: Any, bounds: tuple[Any, Any] | None = None) -> str:
    ends = rf"_{{{latex(bounds[0])}}}^{{{latex(bounds[1])}}}" if bounds else ""
    shown = rf"\left({latex(integrand)}\right)" if integrand.is_Add else latex(integrand)
    return rf"\int{ends} {shown} \, d {latex(variable)}"


def _antiderivative(integrand: Any, variable: Any, ledger: Ledger) -> Any:
    """Return an antiderivative with its steps; without steps where only SymPy's algorithms know one; else None."""
    import sympy
    from sympy.integrals.manualintegrate import integral_steps

    rule = integral_steps(integrand, variable)
    if not rule.contains_dont_know():
        mark = len(ledger.steps)
        try:
            _walk(rule, ledger)
            return sympy.simplify(rule.eval())
        except (ComputationError, NotImplementedError, TypeError, ValueError, AttributeError):
            del ledger.steps[mark:]
    found = sympy.integrate(integrand, variable)
    if found.has(sympy.Integral, sympy.nan, sympy.zoo):
        return None
    ledger.given(
        "algorithm", "No elementary chain of rules is known; the antiderivative comes from SymPy's algorithms (Risch, "
        "Meijer G functions) and is proved by deriving it.", _sign(integrand, variable), 1,
    )  # fmt: skip
    return found


def _walk(rule: Any, ledger: Ledger) -> None:
    """State one rule and go on with what it leaves."""
    name = type(rule).__name__
    handler = _RULES.get(name, _tabulated)
    handler(rule, ledger)


def _tabulated(rule: Any, ledger: Ledger) -> None:
    import sympy

    found, name = rule.eval(), type(rule).__name__
    said = _TABLE.get(name, f"tabulated integral ({name.removesuffix('Rule')})")
    elementary = name in ("ConstantRule", "PowerRule", "ExpRule", "SinRule", "CosRule")
    ledger.claim(
        said, "A basic integral, proved by deriving it.", rf"{_sign(rule.integrand, rule.variable)} = {latex(found)}",
        (sympy.Derivative(found, rule.variable), rule.integrand), depth=2 if elementary else 1,
    )  # fmt: skip


def _constant_times(rule: Any, ledger: Ledger) -> None:
    right = rf"{latex(rule.constant)} {_sign(rule.other, rule.variable)}"
    ledger.claim("constant factor", "A constant factor stands before the integral.",
                 f"{_sign(rule.integrand, rule.variable)} = {right}",
                 (rule.integrand, rule.constant * rule.other), depth=2)  # fmt: skip
    _walk(replace(rule.substep, integrand=rule.other), ledger)  # SymPy may note the whole integrand there


def _sum(rule: Any, ledger: Ledger) -> None:
    import sympy

    parts = [step.integrand for step in rule.substeps]
    right = " + ".join(_sign(part, rule.variable) for part in parts)
    ledger.claim("sum", "The integral of a sum is the sum of the integrals.",
                 f"{_sign(rule.integrand, rule.variable)} = {right}", (rule.integrand, sympy.Add(*parts)),
                 depth=2)  # fmt: skip
    for step in rule.substeps:
        _walk(step, ledger)


def _rewrite(rule: Any, ledger: Ledger) -> None:
    ledger.claim("rewriting", "The integrand in another form (partial fractions, identities, expansion).",
                 f"{latex(rule.integrand)} = {latex(rule.rewritten)}", (rule.integrand, rule.rewritten),
                 depth=1)  # fmt: skip
    _walk(rule.substep, ledger)


def _substitution(rule: Any, ledger: Ledger) -> None:
    import sympy

    inner = rule.substep.integrand.subs(rule.u_var, rule.u_func)
    rate = sympy.diff(rule.u_func, rule.variable)
    after = _sign(rule.substep.integrand, rule.u_var)
    ledger.claim(
        "substitution", "The integrand is f(w) dw/dx.",
        rf"w = {latex(rule.u_func)}: \quad {_sign(rule.integrand, rule.variable)} = {after}",
        (inner * rate, rule.integrand), depth=1,
    )  # fmt: skip
    _walk(rule.substep, ledger)


def _by_parts(rule: Any, ledger: Ledger) -> None:
    import sympy

    v = rule.v_step.eval()
    left = v * sympy.diff(rule.u, rule.variable)
    x = latex(rule.variable)
    ledger.claim(
        "integration by parts", "∫ u v' = u v − ∫ u' v.",
        rf"u = {latex(rule.u)},\; v' = {latex(rule.dv)}: \quad {_sign(rule.integrand, rule.variable)} = "
        rf"{latex(rule.u * v)} - \int {latex(left)} \, d {x}",
        (rule.u * rule.dv, rule.integrand), (sympy.Derivative(v, rule.variable), rule.dv), depth=1,
    )  # fmt: skip
    _walk(rule.second_step, ledger)


def _cyclic_parts(rule: Any, ledger: Ledger) -> None:
    import sympy

    found, sign, current = sympy.Integer(0), 1, rule.integrand
    for part in rule.parts_rules:
        v = part.v_step.eval()
        ledger.claim(
            "integration by parts", "∫ u v' = u v − ∫ u' v, once more until the integral itself comes back.",
            rf"{_sign(current, rule.variable)} = {latex(part.u * v)} - "
            rf"\int {latex(v * sympy.diff(part.u, rule.variable))} \, d {latex(rule.variable)}",
            (part.u * part.dv, current), (sympy.Derivative(v, rule.variable), part.dv), depth=1,
        )  # fmt: skip
        found += sign * part.u * v
        sign, current = -sign, v * sympy.diff(part.u, rule.variable)
    ledger.claim(
        "solving for the integral", f"The integral came back with the factor {rule.coefficient}.",
        rf"{latex(1 - rule.coefficient)} {_sign(rule.integrand, rule.variable)} = {latex(found)}",
        (sympy.Derivative(found, rule.variable), (1 - rule.coefficient) * rule.integrand), depth=1,
    )  # fmt: skip


def _alternative(rule: Any, ledger: Ledger) -> None:
    plain = [item for item in rule.alternatives if not item.contains_dont_know()]
    _walk(min(plain, key=lambda item: len(str(item))), ledger)


def _trigonometric(rule: Any, ledger: Ledger) -> None:
    ledger.given("trigonometric substitution", "A root of a quadratic becomes a trigonometric function of w.",
                 f"{latex(rule.variable)} = {latex(rule.func)}", 1)  # fmt: skip
    _walk(rule.substep, ledger)


_RULES: dict[str, Callable[[Any, Ledger], None]] = {
    "ConstantTimesRule": _constant_times, "AddRule": _sum, "RewriteRule": _rewrite, "CompleteSquareRule": _rewrite,
    "URule": _substitution, "PartsRule": _by_parts, "CyclicPartsRule": _cyclic_parts, "AlternativeRule": _alternative,
    "TrigSubstitutionRule": _trigonometric,
}  # fmt: skip


def _between(found: Any, integrand: Any, variable: Any, bounds: tuple[Any, Any], ledger: Ledger) -> Any:
    """Put the bounds into an antiderivative, if quadrature agrees; else take the definite integral at once."""
    import sympy

    lower, upper = bounds
    try:
        ends = sympy.limit(found, variable, upper, "-"), sympy.limit(found, variable, lower, "+")
        value = sympy.simplify(ends[0] - ends[1])
    except (NotImplementedError, ValueError, TypeError):
        return _definite_at_once(integrand, variable, bounds, ledger)
    if value.has(sympy.nan, sympy.zoo, sympy.AccumBounds, sympy.Limit) or not _agrees(
        value, integrand, variable, bounds
    ):
        return _definite_at_once(integrand, variable, bounds, ledger)
    require_defined(value, f"The integral of {integrand} from {lower} to {upper}")
    ledger.given("bounds", "The antiderivative at the upper end less that at the lower end.",
                 rf"\left[{latex(found)}\right]_{{{latex(lower)}}}^{{{latex(upper)}}}", 1)  # fmt: skip
    _conclude(value, integrand, variable, bounds, ledger)
    return value


def _definite_at_once(integrand: Any, variable: Any, bounds: tuple[Any, Any], ledger: Ledger) -> Any:
    import sympy

    value = sympy.simplify(sympy.integrate(integrand, (variable, *bounds)))
    what = f"The integral of {integrand} from {bounds[0]} to {bounds[1]}"
    if value.has(sympy.Integral, sympy.Piecewise):
        raise ComputationError(
            f"{what} has no closed form that SymPy knows without conditions.", hint="Give assumptions, such as a > 0."
        )
    require_defined(value, what)
    if not _agrees(value, integrand, variable, bounds):
        raise ComputationError(f"{what} could not be verified by quadrature.", hint="Check the bounds for poles.")
    ledger.given("algorithm", "The definite integral comes from SymPy's algorithms and is checked by quadrature.",
                 _sign(integrand, variable, bounds), 1)  # fmt: skip
    _conclude(value, integrand, variable, bounds, ledger)
    return value


def _conclude(value: Any, integrand: Any, variable: Any, bounds: tuple[Any, Any], ledger: Ledger) -> None:
    line = f"{_sign(integrand, variable, bounds)} = {latex(value)}"
    ledger.steps.append(Step("result", "Quadrature gives the same number.", line, "numerically"))


def _agrees(value: Any, integrand: Any, variable: Any, bounds: tuple[Any, Any]) -> bool:
    """Say whether adaptive quadrature at high precision gives the value, for sample values of other variables."""
    import sympy

    free = (integrand.free_symbols | value.free_symbols).union(*(end.free_symbols for end in bounds)) - {variable}
    for count, values in enumerate(points(free)):
        try:
            ends = [end.subs(values) for end in bounds]
            number = complex(sympy.Integral(integrand.subs(values), (variable, *ends)).evalf(_DIGITS))
            said = complex(value.subs(values).evalf(_DIGITS))
        except (ValueError, TypeError, NotImplementedError, ArithmeticError):
            return False
        if not abs(number - said) <= 1e-10 * max(abs(number), abs(said), 1e-12):
            return False
        if count == 1 or not free:
            break
    return True
