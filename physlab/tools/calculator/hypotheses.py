"""`graphing_calculator.stats_hypothesis_test`: statistic, p-value, interval, and the conclusion in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydantic import AliasChoices, Field, field_validator

from physlab.errors import ComputationError, ValidationError, nearest
from physlab.tools.calculator.format import SUCCESS
from physlab.tools.calculator.regression import column
from physlab.tools.context import Context
from physlab.tools.registry import Port
from physlab.tools.types import Array, Params

Side = Literal["two-sided", "less", "greater"]
NAMES = {
    "t_test": "one_sample_t", "t": "one_sample_t", "ttest": "one_sample_t", "one_sample": "one_sample_t",
    "two_sample": "two_sample_t", "t_test_two_sample": "two_sample_t", "welch": "two_sample_t",
    "independent_t": "two_sample_t", "paired": "paired_t", "paired_t_test": "paired_t", "z_test": "z",
    "one_sample_z": "z", "chi2": "chi2_goodness", "chi_square": "chi2_goodness", "goodness_of_fit": "chi2_goodness",
    "chi2_gof": "chi2_goodness", "independence": "chi2_independence", "contingency": "chi2_independence",
    "f_test": "f", "variance_ratio": "f", "one_way_anova": "anova", "proportion_z": "proportion",
    "one_proportion": "proportion", "two_proportion": "two_proportions",
}  # fmt: skip


class TestParams(Params):
    """Which test on which data."""

    __test__ = False

    test_type: str = Field(
        "one_sample_t", description="one_sample_t, two_sample_t, paired_t, z, two_sample_z, chi2_goodness, "
        "chi2_independence, f (ratio of two variances), anova, proportion, two_proportions.",
    )  # fmt: skip
    data: Array | None = Field(None, description="The sample; chi2_goodness: the counts observed.")
    data_x: Array | None = Field(None, description="The first of two samples.")
    data_y: Array | None = Field(None, description="The second of two samples.")
    groups: list[Array] | None = Field(None, description="anova: the samples.")
    matrix: Array | None = Field(
        None, validation_alias=AliasChoices("matrix", "table"), description="chi2_independence: the table of counts."
    )
    expected: Array | None = Field(None, description="chi2_goodness: the counts or weights expected; default: equal.")
    null_hypothesis: float | None = Field(
        None, validation_alias=AliasChoices("null_hypothesis", "mu0"),
        description="The value that the null hypothesis says: of the mean, the difference, the ratio of variances "
        "(default 1), the proportion (default 0.5); otherwise 0.",
    )  # fmt: skip
    alternative: Side = Field("two-sided", description="two-sided, less, or greater than the null hypothesis says.")
    parameters: dict[str, Any] = Field(
        {}, description="z: {sigma}; two_sample_z: {sigma_x, sigma_y}; two_sample_t: {equal_variances: false}; "
        "proportion: {successes, trials}; two_proportions: {successes_x, trials_x, successes_y, trials_y}; "
        "chi2_goodness: {fitted_parameters: 0}.",
    )  # fmt: skip
    confidence_level: float = Field(0.95, gt=0, lt=1, description="The null hypothesis is rejected where p ≤ 1 - this.")

    @field_validator("test_type")
    @classmethod
    def _known(cls, value: str) -> str:
        name = value.strip().lower().replace("-", "_").replace(" ", "_")
        name = NAMES.get(name, name)
        if name not in TESTS:
            raise ValidationError(f"there is no test '{value}'.", hint=nearest(name, TESTS))
        return name

    def sample(self, *names: str, least: int = 2) -> Array:
        """Return the sample that stands under the first of these names that is given."""
        for name in names:
            if (found := getattr(self, name)) is not None:
                return column(found, name, least=least)
        raise ValidationError(f"The test {self.test_type} needs `{names[0]}`.", hint="Give the list of values.")

    def number(self, name: str, default: float | None = None) -> float:
        """Return one of `parameters`."""
        value = self.parameters.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise ValidationError(
                f"The test {self.test_type} needs the number parameters.{name}, not {value!r}.", hint="Give it."
            )
        return float(value)


@dataclass
class Outcome:
    """What a test found.

    Attributes:
        statistic: Its value.
        symbol: Its letter.
        p: The p-value.
        claim: What the null hypothesis says, in words.
        degrees: Degrees of freedom, two for F.
        estimate: The quantity that was estimated, None for chi-squared and ANOVA.
        error: Its standard error.
        interval: Its two-sided confidence interval, whatever the alternative.
        more: Further fields.
    """

    statistic: float
    symbol: str
    p: float
    claim: str
    degrees: Any = None
    estimate: float | None = None
    error: float | None = None
    interval: list[float] | None = None
    more: dict[str, Any] = field(default_factory=dict)


PORTS = (
    SUCCESS,
    Port("test_type", "text", description="The test"),
    Port("statistic", "number", description="Value of the test's statistic"),
    Port("statistic_name", "text", description="t, z, chi2 or F"),
    Port(
        "p_value", "number", description="Probability of a statistic at least as extreme if the null hypothesis holds"
    ),
    Port("degrees_of_freedom", "any", description="A number, or two for F; null for z"),
    Port("reject", "boolean", description="True when p_value ≤ 1 - confidence_level"),
    Port("conclusion", "text", description="The same in words"),
    Port("null_hypothesis", "text", description="What was tested, in words"),
    Port("alternative", "text", description="two-sided, less or greater"),
    Port("estimate", "number", description="What was estimated: a mean, difference, ratio or proportion"),
    Port("standard_error", "number", description="Of the estimate"),
    Port("confidence_interval", "list", description="Of the estimate, two-sided"),
    Port("confidence_level", "number", description="The level"),
    Port("expected", "array", description="chi-squared: the counts expected"),
    Port("group_means", "list", description="anova: mean of each group"),
    Port("sums_of_squares", "object", description="anova: {between, within}"),
)


def _tail(law: Any, value: float, side: Side) -> float:
    """Return the p-value of a statistic with a symmetric law."""
    if side == "less":
        return float(law.cdf(value))
    return float(law.sf(value)) if side == "greater" else float(2 * law.sf(abs(value)))


def _located(
    estimate: float, error: float, law: Any, params: TestParams, what: str, symbol: str, degrees: float | None
) -> Outcome:
    """Return the outcome of a test of a location: (estimate - claimed) / error."""
    claimed = params.null_hypothesis or 0.0
    if error <= 0:
        raise ComputationError(f"The sample has no scatter, so that {symbol} is undefined.", hint="Check the data.")
    value = (estimate - claimed) / error
    half = float(law.ppf((1 + params.confidence_level) / 2)) * error
    return Outcome(
        value, symbol, _tail(law, value, params.alternative), f"{what} is {claimed:g}", degrees, estimate, error,
        [estimate - half, estimate + half],
    )  # fmt: skip


def _one_sample_t(params: TestParams) -> Outcome:
    from scipy.stats import t

    x = params.sample("data", "data_x")
    return _located(x.mean(), x.std(ddof=1) / math.sqrt(len(x)), t(len(x) - 1), params, "the mean", "t", len(x) - 1)


def _two_sample_t(params: TestParams) -> Outcome:
    """Welch's test, with equal_variances Student's (B. L. Welch, Biometrika 34 (1947) 28)."""
    from scipy.stats import t

    x, y = params.sample("data_x", "data"), params.sample("data_y")
    a, b = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
    if params.parameters.get("equal_variances", params.parameters.get("equal_var", False)):
        free = float(len(x) + len(y) - 2)
        pooled = ((len(x) - 1) * x.var(ddof=1) + (len(y) - 1) * y.var(ddof=1)) / free
        error = math.sqrt(pooled * (1 / len(x) + 1 / len(y)))
    else:
        error = math.sqrt(a + b)
        free = (a + b) ** 2 / (a**2 / (len(x) - 1) + b**2 / (len(y) - 1)) if error > 0 else 1.0
    return _located(x.mean() - y.mean(), error, t(free), params, "the difference of the means", "t", free)


def _paired_t(params: TestParams) -> Outcome:
    from scipy.stats import t

    x = params.sample("data_x", "data")
    d = x - column(params.sample("data_y"), "data_y", len(x))
    error = d.std(ddof=1) / math.sqrt(len(d))
    return _located(d.mean(), error, t(len(d) - 1), params, "the mean difference of the pairs", "t", len(d) - 1)


def _z(params: TestParams) -> Outcome:
    from scipy.stats import norm

    x, sigma = params.sample("data", "data_x", least=1), params.number("sigma")
    return _located(x.mean(), sigma / math.sqrt(len(x)), norm(), params, "the mean", "z", None)


def _two_sample_z(params: TestParams) -> Outcome:
    from scipy.stats import norm

    x, y = params.sample("data_x", least=1), params.sample("data_y", least=1)
    error = math.hypot(params.number("sigma_x") / math.sqrt(len(x)), params.number("sigma_y") / math.sqrt(len(y)))
    return _located(x.mean() - y.mean(), error, norm(), params, "the difference of the means", "z", None)


def _counts(values: Array, name: str) -> Array:
    if (values < 0).any() or (values != np.rint(values)).any():
        raise ValidationError(f"{name} holds {values[(values < 0) | (values != np.rint(values))][0]:g}, which counts "
                              "nothing.", hint="Give whole numbers, 0 or more.")  # fmt: skip
    return values


def _one_sided_only(params: TestParams) -> None:
    if params.alternative != "two-sided":
        raise ValidationError(f"{params.test_type} has no alternative '{params.alternative}'.", hint="Leave it out.")


def _chi2_goodness(params: TestParams) -> Outcome:
    from scipy.stats import chi2

    _one_sided_only(params)
    observed = _counts(params.sample("data", "data_x"), "data")
    weights = np.ones(len(observed)) if params.expected is None else column(params.expected, "expected", len(observed))
    if (weights <= 0).any():
        raise ValidationError("expected holds a count that is not above 0.", hint="Merge classes.")
    expected = weights * observed.sum() / weights.sum()
    free = len(observed) - 1 - int(params.number("fitted_parameters", 0))
    if free < 1:
        raise ValidationError(f"{len(observed)} classes leave {free} degrees of freedom.", hint="Give more classes.")
    value = float(np.sum((observed - expected) ** 2 / expected))
    return Outcome(value, "chi2", float(chi2.sf(value, free)), "the counts follow the expected ones", free,
                   more={"expected": expected})  # fmt: skip


def _chi2_independence(params: TestParams) -> Outcome:
    """Pearson's test without Yates's correction."""
    from scipy.stats import chi2

    _one_sided_only(params)
    if params.matrix is None or np.ndim(params.matrix) != 2 or min(np.shape(params.matrix)) < 2:
        raise ValidationError(
            "chi2_independence needs `matrix`, a table of 2 x 2 counts or more.", hint="[[a, b], [c, d]]"
        )
    table = np.asarray(params.matrix, dtype=float)
    _counts(table.ravel(), "matrix")
    rows, columns = table.sum(1), table.sum(0)
    if not (rows.all() and columns.all()):
        raise ValidationError("A row or column of matrix is empty.", hint="Leave it out.")
    expected = np.outer(rows, columns) / table.sum()
    value = float(np.sum((table - expected) ** 2 / expected))
    free = (len(rows) - 1) * (len(columns) - 1)
    return Outcome(value, "chi2", float(chi2.sf(value, free)), "rows and columns are independent", free,
                   more={"expected": expected})  # fmt: skip


def _f(params: TestParams) -> Outcome:
    from scipy.stats import f

    x, y = params.sample("data_x", "data"), params.sample("data_y")
    claimed = 1.0 if params.null_hypothesis is None else params.null_hypothesis
    a, b = x.var(ddof=1), y.var(ddof=1)
    if a == 0 or b == 0 or claimed <= 0:
        raise ComputationError("The ratio of the variances is undefined.", hint="Both samples need scatter.")
    ratio, law = a / b, f(len(x) - 1, len(y) - 1)
    value = ratio / claimed
    tails = {"less": float(law.cdf(value)), "greater": float(law.sf(value))}
    p = tails.get(params.alternative, min(1.0, 2 * min(tails.values())))
    ends = [ratio / float(law.ppf((1 + sign * params.confidence_level) / 2)) for sign in (1, -1)]
    return Outcome(value, "F", p, f"the ratio of the variances is {claimed:g}", [len(x) - 1, len(y) - 1], ratio,
                   interval=ends)  # fmt: skip


def _anova(params: TestParams) -> Outcome:
    from scipy.stats import f

    _one_sided_only(params)
    if params.groups is None or len(params.groups) < 2:
        raise ValidationError("anova needs `groups`, two samples or more.", hint="Give [[…], […], …].")
    groups = [column(values, f"groups[{i}]", least=1) for i, values in enumerate(params.groups)]
    every = np.concatenate(groups)
    free = len(groups) - 1, len(every) - len(groups)
    if free[1] < 1:
        raise ValidationError("anova needs more values than groups.", hint="Give more values.")
    means = [float(group.mean()) for group in groups]
    grand = every.mean()
    between = float(sum(len(g) * (m - grand) ** 2 for g, m in zip(groups, means, strict=True)))
    within = float(sum(((g - m) ** 2).sum() for g, m in zip(groups, means, strict=True)))
    if within == 0:
        raise ComputationError("The groups have no scatter inside, so that F is undefined.", hint="Check the data.")
    value = between / free[0] / (within / free[1])
    return Outcome(value, "F", float(f.sf(value, *free)), "all groups have one mean", list(free),
                   more={"group_means": means, "sums_of_squares": {"between": between, "within": within}})  # fmt: skip


def _ratio(params: TestParams, suffix: str) -> tuple[float, float]:
    successes, trials = params.number(f"successes{suffix}"), params.number(f"trials{suffix}")
    if trials < 1 or not 0 <= successes <= trials or successes != int(successes) or trials != int(trials):
        raise ValidationError(
            f"{successes:g} successes of {trials:g} trials are impossible.", hint="Give whole counts."
        )
    return successes / trials, trials


def _proportion(params: TestParams) -> Outcome:
    """The exact binomial test, with Wilson's interval (E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209)."""
    from scipy.stats import binomtest, norm

    found, trials = _ratio(params, "")
    claimed = 0.5 if params.null_hypothesis is None else params.null_hypothesis
    if not 0 < claimed < 1:
        raise ValidationError(f"null_hypothesis = {claimed:g} is no proportion.", hint="Give a number between 0 and 1.")
    exact = binomtest(round(found * trials), int(trials), claimed, alternative=params.alternative)
    value = (found - claimed) / math.sqrt(claimed * (1 - claimed) / trials)
    z = float(norm.ppf((1 + params.confidence_level) / 2))
    middle = (found + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(found * (1 - found) / trials + z * z / (4 * trials**2))
    return Outcome(value, "z", float(exact.pvalue), f"the proportion is {claimed:g}", None, found,
                   math.sqrt(found * (1 - found) / trials), [middle - half, middle + half])  # fmt: skip


def _two_proportions(params: TestParams) -> Outcome:
    """The pooled z test of p_x = p_y; the interval is Wald's, with separate variances."""
    from scipy.stats import norm

    if params.null_hypothesis:
        raise ValidationError("two_proportions tests equality only.", hint="Leave null_hypothesis out.")
    (a, n), (b, m) = _ratio(params, "_x"), _ratio(params, "_y")
    pooled = (a * n + b * m) / (n + m)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    if error == 0:
        raise ComputationError("All trials ended alike, so that z is undefined.", hint="Check the counts.")
    value = (a - b) / error
    apart = math.sqrt(a * (1 - a) / n + b * (1 - b) / m)
    half = float(norm.ppf((1 + params.confidence_level) / 2)) * apart
    return Outcome(value, "z", _tail(norm, value, params.alternative), "the two proportions are equal", None, a - b,
                   apart, [a - b - half, a - b + half])  # fmt: skip


TESTS: dict[str, Callable[[TestParams], Outcome]] = {
    "one_sample_t": _one_sample_t, "two_sample_t": _two_sample_t, "paired_t": _paired_t, "z": _z,
    "two_sample_z": _two_sample_z, "chi2_goodness": _chi2_goodness, "chi2_independence": _chi2_independence, "f": _f,
    "anova": _anova, "proportion": _proportion, "two_proportions": _two_proportions,
}  # fmt: skip


def hypothesis_test(params: TestParams, context: Context) -> dict[str, Any]:
    """Test a hypothesis.

    Args:
        params: The test, its data, what the null hypothesis says, the alternative, the level.
        context: Gets a warning when a chi-squared test expects counts below 5.

    Returns:
        Statistic, p-value, degrees of freedom, estimate with its interval, and the conclusion in words.

    Raises:
        ValidationError: Data or parameters of the test are missing or wrong.
        ComputationError: The sample has no scatter, so that the statistic is undefined.
    """
    found = TESTS[params.test_type](params)
    expected = found.more.get("expected")
    if expected is not None and (expected < 5).any():
        context.warn(f"The least expected count is {expected.min():.3g}; below 5 the chi-squared law is inaccurate.")
    alpha = 1 - params.confidence_level
    reject = bool(found.p <= alpha)
    said = "is rejected" if reject else "is not rejected"
    return {
        "success": True, "test_type": params.test_type, "statistic": float(found.statistic),
        "statistic_name": found.symbol, "p_value": found.p, "degrees_of_freedom": found.degrees, "reject": reject,
        "conclusion": f"The null hypothesis that {found.claim} {said} at the {100 * params.confidence_level:g} % level "
        f"({found.symbol} = {found.statistic:.4g}, p = {found.p:.3g}).",
        "null_hypothesis": found.claim, "alternative": params.alternative,
        "estimate": None if found.estimate is None else float(found.estimate),
        "standard_error": None if found.error is None else float(found.error),
        "confidence_interval": None if found.interval is None else [float(end) for end in found.interval],
        "confidence_level": params.confidence_level, **found.more,
    }  # fmt: skip
