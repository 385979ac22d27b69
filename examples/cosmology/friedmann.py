"""The expansion of a flat universe of matter, radiation and a cosmological constant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

LIGHT = 299792.458  # km/s, exact
HUBBLE_GYR = 977.7922216807891  # 1/(km/s/Mpc) in units of 10⁹ Julian years: IAU 2012 parsec
RADIATION = 4.1835e-5  # Ω_r h²: photons of 2.7255 K and three light neutrinos, Planck 2018 VI


def expansion(z: np.ndarray | float, omega_m: float, omega_r: float = 0.0) -> Any:
    """Return E(z) = H(z)/H₀."""
    return np.sqrt(omega_r * (1 + z) ** 4 + omega_m * (1 + z) ** 3 + 1 - omega_m - omega_r)


def comoving(z: np.ndarray, omega_m: float, omega_r: float = 0.0) -> np.ndarray:
    """Return the comoving distance in units of c/H₀ (D. Hogg, astro-ph/9905116, eq. 15)."""
    integral = [quad(lambda x: 1 / expansion(x, omega_m, omega_r), 0, end, epsabs=0, epsrel=1e-11)[0] for end in z]
    return np.array(integral)


def universe(hubble: float, omega_m: float) -> dict[str, Any]:
    """Compute the history of a flat universe.

    Args:
        hubble: H₀ [km/s/Mpc].
        omega_m: Matter today, in units of the critical density.

    Returns:
        age: Of the universe [Gyr]; age_without_radiation likewise.
        lookback, scale: How long ago [Gyr] the scale factor was what; arrays of one length.
        z, angular: Angular diameter distance [Gpc].
        farthest: Redshift at which the angular diameter distance is largest.
        accelerating: Redshift at which the expansion began to accelerate.
        einstein_de_sitter: Comoving distance to z = 3 in a universe of matter alone [c/H₀], exactly 1.
    """
    omega_r = RADIATION / (hubble / 100) ** 2

    def since(a: float, radiation: float) -> float:
        """Return how long the scale factor took to grow to `a`, in units of 1/H₀."""
        return quad(lambda x: 1 / (x * expansion(1 / x - 1, omega_m, radiation)), 0, a, epsabs=0, epsrel=1e-11)[0]

    scale = np.linspace(0.002, 1, 200)
    ages = np.array([since(a, omega_r) for a in scale]) * HUBBLE_GYR / hubble
    z = np.geomspace(0.01, 20, 60)
    distance = comoving(z, omega_m, omega_r) * LIGHT / hubble / 1000
    farthest = minimize_scalar(
        lambda x: -comoving(np.array([x]), omega_m, omega_r)[0] / (1 + x), bounds=(0.5, 4), method="bounded"
    )
    return {
        "age": float(ages[-1]),
        "age_without_radiation": float(since(1.0, 0.0) * HUBBLE_GYR / hubble),
        "lookback": ages[-1] - ages,
        "scale": scale,
        "farthest": float(farthest.x),
        "accelerating": float((2 * (1 - omega_m) / omega_m) ** (1 / 3) - 1),
        "einstein_de_sitter": float(comoving(np.array([3.0]), 1.0)[0]),
        "figure": _distances(z, distance),
    }


def fit(z: np.ndarray, mu: np.ndarray, covariance: Path) -> dict[str, Any]:
    """Fit the matter density of a flat universe to supernovae, with all correlations; their luminosity is left free.

    Args:
        z: Redshifts, (n,).
        mu: Distance moduli [mag], (n,).
        covariance: File of the upper triangle [1e-6 mag²].

    Returns:
        omega_m, sigma: Best density, and half the width in which χ² rises by 1.
        chi_squared, degrees: At the best density.
        empty_universe: How much worse χ² is without acceleration, at Ω_m = 1.
        figure: The Hubble diagram.
    """
    rows = [line.split() for line in covariance.read_text().splitlines() if not line.startswith("#")]
    matrix = np.zeros((len(z), len(z)))
    for i, row in enumerate(rows):
        matrix[i, i:] = matrix[i:, i] = np.array(row, float) * 1e-6
    weight, ones = np.linalg.inv(matrix), np.ones(len(z))

    def offset(omega_m: float) -> tuple[float, np.ndarray]:
        shape = 5 * np.log10((1 + z) * comoving(z, omega_m))
        best = ones @ weight @ (mu - shape) / (ones @ weight @ ones)
        return float(best), mu - shape - best

    def chi_squared(omega_m: float) -> float:
        rest = offset(omega_m)[1]
        return float(rest @ weight @ rest)

    density = np.linspace(0.2, 0.4, 101)
    curve = np.array([chi_squared(value) for value in density])
    found = minimize_scalar(chi_squared, bounds=(0.1, 0.6), method="bounded")
    inside = density[curve < found.fun + 4]
    parabola = np.polyfit(inside - found.x, [chi_squared(value) - found.fun for value in inside], 2)
    return {
        "omega_m": float(found.x),
        "sigma": float(parabola[0] ** -0.5),
        "chi_squared": float(found.fun),
        "degrees": len(z) - 2,
        "matter_alone": chi_squared(1.0) - float(found.fun),
        "density": density,
        "curve": curve - found.fun,
        "figure": _hubble(z, mu, np.sqrt(np.diag(matrix)), float(found.x), offset(found.x)[0]),
    }


def _distances(z: np.ndarray, comoving_gpc: np.ndarray) -> Figure:
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots()
    for values, name, colour in (
        (comoving_gpc * (1 + z), "luminosity distance", "#d55e00"),
        (comoving_gpc, "comoving distance", "#0072b2"),
        (comoving_gpc / (1 + z), "angular diameter distance", "#009e73"),
    ):
        axes.loglog(z, values, label=name, color=colour)
    axes.set(title="Distances in an expanding universe", xlabel="redshift z", ylabel="distance [Gpc]")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def _hubble(z: np.ndarray, mu: np.ndarray, sigma: np.ndarray, omega_m: float, offset: float) -> Figure:
    fine = np.geomspace(0.009, 1.5, 60)
    model = lambda x, m: 5 * np.log10((1 + x) * comoving(x, m)) + offset  # noqa: E731
    figure = Figure(figsize=(8, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    top.errorbar(z, mu, sigma, fmt="o", markersize=3.5, color="#0072b2", label="supernovae")
    top.semilogx(fine, model(fine, omega_m), color="#d55e00", label=f"flat, Ω_m = {omega_m:.3f}")
    top.semilogx(fine, model(fine, 1.0), color="0.6", linestyle="--", label="matter alone, Ω_m = 1")
    top.set(title="Hubble diagram of type Ia supernovae", ylabel="distance modulus + constant [mag]")
    top.legend(frameon=False)
    bottom.errorbar(z, mu - model(z, omega_m), sigma, fmt="o", markersize=3.5, color="#0072b2")
    bottom.axhline(0, color="#d55e00")
    bottom.semilogx(fine, model(fine, 1.0) - model(fine, omega_m), color="0.6", linestyle="--")
    bottom.set(xlabel="redshift z", ylabel="residual [mag]", ylim=(-0.6, 0.4))
    return figure
