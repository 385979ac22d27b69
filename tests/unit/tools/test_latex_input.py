"""Tools that take formulas take LaTeX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from physlab.errors import ValidationError
from physlab.tools.cas.algebra import sides
from physlab.tools.cas.derivatives import UnknownFunction
from physlab.tools.quantum.kets import read_state
from physlab.tools.quantum.operator_names import names_in, read_operator
from physlab.tools.tensors.metrics import read_metric


def test_cas_reads_latex(ask: Callable[..., Any]) -> None:
    kinetic: Any = ask("cas", "evaluate", expr=r"\frac{1}{2} m v_0^2", vars={"m": 2, r"v_{0}": 3})
    assert kinetic["value"] == 9  # m v^2 / 2
    slope: Any = ask("cas", "diff", expr=r"$\sin^2\theta$", symbol=r"\theta", vars={r"\theta": 0.5})
    assert slope["value"] == pytest.approx(np.sin(1.0), rel=1e-12)  # d sin^2/dx = sin 2x
    area: Any = ask("cas", "integrate", expr=r"e^{-x^2}", symbol="x", bounds=[r"-\infty", r"\infty"])
    assert area["value"] == pytest.approx(np.sqrt(np.pi), rel=1e-12)
    roots: Any = ask("cas", "solve_equation", equation=r"$x^2 = \frac{9}{4}$", symbol="x")
    assert roots["numeric_solutions"] == [-1.5, 1.5]


def test_differential_equations_are_read(ask: Callable[..., Any]) -> None:
    found: Any = ask(
        "cas", "solve_ode", ode=r"\frac{d^2 y}{dx^2} = -\omega_0^2 y", symbol="x", func="y",
        assumptions={r"\omega_0": ["positive"]}, ics={"y(0)": r"\frac{1}{2}", r"\dot{y}(0)": 0},
    )  # fmt: skip
    assert found["expr"] == "cos(omega_0*x)/2"
    with pytest.raises(ValidationError, match="derives z"):
        UnknownFunction("y", "x").mark(r"\dot{z} + y")


def test_equations_are_split_outside_braces() -> None:
    assert sides(r"\frac{a}{b} = c") == (r"$\frac{a}{b} $", "$ c$")
    assert sides(r"$\alpha$") == (r"$\alpha$", "0")
    with pytest.raises(ValidationError, match="not one equation"):
        sides(r"\alpha = b = c")


def test_states_operators_and_metrics_are_read() -> None:
    bell = read_state(r"\frac{1}{\sqrt{2}}\left(|00\rangle + i \ket{11}\right)")
    np.testing.assert_allclose(bell, np.array([1, 0, 0, 1j]) / np.sqrt(2), atol=1e-15)
    energy = r"\hbar\omega\left(\hat{a}^\dagger \hat{a} + \frac{1}{2}\right)"
    assert names_in(energy, ["hbar", "omega"]) <= {"a", "a_dag"}
    latex, plain = (read_operator(text).expression.tree for text in (r"\sigma_x \otimes \sigma_z", "sigma_x ⊗ sigma_z"))
    assert latex == plain
    with pytest.raises(ValidationError, match="string of operators or a product"):
        read_operator(r"\frac{1}{2} XZ")
    rows, _ = read_metric([["1", "0"], ["0", "a(t)^2*sin(t)^2"]], ["t", "x"], {}, {})
    again, _ = read_metric([["1", "0"], ["0", r"a(t)^2 \sin^2 t"]], ["t", "x"], {}, {})
    assert rows == again
