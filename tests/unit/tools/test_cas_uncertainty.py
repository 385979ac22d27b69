"""`cas.propagate_uncertainty`: the law of propagation (JCGM 100:2008), correlations, units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from physlab.errors import ComputationError, UnitsError, ValidationError
from physlab.tools import load_tools

Ask = Callable[..., Any]
X, Y = {"value": 3, "sigma": 0.1}, {"value": 4, "sigma": 0.2}


def propagate(ask: Ask, expr: str, values: dict[str, Any], **options: Any) -> Any:
    return ask("cas", "propagate_uncertainty", expr=expr, vars=values, **options)


@pytest.mark.parametrize(
    ("expr", "mean", "sigma"),
    [  # closed forms: sums add variances, products add relative variances, powers scale relative uncertainty
        ("x + y", 7, math.hypot(0.1, 0.2)),
        ("x - y", -1, math.hypot(0.1, 0.2)),
        ("x*y", 12, 12 * math.hypot(0.1 / 3, 0.2 / 4)),
        ("x/y", 0.75, 0.75 * math.hypot(0.1 / 3, 0.2 / 4)),
        ("x^3", 27, 27 * 3 * 0.1 / 3),
        ("log(x)", math.log(3), 0.1 / 3),
        ("x - x + y", 4, 0.2),
        ("abs(-x)", 3, 0.1),
    ],
)
def test_closed_forms(ask: Ask, expr: str, mean: float, sigma: float) -> None:
    answer = propagate(ask, expr, {"x": X, "y": Y})
    assert answer["mean_value"] == pytest.approx(mean, rel=1e-13)
    assert answer["uncertainty"] == pytest.approx(sigma, rel=1e-13)
    assert answer["relative_uncertainty"] == pytest.approx(sigma / abs(mean), rel=1e-13)
    parts = answer["partial_contributions"].values()
    assert sum(part["contribution"] for part in parts) == pytest.approx(sigma**2, rel=1e-12)
    assert answer["expression"] == expr


def test_what_each_variable_contributes(ask: Ask) -> None:
    answer = propagate(ask, "x*y", {"x": X, "y": Y})
    assert answer["partial_contributions"]["x"] == {
        "partial_derivative": "y", "partial_value": 4.0, "partial_unit": None,
        "contribution": pytest.approx(0.16, rel=1e-13),
    }  # fmt: skip
    assert answer["result_with_uncertainty"] == "12.00±0.72"
    assert answer["latex"] == r"x y = 12.00 \pm 0.72"


@pytest.mark.parametrize(
    "correlations",
    [{"x,y": 0.5}, {"y, x": 0.5}, {"(x, y)": 0.5}, {"x": {"y": 0.5}}, [[1, 0.5], [0.5, 1]],
     {"variables": ["y", "x"], "matrix": [[1, 0.5], [0.5, 1]]}, {"x,y": 0.5, "y,x": 0.5, "x,x": 1}],
)  # fmt: skip
def test_correlations_in_every_spelling(ask: Ask, correlations: Any) -> None:
    answer = propagate(ask, "x + y", {"x": X, "y": Y}, correlations=correlations)
    assert answer["uncertainty"] == pytest.approx(math.sqrt(0.01 + 0.04 + 2 * 0.5 * 0.02), rel=1e-12)


def test_the_order_of_a_mapping_names_no_rows(ask: Ask) -> None:
    matrix = [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]
    with pytest.raises(ValidationError, match="have no names"):
        propagate(ask, "x + y + z", {"x": X, "y": Y, "z": X}, correlations=matrix)


def test_full_correlation(ask: Ask) -> None:
    same = {"value": 4, "sigma": 0.1}
    answer = propagate(ask, "x - y", {"x": X, "y": same}, correlations={"x,y": 1})
    assert answer["uncertainty"] == pytest.approx(0, abs=1e-9)
    answer = propagate(ask, "x - y", {"x": X, "y": same}, correlations={"x,y": -1})
    assert answer["uncertainty"] == pytest.approx(0.2, rel=1e-9)


def test_gum_example_of_resistance_and_reactance(ask: Ask) -> None:
    """JCGM 100:2008, H.2, tables H.2 and H.4: Z = V/I = 254.260(236) ohm with r(V, I) = −0.355."""
    values = {"V": {"value": 4.9990, "sigma": 0.0032, "unit": "V"}}
    values["I"] = {"value": 19.6610, "sigma": 0.0095, "unit": "mA"}
    values["phi"] = {"value": 1.04446, "sigma": 0.00075}
    rho = {"V,I": -0.36, "V,phi": 0.86, "I,phi": -0.65}
    z = propagate(ask, "V/I", values, correlations={"V,I": -0.36}, to="ohm")
    assert (z["mean_value"], z["uncertainty"]) == (pytest.approx(254.260, abs=0.001), pytest.approx(0.236, abs=0.001))
    r = propagate(ask, "V/I*cos(phi)", values, correlations=rho, to="ohm")
    assert (r["mean_value"], r["uncertainty"]) == (pytest.approx(127.732, abs=0.002), pytest.approx(0.071, abs=0.003))
    x = propagate(ask, "V/I*sin(phi)", values, correlations=rho, to="ohm")
    assert (x["mean_value"], x["uncertainty"]) == (pytest.approx(219.847, abs=0.002), pytest.approx(0.295, abs=0.003))
    assert x["unit"] == "ohm"


def test_units_are_kept(ask: Ask) -> None:
    length, period = {"value": 100, "sigma": 0.2, "unit": "cm"}, {"value": 2.006, "sigma": 0.004, "unit": "s"}
    answer = propagate(ask, "4*pi^2*L/T^2", {"L": length, "T": period}, to="m/s^2")
    g = 4 * math.pi**2 / 2.006**2
    assert answer["mean_value"] == pytest.approx(g, rel=1e-13)
    assert answer["uncertainty"] == pytest.approx(g * math.hypot(0.002, 2 * 0.004 / 2.006), rel=1e-12)
    assert answer["unit"] == "meter / second ** 2"
    part = answer["partial_contributions"]["L"]
    assert part["partial_unit"] == "meter / centimeter / second ** 2"
    assert part["partial_value"] == pytest.approx(g / 100, rel=1e-13)
    assert part["contribution"] == pytest.approx((g * 0.002) ** 2, rel=1e-12)
    assert answer["result_with_uncertainty"] == "(9.811±0.044) meter / second ** 2"


def test_a_temperature_in_celsius_has_an_uncertainty_in_kelvin(ask: Ask) -> None:
    values = {"T": {"value": 77, "sigma": 0.9, "unit": "degF"}}
    answer = propagate(ask, "T", values, to="K")
    assert answer["mean_value"] == pytest.approx(298.15, rel=1e-12)
    assert answer["uncertainty"] == pytest.approx(0.5, rel=1e-12)
    answer = propagate(ask, "T", values, to="degC")
    assert (answer["mean_value"], answer["uncertainty"]) == (pytest.approx(25), pytest.approx(0.5, rel=1e-12))


def test_where_first_order_is_not_enough(ask: Ask) -> None:
    answer = propagate(ask, "x^2", {"x": {"value": 0, "sigma": 0.1}})
    assert (answer["uncertainty"], answer["relative_uncertainty"]) == (0, None)
    assert "first derivatives vanish" in answer.context.warnings[0]
    assert "curved" in propagate(ask, "exp(x)", {"x": {"value": 1, "sigma": 0.5}}).context.warnings[0]
    assert propagate(ask, "exp(x)", {"x": {"value": 1, "sigma": 0.01}}).context.warnings == []


@pytest.mark.parametrize(
    ("expr", "values", "options", "says"),
    [
        ("x + z", {"x": X}, {}, "no value for z"),
        ("x", {"x": 3}, {}, "has an uncertainty"),
        ("2", {"x": X}, {}, "no variable"),
        ("x", {"x": {"value": 1, "sigma": -1}}, {}, "sigma"),
        ("x + y", {"x": X, "y": Y}, {"correlations": {"x,y": 1.5}}, "-1 to 1"),
        ("x + y", {"x": X, "y": Y}, {"correlations": {"x,z": 0.5}}, "speak of z"),
        ("x + y", {"x": X, "y": 2}, {"correlations": {"x,y": 0.5}}, "no sigma"),
        ("x + y", {"x": X, "y": Y}, {"correlations": [[1, 0.5]]}, "2 × 2"),
        ("x + y", {"x": X, "y": Y}, {"correlations": [[1, 0.5], [0.4, 1]]}, "both"),
        ("x + y", {"x": X, "y": Y}, {"correlations": [[2, 0.5], [0.5, 1]]}, "itself"),
        ("x + y", {"x": X, "y": Y}, {"correlations": {"x": 0.5}}, "two variables"),
        ("x+y+z", {"x": X, "y": Y, "z": X}, {"correlations": {"x,y": 1, "y,z": 1, "x,z": -1}}, "contradict"),
        ("x > 1", {"x": X}, {}, "condition"),
    ],
)
def test_wrong_parameters(ask: Ask, expr: str, values: Any, options: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        propagate(ask, expr, values, **options)


def test_values_without_a_real_result(ask: Ask) -> None:
    with pytest.raises(ComputationError, match="no real value"):
        propagate(ask, "sqrt(x)", {"x": {"value": -3, "sigma": 1}})
    with pytest.raises(ComputationError, match="divides by zero"):
        propagate(ask, "1/x", {"x": {"value": 0, "sigma": 1}})
    with pytest.raises(ComputationError, match="divides by zero"):
        propagate(ask, "sqrt(x)", {"x": {"value": 0, "sigma": 1}})
    with pytest.raises(UnitsError):
        propagate(ask, "x + y", {"x": {"value": 1, "sigma": 1, "unit": "m"}, "y": "1 s"})
    with pytest.raises(UnitsError):
        propagate(ask, "x", {"x": {"value": 1, "sigma": 1, "unit": "m"}}, to="s")


def test_legacy_name() -> None:
    assert load_tools().aliases["cas_propagate_uncertainty"] == ("cas", "propagate_uncertainty")
