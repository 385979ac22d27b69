"""`statmech_partition`: closed forms, identities, limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from physlab.errors import PhysicsError, ValidationError

Ask = Callable[..., Any]
K = 1.380649e-23  # J/K, exact (SI 2019)
EV = 1.602176634e-19  # J, exact


def ensemble(ask: Ask, levels: Any, temperature: Any = 300.0, **options: Any) -> Any:
    return ask("statmech_partition", energy_levels=levels, temperature=temperature, **options)


@pytest.mark.parametrize("x", [0.01, 0.5, 2.3994, 20.0, 700.0])
def test_two_levels(ask: Ask, x: float) -> None:
    """U = Δ/(e^x + 1), C = k x² e^x/(e^x + 1)² with x = Δ/kT (Schottky)."""
    gap = x * K * 10
    answer = ensemble(ask, [0, gap], 10)
    assert answer["partition_function"] == pytest.approx(1 + math.exp(-x), rel=1e-14)
    assert answer["internal_energy"] == pytest.approx(gap / (math.exp(x) + 1), rel=1e-12)
    schottky = K * x**2 * math.exp(-x) / (1 + math.exp(-x)) ** 2
    assert answer["heat_capacity"] == pytest.approx(schottky, rel=1e-11)
    entropy = K * (math.log1p(math.exp(-x)) + x / (math.exp(x) + 1))
    assert answer["entropy"] == pytest.approx(entropy, rel=1e-12)
    assert answer["populations"][1] == pytest.approx(1 / (math.exp(x) + 1), rel=1e-12)
    assert answer["most_populated_level"] == 0


def test_harmonic_oscillator(ask: Ask) -> None:
    """Z = 1/(1 − e^−x), U = ħω(1/2 + 1/(e^x − 1)), C = k x² e^x/(e^x − 1)² (Einstein 1907)."""
    x, quantum = 0.3, 0.3 * K * 300
    answer = ensemble(ask, quantum * (np.arange(400) + 0.5))
    assert answer["partition_function"] == pytest.approx(1 / (1 - math.exp(-x)), rel=1e-13)
    assert answer["internal_energy"] == pytest.approx(quantum * (0.5 + 1 / math.expm1(x)), rel=1e-13)
    assert answer["heat_capacity"] == pytest.approx(K * x**2 * math.exp(x) / math.expm1(x) ** 2, rel=1e-12)
    free = quantum / 2 + K * 300 * math.log(1 - math.exp(-x))
    assert answer["helmholtz_free_energy"] == pytest.approx(free, rel=1e-12)


def test_rotor_at_high_temperature(ask: Ask) -> None:
    """Z = T/Θ + 1/3 + Θ/15T + 4(Θ/T)²/315 + … (Mulholland 1928); C goes to k."""
    j, ratio = np.arange(200), 0.02
    answer = ensemble(ask, ratio * K * 300 * j * (j + 1), degeneracies=2 * j + 1)
    series = 1 / ratio + 1 / 3 + ratio / 15 + 4 * ratio**2 / 315 + ratio**3 / 315
    assert answer["partition_function"] == pytest.approx(series, rel=1e-9)  # next term 4e-10
    assert answer["heat_capacity"] == pytest.approx(K * (1 + ratio**2 / 45), rel=1e-6)
    assert answer["most_populated_level"] == 5  # the whole number next to √(T/2Θ) − 1/2 = 4.5, up


LEVELS, WEIGHTS = np.array([3e-21, -2e-21, 0.0, 8e-21]), [2, 1, 3, 1]


def test_identities(ask: Ask) -> None:
    answer = ensemble(ask, LEVELS, degeneracies=WEIGHTS)
    free = answer["internal_energy"] - 300 * answer["entropy"]
    assert answer["helmholtz_free_energy"] == pytest.approx(free, rel=1e-12)
    assert answer["populations"].sum() == pytest.approx(1, rel=1e-15)
    assert (answer["populations"] * LEVELS).sum() == pytest.approx(answer["internal_energy"], rel=1e-12)
    assert answer["ln_partition_function"] == pytest.approx(math.log(answer["partition_function"]), rel=1e-14)
    step = 0.01
    above, below = (ensemble(ask, LEVELS, 300 + d, degeneracies=WEIGHTS) for d in (step, -step))
    slope = (above["internal_energy"] - below["internal_energy"]) / (2 * step)
    assert answer["heat_capacity"] == pytest.approx(slope, rel=1e-8)
    slope = (above["helmholtz_free_energy"] - below["helmholtz_free_energy"]) / (2 * step)
    assert answer["entropy"] == pytest.approx(-slope, rel=1e-8)


def test_the_zero_of_energy_does_not_matter(ask: Ask) -> None:
    here, there = (ensemble(ask, LEVELS + shift, degeneracies=WEIGHTS) for shift in (0.0, 1e-20))
    for name in ("partition_function", "entropy", "heat_capacity"):
        assert here[name] == pytest.approx(there[name], rel=1e-12)
    assert there["internal_energy"] - here["internal_energy"] == pytest.approx(1e-20, rel=1e-12)


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-6, 1e12, 1e300])
def test_any_temperature(ask: Ask, temperature: float) -> None:
    answer = ensemble(ask, [0, 0, 1 * EV, 1e6 * EV], temperature, degeneracies=[1, 2, 5, 1])
    assert all(np.isfinite(answer[name]) for name in ("internal_energy", "heat_capacity", "entropy"))
    cold = temperature < 1
    assert answer["entropy"] == pytest.approx(K * math.log(3 if cold else 9), rel=1e-3 if not cold else 1e-14)
    assert answer["heat_capacity"] == pytest.approx(0, abs=1e-3 * K)


def test_third_law(ask: Ask) -> None:
    """S goes to k ln g₀ as T goes to 0."""
    for degeneracy in (1, 2, 7):
        answer = ensemble(ask, [0, 1e-21], 0.5, degeneracies=[degeneracy, 4])
        assert answer["entropy"] == pytest.approx(K * math.log(degeneracy), abs=1e-60)


@pytest.mark.parametrize("levels", [["0 eV", "0.1 eV"], {"value": [0, 0.1], "unit": "eV"}, ["0 meV", {"value": 100,
                                    "unit": "meV"}], [0, 0.1 * EV]])  # fmt: skip
def test_units(ask: Ask, levels: Any) -> None:
    answer = ensemble(ask, levels, "300 K")
    assert answer["partition_function"] == pytest.approx(1 + math.exp(-0.1 * EV / (K * 300)), rel=1e-14)
    assert answer["energy_levels"] == pytest.approx([0, 0.1 * EV], rel=1e-14)
    assert (answer["temperature_unit"], answer["entropy_unit"], answer["energy_levels_unit"]) == ("K", "J/K", "J")


def test_defaults(ask: Ask) -> None:
    answer = ask("statmech_partition", energy_levels=[0, 1e-21])
    assert answer["temperature"] == 300
    assert answer["degeneracies"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"energy_levels": [0, 1], "temperature": 0}, PhysicsError),
        ({"energy_levels": [0, 1], "temperature": -1}, PhysicsError),
        ({"energy_levels": [0, 1], "degeneracies": [1, 0]}, PhysicsError),
        ({"energy_levels": [0, 1], "temperature": "1 m"}, ValidationError),
        ({"energy_levels": [0, 1], "degeneracies": [1]}, ValidationError),
        ({"energy_levels": []}, ValidationError),
        ({"energy_levels": [[0, 1]]}, ValidationError),
        ({"energy_levels": [0, float("inf")]}, ValidationError),
        ({"energy_levels": ["0 kg"]}, ValidationError),
        ({"energy_levels": ["a"]}, ValidationError),
        ({"temperature": 3}, ValidationError),
        ({"energy_levels": np.arange(100_001.0)}, ValidationError),
    ],
)
def test_wrong_parameters(ask: Ask, params: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ask("statmech_partition", **params)
