"""The calculator's statistics, against NIST's reference data, published examples and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from physlab.errors import ComputationError, ValidationError

TOOL = "graphing_calculator"
# NIST Statistical Reference Datasets, linear regression "Norris": (y, x), https://www.itl.nist.gov/div898/strd
NORRIS = np.array([
    "0.1", "0.2", "338.8", "337.4", "118.1", "118.2", "888.0", "884.6", "9.2", "10.1", "228.1", "226.5", "668.5",
    "666.3", "998.5", "996.3", "449.1", "448.6", "778.9", "777.0", "559.2", "558.2", "0.3", "0.4", "0.1", "0.6",
    "778.1", "775.5", "668.8", "666.9", "339.3", "338.0", "448.9", "447.5", "10.8", "11.6", "557.7", "556.0",
    "228.3", "228.1", "998.0", "995.8", "888.8", "887.6", "119.6", "120.2", "0.3", "0.3", "0.6", "0.3", "557.6",
    "556.8", "339.3", "339.1", "888.0", "887.2", "998.5", "999.0", "778.9", "779.0", "10.2", "11.1", "117.6",
    "118.3", "228.9", "229.2", "668.4", "669.1", "449.2", "448.9", "0.2", "0.5",
], dtype=float).reshape(-1, 2)  # fmt: skip
# "Student" (W. S. Gosset), Biometrika 6 (1908) 1: hours of additional sleep with two drugs, ten patients
SLEEP = (
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)


def test_norris(ask):
    """Certified to 15 digits by NIST."""
    a = ask(TOOL, "stats_regression", data_x=NORRIS[:, 1], data_y=NORRIS[:, 0])
    assert a["n"] == 36 and a["degrees_of_freedom"] == 34
    assert a["parameters"]["b"] == pytest.approx(-0.262323073774029, rel=1e-11)
    assert a["parameters"]["a"] == pytest.approx(1.00211681802045, rel=1e-14)
    assert a["standard_errors"]["b"] == pytest.approx(0.232818234301152, rel=1e-12)
    assert a["standard_errors"]["a"] == pytest.approx(0.429796848199937e-03, rel=1e-12)
    assert a["residual_standard_error"] == pytest.approx(0.884796396144373, rel=1e-12)
    assert a["r_squared"] == pytest.approx(0.999993745883712, rel=1e-14)
    half = stats.t.ppf(0.975, 34) * 0.429796848199937e-03
    assert a["confidence_intervals"]["a"] == pytest.approx(
        [1.00211681802045 - half, 1.00211681802045 + half], rel=1e-12
    )


@pytest.mark.parametrize(("center", "digits"), [(10_000_000.2, 8), (1_000_000.2, 9)])
def test_numacc(ask, center, digits):
    """NIST "NumAcc3" and "NumAcc4": mean exactly the centre, standard deviation exactly 0.1."""
    data = [center, *([center - 0.1, center + 0.1] * 500)]
    a = ask(TOOL, "stats_descriptive", data=np.round(data, 1))
    assert a["mean"] == pytest.approx(center, rel=1e-15) and a["std"] == pytest.approx(0.1, rel=10.0**-digits)
    assert a["n"] == 1001


def test_descriptive(ask):
    a = ask(TOOL, "stats_descriptive", data=[2, 4, 4, 4, 5, 5, 7, 9])
    assert (a["mean"], a["median"], a["mode"], a["population_std"]) == (5, 4.5, [4], 2)
    assert a["variance"] == pytest.approx(32 / 7) and a["standard_error"] == pytest.approx((32 / 7 / 8) ** 0.5)
    assert (a["q1"], a["q3"], a["iqr"], a["range"], a["sum"]) == (4, 5.5, 1.5, 7, 40)
    half = 2.364624251592785 * a["standard_error"]  # t(7), 97.5 %
    assert a["confidence_interval"] == pytest.approx([5 - half, 5 + half], rel=1e-10)
    one = ask(TOOL, "stats_descriptive", data=[3])
    assert one["std"] is None and one["skewness"] is None and "no standard deviation" in one.context.warnings[0]


X = np.linspace(0.5, 8, 40)
CURVES = {
    "quadratic": (X**2 - 3 * X + 1, [1, -3, 1]),
    "cubic": (2 * X**3 - X + 4, [2, 0, -1, 4]),
    "exponential": (-3 * np.exp(-0.7 * X), [-3, -0.7]),
    "logarithmic": (2 + 3 * np.log(X), [2, 3]),
    "power": (1.5 * X**-1.7, [1.5, -1.7]),
    "sinusoidal": (1.5 * np.sin(3 * X + 0.4) + 0.3, [1.5, 3, 0.4, 0.3]),
}


@pytest.mark.parametrize("kind", CURVES)
def test_a_curve_without_noise_is_found_again(ask, kind):
    y, expected = CURVES[kind]
    a = ask(TOOL, "stats_regression", data_x=X, data_y=y, regression_type=kind)
    assert list(a["parameters"].values()) == pytest.approx(expected, rel=1e-9, abs=1e-10)
    assert a["r_squared"] == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("kind", ["exponential", "power", "sinusoidal"])
def test_the_sum_of_squares_of_y_is_least(ask, kind):
    """At the least-squares point the residuals are orthogonal to the slopes; the slopes here are numeric."""
    noise = 0.05 * np.sin(37 * np.arange(40) ** 1.5)
    y = CURVES[kind][0] + noise
    a = ask(TOOL, "stats_regression", data_x=X, data_y=y, regression_type=kind)
    values = {
        "exponential": lambda p: p[0] * np.exp(p[1] * X), "power": lambda p: p[0] * X ** p[1],
        "sinusoidal": lambda p: p[0] * np.sin(p[1] * X + p[2]) + p[3],
    }[kind]  # fmt: skip
    p = np.array(list(a["parameters"].values()))
    slopes = np.column_stack([(values(p + h) - values(p - h)) / 2e-6 for h in 1e-6 * np.eye(len(p))])
    assert slopes.T @ a["residuals"] == pytest.approx(0, abs=1e-7)
    covariance = np.linalg.inv(slopes.T @ slopes) * np.sum(a["residuals"] ** 2) / (40 - len(p))
    assert list(a["standard_errors"].values()) == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-5)


def test_weights_are_not_scaled(ask):
    x, y, sigma = [1, 2, 3, 4], [1.1, 1.9, 3.2, 3.8], [0.1, 0.1, 0.2, 0.2]
    a = ask(TOOL, "stats_regression", data_x=x, data_y=y, y_errors=sigma)
    design = np.column_stack([x, np.ones(4)]) / np.array(sigma)[:, None]
    assert a["covariance"] == pytest.approx(np.linalg.inv(design.T @ design), rel=1e-10)
    assert a["chi_squared"] == pytest.approx(np.sum((a["residuals"] / sigma) ** 2))
    exact = ask(TOOL, "stats_regression", data_x=[0, 1], data_y=[1, 3])
    assert exact["standard_errors"] == {"a": None, "b": None} and "no standard error" in exact.context.warnings[0]


@pytest.mark.parametrize(
    ("name", "parameters", "probability", "quantile"),
    [  # M. Abramowitz and I. A. Stegun, tables 26.5, 26.8, 26.9, 26.10
        ("normal", {}, 0.975, 1.959964),
        ("t", {"df": 10}, 0.975, 2.228139),
        ("chi2", {"df": 1}, 0.95, 3.841459),
        ("F", {"df1": 2, "df2": 10}, 0.95, 4.102821),
        ("exponential", {"rate": 2}, 1 - math.exp(-3), 1.5),
        ("uniform", {"low": 2, "high": 6}, 0.25, 3),
        ("cauchy", {}, 0.75, 1),
        ("lognormal", {}, 0.5, 1),
        ("weibull", {"shape": 2, "scale": 3}, 1 - math.exp(-1), 3),
        ("gamma", {"shape": 1, "scale": 2}, 1 - math.exp(-1), 2),
        ("beta", {"a": 1, "b": 2}, 0.75, 0.5),
    ],
)
def test_distributions(ask, name, parameters, probability, quantile):
    a = ask(TOOL, "stats_distribution", distribution=name, parameters=parameters, function="inverse", value=probability)
    assert a["result"] == pytest.approx(quantile, rel=3e-7)
    b = ask(TOOL, "stats_distribution", distribution=name, parameters=parameters, value=[quantile, quantile])
    assert b["cdf"] == pytest.approx(probability, rel=1e-6) and b["sf"] == pytest.approx(1 - probability, rel=1e-4)
    assert b["result"] == pytest.approx(b["cdf"])


def test_discrete_distributions(ask):
    a = ask(
        TOOL, "stats_distribution", distribution="binomial", parameters={"n": 10, "p": 0.3}, value=3, between=[2, 4]
    )
    exact = [math.comb(10, k) * 0.3**k * 0.7 ** (10 - k) for k in range(11)]
    assert a["pdf"] == pytest.approx(exact[3]) and a["probability"] == pytest.approx(sum(exact[2:5]))
    assert (a["mean"], a["variance"]) == pytest.approx((3, 2.1))
    b = ask(TOOL, "stats_distribution", distribution="poisson", parameters={"lambda": 4}, value=2, function="pdf")
    assert b["result"] == pytest.approx(math.exp(-4) * 8)
    c = ask(TOOL, "stats_distribution", distribution="geometric", parameters={"p": 0.25})
    assert c["mean"] == pytest.approx(4) and c["result"] is None
    tail = ask(TOOL, "stats_distribution", value=10, between=[10, 11])
    assert tail["sf"] == pytest.approx(7.619853024160527e-24, rel=1e-10)  # not 1 - cdf
    assert tail["probability"] == pytest.approx(7.619853024160527e-24, rel=1e-4)


def test_students_sleep(ask):
    """The figures that R's t.test prints for these data."""
    data = {"data_x": SLEEP[0], "data_y": SLEEP[1]}
    welch = ask(TOOL, "stats_hypothesis_test", test_type="two_sample_t", **data)
    assert welch["statistic"] == pytest.approx(-1.8608, abs=5e-5) and welch["p_value"] == pytest.approx(
        0.07939, abs=5e-6
    )
    assert welch["degrees_of_freedom"] == pytest.approx(17.776, abs=5e-4)
    assert welch["confidence_interval"] == pytest.approx([-3.3654832, 0.2054832], abs=5e-8) and not welch["reject"]
    paired = ask(TOOL, "stats_hypothesis_test", test_type="paired_t", **data)
    assert paired["statistic"] == pytest.approx(-4.0621, abs=5e-5)
    assert paired["p_value"] == pytest.approx(0.002833, abs=5e-7) and paired["reject"]
    assert paired["conclusion"] == (
        "The null hypothesis that the mean difference of the pairs is 0 is rejected at the 95 % level "
        "(t = -4.062, p = 0.00283)."
    )
    less = ask(TOOL, "stats_hypothesis_test", test_type="paired", alternative="less", **data)
    assert less["p_value"] == pytest.approx(paired["p_value"] / 2, rel=1e-12)


