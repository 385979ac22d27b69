"""Spectra, filters, spectrograms and wavelets against closed forms, Parseval's theorem and published numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from physlab.errors import MissingExtraError, PhyslabError, ValidationError

Ask = Callable[..., Any]
WINDOWS = ("hann", "hamming", "blackman", "bartlett", "none")
ROUNDING = 1e-12


def noise(count: int, seed: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=count)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("count", [2, 3, 64, 257, 1000])
def test_parseval_holds(ask: Ask, window: str, count: int) -> None:
    """Σ c_k |X_k|² = N Σ |w x|², and the density sums to Σ|w x|² / Σw²; the weights by hand, not by the tool."""
    from scipy.signal import get_window

    x = noise(count)
    w = np.ones(count) if window == "none" else get_window(window, count)
    answer = ask("data", "fft", signal_data=x, sample_rate=50.0, window=window)
    weights = np.full(count // 2 + 1, 2.0)
    weights[0] = 1
    if count % 2 == 0:
        weights[-1] = 1
    energy = (weights * (answer["spectrum_real"] ** 2 + answer["spectrum_imag"] ** 2)).sum()
    assert energy == pytest.approx(count * ((w * x) ** 2).sum(), rel=ROUNDING)
    mean_square = ((w * x) ** 2).sum() / (w**2).sum()
    assert answer["power_density"].sum() * answer["frequency_resolution"] == pytest.approx(mean_square, rel=ROUNDING)
    assert answer["power"] == pytest.approx(mean_square, rel=ROUNDING)


def test_parseval_holds_for_complex_signals(ask: Ask) -> None:
    x = noise(99) + 1j * noise(99, 2)
    answer = ask("data", "fft", signal_data=x, sample_rate=1.0, window="none")
    assert answer["power"] == pytest.approx((abs(x) ** 2).mean(), rel=ROUNDING)
    assert len(answer["frequencies"]) == 99 and np.all(np.diff(answer["frequencies"]) > 0)
    assert answer.context.meta["one_sided"] is False


@pytest.mark.parametrize("window", WINDOWS)
def test_a_sine_on_a_bin_shows_its_amplitude_and_phase(ask: Ask, window: str) -> None:
    rate, count, k, amplitude, phase = 1000.0, 200, 30, 3.25, 0.7
    t = np.arange(count) / rate
    x = amplitude * np.cos(2 * np.pi * k * rate / count * t + phase)
    answer = ask("data", "fft", signal_data=x.tolist(), sample_rate="1 kHz", window=window)
    assert answer["frequencies"][k] == pytest.approx(150.0)
    # Bartlett's side lobes do not vanish on the bins: the sine's negative frequency reaches over, by 1/(60 sin)².
    assert answer["magnitude"][k] == pytest.approx(amplitude, rel=1e-3 if window == "bartlett" else 1e-12)
    assert answer["phase"][k] == pytest.approx(phase, abs=1e-3 if window == "bartlett" else 1e-12)
    assert (answer["nyquist_frequency"], answer["frequency_resolution"]) == (500.0, 5.0)


def test_a_constant_and_nyquist_are_not_doubled(ask: Ask) -> None:
    x = 2.0 + 0.5 * (-1.0) ** np.arange(16)
    answer = ask("data", "fft", signal_data=x, sample_rate=16, window="none")
    np.testing.assert_allclose(answer["magnitude"], [2.0, *([0] * 7), 0.5], atol=1e-15)


@pytest.mark.parametrize(
    ("window", "gain", "bins"),
    [
        ("none", 1.0, 1.0),
        ("hann", 0.50, 1.50),
        ("hamming", 0.54, 1.36),
        ("blackman", 0.42, 1.73),
        ("bartlett", 0.5, 1.33),
    ],
)
def test_windows_have_the_published_gain_and_bandwidth(ask: Ask, window: str, gain: float, bins: float) -> None:
    """F. J. Harris, Proc. IEEE 66, 51 (1978), table I: coherent gain and equivalent noise bandwidth, two decimals."""
    answer = ask("data", "fft", signal_data=noise(4096), sample_rate=4096, window=window)
    told = answer.context.meta["window_correction"]
    assert told["coherent_gain"] == pytest.approx(gain, abs=0.005)
    assert told["enbw_bins"] == pytest.approx(bins, abs=0.0051)
    assert told["enbw_hz"] == pytest.approx(told["enbw_bins"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hnp.arrays(float, st.integers(2, 50), elements=st.floats(-1e6, 1e6)))
def test_the_spectrum_leads_back_to_the_signal(ask: Ask, x: np.ndarray[Any, Any]) -> None:
    answer = ask("data", "fft", signal_data=x, sample_rate=1.0, window="none")
    back = np.fft.irfft(answer["spectrum_real"] + 1j * answer["spectrum_imag"], x.size)
    np.testing.assert_allclose(back, x, atol=1e-9 * max(1.0, abs(x).max()))


@pytest.mark.parametrize(
    ("kind", "cut"), [("lowpass", 50.0), ("highpass", 80.0), ("bandpass", (40.0, 90.0)), ("bandstop", [30.0, 120.0])]
)
@pytest.mark.parametrize("order", [1, 4, 10])
def test_the_gain_is_that_of_butterworth(ask: Ask, kind: str, cut: Any, order: int) -> None:
    """|H|² = 1 / (1 + v^2n) with the bent frequency: v = Ω/Ω_c, Ω_c/Ω, and (Ω² − Ω_1Ω_2) / (Ω(Ω_2 − Ω_1)) for bands."""
    rate = 400.0
    answer = ask("data", "filter", signal_data=noise(600), sample_rate=rate, filter_type=kind, cutoff_freq=cut,
                 filter_order=order)  # fmt: skip
    omega = np.tan(np.pi * answer["response_frequencies"][1:-1] / rate)
    edges = np.tan(np.pi * np.atleast_1d(cut) / rate)
    if kind in ("lowpass", "highpass"):
        v = omega / edges[0]
    else:
        v = (omega**2 - edges[0] * edges[1]) / (omega * (edges[1] - edges[0]))
    if kind in ("highpass", "bandstop"):
        with np.errstate(divide="ignore"):
            v = 1 / v
    np.testing.assert_allclose(answer["response"][1:-1], 1 / (1 + v ** (2 * order)), atol=1e-9)
    assert answer.context.meta["stable"] is True
    assert len(answer["filter_coefficients"]["b"]) == order * (1 if kind in ("lowpass", "highpass") else 2) + 1


@pytest.mark.parametrize("frequency", [5.0, 25.0, 50.0, 70.0])
def test_a_sine_passes_with_that_gain_and_without_shift(ask: Ask, frequency: float) -> None:
    rate, order, cut = 1000.0, 3, 50.0
    t = np.arange(4000) / rate
    x = np.cos(2 * np.pi * frequency * t)
    answer = ask("data", "filter", signal_data=x, sample_rate=rate, filter_type="lowpass", cutoff_freq=cut,
                 filter_order=order)  # fmt: skip
    v = np.tan(np.pi * frequency / rate) / np.tan(np.pi * cut / rate)
    middle = slice(1000, 3000)  # away from the ends, where the filter has forgotten them: e^(−2π·50·0.5·1 s) = 1e-68
    np.testing.assert_allclose(answer["filtered_signal"][middle], x[middle] / (1 + v ** (2 * order)), atol=1e-10)


def test_filters_keep_what_they_must(ask: Ask) -> None:
    trend = np.linspace(1, 5, 300)
    low = ask("data", "filter", signal_data=trend, sample_rate=100, filter_type="lowpass", cutoff_freq="5 Hz")
    np.testing.assert_allclose(low["filtered_signal"], trend, atol=1e-5)  # odd extension keeps a straight line
    high = ask("data", "filter", signal_data=np.full(300, 7.0), sample_rate=100, filter_type="highpass", cutoff_freq=5)
    np.testing.assert_allclose(high["filtered_signal"], 0, atol=1e-9)
    x, y = noise(300), noise(300, 2)
    both = ask("data", "filter", signal_data=x + 1j * y, sample_rate=100, filter_type="bandpass", cutoff_freq=[5, 20])
    part = ask("data", "filter", signal_data=y, sample_rate=100, filter_type="bandpass", cutoff_freq=[5, 20])
    np.testing.assert_allclose(both["filtered_signal"].imag, part["filtered_signal"], atol=1e-12)


def test_a_filter_that_remembers_more_than_the_signal_warns(ask: Ask) -> None:
    answer = ask("data", "filter", signal_data=noise(100), sample_rate=1000, filter_type="lowpass", cutoff_freq=0.5)
    assert "remembers" in answer.context.warnings[0]


@pytest.mark.parametrize("window", WINDOWS)
def test_each_piece_of_a_spectrogram_obeys_parseval(ask: Ask, window: str) -> None:
    from scipy.signal import get_window

    x = noise(1000)
    answer = ask("data", "spectrogram", signal_data=x, sample_rate=10, window_size=100, overlap=0.7, window_type=window)
    w = np.ones(100) if window == "none" else get_window(window, 100)
    starts = range(0, 901, 30)
    expected = [((w * x[start : start + 100]) ** 2).sum() / (w**2).sum() for start in starts]
    np.testing.assert_allclose(answer["power"], expected, rtol=1e-12)
    np.testing.assert_allclose(answer["spectrogram"].sum(axis=0) * 10 / 100, expected, rtol=1e-12)
    np.testing.assert_allclose(answer["times"], (np.array(starts) + 50) / 10)
    assert answer["spectrogram"].shape == (51, 31) and answer.context.meta["samples_left_out"] == 0


def test_the_time_integral_of_a_spectrogram_is_the_energy(ask: Ask) -> None:
    """Hann² windows a quarter apart add up to a constant, so ∫∫ S df dt = ∫ x² dt for a signal that ends in silence."""
    rate, size = 100.0, 64
    x = np.concatenate([np.zeros(size), noise(512), np.zeros(size)])
    answer = ask("data", "spectrogram", signal_data=x, sample_rate=rate, window_size=size, overlap=0.75)
    step = answer.context.meta["frequency_resolution"] * answer.context.meta["time_resolution"]
    assert answer["spectrogram"].sum() * step == pytest.approx((x**2).sum() / rate, rel=1e-12)


def test_a_spectrogram_follows_a_chirp_and_a_sine_has_half_its_square(ask: Ask) -> None:
    rate = 1000.0
    t = np.arange(4000) / rate
    chirp = np.cos(2 * np.pi * (50 * t + 50 * t**2))  # instantaneous frequency 50 + 100 t
    answer = ask("data", "spectrogram", signal_data=chirp, sample_rate=rate)
    ridge = answer["frequencies"][answer["spectrogram"].argmax(axis=0)]
    np.testing.assert_allclose(ridge, 50 + 100 * answer["times"], atol=rate / 256)
    sine = ask("data", "spectrogram", signal_data=3 * np.cos(2 * np.pi * 125 * t), sample_rate=rate)
    np.testing.assert_allclose(sine["power"], 4.5, rtol=1e-12)


def test_white_noise_has_the_density_it_should(ask: Ask) -> None:
    """σ² spread over 0 … f_s/2 one-sidedly: 2σ²/f_s; 390 pieces of 128 bins leave 0.6 % of scatter, five sigma here."""
    answer = ask("data", "spectrogram", signal_data=noise(100_000), sample_rate=200.0, window_size=256, overlap=0.0)
    assert answer["spectrogram"][1:-1].mean() == pytest.approx(2 / 200, rel=0.03)


@pytest.mark.parametrize("scale", [3.0, 10.0, 19.366])
def test_morlet_answers_a_sine_by_its_closed_form(ask: Ask, scale: float) -> None:
    """|W| = (A/2) √(2πs) π^(−1/4) exp(−(sω − 6)²/2), from Torrence and Compo's equation 4 with x̂ = A/2."""
    rate, frequency, amplitude = 100.0, 5.0, 2.0
    x = amplitude * np.cos(2 * np.pi * frequency * np.arange(1000) / rate)
    answer = ask("data", "wavelet", signal_data=x, sample_rate=rate, scales=[scale])
    w = np.hypot(answer["coefficients_real"], answer["coefficients_imag"])[0, 500]
    nu = scale * 2 * np.pi * frequency / rate
    closed = amplitude / 2 * np.sqrt(2 * np.pi * scale) * np.pi**-0.25 * np.exp(-((nu - 6) ** 2) / 2)
    assert w == pytest.approx(closed, rel=1e-6, abs=3e-6)  # abs: ψ̂ is cut at Nyquist, where s = 3 still has e^(−6)
    assert answer["power"][0, 500] == pytest.approx(w**2)


