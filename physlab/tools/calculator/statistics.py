"""`graphing_calculator.stats_descriptive`: what a sample says, with the uncertainty of its mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import AliasChoices, Field

from physlab.tools.calculator.format import SUCCESS
from physlab.tools.calculator.regression import column
from physlab.tools.context import Context
from physlab.tools.registry import Port
from physlab.tools.types import Array, Params


class DescriptiveParams(Params):
    """A sample."""

    data: Array = Field(validation_alias=AliasChoices("data", "list_data", "data_x"), description="The values.")
    confidence_level: float = Field(0.95, gt=0, lt=1, description="Of the confidence interval of the mean.")


PORTS = (
    SUCCESS,
    Port("n", "number", description="How many values"),
    Port("sum", "number", description="Their sum"),
    Port("mean", "number", description="Arithmetic mean"),
    Port("median", "number", description="Median"),
    Port("mode", "list", description="The most frequent values; empty when all are equally frequent"),
    Port("std", "number", description="Standard deviation of the sample (n - 1); null for one value"),
    Port("variance", "number", description="Variance of the sample (n - 1); null for one value"),
    Port("population_std", "number", description="Standard deviation with n"),
    Port("standard_error", "number", description="Of the mean, std/√n; null for one value"),
    Port("confidence_interval", "list", description="[low, high] of the mean (Student's t); null for one value"),
    Port("confidence_level", "number", description="Of that interval"),
    Port("minimum", "number", description="Least value"),
    Port("q1", "number", description="Lower quartile (linear interpolation, Hyndman and Fan's type 7)"),
    Port("q3", "number", description="Upper quartile"),
    Port("maximum", "number", description="Greatest value"),
    Port("iqr", "number", description="q3 - q1"),
    Port("range", "number", description="maximum - minimum"),
    Port("skewness", "number", description="G1, unbiased for normal samples; null below 3 values or without spread"),
    Port("kurtosis", "number", description="Excess G2, unbiased for normal samples; null below 4 values"),
)


def descriptive(params: DescriptiveParams, context: Context) -> dict[str, Any]:
    """Describe a sample.

    Args:
        params: The values and the confidence level.
        context: Gets a warning when one value has no scatter.

    Returns:
        Location, spread, quartiles, shape, and the mean's standard error and confidence interval.

    Raises:
        ValidationError: There is no value, or one is not finite.
    """
    import math

    from scipy import stats

    x = column(params.data, "data")
    context.enforce("samples", len(x), "values")
    n, mean = len(x), math.fsum(x) / len(x)
    spread = math.fsum((x - mean) ** 2) - math.fsum(x - mean) ** 2 / n  # the corrected two-pass sum of squares
    std = math.sqrt(spread / (n - 1)) if n > 1 else None
    if std is None:
        context.warn("One value has no standard deviation.")
    values, counts = np.unique(x, return_counts=True)
    error = None if std is None else std / math.sqrt(n)
    half = None if error is None else float(stats.t.ppf((1 + params.confidence_level) / 2, n - 1)) * error
    q1, median, q3 = (float(item) for item in np.percentile(x, (25, 50, 75)))
    shaped = bool(spread > 0)
    return {
        "success": True, "n": n, "sum": math.fsum(x), "mean": mean, "median": median,
        "mode": [] if counts.max() == counts.min() and len(values) > 1 else values[counts == counts.max()].tolist(),
        "std": std, "variance": None if std is None else spread / (n - 1), "population_std": math.sqrt(spread / n),
        "standard_error": error, "confidence_interval": None if half is None else [mean - half, mean + half],
        "confidence_level": params.confidence_level, "minimum": float(x.min()), "q1": q1, "q3": q3,
        "maximum": float(x.max()), "iqr": q3 - q1, "range": float(np.ptp(x)),
        "skewness": float(stats.skew(x, bias=False)) if shaped and n > 2 else None,
        "kurtosis": float(stats.kurtosis(x, bias=False)) if shaped and n > 3 else None,
    }  # fmt: skip
