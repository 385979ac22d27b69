"""Wavelet transforms: continuous in Fourier space, discrete with exact reconstruction.

The continuous transform is that of C. Torrence and G. P. Compo, Bull. Amer. Meteor. Soc. 79, 61 (1998), section 3:
W_n(s) = Σ_k x̂_k √(2πs) ψ̂*(s ω_k) e^{iω_k n} with ∫|ψ̂|² dω = 1, scales s in samples, Morlet's ω_0 = 6. White noise of
variance σ² has ⟨|W|²⟩ = σ² on every scale. It is exact for every sampled frequency, which a sum over a tabulated
wavelet is not. The discrete transform is orthogonal where the length is a multiple of 2^levels.
"""

from __future__ import annotations

import warnings
from math import gamma, pi, sqrt
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.tools.context import Context
from physlab.tools.data.signal_params import WaveletParams, check_result, read_signal
from physlab.tools.extras import require
from physlab.tools.figures import colour_bar, drawing, heat_map, save_series, save_static
from physlab.tools.registry import Port
from physlab.tools.types import Array

OMEGA0 = 6.0
DEFAULT_SCALES = 64
DISCRETE = {"daubechies": "db4", "haar": "haar"}
# Table 1 of Torrence and Compo: sample_rate / (frequency · scale), and the e-folding time over the scale.
FOURIER_PERIOD = {"morlet": 4 * pi / (OMEGA0 + sqrt(2 + OMEGA0**2)), "mexican_hat": 2 * pi / sqrt(2.5)}
E_FOLDING = sqrt(2)

WAVELET_PORTS = (
    Port("coefficients_real", "any", None, "continuous: (scales, samples); discrete: list of arrays, coarsest first"),
    Port("coefficients_imag", "any", None, "likewise; zero for all but morlet"),
    Port("frequencies", "array", "Hz", "continuous: equivalent Fourier frequency; discrete: middle of each band"),
    Port("scales", "array", "1", "scale of each row or list [samples]"),
    Port("power", "array", None, "continuous: |W|², shape (scales, samples); discrete: energy of each list"),
    Port("labels", "list", None, "discrete: cA (approximation) and cD (details) with their level"),
    Port("bands", "list", "Hz", "discrete: nominal [low, high] of each list"),
    Port("cone_of_influence", "array", "s", "continuous: how far the ends of the signal reach into each scale"),
    Port("times", "array", "s", "continuous: time of each sample"),
    Port("wavelet", "text", None, "the wavelet"),
    Port("sample_rate", "number", "Hz", "the sampling rate"),
)


def wavelet(params: WaveletParams, context: Context) -> dict[str, Any]:
    """Take the wavelet transform of a real signal.

    Args:
        params: The signal, the wavelet and the scales.
        context: The surroundings of the call.

    Returns:
        Continuous (morlet, mexican_hat): a map of scales and times. Discrete (daubechies, haar): lists of
        coefficients from which the signal is rebuilt exactly.
    """
    compute = _discrete if params.wavelet in DISCRETE else _continuous
    return {**compute(params, context), "wavelet": params.wavelet, "sample_rate": params.rate}


def shape_in_fourier_space(name: str, argument: Array) -> Array:
    """Return ψ̂(sω) (table 1 of Torrence and Compo; the second derivative of a Gaussian has the sign of its paper)."""
    if name == "morlet":
        return np.where(argument > 0, pi**-0.25 * np.exp(-((argument - OMEGA0) ** 2) / 2), 0.0)
    return argument**2 * np.exp(-(argument**2) / 2) / sqrt(gamma(2.5))


def continuous(signal: Array, name: str, scales: Array) -> Array:
    """Return W, shape (scales, samples), of a real signal without its mean.

    The signal is followed by zeros, so that its ends do not meet.
    """
    count = signal.size
    padded = 1 << (2 * count - 1).bit_length()
    spectrum = np.fft.fft(signal - signal.mean(), padded)
    omega = 2 * pi * np.fft.fftfreq(padded)
    found = np.empty((scales.size, count), dtype=complex if name == "morlet" else float)
    for row, scale in enumerate(scales):
        daughter = sqrt(2 * pi * scale) * shape_in_fourier_space(name, scale * omega)
        wave = np.fft.ifft(spectrum * daughter)[:count]
        found[row] = wave if name == "morlet" else wave.real
    return found


def _continuous(params: WaveletParams, context: Context) -> dict[str, Any]:
    signal = read_signal(params, context, least=8, real=True)
    if params.scales is None:
        scales = np.geomspace(2.0, signal.size / (2 * E_FOLDING), DEFAULT_SCALES)
    else:
        scales = np.asarray(params.scales, dtype=float)
    context.enforce("values", scales.size * signal.size, f"the map of {scales.size} scales x {signal.size} samples")
    frequencies = params.rate / (FOURIER_PERIOD[params.wavelet] * scales)
    fast = int((frequencies > params.rate / 2).sum())
    if fast:
        context.warn(f"{fast} of {scales.size} scales lie beyond the Nyquist frequency {params.rate / 2:g} Hz.")
    with np.errstate(over="ignore", invalid="ignore"):
        found = continuous(signal, params.wavelet, scales)
        power = np.abs(found) ** 2
    check_result(power)
    context.meta.update(
        shape=list(found.shape),
        frequency_range=[float(frequencies.min()), float(frequencies.max())],
        scale_range=[float(scales.min()), float(scales.max())],
        transform="continuous",
        mean_removed=float(signal.mean()),
    )
    fields: dict[str, Any] = {
        "coefficients_real": np.ascontiguousarray(found.real),
        "coefficients_imag": np.ascontiguousarray(found.imag),
        "frequencies": frequencies,
        "scales": scales,
        "power": power,
        "cone_of_influence": E_FOLDING * scales / params.rate,
        "times": np.arange(signal.size) / params.rate,
    }
    return fields | _continuous_outputs(params, context, fields)


