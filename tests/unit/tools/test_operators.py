"""Operators and Hamiltonians of the user's own, against the algebra of the textbooks and closed forms."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
from scipy.special import ai_zeros, airy

from physlab.errors import ComputationError, PhysicsError, ValidationError
from physlab.tools.quantum.qubits import GATES


class TestOps:
    @pytest.mark.parametrize("triple", ["XYZ", "YZX", "ZXY"])
    def test_pauli_algebra(self, ask, triple):
        """[σ_a, σ_b] = 2iσ_c, {σ_a, σ_b} = 0."""
        a = ask("quantum", "ops", task="commutator", operators=list(triple[:2]))
        assert a["commutator"] == pytest.approx(2j * GATES[triple[2]])
        assert not a["anticommutator"].any() and a["commute"] is False
        assert a["commutator_norm"] == pytest.approx(2 * sqrt(2))

    @pytest.mark.parametrize("spelling", ["X", "sigma_x", "σx", "σ_x", "pauli_x", "sigmax"])
    def test_spellings_of_pauli_x(self, ask, spelling):
        assert (ask("quantum", "ops", operators=spelling)["matrix"] == GATES["X"]).all()

    @pytest.mark.parametrize("adjoint", ["a_dag", "adag", "a†", "a^†", "dag(a)"])
    def test_ladder_operators(self, ask, adjoint):
        """[a, a†] = 1 in every element, without a wrong corner; N = a†a counts."""
        a = ask("quantum", "ops", task="commutator", operators=["a", adjoint], dimension=6)
        assert a["commutator"] == pytest.approx(np.eye(6)) and a["truncated"] and a["dimension"] == 6
        count = ask("quantum", "ops", operators=[f"{adjoint}*a", "n"], n_levels=6)["matrices"]
        assert count["n"] == pytest.approx(np.diag(range(6))) and count[f"{adjoint}*a"] == pytest.approx(count["n"])

    def test_position_and_momentum(self, ask):
        """[x, p] = iħ, [x², p²] = 2iħ(xp + px), ⟨n|x²|n⟩ = (n + ½)ħ/mω."""
        scale = {"hbar": 0.5, "m": 3, "omega": 2, "dimension": 5}
        assert ask("quantum", "ops", task="commutator", operators=["x", "p"], **scale)["commutator"] == pytest.approx(
            0.5j * np.eye(5)
        )
        left = ask("quantum", "ops", task="commutator", operators=["x^2", "p^2"], **scale)["commutator"]
        right = ask("quantum", "ops", operators="2*i*hbar*(x*p + p*x)", **scale)["matrix"]
        assert left == pytest.approx(right)
        assert np.diag(ask("quantum", "ops", operators="x^2", **scale)["matrix"]) == pytest.approx(
            (np.arange(5) + 0.5) * 0.5 / 6
        )

    def test_products_keep_their_order_and_sums(self, ask):
        matrices = ask("quantum", "ops", operators=["X*Z", "Z*X", "2X - Y/2 + 1", "X^3", "exp(-i*pi/4*X)"])["matrices"]
        assert matrices["X*Z"] == pytest.approx(GATES["X"] @ GATES["Z"])
        assert matrices["Z*X"] == pytest.approx(-matrices["X*Z"])
        assert matrices["2X - Y/2 + 1"] == pytest.approx(2 * GATES["X"] - GATES["Y"] / 2 + np.eye(2))
        assert matrices["exp(-i*pi/4*X)"] == pytest.approx((np.eye(2) - 1j * GATES["X"]) / sqrt(2))

    @pytest.mark.parametrize("spelling", ["X ⊗ Z", "tensor(X, Z)", "kron(X, Z)", "X0*Z1", "XZ", "Z1*X0", "X(0)*Z(1)"])
    def test_tensor_products(self, ask, spelling):
        assert ask("quantum", "ops", operators=spelling)["matrix"] == pytest.approx(np.kron(GATES["X"], GATES["Z"]))

    def test_qubit_and_oscillator_together(self, ask):
        """Jaynes and Cummings: excitations σ₊σ₋ + a†a are conserved."""
        count = "sigma_plus*sigma_minus ⊗ a^0 + I ⊗ n"
        coupling = "sigma_plus ⊗ a + sigma_minus ⊗ a_dag"
        a = ask("quantum", "ops", task="commutator", operators=[count, coupling], dimension=7)
        assert a["commute"] and a["dimension"] == 14

    @pytest.mark.parametrize(
        ("operator", "unitary", "hermitian"),
        [("H", True, True), ("S", True, False), ("T", True, False), ("TOFFOLI", True, True), ("SWAP", True, True),
         ("PHASE(pi/3)", True, False), ("X*Z", True, False), ("X + Z", False, True), ("sigma_plus", False, False)],
    )  # fmt: skip
    def test_properties(self, ask, operator, unitary, hermitian):
        a = ask("quantum", "ops", operators=[operator])["properties"][operator]
        assert (a["unitary"], a["hermitian"]) == (unitary, hermitian)

    def test_phase(self, ask):
        assert ask("quantum", "ops", operators="PHASE")["matrix"] == pytest.approx(GATES["S"])
        assert ask("quantum", "ops", operators="PHASE", phase=pi / 4)["matrix"] == pytest.approx(GATES["T"])

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"operators": []}, "operators"),
            ({"operators": ["Q"]}, "unknown name 'Q'"),
            ({"operators": ["X*CNOT"]}, "different spaces"),
            ({"operators": ["X", "CNOT"], "task": "commutator"}, "different spaces"),
            ({"operators": ["X"], "task": "commutator"}, "of two operators"),
            ({"operators": ["X0*Z1*Y"]}, "without its qubit"),
            ({"operators": ["exp(a)"]}, "oscillator"),
            ({"operators": ["X^0.5"]}, "power"),
            ({"operators": ["X%Z"]}, "tensor product"),
            ({"operators": ["CNOT(0, 0)"]}, "twice"),
            ({"operators": ["a"], "dimension": 1025}, "cap of 1024"),
            ({"operators": ["X10*X11"]}, "cap of 1024"),
            ({"operators": ["x"], "vars": {"x": 2}}, "is an operator"),
            ({"operators": ["1/X"]}, "divides"),
            ({"operators": ["X"], "task": "trace"}, "commutator"),
        ],
    )
    def test_wrong_requests(self, ask, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("quantum", "ops", **wrong)


def solve(ask, hamiltonian, **params):
    return ask("quantum", "solve", problem="custom", hamiltonian=hamiltonian, **params)


class TestGrid:
    def test_oscillator(self, ask):
        a = solve(ask, "p^2/(2*m) + m*omega^2*x^2/2", m=2, omega=3, hbar=0.5)
        assert a["eigenvalues"] == pytest.approx(1.5 * (np.arange(10) + 0.5), rel=1e-10)
        assert a["energy_uncertainty"].max() < 1e-9 and a.context.meta["convergence"]["points"] == len(a["x"])
        assert a["ground_state_psi"].max() == pytest.approx((12 / pi) ** 0.25, rel=1e-3)

    def test_quartic_oscillator(self, ask):
        """p² + x⁴: 1.060362090484, 3.799673029801 (Bender & Orszag, Advanced Mathematical Methods, table 10.1)."""
        a = solve(ask, "p^2 + x^4", n_levels=2)
        assert a["eigenvalues"] == pytest.approx([1.060362090484, 3.799673029801], abs=1e-10)

    def test_poeschl_teller_has_three_bound_states(self, ask):
        """V = −λ(λ+1)/2 sech²x with λ = 3: −(λ − n)²/2 (Landau & Lifshitz, section 23); asked for ten."""
        a = solve(ask, "p^2/2 - 6/cosh(x)^2", n_levels=10, n=1)
        assert a["eigenvalues"] == pytest.approx([-4.5, -2, -0.5], abs=1e-9)
        assert "Only 3 of the 10" in a.context.warnings[0] and a["energy"] == pytest.approx(-2)

    def test_morse(self, ask):
        """ω(n + ½) − ω²(n + ½)²/4D with ω = √(2D) (Morse, Phys. Rev. 34, 57, 1929); a well far from x = 0."""
        a = solve(ask, "p^2/2 + 10*(1 - exp(-(x - 2)))^2", n_levels=4)
        v = (np.arange(4) + 0.5) * sqrt(20)
        assert a["eigenvalues"] == pytest.approx(v - v**2 / 40, abs=1e-5)

    def test_functions_of_p(self, ask):
        """The parts of p and x are swapped: |p| + x² has the levels of |x| + p², zeros of Ai and Ai′."""
        a = solve(ask, "x^2 + abs(p)", n_levels=2, x_min=-40, x_max=40)
        exact = sorted([-ai_zeros(1)[1][0], -ai_zeros(1)[0][0]])
        assert a["eigenvalues"] == pytest.approx(exact, abs=2e-3)
        assert abs(airy(-exact[1])[0]) < 1e-12 and a["energy_uncertainty"].max() < 1e-2

    def test_products_of_x_and_p(self, ask):
        """p²/2 + x² + (xp + px)/2 = (p + x)²/2 + x²/2: a gauge away from the oscillator."""
        a = solve(ask, "p^2/2 + x^2 + (x*p + p*x)/2", n_levels=5)
        assert a["eigenvalues"] == pytest.approx(np.arange(5) + 0.5, abs=1e-9)
        assert a["psi"].dtype.kind == "c"

    @pytest.mark.parametrize("strength", [1e-6, 1e6])
    def test_wells_of_any_width_are_found(self, ask, strength):
        a = solve(ask, "p^2/2 + k*x^2/2", vars={"k": strength}, n_levels=4)
        assert a["eigenvalues"] == pytest.approx(sqrt(strength) * (np.arange(4) + 0.5), rel=1e-9)

    def test_states_are_orthonormal_and_solve_the_equation(self, ask):
        a = solve(ask, "p^2/2 + (x^2 - 4)^2/4", n_levels=6)
        step = a["x"][1] - a["x"][0]
        assert step * a["states"] @ a["states"].T == pytest.approx(np.eye(6), abs=1e-12)
        assert (np.diff(a["eigenvalues"]) > 0).all()

    def test_a_ring(self, ask):
        """L and x_min, x_max close into a ring: E = (2πk/L)²/2, twofold but for k = 0; this is said."""
        a = solve(ask, "p^2/2", L=2 * pi, n_levels=5)
        assert a["eigenvalues"] == pytest.approx([0, 0.5, 0.5, 2, 2], abs=1e-9)
        assert "ring" in a.context.warnings[0]

    def test_singular_and_unbound(self, ask):
        with pytest.raises(ComputationError, match="not finite at x"):
            solve(ask, "p^2/2 - 1/abs(x)")
        for free in ("p^2/2 + x^3", "p^2/2 - x^2", "p^2/2"):
            with pytest.raises(PhysicsError, match="no bound state"):
                solve(ask, free, n_levels=2)
        with pytest.raises(PhysicsError, match="n = 3: only 1"):
            solve(ask, "p^2/2 - exp(-x^2)", n=3)

    def test_slow_convergence_is_said(self, ask):
        assert "still move" in solve(ask, "p^2/2 + abs(x)", n_levels=2).context.warnings[0]

    @pytest.mark.parametrize("wrong", ["x*p", "p^2 + i*x", "i*p"])
    def test_not_hermitian(self, ask, wrong):
        with pytest.raises(PhysicsError, match="not Hermitian"):
            solve(ask, wrong, x_min=-5, x_max=5)


class TestFinite:
    def test_transverse_ising_chain(self, ask):
        """H = −ΣZZ − ΣX on an open chain of N: E_0 = 1 − 1/sin(π/(4N + 2)) (Pfeuty, Ann. Phys. 57, 79, 1970)."""
        a = solve(ask, "-Z0*Z1 - Z1*Z2 - Z2*Z3 - X0 - X1 - X2 - X3")
        assert a["ground_state_energy"] == pytest.approx(1 - 1 / np.sin(pi / 18), abs=1e-12)
        assert a["representation"] == "qubits" and len(a["eigenvalues"]) == 16

    @pytest.mark.parametrize("pauli", ["pauli_x", "pauli_y", "pauli_z"])
    def test_pauli_matrices(self, ask, pauli):
        a = solve(ask, pauli)
        assert a["eigenvalues"] == pytest.approx([-1, 1]) and a["excited_state_energies"] == pytest.approx([1])
        assert a["degeneracy"] == 1

    def test_heisenberg_pair(self, ask):
        """XX + YY + ZZ: a singlet at −3 and a triplet at 1."""
        a = solve(ask, "XX + YY + ZZ")
        assert a["eigenvalues"] == pytest.approx([-3, 1, 1, 1])
        assert abs(np.vdot(a["ground_state"], np.array([0, 1, -1, 0]) / sqrt(2))) == pytest.approx(1)
        assert solve(ask, "-XX - YY - ZZ")["degeneracy"] == 3

    @pytest.mark.parametrize(
        "matrix", [[[2, "-i"], ["i", 2]], "[[2, 1], [1, 2]]", {"real": [[2, 0], [0, 2]], "imag": [[0, -1], [1, 0]]}]
    )
    def test_matrices(self, ask, matrix):
        assert solve(ask, matrix)["eigenvalues"] == pytest.approx([1, 3])

    def test_displaced_oscillator(self, ask):
        """a†a + g(a + a†): −g² + n."""
        a = solve(ask, "a_dag*a + g*(a + a_dag)", vars={"g": 0.3}, dimension=40, n_levels=5)
        assert a["eigenvalues"] == pytest.approx(np.arange(5) - 0.09, abs=1e-10)
        assert a["energy_uncertainty"].max() < 1e-10

    def test_truncated_levels_lie_above(self, ask):
        """Exact elements make the truncation variational: 1.060362090484 is approached from above."""
        found = [solve(ask, "p^2 + x^4", dimension=size)["ground_state_energy"] for size in (4, 10, 30)]
        assert found[0] > found[1] > found[2] > 1.060362090484 - 1e-12
        assert found[2] == pytest.approx(1.060362090484, abs=1e-4)

    def test_a_small_basis_is_said(self, ask):
        assert "dimension" in solve(ask, "p^2 + x^4", dimension=6).context.warnings[0]

    @pytest.mark.parametrize("wrong", [[[1, 2], [3, 4]], "X0*Z0*2", "a"])
    def test_not_hermitian(self, ask, wrong):
        with pytest.raises(PhysicsError, match="not Hermitian"):
            solve(ask, wrong, **({"dimension": 5} if wrong == "a" else {}))

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({}, "custom needs hamiltonian"),
            ({"hamiltonian": [[1, 2]]}, "square"),
            ({"hamiltonian": "[[1, 2"}, "no matrix"),
            ({"hamiltonian": "foo*x"}, "foo"),
            ({"hamiltonian": "a_dag*a"}, "dimension"),
            ({"hamiltonian": "x^2 + p^2", "x_min": 1}, "belong together"),
            ({"hamiltonian": "x^2 + p^2", "x_min": 1, "x_max": 0}, "empty"),
            ({"hamiltonian": "x^2 + p^2", "L": 4, "x_min": 1, "x_max": 2}, "where the grid ends"),
            ({"hamiltonian": "x^2 + p^2", "grid_points": 2000}, "cap of 1024"),
            ({"hamiltonian": "exp(x*p)"}, "together"),
            ({"hamiltonian": "X", "l": 1}, "l means nothing"),
        ],
    )
    def test_wrong_requests(self, ask, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("quantum", "solve", problem="custom", **wrong)

    @pytest.mark.parametrize("hamiltonian", ["p^2/2 + x^4", "Z0*Z1 + 0.5*X0"])
    def test_figures_and_series(self, ask, hamiltonian):
        a = solve(ask, hamiltonian, _visuals={"static": True, "series": True}, dpi=60)
        assert a["png_b64"].path.stat().st_size > 5000 and len(a["csv_path"].path.read_text().splitlines()) > 3


def test_all_levels_that_fit_are_drawn(ask):
    a = ask("quantum", "solve", _visuals={"static": True, "series": True}, problem="sho", n_max=6)
    assert a["csv_path"].path.read_text().splitlines()[0].endswith("psi_6")
    many = ask("quantum", "solve", _visuals={"static": True}, problem="sho", n_max=40, dpi=60)
    assert "the lowest 12 of 41 states" in many.context.written[0].caption