def test_other_tests_of_means(ask):
    z = ask(TOOL, "stats_hypothesis_test", test_type="z", data=[5, 6, 7, 6], null_hypothesis=5, parameters={"sigma": 1})
    assert z["statistic"] == 2 and z["p_value"] == pytest.approx(math.erfc(2**0.5))
    two = {"data_x": [1, 2, 3, 4], "data_y": [2, 4, 6, 9]}
    t = ask(TOOL, "stats_hypothesis_test", test_type="two_sample_t", parameters={"equal_variances": True}, **two)
    f = ask(TOOL, "stats_hypothesis_test", test_type="anova", groups=list(two.values()))
    assert f["statistic"] == pytest.approx(t["statistic"] ** 2, rel=1e-12)  # F = t² for two groups
    assert f["p_value"] == pytest.approx(t["p_value"], rel=1e-10) and f["degrees_of_freedom"] == [1, 6]
    zz = ask(
        TOOL, "stats_hypothesis_test", test_type="two_sample_z", parameters={"sigma_x": 2, "sigma_y": 2}, **two
    )  # fmt: skip
    assert zz["statistic"] == pytest.approx(-2.75 / 2**0.5)
    one = ask(TOOL, "stats_hypothesis_test", data=SLEEP[1], confidence_level=0.99)
    assert one["statistic"] == pytest.approx(np.mean(SLEEP[1]) / (np.std(SLEEP[1], ddof=1) / 10**0.5))