def _continuous_outputs(params: WaveletParams, context: Context, fields: dict[str, Any]) -> dict[str, Any]:
    times, frequencies, power = fields["times"], fields["frequencies"], fields["power"]
    caption = f"Wavelet power |W|² ({params.wavelet.replace('_', ' ')}) of {times.size} samples at {params.rate:g} Hz;"
    caption += " beyond the white lines the ends of the signal matter."
    found: dict[str, Any] = {}
    if context.wants("static"):
        order = np.argsort(frequencies)
        with drawing(8, 5) as figure:
            axes = figure.add_subplot(xlabel="time [s]", ylabel="frequency [Hz]")
            if np.unique(frequencies).size > 1:
                _draw_map(figure, axes, times, frequencies[order], power[order], fields["cone_of_influence"][order])
            else:
                axes.plot(times, power[0])
                axes.set(ylabel=r"power $|W|^2$", title=f"{frequencies[0]:g} Hz")
            found |= save_static(context, figure, "wavelet", caption)
    if context.wants("series"):
        time, frequency = np.meshgrid(times, frequencies)
        columns = {
            "time [s]": time.ravel(), "frequency [Hz]": frequency.ravel(),
            "W_re": fields["coefficients_real"].ravel(), "W_im": fields["coefficients_imag"].ravel(),
        }  # fmt: skip
        found |= save_series(context, columns, "wavelet", caption)
    return found


def _draw_map(figure: Any, axes: Any, times: Array, frequencies: Array, power: Array, cone: Array) -> None:
    artist = heat_map(axes, times, frequencies, power, gamma=0.5)
    axes.set_yscale("log")
    axes.set_ylim(frequencies[0], frequencies[-1])
    axes.set_xlim(times[0], times[-1])
    for border in (times[0] + cone, times[-1] - cone):
        axes.plot(border, frequencies, color="white", lw=1.1, ls=(0, (5, 3)))
    colour_bar(figure, artist, axes, r"power $|W|^2$")


def _discrete(params: WaveletParams, context: Context) -> dict[str, Any]:
    pywt = require("pywt", "The discrete wavelet transform")
    signal = read_signal(params, context, least=2, real=True)
    name, mode = DISCRETE[params.wavelet], "periodization"
    deepest = max(1, pywt.dwt_max_level(signal.size, pywt.Wavelet(name).dec_len))
    most = int(np.floor(np.log2(signal.size)))
    levels = deepest if params.scales is None else int(np.asarray(params.scales).size)
    if levels > most:
        raise ValidationError(
            f"{levels} levels need {2**levels} samples, and the signal has {signal.size}.",
            hint=f"Use scales up to {2**most}.",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the boundary is periodic, as the reply says
        found = [np.asarray(part) for part in pywt.wavedec(signal, name, mode=mode, level=levels)]
    check_result(*found)
    rebuilt = pywt.waverec(found, name, mode=mode)[: signal.size]
    steps = [levels, *range(levels, 0, -1)]
    bands = [
        [0.0, params.rate / 2 ** (levels + 1)],
        *([params.rate / 2 ** (j + 1), params.rate / 2**j] for j in steps[1:]),
    ]
    context.meta.update(
        shape=[len(part) for part in found],
        frequency_range=[0.0, params.rate / 2],
        scale_range=[2.0, 2.0**levels],
        transform="discrete",
        basis=name,
        boundary=mode,
        levels=levels,
        orthogonal=signal.size % 2**levels == 0,
        reconstruction_error=float(np.abs(rebuilt - signal).max()),
    )
    fields: dict[str, Any] = {
        "coefficients_real": found,
        "coefficients_imag": [np.zeros_like(part) for part in found],
        "frequencies": np.array([(low + high) / 2 for low, high in bands]),
        "scales": 2.0 ** np.array(steps),
        "power": np.array([float((part**2).sum()) for part in found]),
        "labels": [f"cA{levels}", *(f"cD{level}" for level in steps[1:])],
        "bands": bands,
    }
    return fields | _discrete_outputs(params, context, signal, fields)


def _discrete_outputs(params: WaveletParams, context: Context, signal: Array, fields: dict[str, Any]) -> dict[str, Any]:
    parts, labels = fields["coefficients_real"], fields["labels"]
    caption = f"Coefficients of the discrete wavelet transform ({context.meta['basis']}, {len(parts) - 1} levels) "
    caption += f"of {signal.size} samples at {params.rate:g} Hz."
    found: dict[str, Any] = {}
    if context.wants("static"):
        with drawing(8, 1.2 + 0.95 * len(parts)) as figure:
            panels = figure.subplots(len(parts), 1, sharex=True, squeeze=False)[:, 0]
            for axes, part, label in zip(panels, parts, labels, strict=True):
                step = signal.size / params.rate / len(part)
                axes.stairs(part, np.arange(len(part) + 1) * step, baseline=None, lw=1.2)
                axes.set_ylabel(label, rotation=0, ha="right", va="center")
                axes.locator_params(axis="y", nbins=3)
            panels[-1].set_xlabel("time [s]")
            found |= save_static(context, figure, "wavelet", caption)
    if context.wants("series"):
        columns = {
            "list": np.repeat(np.array(labels, dtype=object), [len(part) for part in parts]),
            "index": np.concatenate([np.arange(len(part)) for part in parts]),
            "coefficient": np.concatenate(parts),
        }
        found |= save_series(context, columns, "wavelet", caption)
    return found
