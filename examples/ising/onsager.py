"""Onsager's solution of the Ising model, and pictures of a simulation beside it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.special import ellipk

CRITICAL = 2 / np.log(1 + np.sqrt(2))


def energy(temperature: np.ndarray) -> np.ndarray:
    """Return the energy of a spin of the infinite lattice, in J: L. Onsager, Phys. Rev. 65, 117 (1944), eq. 115a."""
    k = 1 / temperature
    modulus = 2 * np.sinh(2 * k) / np.cosh(2 * k) ** 2
    return -(1 + 2 / np.pi * (2 * np.tanh(2 * k) ** 2 - 1) * ellipk(modulus**2)) / np.tanh(2 * k)


def magnetisation(temperature: np.ndarray) -> np.ndarray:
    """Return the spontaneous magnetisation: C. N. Yang, Phys. Rev. 85, 808 (1952)."""
    inside = 1 - np.sinh(2 / temperature) ** -4.0
    return np.where(temperature < CRITICAL, np.maximum(inside, 0) ** 0.125, 0.0)


def compare(table: Path, away: float) -> dict[str, Any]:
    """Compare the simulation with the infinite lattice where its size does not matter.

    Args:
        table: The CSV that the simulation wrote.
        away: Distance from the critical temperature from which on temperatures count.

    Returns:
        T, energy, sigma, exact, pull: of the temperatures that count, (n,).
        chi_squared: Sum of the squared pulls.
        magnetisation_below, magnetisation_exact: at the highest of these temperatures below the critical one.
        critical: The critical temperature.
        figure: Energy and magnetisation beside the closed forms.
    """
    rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(table.open()))[1:]])
    t, e, e_error, m, m_error, _ = rows.T
    far = np.abs(t - CRITICAL) > away
    pull = (e - energy(t)) / e_error
    below = int(np.flatnonzero(far & (t < CRITICAL))[-1])
    return {
        "T": t[far],
        "energy": e[far],
        "sigma": e_error[far],
        "exact": energy(t[far]),
        "pull": pull[far],
        "chi_squared": float((pull[far] ** 2).sum()),
        "temperatures": int(far.sum()),
        "magnetisation_below": float(m[below]),
        "magnetisation_sigma": float(m_error[below]),
        "magnetisation_exact": float(magnetisation(t[below])),
        "T_below": float(t[below]),
        "critical": float(CRITICAL),
        "figure": _draw(t, e, e_error, m, m_error),
    }


def _draw(t: np.ndarray, e: np.ndarray, e_error: np.ndarray, m: np.ndarray, m_error: np.ndarray) -> Figure:
    fine = np.linspace(t.min() - 0.1, t.max() + 0.1, 800)
    figure = Figure(figsize=(9, 4), layout="constrained")
    figure.suptitle("The Ising model: simulation (points) and the infinite lattice (lines)")
    left, right = figure.subplots(1, 2)
    for axes, exact, measured, error, name in (
        (left, energy(fine), e, e_error, "energy of a spin / J"),
        (right, magnetisation(fine), m, m_error, "magnetisation"),
    ):
        axes.axvline(CRITICAL, color="0.7", linewidth=0.8)
        axes.plot(fine, exact, color="#0072b2")
        axes.errorbar(t, measured, error, fmt="o", markersize=4, color="#d55e00")
        axes.set(xlabel="temperature [J/k]", ylabel=name)
    return figure


def snapshots(files: list[Path], temperatures: np.ndarray) -> Figure:
    """Draw the spins of a few temperatures side by side."""
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    figure.suptitle("Spins below, near and above the critical temperature")
    for axes, file, temperature in zip(figure.subplots(1, len(files)), files, temperatures, strict=True):
        axes.imshow(np.loadtxt(file, delimiter=","), cmap="cividis", interpolation="nearest", origin="lower")
        axes.set(title=f"kT = {temperature:g} J", xlabel="column")
        axes.label_outer()
    figure.axes[0].set_ylabel("row")
    return figure
