"""`cas.propagate_uncertainty`: uncertainties through a formula, to first order, with correlations and units."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np

from physlab.errors import ComputationError, UnitsError, ValidationError
from physlab.expressions import normal_name
from physlab.tools.cas.algebra import Setup, in_unit, number_of, require_defined, write
from physlab.tools.cas.params import PropagateUncertainty
from physlab.tools.context import Context
from physlab.tools.dimensions import Base, convert, in_base_units, measure
from physlab.tools.measures import parse_unit
from physlab.tools.registry import Port, registry

CURVED = 0.1  # second order above this part of the first is worth a warning
FAR = 1e6  # a span long enough that an offset (degC) costs no digits


@registry.method(
    "cas",
    "propagate_uncertainty",
    params=PropagateUncertainty,
    returns=(
        Port("expression", "text", description="The formula as it was given"),
        Port("mean_value", "number", description="The formula at the values given, in `unit`"),
        Port("uncertainty", "number", description="Standard uncertainty to first order, in `unit`"),
        Port("relative_uncertainty", "number", description="uncertainty / |mean_value|; null when the value is 0"),
        Port("result_with_uncertainty", "text", description="Value ± uncertainty, rounded to two digits of the latter"),
        Port(
            "partial_contributions",
            "object",
            description="For each variable: partial_derivative (formula), partial_value (in `partial_unit`), and "
            "contribution = (partial_value · sigma)², in `unit` squared; without correlations they add up to "
            "uncertainty²",
        ),
        Port("latex", "text", description="Formula, value and uncertainty as LaTeX"),
        Port("unit", "text", description="Unit of the result; null when no units were used"),
        Port("dimensionality", "text", description="Dimensions of the result; null when no units were used"),
    ),
    libraries=("sympy", "pint", "uncertainties"),
    imports=("sympy", "uncertainties"),
)
def propagate_uncertainty(params: PropagateUncertainty, context: Context) -> dict[str, Any]:
    """Propagate the uncertainties of variables through a formula, to first order.

    Args:
        params: The formula, its variables as {value, sigma, unit}, and their correlations.
        context: Gets a warning where the formula is too curved for first order.

    Returns:
        Value and standard uncertainty, u² = Σ ∂f/∂xᵢ ∂f/∂xⱼ σᵢ σⱼ rᵢⱼ (JCGM 100:2008, GUM, eq. 13), and what each
        variable contributes.

    Raises:
        ValidationError: A variable has no value, or a correlation is none.
        ComputationError: The formula has no real value or no derivative there.
        UnitsError: The dimensions do not fit.
    """
    import sympy
    import uncertainties

    setup = Setup(params.vars, params.assumptions, "", units=params.to is not None)
    expression = setup.parse(params.expr, context)
    _require_values(setup, expression.names, params.expr)
    names = sorted(expression.names)
    base = measure(expression, setup.parts).base or {} if setup.dimensional else {}
    function = setup.build(expression, {}, {"real": True})
    symbols = {str(item): item for item in function.free_symbols}
    at = {item: sympy.Number(setup.numbers[name]) for name, item in symbols.items()}
    mean = _real(setup.build(expression, setup.numbers), f"The formula {params.expr!r}")
    partials = {name: _derive(function, symbols.get(name), params.expr) for name in names}
    slopes = np.array([_real(one.subs(at), f"The derivative of {params.expr!r}") for one in partials.values()])
    spreads = _spreads(setup, params, names)
    matrix = _matrix(names, spreads, params.correlations)
    inputs = uncertainties.correlated_values_norm(
        [(setup.numbers[name], sigma) for name, sigma in zip(names, spreads, strict=True)], matrix
    )
    result = mean + sum(slope * (one - one.n) for slope, one in zip(slopes, inputs, strict=True))
    sigma = float(uncertainties.std_dev(result))
    if not np.isfinite(sigma):
        raise ComputationError(f"The uncertainty of {params.expr!r} is not a finite number.", hint="Check its values.")
    covariance = matrix * np.outer(spreads, spreads)
    _tell_curvature(function, [symbols.get(name) for name in names], at, covariance, sigma, context)
    shown = _shown(setup, mean, sigma, base, params.to)
    return {
        "expression": params.expr,
        **_spelled(shown, function),
        "relative_uncertainty": sigma / abs(mean) if mean else None,
        "partial_contributions": {
            name: _contribution(setup, params, name, partials[name], slope, spread, shown)
            for name, slope, spread in zip(names, slopes, spreads, strict=True)
        },
    }


class _Shown(NamedTuple):
    """A result in the unit wanted: value, uncertainty, the unit (None for a pure number), its size in SI units."""

    mean: float
    sigma: float
    unit: Any
    dimensionality: str | None
    scale: float


def _require_values(setup: Setup, names: frozenset[str], text: str) -> None:
    missing = sorted(names - setup.numbers.keys())
    if missing:
        raise ValidationError(
            f"The formula {text!r} has no value for {', '.join(missing)}.",
            hint='Give each variable in vars: {"value": 9.81, "sigma": 0.02, "unit": "m/s^2"}.',
        )
    if not names:
        raise ValidationError(f"The formula {text!r} has no variable.", hint="Use the names of vars in it.")


def _derive(function: Any, symbol: Any, text: str) -> Any:
    import sympy

    derivative = sympy.simplify(function.diff(symbol)) if symbol is not None else sympy.Integer(0)
    if derivative.has(sympy.Derivative, sympy.Subs):
        raise ComputationError(
            f"SymPy knows no derivative of {text!r} with respect to {symbol}.", hint="Use functions that have one."
        )
    return derivative


def _real(value: Any, what: str) -> float:
    require_defined(value, f"{what} at the values given")
    number = number_of(value)
    if not isinstance(number, float):
        raise ComputationError(
            f"{what} has no real value within floating-point range: {value}.", hint="Check the values of its variables."
        )
    return number


def _spreads(setup: Setup, params: PropagateUncertainty, names: list[str]) -> np.ndarray[Any, Any]:
    """Return the standard uncertainties, (variables,), in SI units when units are in play."""
    given = {normal_name(name): value for name, value in params.vars.items()}
    sizes = [_size(given[name].unit or "") if setup.dimensional else 1.0 for name in names]
    spreads = np.array([(given[name].sigma or 0.0) * size for name, size in zip(names, sizes, strict=True)])
    if not spreads.any():
        raise ValidationError(
            f"None of {', '.join(names)} has an uncertainty.", hint='Give {"value": 9.81, "sigma": 0.02}.'
        )
    return spreads


def _size(unit: str) -> float:
    """Return how many SI units a difference of one unit is.

    Raises:
        UnitsError: The unit is logarithmic.
    """
    zero, one, two = (in_base_units(value, unit).value for value in (0.0, FAR, 2 * FAR))
    if not np.isfinite(two) or abs(two - 2 * one + zero) > 1e-9 * abs(two):
        raise UnitsError(f"The unit '{unit}' is not proportional to SI units.", hint="Give the value in a linear unit.")
    return float((one - zero) / FAR)


def _matrix(names: list[str], spreads: Any, correlations: dict[str, float]) -> np.ndarray[Any, Any]:
    """Return the correlation matrix, (variables, variables).

    Raises:
        ValidationError: A variable is unknown or has no uncertainty, a coefficient is above 1, or the coefficients
            contradict each other (the matrix has a negative eigenvalue).
    """
    matrix = np.eye(len(names))
    for pair, number in correlations.items():
        for name in pair.split(","):
            if name not in names:
                raise ValidationError(
                    f"correlations speak of {name}, which the formula does not hold.", hint=f"It holds {names}."
                )
            if number and not spreads[names.index(name)]:
                raise ValidationError(f"{name} is correlated and has no sigma.", hint="Give its sigma.")
        if not abs(number) <= 1:
            raise ValidationError(f"The correlation of {pair} is {number}.", hint="Correlations lie from -1 to 1.")
        one, other = (names.index(name) for name in pair.split(","))
        matrix[one, other] = matrix[other, one] = number
    lowest = np.linalg.eigvalsh(matrix)[0]
    if lowest < -1e-9:
        raise ValidationError(
            f"The correlations contradict each other: their matrix has the negative eigenvalue {lowest:.3g}.",
            hint="Check their signs: no quantities can be correlated like this.",
        )
    return matrix


def _tell_curvature(
    function: Any, symbols: list[Any], at: Any, covariance: Any, sigma: float, context: Context
) -> None:
    """Warn where the second-order terms for normal distributions are not small against the first."""
    size = len(symbols)
    hessian = np.zeros((size, size))
    for i, j in combinations_with_replacement(range(size), 2):
        if symbols[i] is not None and symbols[j] is not None and covariance[i, i] and covariance[j, j]:
            number = number_of(function.diff(symbols[i], symbols[j]).subs(at))
            if not isinstance(number, float):
                context.warn("The formula has no second derivative there: first order may be far off.")
                return
            hessian[i, j] = hessian[j, i] = number
    product = hessian @ covariance
    shift, spread = abs(np.trace(product)) / 2, np.sqrt(max(np.trace(product @ product) / 2, 0.0))
    if max(shift, spread) > CURVED * sigma:
        context.warn(
            f"The formula is curved within the uncertainties: second order moves the mean by {shift / sigma:.0%} and "
            f"adds {spread / sigma:.0%} of the uncertainty given; first order is not enough."
            if sigma
            else "The first derivatives vanish here: first order gives no uncertainty, although there is one."
        )


def _shown(setup: Setup, mean: float, sigma: float, base: Base, to: str | None) -> _Shown:
    if not setup.dimensional:
        return _Shown(mean, sigma, None, None, 1.0)
    fields = in_unit(setup, mean, base, to)
    unit = parse_unit(fields["unit"])
    scale = FAR / (convert(FAR, base, unit) - convert(0.0, base, unit))
    return _Shown(fields["value"], float(f"{sigma / scale:.15g}"), unit, fields["dimensionality"], scale)


def _spelled(shown: _Shown, function: Any) -> dict[str, Any]:
    import uncertainties

    text, latex = f"{shown.mean:.15g}±0", rf"{shown.mean:.15g} \pm 0"
    if shown.sigma:
        result = uncertainties.ufloat(shown.mean, shown.sigma)
        text, latex = f"{result:.2uP}", f"{result:.2uL}"
    if shown.unit is not None and not shown.unit.dimensionless:
        text = f"{text if text.startswith('(') else f'({text})'} {shown.unit}"
        latex = latex if latex.startswith(r"\left(") else rf"\left({latex}\right)"
        latex += rf"\ {shown.unit:L}"
    return {
        "mean_value": shown.mean,
        "uncertainty": shown.sigma,
        "result_with_uncertainty": text,
        "latex": f"{write(function)['latex']} = {latex}",
        "unit": None if shown.unit is None else str(shown.unit),
        "dimensionality": shown.dimensionality,
    }


def _contribution(
    setup: Setup, params: PropagateUncertainty, name: str, partial: Any, slope: float, spread: float, shown: _Shown
) -> dict[str, Any]:
    """Return what one variable adds to the variance; `spread` and `slope` are in SI units."""
    given = next(value for key, value in params.vars.items() if normal_name(key) == name)
    size = _size(given.unit or "") if setup.dimensional else 1.0
    unit = None if shown.unit is None else str(shown.unit / parse_unit(given.unit or ""))
    return {
        "partial_derivative": write(partial)["str"],
        "partial_value": float(f"{slope * size / shown.scale:.15g}"),
        "partial_unit": unit,
        "contribution": (slope * spread / shown.scale) ** 2,
    }
