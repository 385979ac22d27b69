"""`graphing_calculator.stats_regression`: least squares with standard errors, confidence intervals and R².

Linear, quadratic, cubic and logarithmic models are linear in their parameters and are solved by QR with scaled columns.
Polynomials are fitted in (x − centre)/scale, so that dates such as 2450000 lose no digits, and are then written in x.
Exponential, power and sinusoidal models are fitted to y itself (Levenberg–Marquardt), not to its logarithm, so that the
sum of squares of y is what is least; the logarithms only give the starting point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import AliasChoices, Field

from physlab.errors import ComputationError, ValidationError
from physlab.tools.calculator.centred import Centred
from physlab.tools.calculator.format import SUCCESS
from physlab.tools.context import Context
from physlab.tools.registry import Port
from physlab.tools.types import Array, Params

Kind = Literal["linear", "quadratic", "cubic", "exponential", "logarithmic", "power", "sinusoidal"]


@dataclass(frozen=True)
class Model:
    """One family of curves: its formula, the names of its parameters, its value and its design matrix (linear ones)."""

    formula: str
    names: tuple[str, ...]
    value: Callable[..., Array]
    design: Callable[[Array], Array] | None = None
    start: Callable[[Array, Array], list[Array]] | None = None


def _powers(order: int) -> Callable[[Array], Array]:
    return lambda x: np.vander(x, order + 1)


def _exponential_start(x: Array, y: Array) -> list[Array]:
    """Return a start from log|y| over the points on the more common side of zero."""
    sign = 1.0 if np.median(y) >= 0 else -1.0
    good = sign * y > 0
    if good.sum() < 2:
        raise ComputationError("The y values change sign too often for an exponential.", hint="Use another model.")
    slope, offset = np.polyfit(x[good], np.log(sign * y[good]), 1)
    return [np.array([sign * np.exp(offset), slope])]


def _power_start(x: Array, y: Array) -> list[Array]:
    return [np.array([a, b]) for a, b in map(tuple, _exponential_start(np.log(x), y))]


def _sinusoidal_start(x: Array, y: Array) -> list[Array]:
    """Return starts at the peaks of the least-squares periodogram (P. Vaníček, 1971); points need not be even."""
    length = np.ptp(x)
    gaps = np.diff(np.unique(x))
    fastest = np.pi / np.median(gaps)
    count = int(min(20_000, max(200, 20 * fastest * length / (2 * np.pi))))
    omegas = np.linspace(0.25 * 2 * np.pi / length, fastest, count)
    fits = []
    for omega in omegas:
        design = np.column_stack([np.sin(omega * x), np.cos(omega * x), np.ones_like(x)])
        found, *_ = np.linalg.lstsq(design, y, rcond=None)
        fits.append((float(np.sum((design @ found - y) ** 2)), omega, found))
    fits.sort(key=lambda item: item[0])
    return [np.array([np.hypot(f[0], f[1]), omega, np.arctan2(f[1], f[0]), f[2]]) for _, omega, f in fits[:5]]


MODELS: dict[str, Model] = {
    "linear": Model("a*x + b", ("a", "b"), lambda x, a, b: a * x + b, _powers(1)),
    "quadratic": Model("a*x^2 + b*x + c", ("a", "b", "c"), lambda x, *p: np.polyval(p, x), _powers(2)),
    "cubic": Model("a*x^3 + b*x^2 + c*x + d", ("a", "b", "c", "d"), lambda x, *p: np.polyval(p, x), _powers(3)),
    "logarithmic": Model(
        "a + b*log(x)", ("a", "b"), lambda x, a, b: a + b * np.log(x),
        lambda x: np.column_stack([np.ones_like(x), np.log(x)]),
    ),
    "exponential": Model("a*exp(b*x)", ("a", "b"), lambda x, a, b: a * np.exp(b * x), start=_exponential_start),
    "power": Model("a*x^b", ("a", "b"), lambda x, a, b: a * x**b, start=_power_start),
    "sinusoidal": Model(
        "a*sin(b*x + c) + d", ("a", "b", "c", "d"), lambda x, a, b, c, d: a * np.sin(b * x + c) + d,
        start=_sinusoidal_start,
    ),
}  # fmt: skip
POLYNOMIALS = ("linear", "quadratic", "cubic")


class PointsParams(Params):
    """Points to fit."""

    data_x: Array | None = Field(
        None, validation_alias=AliasChoices("data_x", "x"), description="x; default: 0, 1, 2, …"
    )
    data_y: Array = Field(validation_alias=AliasChoices("data_y", "y", "data"), description="y, as many.")
    y_errors: Array | None = Field(
        None, validation_alias=AliasChoices("y_errors", "sigma"), description="Standard uncertainties of y, > 0."
    )

    def points(self, context: Context) -> tuple[Array, Array, Array | None]:
        """Return x, y and the uncertainties of y.

        Raises:
            ValidationError: The lengths differ, or values are not finite real numbers.
        """
        y = column(self.data_y, "data_y")
        x = np.arange(len(y), dtype=float) if self.data_x is None else column(self.data_x, "data_x", len(y))
        context.enforce("samples", len(y), "points")
        sigma = None if self.y_errors is None else column(self.y_errors, "y_errors", len(y))
        return x, y, sigma


class RegressionParams(PointsParams):
    """Points and the model to fit."""

    regression_type: Kind = Field(
        "linear", validation_alias=AliasChoices("regression_type", "model"), description="The family of curves."
    )
    confidence_level: float = Field(0.95, gt=0, lt=1, description="Of the confidence intervals.")


def column(values: Any, name: str, length: int | None = None, *, least: int = 1) -> Array:
    """Return a list of finite real numbers.

    Args:
        values: What was given.
        name: Its parameter, for the messages.
        length: How many there must be.
        least: How many there must be at least.

    Raises:
        ValidationError: It is something else.
    """
    found = np.asarray(values)
    if found.dtype.kind not in "biuf" or found.ndim != 1:
        raise ValidationError(f"{name} has the shape {found.shape} and type {found.dtype}.", hint="Give a list of "
                              "real numbers.")  # fmt: skip
    found = found.astype(float)
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).sum())
        raise ValidationError(f"{name} holds {bad} values that are no numbers.", hint="Take them out.")
    if length is not None and len(found) != length:
        raise ValidationError(f"{name} has {len(found)} values, not {length}.", hint="Give as many.")
    if len(found) < least:
        raise ValidationError(f"{name} has {len(found)} values; at least {least} are needed.", hint="Give more.")
    return found


@dataclass(frozen=True)
class Fit:
    """A fitted curve: its model, parameters, their covariance (None when undetermined), and its residuals."""

    model: Model
    parameters: Array
    covariance: Array | None
    residuals: Array
    weights: Array
    centred: Centred | None = None

    def __call__(self, x: Array) -> Array:
        """Return the curve at x."""
        return self.centred(x) if self.centred else self.model.value(x, *self.parameters)

    def error(self, x: Array) -> Array:
        """Return the standard error of the curve at x; there must be a covariance."""
        covariance: Any
        if self.centred:
            jacobian, covariance = self.centred.design(x), self.centred.covariance
        else:
            jacobian, covariance = jacobian_of(self.model, x, self.parameters), self.covariance
        return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian)))

    @property
    def formula(self) -> str:
        """The formula with its numbers."""
        text = self.model.formula
        digits = 17 if self.centred and abs(self.centred.centre) > 10 * self.centred.scale else 10
        spelled = {name: f"({v:.{digits}g})" for name, v in zip(self.model.names, self.parameters, strict=True)}
        return "".join(
            spelled[letter] if letter in spelled and not (text[max(0, i - 1) : i].isalpha()
            or text[i + 1 : i + 2].isalpha()) else letter
            for i, letter in enumerate(text)
        )  # fmt: skip


def fit(kind: str, x: Array, y: Array, sigma: Array | None) -> Fit:
    """Return the least-squares curve of a family.

    Args:
        kind: Key of `MODELS`.
        x: Abscissae (n).
        y: Ordinates (n).
        sigma: Standard uncertainties of y (n), which make the weights 1/σ²; None weighs all points alike, and the
            covariance is then scaled with the scatter of the residuals.

    Raises:
        ValidationError: Too few points, an x or an uncertainty that is not above zero where it must be.
        ComputationError: The points do not determine the parameters, or the fit does not converge.
    """
    model = MODELS[kind]
    if len(np.unique(x)) < len(model.names):
        raise ValidationError(
            f"{len(np.unique(x))} different x cannot determine the {len(model.names)} parameters of {model.formula}.",
            hint="Give more points, or a simpler model.",
        )
    if kind in ("logarithmic", "power") and (x <= 0).any():
        raise ValidationError(f"x = {x.min():g} has no logarithm.", hint=f"A {kind} model needs x > 0.")
    if sigma is not None and (sigma <= 0).any():
        raise ValidationError(f"An uncertainty is {sigma.min():g}.", hint="y_errors must be above zero.")
    weights = np.ones_like(y) if sigma is None else 1 / sigma
    if kind in POLYNOMIALS:
        return _polynomial(model, x, y, weights, sigma is not None)
    found = _linear(model, x, y, weights) if model.design else _curved(model, x, y, weights)
    jacobian = jacobian_of(model, x, found) * weights[:, None]
    residuals = y - model.value(x, *found)
    return Fit(model, found, _covariance(jacobian, residuals * weights, sigma is not None), residuals, weights)


def _polynomial(model: Model, x: Array, y: Array, weights: Array, known: bool) -> Fit:
    plain = Centred((x.min() + x.max()) / 2, 2.0 ** np.round(np.log2(np.ptp(x) / 2)), np.zeros(len(model.names)))
    design = plain.design(x)
    own = _solved(design * weights[:, None], y * weights)
    residuals = y - design @ own
    spread = _covariance(design * weights[:, None], residuals * weights, known)
    centred = Centred(plain.centre, plain.scale, own, spread)
    parameters, covariance = centred.in_x()
    return Fit(model, parameters, covariance, residuals, weights, centred)


def _linear(model: Model, x: Array, y: Array, weights: Array) -> Array:
    assert model.design is not None  # noqa: S101 — the caller looked
    return _solved(model.design(x) * weights[:, None], y * weights)


def _solved(design: Array, y: Array) -> Array:
    """Return the least-squares solution by QR of scaled columns; weights are in the design and in y."""
    scale = np.linalg.norm(design, axis=0)
    q, r = np.linalg.qr(design / scale)
    if np.min(np.abs(np.diag(r))) < 1e-13:
        raise ComputationError("The points do not determine the parameters.", hint="Spread x, or use a simpler model.")
    solution = np.linalg.solve(r, q.T @ y)
    solution += np.linalg.solve(r, q.T @ (y - (design / scale) @ solution))  # one step of refinement
    return np.asarray(solution / scale)


def _curved(model: Model, x: Array, y: Array, weights: Array) -> Array:
    from scipy.optimize import least_squares

    assert model.start is not None  # noqa: S101 — the caller looked

    def misfit(p: Array) -> Array:
        with np.errstate(all="ignore"):
            found = (model.value(x, *p) - y) * weights
        return np.where(np.isfinite(found), found, 1e150)

    def slopes(p: Array) -> Array:
        return np.asarray(jacobian_of(model, x, p) * weights[:, None])

    best = None
    for start in model.start(x, y):
        tried = least_squares(misfit, start, jac=slopes, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=5000)
        if best is None or tried.cost < best.cost:
            best = tried
    if best is None or not np.isfinite(best.x).all() or best.cost >= 1e200 or best.status == 0:
        raise ComputationError(f"The fit of {model.formula} does not converge.", hint="Use another model.")
    found = np.asarray(best.x)
    if len(model.names) == 4:  # amplitude ≥ 0, frequency > 0, -π < phase ≤ π
        a, b, c, d = found
        a, c = (-a, c + np.pi) if a < 0 else (a, c)
        a, b, c = (a, -b, np.pi - c) if b < 0 else (a, b, c)
        found = np.array([a, b, np.pi - (np.pi - c) % (2 * np.pi), d])
    return found


def jacobian_of(model: Model, x: Array, p: Array) -> Array:
    """Return ∂y/∂p, shape (n, parameters)."""
    if model.design is not None:
        return model.design(x)
    with np.errstate(all="ignore"):
        if len(p) == 4:
            phase = p[1] * x + p[2]
            columns = [np.sin(phase), p[0] * x * np.cos(phase), p[0] * np.cos(phase), np.ones_like(x)]
        elif model.formula.startswith("a*exp"):
            growth = np.exp(p[1] * x)
            columns = [growth, p[0] * x * growth]
        else:
            growth = x ** p[1]
            columns = [growth, p[0] * np.log(x) * growth]
    found = np.column_stack(columns)
    return np.where(np.isfinite(found), found, 1e150)


def _covariance(jacobian: Array, weighted: Array, known: bool) -> Array | None:
    """Return the covariance of the parameters; None when no degree of freedom tells the scatter."""
    count, parameters = jacobian.shape
    scale = np.linalg.norm(jacobian, axis=0)
    _, r = np.linalg.qr(jacobian / np.where(scale > 0, scale, 1))
    if not known and count == parameters:
        return None
    if np.min(np.abs(np.diag(r))) < 1e-13:
        return None
    inverse = np.linalg.inv(r)
    plain = inverse @ inverse.T / np.outer(scale, scale)
    return np.asarray(plain if known else plain * float(weighted @ weighted) / (count - parameters))


PORTS = (
    SUCCESS,
    Port("model", "text", description="The family, such as a*x + b"),
    Port("formula", "text", description="The curve with its numbers"),
    Port("parameters", "object", description="{name: value}"),
    Port("standard_errors", "object", description="{name: standard error}; null when the points leave none"),
    Port("confidence_intervals", "object", description="{name: [low, high]} at confidence_level (Student's t)"),
    Port("covariance", "array", description="Covariance of the parameters, in their order"),
    Port(
        "r_squared", "number", description="1 - SS_residual / SS_total about the (weighted) mean; null if y is constant"
    ),
    Port("adjusted_r_squared", "number", description="The same, adjusted for the degrees of freedom"),
    Port("residual_standard_error", "number", description="Standard deviation of the residuals, n - p degrees"),
    Port("chi_squared", "number", description="Sum of (residual/σ)²; null without y_errors"),
    Port("degrees_of_freedom", "number", description="Points less parameters"),
    Port("correlation", "number", description="Pearson's r of x and y"),
    Port("predicted", "array", description="The curve at x"),
    Port("residuals", "array", description="y less the curve"),
    Port("x", "array", description="The x of the points"),
    Port("n", "number", description="How many points"),
    Port("confidence_level", "number", description="Of the confidence intervals"),
)


def regression(params: RegressionParams, context: Context) -> dict[str, Any]:
    """Fit a curve by least squares.

    Args:
        params: The points, their uncertainties, the model, the confidence level.
        context: Gets a warning when there are as many parameters as points.

    Returns:
        Parameters with standard errors and confidence intervals, R², residuals.

    Raises:
        ComputationError: The points do not determine the parameters, or the fit does not converge.
    """
    x, y, sigma = params.points(context)
    return {"success": True, **summary(fit(params.regression_type, x, y, sigma), x, y, params, sigma, context)}


def summary(found: Fit, x: Array, y: Array, params: Any, sigma: Array | None, context: Context) -> dict[str, Any]:
    """Return the fields `PORTS` of a fit."""
    from scipy.stats import t

    names, free = found.model.names, len(x) - len(found.parameters)
    if found.covariance is None:
        context.warn("There is no standard error: as many parameters as points, or the points do not fix them all.")
    lost = float(np.max(np.abs(found.model.value(x, *found.parameters) - found(x))))
    if lost > 1e-9 * float(np.ptp(y)) and lost > 1e-12 * float(np.max(np.abs(y))):
        context.warn(
            f"x is far from zero for its spread: rounded to double precision, {found.model.formula} with these "
            f"parameters is off by up to {lost:.1e}; predicted and residuals are not. Subtract an epoch from x."
        )
    weights = found.weights**2
    total = float(np.sum(weights * (y - np.average(y, weights=weights)) ** 2))
    rest = float(np.sum(weights * found.residuals**2))
    flat = total <= 1e-28 * float(np.sum(weights * y**2))
    errors = None if found.covariance is None else np.sqrt(np.diag(found.covariance))
    factor = float(t.ppf((1 + params.confidence_level) / 2, free)) if free > 0 else None
    values = dict(zip(names, map(float, found.parameters), strict=True))
    spread = dict.fromkeys(names) if errors is None else dict(zip(names, map(float, errors), strict=True))
    return {
        "model": found.model.formula, "formula": found.formula, "parameters": values, "standard_errors": spread,
        "confidence_intervals": {
            name: None if error is None or factor is None else [values[name] - factor * error,
                                                                values[name] + factor * error]
            for name, error in spread.items()
        },
        "covariance": found.covariance, "r_squared": None if flat else 1 - rest / total,
        "adjusted_r_squared": None if flat or free <= 0 else 1 - rest / free / (total / (len(x) - 1)),
        "residual_standard_error": float(np.sqrt(np.sum(found.residuals**2) / free)) if free > 0 else None,
        "chi_squared": None if sigma is None else rest, "degrees_of_freedom": free,
        "correlation": float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) > 0 and np.ptp(y) > 0 else None,
        "predicted": found(x), "residuals": found.residuals, "x": x, "n": len(x),
        "confidence_level": params.confidence_level,
    }  # fmt: skip
