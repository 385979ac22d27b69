"""Derivatives rule by rule, and Taylor series."""

from __future__ import annotations

from typing import Any

from physlab.errors import ComputationError
from physlab.tools.cas.algebra import require_defined
from physlab.tools.derivation.steps import Ledger, latex, points, slope_agrees


def differentiate(function: Any, variable: Any, order: int, ledger: Ledger) -> Any:
    """Derive a function step by step.

    Args:
        function: SymPy expression.
        variable: What it is derived by.
        order: How often.
        ledger: Takes the steps.

    Returns:
        The derivative, simplified.

    Raises:
        ComputationError: There is no rule for a part of it, or a step does not hold.
    """
    import sympy

    power = f"^{{{order}}}" if order > 1 else ""
    sign = rf"\frac{{d{power}}}{{d {latex(variable)}{power}}}"
    ledger.given("problem", "What is asked.", rf"{sign}\left[{latex(function)}\right]")
    current = function
    for number in range(1, order + 1):
        before = current
        raw = _derive(current, variable, ledger)
        current = sympy.simplify(raw)
        if current.count_ops() > raw.count_ops():
            current = raw
        if not slope_agrees(before, current, variable):
            raise ComputationError(
                f"The derivative of {before} does not agree with its differences.",
                hint="Give assumptions, such as x > 0.",
            )
        named = f"derivative {number} of {order}" if order > 1 else "result"
        ledger.claim(
            named,
            "Put together and simplified; differences of the function give the same numbers.",
            rf"\frac{{d}}{{d {latex(variable)}}}\left[{latex(before)}\right] = {latex(current)}",
            (sympy.Derivative(before, variable), current),
            depth=0,
        )
    return current


def _derive(item: Any, x: Any, ledger: Ledger) -> Any:
    """Return the derivative of an expression, by the rule for its outermost operation."""
    import sympy

    if not item.has(x):
        return sympy.Integer(0)
    if item == x:
        return sympy.Integer(1)
    if item.is_Add:
        return _sum(item, x, ledger)
    if item.is_Mul:
        return _product(item, x, ledger)
    if isinstance(item, sympy.exp):
        return _chain(item, item.args[0], x, ledger, item, "exponential")
    if item.is_Pow:
        return _power(item, x, ledger)
    if len(item.args) == 1 and isinstance(item, sympy.Function):
        outer = item.func(sympy.Symbol("u", real=True)).diff()
        if not outer.has(sympy.Derivative, sympy.Subs):
            rate = outer.xreplace({sympy.Symbol("u", real=True): item.args[0]})
            return _chain(item, item.args[0], x, ledger, rate, f"derivative of {item.func.__name__}")
    found = item.diff(x)
    if found.has(sympy.Derivative, sympy.Subs):
        raise ComputationError(f"There is no rule for the derivative of {item}.", hint="Use functions that have one.")
    _state(ledger, "table", "A tabulated derivative.", item, x, found, 1)
    return found


def _state(ledger: Ledger, rule: str, text: str, item: Any, x: Any, right: Any, depth: int) -> None:
    import sympy

    line = rf"\frac{{d}}{{d {latex(x)}}}\left[{latex(item)}\right] = {latex(right)}"
    ledger.claim(rule, text, line, (sympy.Derivative(item, x), right), depth=depth)


def _sum(item: Any, x: Any, ledger: Ledger) -> Any:
    import sympy

    parts = [part for part in item.args if part.has(x)]
    right = sympy.Add(*(sympy.Derivative(part, x) for part in parts), evaluate=False)
    left_out = " Constant terms have no derivative." if len(parts) < len(item.args) else ""
    _state(ledger, "sum", f"The derivative of a sum is the sum of the derivatives.{left_out}", item, x, right, 2)
    return sympy.Add(*(_derive(part, x, ledger) for part in parts))


def _product(item: Any, x: Any, ledger: Ledger) -> Any:
    import sympy

    constant, rest = item.as_independent(x, as_Add=False)
    if constant != 1:
        right = sympy.Mul(constant, sympy.Derivative(rest, x), evaluate=False)
        _state(ledger, "constant factor", "A constant factor stays.", item, x, right, 2)
        return constant * _derive(rest, x, ledger)
    above, below = item.as_numer_denom()
    if below.has(x) and above.has(x):
        right = (sympy.Derivative(above, x) * below - above * sympy.Derivative(below, x)) / below**2
        _state(ledger, "quotient", "Quotient rule, (u/v)' = (u'v − uv')/v².", item, x, right, 1)
        return (_derive(above, x, ledger) * below - above * _derive(below, x, ledger)) / below**2
    first, second = item.args[0], sympy.Mul(*item.args[1:])
    right = sympy.Derivative(first, x) * second + first * sympy.Derivative(second, x)
    _state(ledger, "product", "Product rule, (uv)' = u'v + uv'.", item, x, right, 1)
    return _derive(first, x, ledger) * second + first * _derive(second, x, ledger)