def test_tests_of_counts_and_spreads(ask):
    peas = ask(TOOL, "stats_hypothesis_test", test_type="chi_square", data=[315, 108, 101, 32], expected=[9, 3, 3, 1])
    assert peas["statistic"] == pytest.approx(0.470, abs=5e-4)  # G. Mendel's peas, R. A. Fisher (1936)
    assert peas["p_value"] == pytest.approx(0.925, abs=5e-4) and peas["degrees_of_freedom"] == 3
    a, b, c, d = 10, 20, 30, 45
    table = ask(TOOL, "stats_hypothesis_test", test_type="chi2_independence", matrix=[[a, b], [c, d]])
    n = a + b + c + d
    closed = n * (a * d - b * c) ** 2 / ((a + b) * (c + d) * (a + c) * (b + d))
    assert table["statistic"] == pytest.approx(closed, rel=1e-12)
    z = ask(
        TOOL, "stats_hypothesis_test", test_type="two_proportions",
        parameters={"successes_x": a, "trials_x": a + b, "successes_y": c, "trials_y": c + d},
    )  # fmt: skip
    assert z["statistic"] ** 2 == pytest.approx(closed, rel=1e-12)  # χ² = z² for a table of 2 x 2
    coin = ask(TOOL, "stats_hypothesis_test", test_type="proportion", parameters={"successes": 60, "trials": 100})
    exact = 2 * sum(math.comb(100, k) for k in range(60, 101)) / 2**100
    assert coin["p_value"] == pytest.approx(exact, rel=1e-12) and not coin["reject"]
    f = ask(TOOL, "stats_hypothesis_test", test_type="f", data_x=SLEEP[0], data_y=SLEEP[1])
    ratio = np.var(SLEEP[0], ddof=1) / np.var(SLEEP[1], ddof=1)
    assert f["statistic"] == pytest.approx(ratio) and f["confidence_interval"][0] < ratio < f["confidence_interval"][1]
    assert f["p_value"] == pytest.approx(2 * stats.f.cdf(ratio, 9, 9), rel=1e-12)
    few = ask(TOOL, "stats_hypothesis_test", test_type="chi2_goodness", data=[1, 2, 3])
    assert "below 5" in few.context.warnings[0]


