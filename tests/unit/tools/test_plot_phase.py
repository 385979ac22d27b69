"""Phase portraits: conserved energies, closed forms, and the classes of fixed points in the textbook."""

from __future__ import annotations

import numpy as np
import pytest

from physlab.errors import ComputationError, ValidationError
from physlab.tools.plot.fixed_points import classify, differences, find_fixed_points
from physlab.tools.plot.phase_flow import Flow
from tests.unit.tools.test_plot_parametric import read

BOTH = {"static": True, "series": True}
BOX = {"x": [-3, 3], "y": [-3, 3]}


def test_a_harmonic_oscillator_keeps_its_energy_and_its_time(ask):
    a = ask(
        "plot", "phase_portrait", _visuals=BOTH, dx="y", dy="-w^2*x", vars={"w": 2}, **BOX, t_max=10,
        initial_points=[[1, 0], [0, 2.5]], samples=101,
    )  # fmt: skip
    header, (number, t, x, y) = read(a["csv_data"])
    assert header == ["trajectory", "t", "x", "y"] and len(t) == 202 and set(number) == {1, 2}
    first = number == 1
    # x = cos 2t, y = −2 sin 2t; relative tolerance of the integration 1e-9, three periods
    assert x[first] == pytest.approx(np.cos(2 * t[first]), abs=2e-7)
    assert y[first] == pytest.approx(-2 * np.sin(2 * t[first]), abs=4e-7)
    energy = (y**2 + 4 * x**2) / 2
    assert energy[first] == pytest.approx(2, rel=1e-6) and energy[~first] == pytest.approx(3.125, rel=1e-6)
    [point] = a["fixed_points"]
    assert point["kind"] == "centre" and point["stability"] == "neutral" and not point["hyperbolic"]
    assert point["eigenvalues"] == pytest.approx([-2j, 2j], abs=1e-9)
    assert a["system"] == {"dx_dt": "y", "dy_dt": "-w^2*x"} and a["grid_points"] == 20
    assert a.context.written[0].caption.endswith("Fixed points: centre at (0, 0).")
    assert a["trajectories"].shape == (2, 101, 2) and a["t"][-1] == 10


def test_a_pendulum_keeps_its_energy_along_trajectories_and_separatrices(ask):
    a = ask("plot", "phase_portrait", _visuals=BOTH, dx="y", dy="-sin(x)", x=[-5, 5], y=[-2.5, 2.5], seeds=2)
    x, y = a["trajectories"][..., 0], a["trajectories"][..., 1]
    energy = y**2 / 2 - np.cos(x)
    assert np.nanmax(np.abs(energy - energy[:, 199:200])) < 1e-6
    assert a["t"][0] == -a["t"][-1] and a["t"][199] == 0
    kinds = [(round(point["x"], 9), point["kind"]) for point in a["fixed_points"]]
    assert kinds == [(round(-np.pi, 9), "saddle"), (0, "centre"), (round(np.pi, 9), "saddle")]
    # The separatrix of the pendulum is y² = 2 (1 + cos x); its start is 1e-5 windows off the saddle.
    x, y = a["separatrices"][..., 0], a["separatrices"][..., 1]
    assert a["separatrices"].shape == (8, 200, 2)
    assert np.nanmax(np.abs(y**2 / 2 - np.cos(x) - 1)) < 1e-6