@pytest.mark.parametrize("wavelet", ["morlet", "mexican_hat"])
def test_the_power_of_a_sine_peaks_at_its_frequency(ask: Ask, wavelet: str) -> None:
    """Table 1 of Torrence and Compo: the Fourier period is 1.03 s for Morlet and 3.97 s for the second derivative."""
    x = np.cos(2 * np.pi * 5 * np.arange(2000) / 100)
    scales = np.geomspace(4, 60, 400)
    answer = ask("data", "wavelet", signal_data=x, sample_rate=100, wavelet=wavelet, scales=scales)
    peak = answer["power"][:, 600:1400].mean(axis=1).argmax()
    assert answer["frequencies"][peak] == pytest.approx(5.0, rel=0.008)  # two of the 400 scales
    published = {"morlet": 1.03, "mexican_hat": 3.97}[wavelet]
    np.testing.assert_allclose(100 / (answer["frequencies"] * scales), published, atol=0.006)


@pytest.mark.parametrize("wavelet", ["morlet", "mexican_hat"])
def test_white_noise_has_equal_power_on_all_scales(ask: Ask, wavelet: str) -> None:
    answer = ask("data", "wavelet", signal_data=noise(20_000), sample_rate=1, wavelet=wavelet, scales=[4.0, 8.0, 16.0])
    np.testing.assert_allclose(answer["power"].mean(axis=1), 1.0, rtol=0.08)  # about 20000/16/2 independent values