@pytest.mark.parametrize(
    ("operation", "params", "kind", "says"),
    [
        ("stats_descriptive", {"data": []}, ValidationError, "at least 1"),
        ("stats_descriptive", {"data": [1, float("nan")]}, ValidationError, "1 values that are no numbers"),
        ("stats_regression", {"data_x": [1, 1], "data_y": [1, 2]}, ValidationError, "1 different x"),
        (
            "stats_regression",
            {"data_x": [0, 1, 2], "data_y": [1, 2, 3], "regression_type": "power"},
            ValidationError,
            "log",
        ),
        ("stats_regression", {"data_y": [1, 2], "regression_type": "septic"}, ValidationError, "septic"),
        ("stats_regression", {"data_x": [1, 2], "data_y": [1, 2, 3]}, ValidationError, "2 values, not 3"),
        ("stats_distribution", {"distribution": "norml"}, ValidationError, "Did you mean 'normal'"),
        ("stats_distribution", {"distribution": "t"}, ValidationError, "needs 'df'"),
        ("stats_distribution", {"parameters": {"std": -1}}, ValidationError, "above 0"),
        ("stats_distribution", {"function": "inverse", "value": 2}, ValidationError, "no probability"),
        ("stats_distribution", {"distribution": "binomial", "parameters": {"n": 3, "p": 2}}, ValidationError, "p = 2"),
        ("stats_hypothesis_test", {"test_type": "u_test", "data": [1, 2]}, ValidationError, "no test"),
        ("stats_hypothesis_test", {"test_type": "z", "data": [1, 2]}, ValidationError, "sigma"),
        ("stats_hypothesis_test", {"data": [1, 1, 1]}, ComputationError, "no scatter"),
        ("stats_hypothesis_test", {"test_type": "anova", "groups": [[1, 2]]}, ValidationError, "two samples"),
        ("stats_hypothesis_test", {"test_type": "chi2_goodness", "data": [1.5, 2]}, ValidationError, "counts"),
        (
            "stats_hypothesis_test",
            {"test_type": "paired_t", "data_x": [1, 2], "data_y": [1, 2, 4]},
            ValidationError,
            "3 val",
        ),
    ],
)
def test_wrong_requests(ask, operation, params, kind, says):
    with pytest.raises(kind, match=says):
        ask(TOOL, operation, **params)


def test_a_parabola_over_julian_dates_keeps_its_digits(ask):
    """(t − 2450004)² in powers of t: 1, −4900008, 6002519600016 exactly."""
    dates = 2450000.0 + np.arange(10)
    a = ask(TOOL, "stats_regression", data_x=dates, data_y=(dates - 2450004) ** 2, regression_type="quadratic")
    assert a["parameters"] == {"a": 1.0, "b": -4900008.0, "c": 6002519600016.0}
    assert np.abs(a["residuals"]).max() < 1e-12 and a["formula"].startswith("(1)*x^2 + (-4900008)*x + (600251960001")


@pytest.mark.parametrize("kind", ["linear", "quadratic", "cubic"])
def test_moving_the_origin_of_x_changes_no_residual_and_no_leading_error(ask, kind):
    """Least squares commute with a shift of x; the highest power and its standard error do not see it."""
    x = np.arange(12.0)
    y = np.sin(x)
    near = ask(TOOL, "stats_regression", data_x=x, data_y=y, regression_type=kind)
    far = ask(TOOL, "stats_regression", data_x=x + 2450000, data_y=y, regression_type=kind)
    assert far["residuals"] == pytest.approx(near["residuals"], abs=1e-12)
    assert far["parameters"]["a"] == pytest.approx(near["parameters"]["a"], rel=1e-9)
    assert far["standard_errors"]["a"] == pytest.approx(near["standard_errors"]["a"], rel=1e-9)
    assert any("far from zero" in text for text in far.context.warnings) == (kind != "linear")
    assert not near.context.warnings
