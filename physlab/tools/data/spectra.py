"""Spectra: the discrete Fourier transform of a signal, whole and in pieces.

Conventions. The transform is X_k = Σ w_n x_n e^{−2πikn/N} with the window w, so that Parseval's theorem reads
Σ c_k |X_k|² = N Σ |w_n x_n|². Real signals have one-sided spectra, in which c_k = 2 stands for the negative frequency
that is left out (not at 0 and at Nyquist); complex signals have all frequencies in rising order, c_k = 1.
`magnitude` is c_k |X_k| / Σ w: a sine of amplitude A on a bin shows A. The density c_k |X_k|² / (f_s Σ w²) sums, times
the frequency step, to the window-weighted mean square Σ |w x|² / Σ w². Source: G. Heinzel, A. Rüdiger and
R. Schilling, "Spectrum and spectral density estimation by the DFT" (2002), sections 8 and 9.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.tools.context import Context
from physlab.tools.data.signal_params import (
    FftParams,
    SpectrogramParams,
    check_result,
    make_window,
    read_signal,
    window_facts,
    with_unit,
)
from physlab.tools.figures import colour_bar, drawing, heat_map, save_series, save_static
from physlab.tools.registry import Port
from physlab.tools.types import Array

DECADES = 8  # what a picture shows below its highest value
DECIBELS = 80

FFT_PORTS = (
    Port("frequencies", "array", "Hz", "frequency of each bin; from 0 to Nyquist for a real signal"),
    Port("spectrum_real", "array", None, "real part of X_k = Σ w x e^(−2πikn/N)"),
    Port("spectrum_imag", "array", None, "imaginary part of X_k"),
    Port("magnitude", "array", None, "amplitude of the sine on each bin, corrected for the window"),
    Port("phase", "array", "rad", "argument of X_k; 0 for a cosine that starts with the signal"),
    Port("power_density", "array", None, "power spectral density [unit²/Hz]; its sum times the step is the power"),
    Port("power", "number", None, "mean square of the windowed signal [unit²], Σ|w x|² / Σ w²"),
    Port("sample_rate", "number", "Hz", "the sampling rate"),
    Port("window_used", "text", None, "the window"),
    Port("nyquist_frequency", "number", "Hz", "half the sampling rate"),
    Port("frequency_resolution", "number", "Hz", "distance of two bins, sample_rate / N"),
)
SPECTROGRAM_PORTS = (
    Port("frequencies", "array", "Hz", "frequency of each row"),
    Port("times", "array", "s", "middle of each piece"),
    Port("spectrogram", "array", None, "power spectral density [unit²/Hz], shape (frequencies, times)"),
    Port("power", "array", None, "mean square of each windowed piece [unit²]: the column's sum times the step"),
    Port("window_size", "number", "1", "samples of a piece"),
    Port("overlap", "number", "1", "part of a piece that the next one shares"),
    Port("window_type", "text", None, "the window"),
    Port("sample_rate", "number", "Hz", "the sampling rate"),
)


def transform(pieces: Array, rate: float) -> tuple[Array, Array, Array]:
    """Return frequencies, X_k along the last axis, and the weights c_k.

    Args:
        pieces: Windowed signals (…, N).
        rate: Sampling rate [Hz].

    Returns:
        Frequencies [Hz] (K,), spectra (…, K), and the weights of the one-sided sum (K,).
    """
    count = pieces.shape[-1]
    if np.iscomplexobj(pieces):
        frequencies = np.fft.fftshift(np.fft.fftfreq(count, 1 / rate))
        return frequencies, np.fft.fftshift(np.fft.fft(pieces, axis=-1), axes=-1), np.ones(count)
    weights = np.full(count // 2 + 1, 2.0)
    weights[0] = 1.0
    if count % 2 == 0:
        weights[-1] = 1.0
    return np.fft.rfftfreq(count, 1 / rate), np.fft.rfft(pieces, axis=-1), weights


def fft(params: FftParams, context: Context) -> dict[str, Any]:
    """Take the spectrum of a signal: Fourier transform, amplitudes, phases and power density.

    Args:
        params: The signal and its window.
        context: The surroundings of the call.

    Returns:
        One-sided for a real signal. Parseval: Σ c_k |X_k|² = N Σ |w x|², with c_k = 2 but for 0 and Nyquist.
    """
    signal = read_signal(params, context, least=2)
    rate, window = params.rate, make_window(params.window, signal.size)
    with np.errstate(over="ignore", invalid="ignore"):
        frequencies, spectrum, weights = transform(signal * window, rate)
        magnitude = weights * np.abs(spectrum) / window.sum()
        density = weights * np.abs(spectrum) ** 2 / (rate * (window**2).sum())
    check_result(magnitude, density)
    context.meta.update(
        window_correction=window_facts(window, rate), one_sided=not np.iscomplexobj(signal), dtype=str(spectrum.dtype)
    )
    fields: dict[str, Any] = {
        "frequencies": frequencies,
        "spectrum_real": spectrum.real.copy(),
        "spectrum_imag": spectrum.imag.copy(),
        "magnitude": magnitude,
        "phase": np.angle(spectrum),
        "power_density": density,
        "power": float(density.sum() * rate / signal.size),
        "sample_rate": rate,
        "window_used": params.window,
        "nyquist_frequency": rate / 2,
        "frequency_resolution": rate / signal.size,
    }
    return fields | _fft_outputs(params, context, fields)


def _named(window: str) -> str:
    return "no window" if window == "none" else f"{window} window"


def _fft_outputs(params: FftParams, context: Context, fields: dict[str, Any]) -> dict[str, Any]:
    length = context.meta["length"]
    caption = f"Amplitude spectrum of {length} samples at {params.rate:g} Hz, {_named(params.window)}."
    found: dict[str, Any] = {}
    if context.wants("static"):
        with drawing(8, 5) as figure:
            axes = figure.add_subplot(xlabel="frequency [Hz]", ylabel=with_unit("amplitude", params.unit))
            peak = fields["magnitude"].max()
            if peak > 0:
                axes.set_yscale("log")
                axes.set_ylim(max(peak * 10.0**-DECADES, fields["magnitude"].min() / 2, 1e-300), peak * 2)
            many = len(fields["frequencies"]) > 40
            axes.plot(fields["frequencies"], fields["magnitude"], lw=1.2, marker=None if many else "o", markersize=4)
            found |= save_static(context, figure, "spectrum", caption)
    if context.wants("series"):
        columns = {
            "frequency [Hz]": fields["frequencies"],
            with_unit("magnitude", params.unit): fields["magnitude"],
            "phase [rad]": fields["phase"],
            with_unit("spectrum_real", params.unit): fields["spectrum_real"],
            with_unit("spectrum_imag", params.unit): fields["spectrum_imag"],
            with_unit("power_density", f"({params.unit})^2/Hz" if params.unit else "1/Hz"): fields["power_density"],
        }
        found |= save_series(context, columns, "spectrum", caption)
    return found


def spectrogram(params: SpectrogramParams, context: Context) -> dict[str, Any]:
    """Take the power spectral density of a signal piece by piece.

    Args:
        params: The signal and how it is cut.
        context: The surroundings of the call.

    Returns:
        Density of whole pieces only, nothing is padded; each column's sum times the frequency step is the
        window-weighted mean square of its piece.

    Raises:
        ValidationError: A piece is longer than the signal, or the map is above the cap.
    """
    signal = read_signal(params, context, least=2)
    size, rate = params.window_size, params.rate
    if size > signal.size:
        raise ValidationError(
            f"window_size = {size} is more than the {signal.size} samples of the signal.",
            hint=f"Use at most {signal.size}.",
        )
    hop = max(1, size - int(params.overlap * size + 0.5))
    count = (signal.size - size) // hop + 1
    rows = size if np.iscomplexobj(signal) else size // 2 + 1
    context.enforce("values", rows * count, f"the spectrogram of {rows} x {count}")
    window = make_window(params.window_type, size)
    pieces = np.lib.stride_tricks.sliding_window_view(signal, size)[::hop] * window
    with np.errstate(over="ignore", invalid="ignore"):
        frequencies, spectra, weights = transform(pieces, rate)
        density = (weights * np.abs(spectra) ** 2 / (rate * (window**2).sum())).T
    check_result(density)
    times = (np.arange(count) * hop + size / 2) / rate
    context.meta.update(
        frequency_resolution=rate / size,
        time_resolution=hop / rate,
        shape=list(density.shape),
        hop=hop,
        samples_left_out=int(signal.size - (count - 1) * hop - size),
        window_correction=window_facts(window, rate),
        one_sided=not np.iscomplexobj(signal),
    )
    fields: dict[str, Any] = {
        "frequencies": frequencies,
        "times": times,
        "spectrogram": np.ascontiguousarray(density),
        "power": density.sum(axis=0) * rate / size,
        "window_size": size,
        "overlap": params.overlap,
        "window_type": params.window_type,
        "sample_rate": rate,
    }
    return fields | _spectrogram_outputs(params, context, fields)


def _spectrogram_outputs(params: SpectrogramParams, context: Context, fields: dict[str, Any]) -> dict[str, Any]:
    density, times, frequencies = fields["spectrogram"], fields["times"], fields["frequencies"]
    unit = f"({params.unit})²/Hz" if params.unit else "1/Hz"
    shape = f"{density.shape[1]} pieces of {params.window_size} samples"
    caption = f"Power spectral density of a signal at {params.rate:g} Hz in {shape}, {_named(params.window_type)}."
    found: dict[str, Any] = {}
    if context.wants("static"):
        peak = float(density.max())
        floor = peak * 10 ** (-DECIBELS / 10) if peak > 0 else 1.0
        levels = 10 * np.log10(np.maximum(density, floor))
        with drawing(8, 5) as figure:
            axes = figure.add_subplot(xlabel="time [s]", ylabel="frequency [Hz]")
            if len(times) == 1:  # a map needs two columns
                axes.plot(frequencies, levels[:, 0])
                axes.set(xlabel="frequency [Hz]", ylabel=f"density [dB re 1 {unit}]")
            else:
                artist = heat_map(axes, times, frequencies, levels, colormap="viridis")
                artist.set_clim(levels.min(), max(levels.max(), levels.min() + 1))
                colour_bar(figure, artist, axes, f"density [dB re 1 {unit.removeprefix('1')}]")
            found |= save_static(context, figure, "spectrogram", caption)
    if context.wants("series"):
        time, frequency = np.meshgrid(times, frequencies)
        header = with_unit("density", unit.replace("²", "^2"))
        columns = {"time [s]": time.ravel(), "frequency [Hz]": frequency.ravel(), header: density.ravel()}
        found |= save_series(context, columns, "spectrogram", caption)
    return found
