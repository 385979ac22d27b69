"""The pendulum, free and driven, in units of its length and of √(length/gravity)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp
from scipy.special import ellipk

PRECISE: dict[str, Any] = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-12}


def free(amplitude: float) -> dict[str, float]:
    """Let a pendulum go at rest and measure its period.

    Args:
        amplitude: Where it starts, below π [rad].

    Returns:
        period: By integration [√(l/g)].
        exact: 4 K(sin²(amplitude/2)), the complete elliptic integral: Landau and Lifshitz, Mechanics, section 11.
        drift: Largest change of the energy over 100 periods, in units of mgl.
    """

    def rest(_: float, state: np.ndarray) -> float:
        return float(state[1])

    rest.direction = -1  # type: ignore[attr-defined]  # at rest on the side where it started
    exact = float(4 * ellipk(np.sin(amplitude / 2) ** 2))
    found = solve_ivp(lambda _, s: [s[1], -np.sin(s[0])], (0, 100.2 * exact), [amplitude, 0.0], events=rest, **PRECISE)
    energy = found.y[1] ** 2 / 2 - np.cos(found.y[0])
    passages = found.t_events[0][found.t_events[0] > exact / 2]
    return {
        "period": float(passages[-1] / len(passages)),
        "exact": exact,
        "drift": float(np.abs(energy - energy[0]).max()),
    }


def small(amplitude: float, damping: float, time: float) -> dict[str, float]:
    """Return the angle of a damped pendulum at one instant, by its amplitude: the closed form when that is small."""
    found = solve_ivp(lambda _, s: [s[1], -np.sin(s[0]) - damping * s[1]], (0, time), [amplitude, 0.0], **PRECISE)
    return {"angle": float(found.y[0, -1] / amplitude)}


def chaos(damping: float, force: float, frequency: float, periods: int) -> dict[str, float]:
    """Follow a driven pendulum and a small deviation from it: Lyapunov exponents and the balance of energy.

    The exponents are those of G. Benettin et al., Meccanica 15, 9 (1980); their sum is minus the damping, since the
    flow contracts the phase plane at that rate everywhere.

    Args:
        damping: Friction γ.
        force: Amplitude of the torque, in units of mgl.
        frequency: Of the torque, in units of that of small oscillations.
        periods: How many periods of the torque.

    Returns:
        largest, smallest: The exponents; total: their sum.
        imbalance: Energy gained less work of the torque plus friction, relative to the work of friction.
    """

    def flow(t: float, s: list[float]) -> list[float]:
        theta, omega, a, b, c, d = s[:6]
        sine, cosine, torque = np.sin(theta), np.cos(theta), force * np.cos(frequency * t)
        turn = -sine - damping * omega + torque
        grow = (-cosine * a - damping * c, -cosine * b - damping * d)
        return [omega, turn, c, d, *grow, torque * omega, damping * omega * omega]

    period, state = 2 * np.pi / frequency, np.array([0.2, 0.0, 1, 0, 0, 1, 0, 0], float)
    logs = np.zeros(2)
    for number in range(periods):
        span = (number * period, (number + 1) * period)
        state = solve_ivp(flow, span, state, method="DOP853", rtol=1e-9, atol=1e-10).y[:, -1]
        frame, upper = np.linalg.qr(state[2:6].reshape(2, 2))
        state[2:6] = frame.ravel()
        if number >= 20:
            logs += np.log(np.abs(np.diag(upper)))
    exponents = logs / ((periods - 20) * period)
    gained = state[1] ** 2 / 2 - np.cos(state[0]) + np.cos(0.2)
    return {
        "largest": float(exponents[0]),
        "smallest": float(exponents[1]),
        "total": float(exponents.sum()),
        "imbalance": float((gained - state[6] + state[7]) / state[7]),
    }


def attractor(
    damping: float, force: float, frequency: float, members: int, frames: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Follow many driven pendulums from random starts, and see where they are in the phase plane.

    Args:
        damping: Friction γ.
        force: Amplitude of the torque, in units of mgl.
        frequency: Of the torque, in units of that of small oscillations.
        members: How many pendulums.
        frames: Pictures of one period of the torque.
        rng: Filled in by the lab, from the seed of the node.

    Returns:
        density: How many are where, over the most, to the power 0.2, (frames, angular velocity, angle).
        angle, velocity: Middles of the cells [rad], [√(g/l)].
        section: The plane at the start of each period.
    """
    theta, omega = rng.uniform(-np.pi, np.pi, members), rng.uniform(-1, 1, members)
    per_period, settle, kept = 4 * frames, 20, 12
    step = 2 * np.pi / frequency / per_period
    edges = np.linspace(-np.pi, np.pi, 161), np.linspace(-3, 3, 121)
    density = np.zeros((frames, 120, 160))
    places: list[np.ndarray] = []

    def slope(t: float, theta: np.ndarray, omega: np.ndarray) -> np.ndarray:
        return -np.sin(theta) - damping * omega + force * np.cos(frequency * t)

    for number in range((settle + kept) * per_period):
        phase = number % per_period
        if number >= settle * per_period and phase % 4 == 0:
            wrapped = (theta + np.pi) % (2 * np.pi) - np.pi
            density[phase // 4] += np.histogram2d(omega, wrapped, bins=(edges[1], edges[0]))[0]
            if phase == 0:
                places.append(np.stack((wrapped, omega)))
        t = number * step
        k1, l1 = omega, slope(t, theta, omega)
        k2, l2 = omega + step / 2 * l1, slope(t + step / 2, theta + step / 2 * k1, omega + step / 2 * l1)
        k3, l3 = omega + step / 2 * l2, slope(t + step / 2, theta + step / 2 * k2, omega + step / 2 * l2)
        k4, l4 = omega + step * l3, slope(t + step, theta + step * k3, omega + step * l3)
        theta, omega = theta + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4), omega + step / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
    angle, velocity = ((edge[1:] + edge[:-1]) / 2 for edge in edges)
    return {
        "density": (density / density.max()) ** 0.2,
        "angle": angle,
        "velocity": velocity,
        "section": _section(np.concatenate(places, axis=1)),
    }


def _section(places: np.ndarray) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*places, ",", color="#0072b2")
    axes.set(title="Poincaré section of the driven pendulum", xlabel="angle [rad]", ylabel="angular velocity [√(g/l)]")
    axes.set_xlim(-np.pi, np.pi)
    return figure
