"""Butterworth filters that shift no phase.

A filter of order n runs forwards and backwards in second-order sections, over ends that
are continued by point reflection as far as the filter remembers. Its gain is the Butterworth |H|² =
1 / (1 + (Ω/Ω_c)^2n): one half (−6 dB) at the cutoff. Ω = tan(πf/f_s) is the frequency as the bilinear transform bends
it. Source: A. V. Oppenheim and R. W. Schafer, *Discrete-Time Signal Processing* (2010), sections 7.2 and 7.3;
F. Gustafsson, IEEE Trans. Signal Process. 44, 988 (1996).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from physlab.errors import ComputationError, ValidationError
from physlab.tools.context import Context
from physlab.tools.data.signal_params import BANDS, FilterParams, check_result, read_signal, with_unit
from physlab.tools.figures import drawing, save_series, save_static
from physlab.tools.registry import Port
from physlab.tools.types import Array

RESPONSE_POINTS = 513
DECAYED = 1e-6  # a filter has forgotten what is left at less than this
SHARP = 1e-3  # how far the gain at an edge may be from one half

FILTER_PORTS = (
    Port("filtered_signal", "array", None, "the signal after the filter, unshifted, shape (samples,)"),
    Port("filter_coefficients", "object", None, "b, a of one pass, and sos, the sections that are used"),
    Port("filter_type", "text", None, "what passes"),
    Port("cutoff_frequency", "any", "Hz", "the edge, or [low, high]"),
    Port("filter_order", "number", "1", "order of one pass; a band has twice as many poles"),
    Port("sample_rate", "number", "Hz", "the sampling rate"),
    Port("response_frequencies", "array", "Hz", "frequencies of `response`, 0 to Nyquist"),
    Port("response", "array", "1", "gain of both passes together, the Butterworth |H|²; 1/2 at the cutoff"),
)


def filter_signal(params: FilterParams, context: Context) -> dict[str, Any]:
    """Filter a signal by a Butterworth filter that runs both ways and shifts no phase.

    Args:
        params: The signal and the filter.
        context: The surroundings of the call.

    Returns:
        The filtered signal, the coefficients of one pass, and the gain of both together.

    Raises:
        ValidationError: The signal is too short.
        ComputationError: Double precision cannot hold the filter.
    """
    from scipy.signal import butter, sosfiltfilt, sosfreqz

    signal = read_signal(params, context, least=2)
    rate, cut = params.rate, params.cutoff_freq
    shape: dict[str, Any] = {"N": params.filter_order, "Wn": cut, "btype": params.filter_type, "fs": rate}
    sections = butter(**shape, output="sos")
    memory = _check_stable(sections, params, context)
    needed = _least_padding(sections)
    if signal.size <= needed:
        raise ValidationError(
            f"signal_data has {signal.size} samples, too few for this {params.filter_type} of order "
            f"{params.filter_order}.",
            hint=f"Give more than {needed}, or lower filter_order.",
        )
    if memory > signal.size:
        context.warn(
            f"The filter remembers {memory} samples and the signal has {signal.size}: its ends show everywhere."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        filtered = np.asarray(sosfiltfilt(sections, signal, padlen=min(signal.size - 1, max(needed, memory))))
    check_result(filtered)
    b, a = butter(**shape, output="ba")
    frequencies, response = sosfreqz(sections, worN=np.linspace(0, rate / 2, RESPONSE_POINTS), fs=rate)
    fields: dict[str, Any] = {
        "filtered_signal": filtered,
        "filter_coefficients": {"b": b, "a": a, "sos": sections},
        "filter_type": params.filter_type,
        "cutoff_frequency": params.edges if params.filter_type in BANDS else params.edges[0],
        "filter_order": params.filter_order,
        "sample_rate": rate,
        "response_frequencies": frequencies,
        "response": np.abs(response) ** 2,
    }
    return fields | _outputs(params, context, signal, fields)


def _least_padding(sections: Array) -> int:
    """Return how many samples are added at each end at least: three times the delays."""
    spare = min(int((sections[:, 2] == 0).sum()), int((sections[:, 5] == 0).sum()))
    return 3 * (2 * len(sections) + 1 - spare)


def _check_stable(sections: Array, params: FilterParams, context: Context) -> int:
    """Return how many samples the filter remembers.

    Raises:
        ComputationError: Rounding has moved its poles out of the unit circle, or its edges.
    """
    from scipy.signal import sosfreqz

    radius = max(float(np.abs(np.roots(section)).max(initial=0.0)) for section in sections[:, 3:])
    with np.errstate(all="ignore"):
        gains = np.abs(sosfreqz(sections, worN=np.array(params.edges), fs=params.rate)[1]) ** 2
    context.meta.update(stable=radius < 1, largest_pole=radius)
    if not (radius < 1 and (np.abs(gains - 0.5) < SHARP).all()):
        raise ComputationError(
            f"Double precision cannot hold this filter: its largest pole lies at |z| = {radius:.17g}, and its gain at "
            f"{params.cutoff_freq} Hz is {gains.tolist()} instead of 0.5.",
            hint="The cutoff, or the band, is too small a part of the sample rate: lower filter_order, or take fewer "
            "samples per second first.",
        )
    return int(np.ceil(np.log(DECAYED) / np.log(radius))) if radius > 0 else 0


def _outputs(params: FilterParams, context: Context, signal: Array, fields: dict[str, Any]) -> dict[str, Any]:
    edges = " to ".join(f"{edge:g}" for edge in params.edges)
    caption = f"Signal before and after a zero-phase Butterworth {params.filter_type} of order {params.filter_order} "
    caption += f"at {edges} Hz, and the filter's gain."
    filtered, times = fields["filtered_signal"], np.arange(signal.size) / params.rate
    found: dict[str, Any] = {}
    if context.wants("static"):
        with drawing(8, 7) as figure:
            upper, lower = figure.subplots(2, 1, height_ratios=(3, 2))
            upper.plot(times, signal.real, color="#c3c9d0", lw=1.2, label="before")
            upper.plot(times, filtered.real, lw=1.5, label="after")
            part = "real part of the signal" if np.iscomplexobj(signal) else "signal"
            upper.set(xlabel="time [s]", ylabel=with_unit(part, params.unit))
            upper.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1)
            lower.plot(fields["response_frequencies"], fields["response"])
            for edge in params.edges:
                lower.axvline(edge, color="#6a737d", lw=0.9, ls=(0, (4, 3)))
            lower.set(xlabel="frequency [Hz]", ylabel=r"gain $|H|^2$", ylim=(-0.03, 1.05))
            found |= save_static(context, figure, "filter", caption)
    if context.wants("series"):
        columns = {"time [s]": times, **_parts("signal", signal, params.unit)}
        found |= save_series(context, columns | _parts("filtered", filtered, params.unit), "filter", caption)
    return found


def _parts(name: str, values: Array, unit: str) -> dict[str, Array]:
    if np.iscomplexobj(values):
        return {with_unit(f"{name}_re", unit): values.real, with_unit(f"{name}_im", unit): values.imag}
    return {with_unit(name, unit): values}
