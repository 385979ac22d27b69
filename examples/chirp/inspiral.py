"""The inspiral of two compact bodies as a detector sees it, to leading order in v/c."""

from __future__ import annotations

from typing import Any

import numpy as np

SUN_S = 4.925490947641267e-6  # GM_sun/c³ [s]: IAU 2015 Resolution B3


def frequency(before: np.ndarray, mass: float) -> np.ndarray:
    """Return the frequency [Hz] at times before the merger [s], for a chirp mass in solar masses.

    M. Maggiore, Gravitational Waves 1 (2008), eq. 4.19: f = (1/π) (5/256τ)^(3/8) (GM/c³)^(-5/8).
    """
    return (5 / (256 * before)) ** 0.375 * (mass * SUN_S) ** -0.625 / np.pi


def waveform(before: np.ndarray, mass: float) -> np.ndarray:
    """Return cos Φ with an amplitude as f^(2/3), 1 at 100 Hz; zero from the merger on (Maggiore, eqs. 4.30, 4.31)."""
    tau = np.where(before > 0, before, 1.0)
    phase = -2 * (tau / (5 * mass * SUN_S)) ** 0.625
    return np.where(before > 0, np.cos(phase) * (frequency(tau, mass) / 100) ** (2 / 3), 0.0)


def strain(mass: float, length: float, rate: float, noise: float, rng: np.random.Generator) -> dict[str, Any]:
    """Return an inspiral that ends with the record, in white noise.

    Args:
        mass: Chirp mass in the detector's frame [solar masses].
        length: Duration [s].
        rate: Samples per second [Hz].
        noise: Standard deviation of the noise.
        rng: Filled in by the lab, from the seed of the node.

    Returns:
        t, strain: (samples,) [s] and [1]; signal: without the noise; mean_square: of the strain.
    """
    t = np.arange(round(length * rate)) / rate
    before = length - t - 0.05
    signal = np.where(before > 0.02, waveform(before, mass), 0.0)  # up to some 370 Hz
    data = signal + rng.normal(0, noise, t.size)
    return {"t": t, "strain": data, "signal": signal, "mean_square": float(np.mean(data**2)), "merger": length - 0.05}


def ridge(times: np.ndarray, frequencies: np.ndarray, spectrogram: np.ndarray, top: float) -> dict[str, Any]:
    """Follow the loudest frequency of each instant, between bins by a parabola through the logarithm.

    Args:
        times: [s], (n,).
        frequencies: [Hz], (m,).
        spectrogram: (m, n).
        top: Leave the instants from there on out [Hz].

    Returns:
        t: [s]; f: [Hz]; slowed: f^(-8/3) in units of (100 Hz)^(-8/3), a straight line in time; error: of that.
    """
    band = (frequencies > 40) & (frequencies < 400)
    power, freqs, step = np.log(spectrogram[band]), frequencies[band], frequencies[1] - frequencies[0]
    peak = np.clip(power.argmax(axis=0), 1, len(freqs) - 2)
    columns = np.arange(len(times))
    low, mid, high = (power[peak + shift, columns] for shift in (-1, 0, 1))
    found = freqs[peak] + step * 0.5 * (low - high) / (low - 2 * mid + high)
    late = np.flatnonzero(found > top)
    keep = slice(0, late[0] if late.size else len(times))
    f = found[keep]
    slowed = (f / 100) ** (-8 / 3)
    return {"t": times[keep], "f": f, "slowed": slowed, "error": 8 / 3 * slowed * 0.3 / f}


def search(t: np.ndarray, strain: np.ndarray, masses: list[float], noise: float) -> dict[str, Any]:
    """Search by matched filters: correlate with the waveform of each mass at every instant of merger.

    Args:
        t: [s], (n,).
        strain: (n,).
        masses: First and last chirp mass, and how many.
        noise: Standard deviation of the noise.

    Returns:
        masses, snr: largest signal-to-noise ratio over all instants, for each mass; best: mass at the vertex of the
        parabola through the maximum; best_snr; merger: when [s].
    """
    step, count = t[1] - t[0], t.size
    grid = np.linspace(masses[0], masses[1], int(masses[2]))
    spectrum = np.fft.rfft(strain, 2 * count)
    ratios, ends = [], []
    for mass in grid:
        before = t[-1] + step - t - 0.05
        template = np.where(before > 0.02, waveform(before, mass), 0.0)
        analytic = np.fft.fft(template)
        analytic[count // 2 :] = 0  # the waveform and its quadrature: any phase
        both = 2 * np.fft.ifft(analytic)
        found = np.abs(
            np.fft.irfft(spectrum * np.conj(np.fft.rfft(both.real, 2 * count)))
            + 1j * np.fft.irfft(spectrum * np.conj(np.fft.rfft(both.imag, 2 * count)))
        )
        found /= noise * np.sqrt(np.sum(template**2))
        ratios.append(found.max())
        shift = int(found.argmax())
        ends.append(t[-1] + step - 0.05 + step * (shift - 2 * count if shift > count else shift))
    snr = np.array(ratios)
    top = int(np.clip(snr.argmax(), 1, len(grid) - 2))
    low, mid, high = snr[top - 1 : top + 2]
    best = grid[top] + (grid[1] - grid[0]) * 0.5 * (low - high) / (low - 2 * mid + high)
    return {"masses": grid, "snr": snr, "best": float(best), "best_snr": float(snr.max()), "merger": float(ends[top])}