@pytest.mark.parametrize(
    ("wavelet", "closed", "published", "at_zero"),
    [("morlet", 0.7785, 0.776, np.pi**-0.25), ("mexican_hat", 3.6166, 3.541, 0.8673)],
)
def test_a_pulse_is_rebuilt_with_the_known_constant(
    ask: Ask, wavelet: str, closed: float, published: float, at_zero: float
) -> None:
    """C_δ = Σ δj Re W / (√s ψ_0(0)), equation 13 and table 2 of Torrence and Compo, who sum over fewer scales.

    Over all scales it is √(2π) ∫ψ̂(u) du/u / (ln 2 ψ_0(0)) for the mexican hat, and half of that for Morlet.
    """
    pulse = np.zeros(4096)
    pulse[2048] = 1.0
    step = 0.1
    scales = 0.02 * 2 ** np.arange(0, 16, step)
    answer = ask("data", "wavelet", signal_data=pulse, sample_rate=1, wavelet=wavelet, scales=scales)
    found = abs((answer["coefficients_real"][:, 2048] / np.sqrt(scales)).sum() * step / at_zero)
    assert found == pytest.approx(closed, rel=0.003)
    assert found == pytest.approx(published, rel=0.025)
    assert any("Nyquist" in text for text in answer.context.warnings)


