"""What the `data` tool does with signals: spectra, filters, spectrograms, wavelets."""

from __future__ import annotations

from typing import Any

from physlab.model import Visuals
from physlab.tools.data import filters, spectra, wavelets
from physlab.tools.data.signal_params import FftParams, FilterParams, SpectrogramParams, WaveletParams
from physlab.tools.figures import IMPORTS, SERIES_PORTS, STATIC_PORTS
from physlab.tools.registry import registry

LIBRARIES = ("numpy", "scipy", "matplotlib")
SIGNAL: dict[str, Any] = {
    "can": Visuals(static=True, series=True, animation=False),
    "imports": (*IMPORTS, "scipy.signal"),
    "kind": "data",
}
MAP = {**SIGNAL, "visuals": Visuals(static=True, series=False, animation=False)}
PICTURES = (*STATIC_PORTS, *SERIES_PORTS)

registry.method(
    "data", "fft", params=FftParams, returns=(*spectra.FFT_PORTS, *PICTURES), libraries=LIBRARIES, **SIGNAL
)(spectra.fft)
registry.method(
    "data", "filter", params=FilterParams, returns=(*filters.FILTER_PORTS, *PICTURES), libraries=LIBRARIES, **SIGNAL
)(filters.filter_signal)
registry.method(
    "data",
    "spectrogram",
    params=SpectrogramParams,
    returns=(*spectra.SPECTROGRAM_PORTS, *PICTURES),
    libraries=LIBRARIES,
    **MAP,
)(spectra.spectrogram)
registry.method(
    "data",
    "wavelet",
    params=WaveletParams,
    returns=(*wavelets.WAVELET_PORTS, *PICTURES),
    libraries=(*LIBRARIES, "PyWavelets"),
    **MAP,
)(wavelets.wavelet)

for name in ("fft", "filter", "spectrogram", "wavelet"):
    registry.alias(f"data_{name}", "data", name)