def test_competing_species(ask):
    """Strogatz, Nonlinear Dynamics and Chaos, section 6.4: rabbits and sheep, with the eigenvalues given there."""
    a = ask("plot", "phase_portrait", dx="x*(3 - x - 2*y)", dy="y*(2 - x - y)", x=[0, 3.5], y=[0, 3], seeds=0)
    found = {(round(p["x"], 9), round(p["y"], 9)): p for p in a["fixed_points"]}
    expected = {
        (0, 0): ("unstable node", [2, 3]),
        (0, 2): ("stable node", [-2, -1]),
        (3, 0): ("stable node", [-3, -1]),
        (1, 1): ("saddle", [-1 - np.sqrt(2), -1 + np.sqrt(2)]),
    }
    assert found.keys() == expected.keys()
    for place, (kind, values) in expected.items():
        assert found[place]["kind"] == kind
        assert found[place]["eigenvalues"] == pytest.approx(values, abs=1e-9)
        assert found[place]["trace"] == pytest.approx(sum(values))
        assert found[place]["determinant"] == pytest.approx(values[0] * values[1])
    assert found[1, 1]["jacobian"] == pytest.approx(np.array([[-1, -2], [-1, -1]]), abs=1e-9)
    assert found[1, 1]["stability"] == "unstable" and found[0, 2]["hyperbolic"]


@pytest.mark.parametrize(
    ("matrix", "kind"),
    [  # Strogatz, section 5.2, figure 5.2.8: trace and determinant
        ([[1, 0], [0, -1]], "saddle"),
        ([[-1, 0], [0, -2]], "stable node"),
        ([[1, 1], [0, 2]], "unstable node"),
        ([[-1, -2], [2, -1]], "stable spiral"),
        ([[0.1, -2], [2, 0.1]], "unstable spiral"),
        ([[0, 1], [-4, 0]], "centre"),
        ([[-3, 0], [0, -3]], "stable star"),
        ([[2, 0], [0, 2]], "unstable star"),
        ([[-1, 4], [0, -1]], "stable improper node"),
        ([[1, 4], [0, 1]], "unstable improper node"),
        ([[1, 2], [2, 4]], "degenerate"),
        ([[0, 0], [0, 0]], "degenerate"),
    ],
)
def test_classes(matrix, kind):
    assert classify(np.array(matrix, dtype=float), 1e-10) == kind
    (a, b), (c, d) = matrix
    if kind != "degenerate":
        flow = Flow.read("a*x+b*y", "c*x+d*y", {"a": a, "b": b, "c": c, "d": d}, np.array([-1, 2]), np.array([-40, 50]))
        [point] = find_fixed_points(flow)
        assert point.kind == kind and point.place == pytest.approx([0, 0], abs=1e-9)
        assert point.jacobian == pytest.approx(np.array(matrix), abs=1e-9)


def test_the_differences_are_of_sixth_order():
    flow = Flow.read("exp(x)", "sin(3*y)", {}, np.array([0, 1]), np.array([0, 1]))
    place = np.array([0.5, 0.5])
    exact = flow.tau * np.diag([np.exp(0.5), 3 * np.cos(1.5)])
    errors = [np.abs(differences(flow, place, step) - exact).max() for step in (0.1, 0.05)]
    assert errors[0] / errors[1] == pytest.approx(64, rel=0.1)
    assert differences(flow, place) == pytest.approx(exact, abs=1e-11)


def test_a_stiff_limit_cycle(ask):
    """How far a relaxation oscillation swings: A. A. Dorodnitsyn, Prikl. Mat. Mekh. 11 (1947) 313.

    x = 2 + α/3 μ^(-4/3) − 16/27 ln μ/μ² + (3 b₀ − 1 + 2 ln 2 − 8 ln 3)/(9 μ²) + O(μ^(-8/3)) with α = 2.338107
    (minus the first zero of the Airy function) and b₀ = 0.1723.
    """
    mu = 100
    last = (3 * 0.1723 - 1 + 2 * np.log(2) - 8 * np.log(3)) / 9
    expected = 2 + 2.338107 / 3 * mu ** (-4 / 3) + (last - 16 / 27 * np.log(mu)) / mu**2
    a = ask(
        "plot", "phase_portrait", dx="y", dy="mu*(1-x^2)*y-x", vars={"mu": mu}, x=[-3, 3], y=[-200, 200],
        initial_points=[[1.5, 0]], t_max=400, samples=40_000,
    )  # fmt: skip
    late = a["trajectories"][0, 20_000:, 0]
    assert np.abs(late).max() == pytest.approx(expected, abs=5e-6)  # μ^(-8/3) is 4.6e-6