def test_the_continuous_transform_agrees_with_pywavelets(ask: Ask) -> None:
    """PyWavelets averages the wavelet over each sample, which damps by sinc(f/f_s) and shifts by half of one."""
    pywt = pytest.importorskip("pywt")
    x = np.cos(2 * np.pi * 5 * np.arange(1000) / 100)
    scales = np.array([3.5, 5.0, 8.0])
    answer = ask("data", "wavelet", signal_data=x, sample_rate=100, wavelet="mexican_hat", scales=scales)
    other, _ = pywt.cwt(x, scales, "mexh", precision=16)
    mine = answer["coefficients_real"][:, 400:600] * np.sinc(0.05)
    np.testing.assert_allclose(mine.std(axis=1), other[:, 400:600].std(axis=1), rtol=2e-3)
    for row in range(3):
        assert np.corrcoef(mine[row], other[row, 400:600])[0, 1] > 0.98


@pytest.mark.parametrize("wavelet", ["daubechies", "haar"])
@pytest.mark.parametrize("count", [2, 3, 7, 64, 1000, 1023])
def test_discrete_coefficients_rebuild_the_signal(ask: Ask, wavelet: str, count: int) -> None:
    pywt = pytest.importorskip("pywt")
    x = noise(count)
    answer = ask("data", "wavelet", signal_data=x, sample_rate=8.0, wavelet=wavelet)
    back = pywt.waverec(answer["coefficients_real"], answer.context.meta["basis"], mode="periodization")[:count]
    np.testing.assert_allclose(back, x, atol=1e-12)
    assert answer.context.meta["reconstruction_error"] < 1e-12
    if answer.context.meta["orthogonal"]:
        assert answer["power"].sum() == pytest.approx((x**2).sum(), rel=1e-12)
    assert answer["bands"][-1] == [2.0, 4.0] and answer["labels"][-1] == "cD1"
    assert all(not part.any() for part in answer["coefficients_imag"])


def test_haar_by_hand(ask: Ask) -> None:
    answer = ask("data", "wavelet", signal_data=[1, 3, 5, 11], sample_rate=1, wavelet="haar", scales=[2, 4])
    expected = [[10.0], [-6.0], [-np.sqrt(2), -3 * np.sqrt(2)]]
    for part, values in zip(answer["coefficients_real"], expected, strict=True):
        np.testing.assert_allclose(part, values, atol=1e-12)
    np.testing.assert_array_equal(answer["scales"], [4, 4, 2])


