"""Orbits around a mass that does not rotate, in the Schwarzschild metric."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import ellipk


def advance(axis: float, eccentricity: float, gravitational_radius: float) -> dict[str, float]:
    """Return the exact advance of the pericentre, by the complete elliptic integral.

    With u = 1/r the radial equation is (du/dφ)² = 2m (u - u₁)(u - u₂)(u - u₃), u₁ + u₂ + u₃ = 1/2m, where u₁ and u₂
    are the turning points: Chandrasekhar, The Mathematical Theory of Black Holes (1983), section 19.

    Args:
        axis: Semi-major axis: half the sum of the turning points [m, or any length].
        eccentricity: (r₂ - r₁)/(r₂ + r₁), below 1.
        gravitational_radius: m = GM/c² [the same length].

    Returns:
        advance: 2∫du/(du/dφ) - 2π [rad] per turn.
        first_order: Einstein's 6πm/(a(1 - e²)) [rad].
    """
    far, near = 1 / (axis * (1 + eccentricity)), 1 / (axis * (1 - eccentricity))
    third = 1 / (2 * gravitational_radius) - far - near
    angle = 4 / np.sqrt(2 * gravitational_radius * (third - far)) * ellipk((near - far) / (third - far))
    first_order = 6 * np.pi * gravitational_radius / (axis * (1 - eccentricity**2))
    return {"advance": float(angle - 2 * np.pi), "first_order": float(first_order)}


def rosette(axis: float, eccentricity: float, turns: int, samples: int) -> dict[str, Any]:
    """Integrate an orbit close to a mass, where the rosette is seen, in units of m = GM/c² = 1.

    Args:
        axis: Semi-major axis [m].
        eccentricity: Of the turning points.
        turns: From pericentre to pericentre, how often.
        samples: Points of the orbit.

    Returns:
        x, y: The orbit [m], (samples,).
        advance: Mean advance of the pericentre [rad], from the instants at which the orbit turns.
        drift: Largest relative change of the energy, which the equation keeps.
    """
    far, near = 1 / (axis * (1 + eccentricity)), 1 / (axis * (1 - eccentricity))
    inverse_h2 = far + near - 2 * (far**2 + far * near + near**2)  # 2m/h² from the two turning points
    potential = lambda u: u**2 - inverse_h2 * u - 2 * u**3  # noqa: E731

    def pericentre(_: float, state: np.ndarray) -> float:
        return float(state[1])

    pericentre.direction = -1  # type: ignore[attr-defined]  # u has a maximum there
    expected = 2 * np.pi + advance(axis, eccentricity, 1.0)["advance"]
    end = (turns + 0.01) * expected
    found = solve_ivp(
        lambda _, state: [state[1], inverse_h2 / 2 - state[0] + 3 * state[0] ** 2],
        (0, end),
        [near, 0.0],
        method="DOP853",
        rtol=1e-12,
        atol=1e-14,
        events=pericentre,
        dense_output=True,
    )
    angle = np.linspace(0, turns * expected, samples)
    u, slope = found.sol(angle)
    energy = slope**2 + potential(u)
    passages = found.t_events[0][found.t_events[0] > 0.5 * expected]
    return {
        "x": np.cos(angle) / u,
        "y": np.sin(angle) / u,
        "angle": angle,
        "advance": float(passages[-1] / len(passages) - 2 * np.pi),
        "passages": len(passages),
        "drift": float(np.abs(energy / energy[0] - 1).max()),
    }