def _power(item: Any, x: Any, ledger: Ledger) -> Any:
    import sympy

    base, exponent = item.args
    if not exponent.has(x):
        return _chain(item, base, x, ledger, exponent * base ** (exponent - 1), "power")
    if not base.has(x):
        return _chain(item, exponent, x, ledger, item * sympy.log(base), "exponential")
    rewritten = exponent * sympy.log(base)
    right = item * sympy.Derivative(rewritten, x)
    _state(ledger, "logarithmic derivative", "uᵛ = exp(v ln u), where both depend on the variable.", item, x, right, 1)
    return item * _derive(rewritten, x, ledger)


_SAID = {
    "power": "Power rule, (uⁿ)' = n uⁿ⁻¹ u'.",
    "exponential": "The exponential is its own derivative, (aᵘ)' = aᵘ ln a · u'.",
}


def _chain(item: Any, inner: Any, x: Any, ledger: Ledger, rate: Any, rule: str) -> Any:
    """State d f(u)/dx = f'(u) du/dx and go on with u."""
    import sympy

    text = _SAID.get(rule, "Known derivative of the function.")
    if inner == x:
        _state(ledger, rule, text, item, x, rate, 2)
        return rate
    right = sympy.Mul(rate, sympy.Derivative(inner, x), evaluate=False)
    text += f" Chain rule with u = {inner}."
    _state(ledger, f"{rule}, chain rule", text, item, x, right, 1)
    return rate * _derive(inner, x, ledger)


def expand_series(function: Any, variable: Any, point: Any, order: int, ledger: Ledger) -> Any:
    """Expand a function in powers of (variable − point), up to but not including `order`.

    Args:
        function: SymPy expression, regular at the point.
        variable: What it is expanded in.
        point: Around which value.
        order: First power that is left out.
        ledger: Takes the steps.

    Returns:
        The polynomial.

    Raises:
        ComputationError: The function is not regular there, or the remainder is not small enough.
    """
    import sympy

    step = variable - point
    ledger.given("problem", f"Expand around {variable} = {point} up to the power {order - 1}.",
                 f"f({latex(variable)}) = {latex(function)}")  # fmt: skip
    ledger.given("Taylor's theorem", "The coefficients are derivatives at the point.",
                 rf"f({latex(variable)}) = \sum_{{k=0}}^{{{order - 1}}} \frac{{f^{{(k)}}({latex(point)})}}{{k!}}"
                 rf" {_power_of(step, 'k')} + O\left({_power_of(step, str(order))}\right)", 1)  # fmt: skip
    polynomial, derivative = sympy.Integer(0), function
    for k in range(order):
        value = sympy.limit(derivative, variable, point)
        require_defined(value, f"The derivative of order {k} of {function} at {variable} = {point}")
        coefficient = sympy.simplify(value / sympy.factorial(k))
        again = sympy.series(function, variable, point, k + 1).removeO().expand()
        ledger.claim(
            f"coefficient {k}", f"Derivative {k} at the point, over {k}!.",
            rf"\frac{{f^{{({k})}}({latex(point)})}}{{{k}!}} = {latex(coefficient)}",
            (polynomial + coefficient * step**k, again), depth=1,
        )  # fmt: skip
        polynomial += coefficient * step**k
        derivative = sympy.diff(derivative, variable)
    if not _remainder_is_small(function, polynomial, variable, point, order):
        raise ComputationError(
            f"The remainder of the series of {function} does not fall like the power {order}.",
            hint="Expand around a point where the function is regular.",
        )
    terms = sympy.series(function, variable, point, order)
    ledger.claim(
        "result", f"The remainder falls like the power {order}, as computed at two distances.",
        f"{latex(function)} = {latex(terms)}", (polynomial.expand(), terms.removeO().expand()),
    )  # fmt: skip
    return polynomial


def _power_of(step: Any, exponent: str) -> str:
    return rf"\left({latex(step)}\right)^{{{exponent}}}" if step.is_Add else f"{latex(step)}^{{{exponent}}}"


def _remainder_is_small(function: Any, polynomial: Any, variable: Any, point: Any, order: int) -> bool:
    """Say whether f − p falls at least 7^order-fold from a distance to a tenth of it, at sample values."""
    import sympy

    gap = function - polynomial
    values = next(points(gap.free_symbols - {variable}))
    far, near = (
        abs(complex(gap.subs(values).subs(variable, (point + sympy.Rational(1, size))).subs(values).evalf(80)))
        for size in (1000, 10_000)
    )
    return near <= far / 7.0**order or far < 1e-70
