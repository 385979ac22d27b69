"""The parameters of signals, and how a signal is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from physlab.errors import ComputationError, ValidationError
from physlab.tools.context import Context
from physlab.tools.types import Array, Unit, VisualParams, quantity, to_unit

WindowName = Literal["hann", "hamming", "blackman", "bartlett", "none"]
FilterType = Literal["lowpass", "highpass", "bandpass", "bandstop"]
BANDS = ("bandpass", "bandstop")


def _hertz(value: Any) -> Any:
    """Read a frequency or a pair of them, each a number in Hz or a quantity such as `"5 kHz"`."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(to_unit(item, "Hz") for item in value)
    return to_unit(value, "Hz")


if TYPE_CHECKING:
    Hertz = float
else:
    Hertz = quantity("Hz")
Cutoff = Annotated[float | tuple[float, float], BeforeValidator(_hertz), Unit("Hz")]


def _edges(cut: float | tuple[float, float]) -> list[float]:
    return list(cut) if isinstance(cut, tuple) else [cut]


class SignalParams(VisualParams):
    """A signal that was sampled evenly."""

    signal_data: Array = Field(description="Samples of the signal (samples,), a list or from:node.field.")
    sample_rate: Hertz = Field(gt=0, allow_inf_nan=False, description="Samples per second [Hz].")
    unit: str = Field("", max_length=60, description="Unit of the signal, for labels and headers.")

    @property
    def rate(self) -> float:
        """The sampling rate [Hz]."""
        return self.sample_rate


class FftParams(SignalParams):
    """A signal and the window that is laid over it."""

    window: WindowName = Field("hann", description="Periodic window; none takes the samples as they are.")


class FilterParams(SignalParams):
    """A signal and a Butterworth filter."""

    filter_type: FilterType = Field(description="What passes.")
    cutoff_freq: Cutoff = Field(description="Edge [Hz], or [low, high] for bandpass and bandstop; below Nyquist.")
    filter_order: int = Field(4, ge=1, le=10, description="Order of the Butterworth filter, before it runs both ways.")

    @property
    def edges(self) -> list[float]:
        """The edges of the band [Hz]."""
        return _edges(self.cutoff_freq)

    @field_validator("cutoff_freq")
    @classmethod
    def _below_nyquist(cls, cut: Any, info: ValidationInfo) -> Any:
        rate, kind = info.data.get("sample_rate"), info.data.get("filter_type")
        if rate is None or kind is None:
            return cut
        edges, wanted = _edges(cut), 2 if kind in BANDS else 1
        if len(edges) != wanted:
            raise ValueError(f"{kind} needs {'[low, high]' if wanted == 2 else 'one frequency'}")
        for edge in edges:
            if not 0 < edge < rate / 2:
                raise ValueError(
                    f"{edge:g} Hz does not lie between 0 and {rate / 2:g} Hz, the Nyquist frequency of"
                    f" sample_rate = {rate:g} Hz; lower it, or sample faster"
                )
        if wanted == 2 and edges[0] >= edges[1]:
            raise ValueError("the band is empty; give the lower edge first")
        return cut


class SpectrogramParams(SignalParams):
    """A signal, and the pieces that it is cut into."""

    window_size: int = Field(256, ge=2, description="Samples of one piece; at most those of the signal.")
    overlap: float = Field(0.5, ge=0, le=0.95, description="Part of a piece that the next one shares.")
    window_type: WindowName = Field("hann", description="Periodic window of each piece.")


class WaveletParams(SignalParams):
    """A signal, and the wavelet that it is held against."""

    wavelet: Literal["morlet", "mexican_hat", "daubechies", "haar"] = Field(
        "morlet", description="morlet, mexican_hat: continuous; daubechies (db4), haar: discrete."
    )
    scales: Array | None = Field(
        None,
        description="Scales [samples]; continuous: any, default 64 from 2 to N/(2√2); discrete: 2, 4, 8 … 2^levels, "
        "default as deep as the signal allows.",
    )

    @model_validator(mode="after")
    def _positive(self) -> WaveletParams:
        if self.scales is None:
            return self
        scales = np.asarray(self.scales)
        if scales.ndim != 1 or not scales.size or scales.dtype.kind == "c":
            raise ValueError(f"scales is a list of numbers, not of the shape {scales.shape}")
        if not (np.isfinite(scales).all() and (scales > 0).all()):
            raise ValueError("scales are finite numbers above 0")
        if self.wavelet in ("daubechies", "haar"):
            dyadic = 2.0 ** np.arange(1, scales.size + 1)
            if not np.array_equal(np.sort(scales.astype(float)), dyadic):
                raise ValueError(f"{self.wavelet} is discrete, its scales are 2, 4, 8 … 2^levels without gaps")
        return self


def read_signal(params: SignalParams, context: Context, *, least: int, real: bool = False) -> Array:
    """Return the samples as float64 or complex128.

    Args:
        params: Holds `signal_data`.
        context: The call.
        least: Fewest samples that make sense.
        real: True when complex samples are refused.

    Raises:
        ValidationError: The signal is not a finite list of numbers, too short, or above the cap.
    """
    signal = np.asarray(params.signal_data)
    if signal.ndim != 1:
        raise ValidationError(
            f"signal_data has the shape {signal.shape}.", hint="Give one channel, a list of numbers, (samples,)."
        )
    context.enforce("samples", signal.size, "the length of signal_data")
    if signal.size < least:
        raise ValidationError(f"signal_data has {signal.size} samples.", hint=f"At least {least} are needed.")
    if signal.dtype.kind == "c":
        if real:
            raise ValidationError("signal_data is complex.", hint="Take its real part or its modulus first.")
        signal = signal.astype(complex)
    else:
        signal = signal.astype(float)
    bad = ~np.isfinite(signal)
    if bad.any():
        raise ValidationError(
            f"{int(bad.sum())} of {signal.size} samples are NaN or infinite, the first at index {int(bad.argmax())}.",
            hint="Fill the gaps first; a gap has no frequency.",
        )
    context.meta.update(length=int(signal.size), duration_s=signal.size / params.rate, samples=int(signal.size))
    return signal


def check_result(*arrays: Array) -> None:
    """Refuse results beyond the range of floating point numbers.

    Raises:
        ComputationError: A number is not finite.
    """
    if not all(np.isfinite(array).all() for array in arrays):
        raise ComputationError(
            "The result is beyond the range of floating point numbers (1e308).",
            hint="Scale the signal, in other units.",
        )


def make_window(name: str, size: int) -> Array:
    """Return a periodic window, shape (size,); its formulas are those of F. J. Harris, Proc. IEEE 66, 51 (1978)."""
    from scipy.signal import get_window

    return np.ones(size) if name == "none" else np.asarray(get_window(name, size, fftbins=True))


def window_facts(window: Array, rate: float) -> dict[str, float]:
    """Return coherent gain and equivalent noise bandwidth (bins, Hz) of a window (Harris 1978, eq. 11 and 15)."""
    gain = float(window.mean())
    bins = float((window**2).mean() / gain**2)
    return {"coherent_gain": gain, "enbw_bins": bins, "enbw_hz": bins * rate / len(window)}


def with_unit(name: str, unit: str) -> str:
    """Return a header such as `signal [V]`."""
    return f"{name} [{unit}]" if unit else name