BASE: dict[str, Any] = {"signal_data": [0.0, 1.0, 0.0, -1.0] * 16, "sample_rate": 100.0}


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("fft", {"signal_data": [1.0]}, "at least 2|has 1 samples"),
        ("fft", {"signal_data": [[1.0, 2.0]]}, r"shape \(1, 2\)"),
        ("fft", {"signal_data": [1.0, float("nan"), 2.0]}, "first at index 1"),
        ("fft", {"signal_data": ["a", "b"]}, "list of numbers"),
        ("fft", {"signal_data": np.zeros(100_001)}, "above the cap of 100000.*allow_large"),
        ("fft", {"sample_rate": 0}, "greater than 0"),
        ("fft", {"sample_rate": "3 s"}, "Hz"),
        ("fft", {"window": "kaiser"}, "window"),
        ("fft", {"signal_data": [1e300, -1e300, 1e300]}, "range of floating point"),
        ("filter", {"filter_type": "lowpass", "cutoff_freq": 50.0}, "Nyquist"),
        ("filter", {"filter_type": "lowpass", "cutoff_freq": [5.0, 9.0]}, "one frequency"),
        ("filter", {"filter_type": "bandpass", "cutoff_freq": 5.0}, r"\[low, high\]"),
        ("filter", {"filter_type": "bandstop", "cutoff_freq": [9.0, 5.0]}, "lower edge first"),
        ("filter", {"filter_type": "lowpass", "cutoff_freq": 5.0, "filter_order": 11}, "filter_order"),
        ("filter", {"filter_type": "notch", "cutoff_freq": 5.0}, "filter_type"),
        ("filter", {"filter_type": "lowpass", "cutoff_freq": 5.0, "signal_data": [1.0] * 5}, "too few"),
        ("filter", {"filter_type": "bandpass", "cutoff_freq": [1e-6, 2e-6], "filter_order": 10}, "precision cannot"),
        ("spectrogram", {"window_size": 65}, "more than the 64 samples"),
        ("spectrogram", {"window_size": 8, "overlap": 0.99}, "overlap"),
        ("wavelet", {"scales": [0.0]}, "above 0"),
        ("wavelet", {"wavelet": "haar", "scales": [2, 8]}, "2, 4, 8"),
        ("wavelet", {"wavelet": "haar", "scales": (2.0 ** np.arange(1, 8)).tolist()}, "7 levels"),
        ("wavelet", {"signal_data": np.ones(32) * 1j}, "complex"),
        ("wavelet", {"signal_data": np.zeros(90_000)}, "above the cap of 5e\\+06"),
    ],
)
def test_a_wrong_request_is_refused(ask: Ask, method: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(PhyslabError, match=message) as caught:
        ask("data", method, **{**BASE, **params})
    assert caught.value.hint or caught.value.details


def test_a_cap_can_be_lifted(ask: Ask) -> None:
    answer = ask("data", "fft", signal_data=np.ones(100_001), sample_rate=1, window="none", allow_large=True)
    assert answer["magnitude"][0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("fft", {}),
        ("fft", {"signal_data": np.zeros(32)}),
        ("filter", {"filter_type": "bandpass", "cutoff_freq": [5, 20]}),
        ("spectrogram", {"window_size": 16}),
        ("spectrogram", {"window_size": 64}),
        ("spectrogram", {"signal_data": np.zeros(64), "window_size": 16}),
        ("wavelet", {}),
        ("wavelet", {"wavelet": "mexican_hat", "signal_data": np.zeros(64)}),
        ("wavelet", {"wavelet": "haar"}),
    ],
)
def test_pictures_and_series_are_written(ask: Ask, method: str, params: dict[str, Any]) -> None:
    answer = ask("data", method, {"static": True, "series": True}, **{**BASE, **params})
    assert {item.role for item in answer.context.written} == {"static", "series", "thumbnail"}
    assert answer["png_b64"].path.read_bytes().startswith(b"\x89PNG")
    assert all(item.caption for item in answer.context.written if item.role != "thumbnail")


def test_a_missing_library_is_named(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pywt", None)
    with pytest.raises(MissingExtraError, match="PyWavelets") as caught:
        ask("data", "wavelet", **BASE, wavelet="haar")
    assert "pip install 'physlab[data]'" in caught.value.hint
    with pytest.raises(ValidationError):
        ask("data", "wavelet", **BASE, wavelet="symlet")
