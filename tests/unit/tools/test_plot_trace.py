"""Films of curves: the point is where the clock says, and the path ends at the point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physlab.errors import PhyslabError
from tests.unit.tools.test_movie import read

FILM = {"animation": True}


def dot(frame: Any) -> tuple[float, float]:
    """Return where the vermilion point is, as fractions of width and height from the upper left corner."""
    red, green, blue = (frame[..., index].astype(int) for index in range(3))
    rows, columns = np.nonzero((red > 180) & (green < 130) & (blue < 70))
    return float(columns.mean() / frame.shape[1]), float(rows.mean() / frame.shape[0])


def test_the_point_runs_along_the_curve(ask: Callable[..., Any]) -> None:
    answer = ask("plot", "function_2d", _visuals=FILM, f="2*t", variable="t", x=[0, 1, 100], frames=5)
    frames = read(Path(answer["animation_path"].path), 800, 600)
    assert len(frames) == 5
    across, down = np.transpose([dot(frame) for frame in frames])
    assert np.diff(across) == pytest.approx(np.diff(across)[0], abs=0.01)  # a straight line at constant speed
    assert np.diff(down) == pytest.approx(np.diff(down)[0], abs=0.01) and down[-1] < down[0]


def test_a_circle_is_run_through_once(ask: Callable[..., Any]) -> None:
    answer = ask(
        "plot", "parametric_2d", _visuals=FILM, x_t="cos(t)", y_t="sin(t)", t_min=0, t_max=2 * np.pi, frames=9
    )  # fmt: skip
    across, down = np.transpose([dot(frame) for frame in read(Path(answer["animation_path"].path), 800, 600)])
    assert across[0] == pytest.approx(across[-1], abs=0.005) and down[0] == pytest.approx(down[-1], abs=0.005)
    assert np.argmin(across) == 4 and np.argmin(down) == 2 and np.argmax(down) == 6  # pi, pi/2, 3 pi/2


def test_another_variable(ask: Callable[..., Any]) -> None:
    answer = ask("plot", "function_2d", f="sin(ω*t)", symbol="t", vars={"ω": 2}, x=[0, 1, 11])
    assert answer["y"] == pytest.approx(np.sin(2 * np.linspace(0, 1, 11)))
    with pytest.raises(PhyslabError, match="unknown name 'x'"):
        ask("plot", "function_2d", f="x^2", variable="t", x=[0, 1])


def test_too_many_frames(ask: Callable[..., Any]) -> None:
    with pytest.raises(PhyslabError, match="frames"):
        ask("plot", "function_2d", _visuals=FILM, f="x", x=[0, 1], frames=100_000)
