"""`graphing_calculator.stats_distribution`: densities, probabilities and quantiles, under the textbook's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import AliasChoices, Field, field_validator, model_validator

from physlab.errors import ValidationError, nearest
from physlab.tools.calculator.format import SUCCESS
from physlab.tools.context import Context
from physlab.tools.registry import Port
from physlab.tools.types import Array, Params


@dataclass(frozen=True)
class Family:
    """A distribution: SciPy's name, parameters with defaults (None: needed), and how SciPy takes them.

    Attributes:
        scipy: Name in `scipy.stats`.
        parameters: Textbook name to default.
        positive: Parameters that must be above zero.
        arguments: Template from textbook parameters to SciPy's keywords.
        discrete: True when it lives on whole numbers.
    """

    scipy: str
    parameters: Mapping[str, float | None]
    positive: tuple[str, ...]
    arguments: Any
    discrete: bool = False


FAMILIES: dict[str, Family] = {
    "normal": Family("norm", {"mean": 0, "std": 1}, ("std",), lambda p: {"loc": p["mean"], "scale": p["std"]}),
    "t": Family("t", {"df": None}, ("df",), lambda p: {"df": p["df"]}),
    "chi2": Family("chi2", {"df": None}, ("df",), lambda p: {"df": p["df"]}),
    "f": Family("f", {"df1": None, "df2": None}, ("df1", "df2"), lambda p: {"dfn": p["df1"], "dfd": p["df2"]}),
    "binomial": Family("binom", {"n": None, "p": None}, (), lambda p: {"n": p["n"], "p": p["p"]}, discrete=True),
    "poisson": Family("poisson", {"rate": None}, ("rate",), lambda p: {"mu": p["rate"]}, discrete=True),
    "geometric": Family("geom", {"p": None}, ("p",), lambda p: {"p": p["p"]}, discrete=True),
    "uniform": Family("uniform", {"low": 0, "high": 1}, (), lambda p: {"loc": p["low"], "scale": p["high"] - p["low"]}),
    "exponential": Family("expon", {"rate": 1}, ("rate",), lambda p: {"scale": 1 / p["rate"]}),
    "gamma": Family(
        "gamma", {"shape": None, "scale": 1}, ("shape", "scale"), lambda p: {"a": p["shape"], "scale": p["scale"]}
    ),
    "beta": Family("beta", {"a": None, "b": None}, ("a", "b"), lambda p: {"a": p["a"], "b": p["b"]}),
    "lognormal": Family(
        "lognorm", {"mu": 0, "sigma": 1}, ("sigma",), lambda p: {"s": p["sigma"], "scale": float(np.exp(p["mu"]))}
    ),
    "weibull": Family(
        "weibull_min", {"shape": None, "scale": 1}, ("shape", "scale"), lambda p: {"c": p["shape"], "scale": p["scale"]}
    ),
    "cauchy": Family(
        "cauchy", {"location": 0, "scale": 1}, ("scale",), lambda p: {"loc": p["location"], "scale": p["scale"]}
    ),
}  # fmt: skip
NAMES = {
    "gaussian": "normal", "norm": "normal", "student": "t", "student_t": "t", "students_t": "t", "t_student": "t",
    "chi_square": "chi2", "chi_squared": "chi2", "chisquare": "chi2", "chi^2": "chi2", "fisher": "f",
    "binom": "binomial",
    "expon": "exponential", "geom": "geometric", "lorentz": "cauchy", "weibull_min": "weibull", "lognorm": "lognormal",
}  # fmt: skip
SPELLINGS = {
    "normal": {"mu": "mean", "loc": "mean", "sigma": "std", "scale": "std", "sd": "std", "std_dev": "std"},
    "t": {"nu": "df", "degrees_of_freedom": "df"},
    "chi2": {"k": "df", "nu": "df", "degrees_of_freedom": "df"},
    "f": {"dfn": "df1", "dfd": "df2", "d1": "df1", "d2": "df2"},
    "binomial": {"trials": "n", "probability": "p"},
    "poisson": {"lambda": "rate", "mu": "rate", "lam": "rate", "mean": "rate"},
    "geometric": {"probability": "p"},
    "uniform": {"a": "low", "b": "high", "min": "low", "max": "high"},
    "exponential": {"lambda": "rate", "lam": "rate"},
    "gamma": {"k": "shape", "alpha": "shape", "theta": "scale"},
    "beta": {"alpha": "a", "beta": "b"},
    "weibull": {"k": "shape", "c": "shape", "lambda": "scale"},
    "cauchy": {"loc": "location", "x0": "location", "gamma": "scale"},
    "lognormal": {"mean": "mu", "std": "sigma"},
}  # fmt: skip


class DistributionParams(Params):
    """A distribution, and what to ask it."""

    distribution: str = Field("normal", description=f"One of {', '.join(FAMILIES)}.")
    parameters: dict[str, float] = Field(
        {}, description="normal {mean, std}; t, chi2 {df}; f {df1, df2}; binomial {n, p}; poisson, exponential {rate}; "
        "geometric {p}; uniform {low, high}; gamma, weibull {shape, scale}; beta {a, b}; lognormal {mu, sigma}; "
        "cauchy {location, scale}.",
    )  # fmt: skip
    function: Literal["pdf", "cdf", "sf", "inverse"] | None = Field(
        None, description="What `value` gives: density (or probability of a whole number), P(X ≤ x), P(X > x), or the "
        "quantile of a probability; default: pdf and cdf.",
    )  # fmt: skip
    value: Array | None = Field(
        None, validation_alias=AliasChoices("value", "x", "data"), description="Where: a number or a list; for inverse "
        "probabilities between 0 and 1.",
    )  # fmt: skip
    between: tuple[float, float] | None = Field(None, description="[a, b]: the probability of a ≤ X ≤ b.")

    @field_validator("distribution")
    @classmethod
    def _known(cls, value: str) -> str:
        name = value.strip().lower().replace(" ", "_").replace("-", "_").replace("'", "")
        name = NAMES.get(name, name)
        if name not in FAMILIES:
            raise ValidationError(f"there is no distribution '{value}'.", hint=nearest(name, FAMILIES))
        return name

    @model_validator(mode="after")
    def _asks(self) -> DistributionParams:
        if self.function is not None and self.value is None:
            raise ValidationError(f"function = '{self.function}' needs `value`.", hint="Give a number or a list.")
        if self.between is not None and not self.between[0] <= self.between[1]:
            raise ValidationError(f"between = {list(self.between)} runs backwards.", hint="Give [a, b] with a ≤ b.")
        return self


PORTS = (
    SUCCESS,
    Port("distribution", "text", description="Its name"),
    Port("parameters", "object", description="Its parameters after defaults"),
    Port("function", "text", description="What `result` is"),
    Port("result", "any", description="The answer, a number or a list as `value`; null when only moments were asked"),
    Port("pdf", "any", description="Density at `value`; probability of a whole number for discrete ones"),
    Port("cdf", "any", description="P(X ≤ value)"),
    Port("sf", "any", description="P(X > value), accurate in the upper tail"),
    Port("probability", "number", description="P(a ≤ X ≤ b) of `between`"),
    Port("mean", "number", description="Expectation; null where there is none"),
    Port("variance", "number", description="Variance; null where there is none"),
    Port("std", "number", description="Standard deviation; null where there is none"),
    Port("median", "number", description="Median"),
)


def _settled(name: str, given: Mapping[str, float]) -> dict[str, float]:
    """Return the textbook parameters, all of them.

    Raises:
        ValidationError: One is missing, unknown, given twice or out of its range.
    """
    family, found = FAMILIES[name], dict[str, float]()
    for word, value in given.items():
        key = SPELLINGS.get(name, {}).get(word, word)
        if key not in family.parameters:
            raise ValidationError(
                f"The {name} distribution has no parameter '{word}'.", hint=nearest(word, family.parameters)
            )
        if key in found:
            raise ValidationError(f"The parameter '{key}' is given twice.", hint="Give it once.")
        found[key] = value
    for key, default in family.parameters.items():
        if key not in found and default is None:
            raise ValidationError(
                f"The {name} distribution needs '{key}'.", hint=f"It has {', '.join(family.parameters)}."
            )
        found.setdefault(key, float(default or 0))
        if not np.isfinite(found[key]) or (key in family.positive and found[key] <= 0):
            raise ValidationError(
                f"{key} = {found[key]:g} must be finite{' and above 0' if key in family.positive else ''}."
            )
    if "p" in found and not 0 <= found["p"] <= 1:
        raise ValidationError(f"p = {found['p']:g} is no probability.", hint="Give 0 to 1.")
    if name == "binomial" and (found["n"] != int(found["n"]) or found["n"] < 0):
        raise ValidationError(f"n = {found['n']:g} does not count trials.", hint="Give a whole number, 0 or more.")
    if name == "uniform" and not found["low"] < found["high"]:
        raise ValidationError(f"low = {found['low']:g} is not below high = {found['high']:g}.")
    return found


def distribution(params: DistributionParams, context: Context) -> dict[str, Any]:
    """Ask a probability distribution for densities, probabilities, quantiles and moments.

    Args:
        params: The distribution, its parameters, and what to ask at which values.
        context: The surroundings of the call.

    Returns:
        The answers, and the moments.

    Raises:
        ValidationError: A parameter is missing or out of range; a probability is not between 0 and 1.
    """
    import scipy.stats

    name = params.distribution
    settled, family = _settled(name, params.parameters), FAMILIES[name]
    frozen = getattr(scipy.stats, family.scipy)(**family.arguments(settled))
    mean, variance = (None if not np.isfinite(item) else float(item) for item in frozen.stats("mv"))
    fields: dict[str, Any] = {
        "success": True, "distribution": name, "parameters": settled, "function": params.function, "result": None,
        "mean": mean, "variance": variance, "std": None if variance is None else float(np.sqrt(variance)),
        "median": float(frozen.median()),
    }  # fmt: skip
    if params.between is not None:
        low, high = params.between
        below = low - 1 if family.discrete and low == int(low) else low
        direct = float(frozen.cdf(high) - frozen.cdf(below))
        tail = float(frozen.sf(below) - frozen.sf(high))
        fields["probability"] = tail if frozen.cdf(below) > 0.5 else direct
        fields["result"] = fields["probability"]
    if params.value is not None:
        fields |= _at(frozen, family, params, np.asarray(params.value, dtype=float))
    return fields


def _at(frozen: Any, family: Family, params: DistributionParams, x: Array) -> dict[str, Any]:
    if np.isnan(x).any():
        raise ValidationError("value holds NaN.", hint="Give numbers.")
    if params.function == "inverse":
        if ((x < 0) | (x > 1)).any():
            raise ValidationError(f"value = {params.value} is no probability.", hint="inverse takes 0 to 1.")
        return {"result": _plain(frozen.ppf(x))}
    density = frozen.pmf(x) if family.discrete else frozen.pdf(x)
    found = {"pdf": _plain(density), "cdf": _plain(frozen.cdf(x)), "sf": _plain(frozen.sf(x))}
    return {**found, "result": found[params.function or "cdf"], "function": params.function or "cdf"}


def _plain(value: Any) -> Any:
    array = np.asarray(value)
    if array.ndim:
        return array
    return float(array) if np.isfinite(array) else None