def test_what_runs_away_ends(ask):
    a = ask("plot", "phase_portrait", _visuals=BOTH, dx="x^2", dy="0", **BOX, initial_points=[[1, 0]], t_max=2, seeds=0)
    x = a["trajectories"][0, :, 0]
    known = np.isfinite(x)
    # dx/dt = x² gives x = 1/(1 − t), which leaves the reach x = 6 at t = 5/6
    assert x[known] == pytest.approx(1 / (1 - a["t"][known]), rel=1e-6)
    assert a["t"][known][-1] == pytest.approx(5 / 6, abs=0.02)


def test_a_singularity_ends_a_trajectory(ask):
    a = ask("plot", "phase_portrait", dx="0", dy="-1/y", **BOX, initial_points=[[0, 1]], t_max=1)
    assert "meets a singularity at t = 0.5" in a.context.warnings[-1]  # y² = 1 − 2 t
    y = a["trajectories"][0, :, 1]
    known = np.isfinite(y)
    assert y[known] ** 2 == pytest.approx(1 - 2 * a["t"][known], abs=1e-6) and known.sum() == 100


def test_a_line_of_fixed_points_is_said(ask):
    a = ask("plot", "phase_portrait", _visuals=BOTH, dx="x+y", dy="2*x+2*y", **BOX, seeds=1)
    assert "form a curve" in a.context.warnings[0]
    assert {point["kind"] for point in a["fixed_points"]} == {"degenerate"}


def test_a_kink_is_not_classified(ask):
    [point] = ask("plot", "phase_portrait", dx="abs(x)+x/2", dy="-y", **BOX, seeds=0)["fixed_points"]
    assert point["kind"] == "undetermined" and not point["hyperbolic"]


def test_no_fixed_point(ask):
    a = ask("plot", "phase_portrait", _visuals=BOTH, dx=1, dy="exp(-x^2)", **BOX, seeds=1)
    assert a["fixed_points"] == [] and "No fixed point" in a.context.written[0].caption
    assert a["separatrices"].shape == (0, 200, 2)


def test_where_the_flow_has_no_value(ask):
    a = ask(
        "plot", "phase_portrait", _visuals=BOTH, dx="sqrt(x)", dy="-y", **BOX, initial_points=[[-1, 1], [1, 1]], t_max=1
    )
    assert any("No trajectory starts at (-1, 1)" in text for text in a.context.warnings)
    assert np.isnan(a["trajectories"][0]).all() and np.isfinite(a["trajectories"][1]).all()
    with pytest.raises(ComputationError, match="not finite anywhere"):
        ask("plot", "phase_portrait", dx="sqrt(-1-x^2)", dy="y", **BOX)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"dx": "t"}, "unknown name 't'"),
        ({"dx": [[1, 2], [3, 4]]}, "dx"),
        ({"x": None}, "range of x is missing"),
        ({"grid_points": 65}, "cap of 64"),
        ({"grid_points": 4}, "grid_points"),
        ({"initial_points": [1, 2]}, "list of points"),
        ({"initial_points": [[1, 2, 3]]}, "list of points"),
        ({"initial_points": [[9, 0]]}, "outside the window"),
        ({"t_max": 0}, "t_max"),
        ({"seeds": 11}, "seeds"),
        ({"samples": 4000}, "cap of 100000"),
    ],
)
def test_wrong_requests(ask, wrong, says):
    with pytest.raises(ValidationError, match=says):
        ask("plot", "phase_portrait", **{"dx": "y", "dy": "-x", **BOX, **wrong})


def test_a_flow_at_rest(ask):
    with pytest.raises(ComputationError, match="nothing moves"):
        ask("plot", "phase_portrait", dx="0", dy="0", **BOX)
