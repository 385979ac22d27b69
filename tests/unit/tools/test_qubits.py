"""The simulator against Qiskit and closed forms; circuits, kets and pictures."""

from __future__ import annotations

from math import asin, pi, sqrt

import numpy as np
import pytest

from physlab.errors import PhysicsError, ValidationError
from physlab.tools.quantum.dihydrogen import BOHR_ANGSTROM, integrate, matrix_of
from physlab.tools.quantum.gate_problems import bell_vector
from physlab.tools.quantum.kets import normalise, read_state
from physlab.tools.quantum.pictures import read_gates
from physlab.tools.quantum.qubits import (
    GATES,
    TURNS,
    Circuit,
    Gate,
    apply,
    basis_state,
    embed,
    entropy,
    prepare,
    reduced,
)
from physlab.tools.quantum.variational import Ansatz, CutProblem, layered, pair_excitation


def random_state(qubits: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return normalise(rng.normal(size=2**qubits) + 1j * rng.normal(size=2**qubits))[0]


class TestSimulator:
    def test_random_circuits_agree_with_qiskit(self):
        """Every gate four times on random ones of 4 qubits; Qiskit counts its qubits from the right."""
        qiskit = pytest.importorskip("qiskit", reason="Qiskit is not installed: the simulator is not held against it")
        from qiskit.quantum_info import Statevector

        names = {"I": "id", "CNOT": "cx", "TOFFOLI": "ccx", "PHASE": "p"}
        rng, gates, other = np.random.default_rng(7), [], qiskit.QuantumCircuit(4)
        for name in rng.permutation(4 * [*GATES, *TURNS]):
            width = 1 if name in TURNS else len(GATES[name]).bit_length() - 1
            wires = tuple(int(k) for k in rng.permutation(4)[:width])
            angle = float(rng.uniform(-pi, pi)) if name in TURNS else None
            gates.append(Gate(str(name), wires, angle))
            getattr(other, names.get(str(name), str(name).lower()))(*([] if angle is None else [angle]), *wires)
        expected = Statevector(other).reverse_qargs().data
        assert Circuit(4, tuple(gates)).run() == pytest.approx(expected, abs=1e-13)

    @pytest.mark.parametrize("name", GATES)
    def test_gates_are_unitary_and_keep_the_norm(self, name):
        matrix = GATES[name]
        assert matrix @ matrix.conj().T == pytest.approx(np.eye(len(matrix)), abs=1e-15)

    def test_identities(self):
        """HZH = X, S² = Z, T² = S, SWAP = three CNOTs (Nielsen & Chuang, section 4.2)."""
        assert GATES["H"] @ GATES["Z"] @ GATES["H"] == pytest.approx(GATES["X"], abs=1e-15)
        assert GATES["T"] @ GATES["T"] == pytest.approx(GATES["S"], abs=1e-15)
        assert GATES["SX"] @ GATES["SX"] == pytest.approx(GATES["X"], abs=1e-15)
        a, b = embed(GATES["CNOT"], (0, 1), 2), embed(GATES["CNOT"], (1, 0), 2)
        assert a @ b @ a == pytest.approx(GATES["SWAP"], abs=1e-15)

    def test_embedding_is_the_tensor_product(self):
        assert embed(GATES["Y"], (1,), 3) == pytest.approx(np.kron(np.kron(np.eye(2), GATES["Y"]), np.eye(2)))
        state = random_state(3)
        assert embed(GATES["CNOT"], (2, 0), 3) @ state == pytest.approx(apply(GATES["CNOT"], state, (2, 0)))

    def test_columns_and_depth(self):
        circuit = Circuit(3, (Gate("H", (0,)), Gate("X", (2,)), Gate("CNOT", (0, 2)), Gate("Z", (1,))))
        assert [len(column) for column in circuit.columns] == [2, 1, 1]  # Z cannot stand under the line of CNOT
        assert circuit.depth == 2

    @pytest.mark.parametrize("qubits", [1, 2, 3, 4])
    def test_any_state_is_prepared(self, qubits):
        state = random_state(qubits, seed=qubits)
        assert abs(np.vdot(state, prepare(state).run())) ** 2 == pytest.approx(1, abs=1e-12)

    def test_states_with_zeros_are_prepared(self):
        for text in ("(|000>+|111>)", "|01>", "|001>+|010>+|100>", "|00>-i|11>"):
            state, _ = normalise(read_state(text))
            assert abs(np.vdot(state, prepare(state).run())) ** 2 == pytest.approx(1, abs=1e-12)

    def test_entropy_of_a_pure_and_of_a_mixed_qubit(self):
        assert entropy(reduced(basis_state(2, 2), (0,))) == 0
        assert entropy(reduced(bell_vector("psi-"), (1,))) == pytest.approx(1)


class TestKets:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1, i", [1, 1j]),
            ("|0> + i|1>", [1, 1j]),
            ("(|00>+|11>)/sqrt(2)", [sqrt(0.5), 0, 0, sqrt(0.5)]),
            ("(|0⟩ - |1⟩)|1⟩", [0, 1, 0, -1]),
            ("|0>⊗|+>", [sqrt(0.5), sqrt(0.5), 0, 0]),
            ("0.5|0> + (1-0.5j)|1>", [0.5, 1 - 0.5j]),
            ("1/sqrt(2), -1j/sqrt(2)", [sqrt(0.5), -1j * sqrt(0.5)]),
            ("e^(i*pi/4)|1>", [0, np.exp(0.25j * pi)]),
            ("[1, 0, 0, 1]", [1, 0, 0, 1]),
            ([0, {"real": 1, "imag": 2}], [0, 1 + 2j]),
            ("|-i>", [sqrt(0.5), -1j * sqrt(0.5)]),
        ],
    )
    def test_spellings(self, text, expected):
        assert read_state(text) == pytest.approx(np.array(expected, dtype=complex))

    @pytest.mark.parametrize("text", ["|0>+|01>", "|2>", "0.5", "|0>^2", "|0>/0", "sin(|0>)", "a|0>", "1/0, 1", 7])
    def test_what_is_no_state(self, text):
        with pytest.raises(ValidationError):
            read_state(text)


class TestVisualize:
    @pytest.mark.parametrize(
        ("state", "vector"),
        [("1, 0", (0, 0, 1)), ("|0>+|1>", (1, 0, 0)), ("|0>+i|1>", (0, 1, 0)), ("0, 2", (0, 0, -1))],
    )
    def test_bloch_vectors_of_known_states(self, ask, state, vector):
        a = ask("quantum", "visualize", state=state)
        assert tuple(a["bloch_vector"].values()) == pytest.approx(vector, abs=1e-15)

    def test_angles_come_back(self, ask):
        """cos(θ/2)|0⟩ + e^{iφ} sin(θ/2)|1⟩ with θ = 1.1, φ = −2."""
        amplitudes = "cos(0.55), exp(-2*i)*sin(0.55)"
        a = ask("quantum", "visualize", state=amplitudes, kind="bloch")
        assert (a["theta"], a["phi"]) == (pytest.approx(1.1), pytest.approx(-2))
        assert not a["normalised"] and a.context.warnings == []

    def test_normalisation_is_said(self, ask):
        a = ask("quantum", "visualize", state="3, 4i", kind="prob_density")
        assert a["normalised"] and a["norm"] == 5 and "normalised" in a.context.warnings[0]
        assert a["probabilities"] == pytest.approx([0.36, 0.64]) and a["basis"] == ["0", "1"]

    def test_entangled_qubits_have_no_direction(self, ask):
        a = ask("quantum", "visualize", params={"state": "(|00>+|11>)/sqrt(2)"})
        assert [item["length"] for item in a["bloch_vectors"]] == pytest.approx([0, 0], abs=1e-12)

    def test_a_wave_function_on_points(self, ask):
        x = np.linspace(0, 1, 401)
        a = ask("quantum", "visualize", kind="prob_density", state=3 * np.sin(pi * x), x=x)
        assert a["probabilities"] == pytest.approx(2 * np.sin(pi * x) ** 2, abs=1e-10)

    def test_a_given_circuit(self, ask):
        a = ask("quantum", "visualize", kind="circuit", circuit="H 0; CNOT 0,1; PHASE(pi/2) 1")
        assert a["state"] == pytest.approx(np.array([1, 0, 0, 1j]) / sqrt(2))
        assert a["circuit_depth"] == 3
        assert Circuit(2, tuple(read_gates(a["circuit_description"]))).run() == pytest.approx(a["state"], abs=1e-5)

    def test_a_preparing_circuit(self, ask):
        assert ask("quantum", "visualize", kind="circuit", state="|01>+2i|10>")["fidelity"] == pytest.approx(1)

    @pytest.mark.parametrize(
        ("kind", "state"), [("bloch", "|0>+|1>"), ("prob_density", "1,2,3"), ("circuit", "|01>-|10>")]
    )
    def test_figures_and_series(self, ask, kind, state):
        a = ask("quantum", "visualize", _visuals={"static": True, "series": True}, kind=kind, state=state, dpi=60)
        assert a["image"].path.read_bytes()[:4] == b"\x89PNG" and a["format"] == "png"
        assert len(a["csv_path"].path.read_text().splitlines()) > 1

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({}, "state is missing"),
            ({"state": "1,2,3"}, "no state of qubits"),
            ({"state": "1,0", "kind": "sphere"}, "bloch"),
            ({"state": "1,0", "circuit": "H 0"}, "circuit means nothing"),
            ({"kind": "circuit", "circuit": "FOO 0"}, "FOO"),
            ({"kind": "circuit", "circuit": "CNOT 0"}, "2 different"),
            ({"kind": "circuit", "circuit": "RX 0"}, "angle"),
            ({"kind": "circuit", "circuit": "H 99"}, "Qubits are"),
            ({"kind": "circuit", "circuit": "H 20"}, "cap of 16"),
        ],
    )
    def test_wrong_requests(self, ask, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("quantum", "visualize", **wrong)

    def test_nothing_cannot_be_normalised(self, ask):
        with pytest.raises(PhysicsError, match="norm 0"):
            ask("quantum", "visualize", state="0, 0")


class TestGateProblems:
    @pytest.mark.parametrize("bell", ["phi+", "phi-", "psi+", "psi-"])
    def test_bell_states(self, ask, bell):
        a = ask("quantum", "solve", problem="bell_state", bell=bell)
        assert a["fidelity_with_bell"] == pytest.approx(1, abs=1e-14)
        assert a["entanglement"] == pytest.approx(1, abs=1e-12) and a["concurrence"] == pytest.approx(1, abs=1e-12)

    @pytest.mark.parametrize("seed", range(5))
    def test_teleportation_of_random_states(self, ask, seed):
        """Each outcome has probability 1/4 and, once corrected, fidelity 1 (Nielsen & Chuang, section 1.3.7)."""
        a = ask("quantum", "solve", _seed=seed, problem="teleportation")
        assert [item["probability"] for item in a["outcomes"]] == pytest.approx([0.25] * 4, abs=1e-14)
        assert [item["fidelity"] for item in a["outcomes"]] == pytest.approx([1] * 4, abs=1e-14)
        sent, last = a["state_sent"], reduced(a["final_state"], (2,))
        assert np.vdot(sent, last @ sent).real == pytest.approx(1, abs=1e-14)

    @pytest.mark.parametrize(("qubits", "marked"), [(1, 1), (2, 3), (5, 17), (8, (1, 100, 200)), (12, 4095)])
    def test_grover_meets_its_closed_form(self, ask, qubits, marked):
        """sin²((2k + 1)θ) with sin²θ = M/N after every iteration (Nielsen & Chuang, section 6.1.3)."""
        a = ask("quantum", "solve", problem="grover", num_qubits=qubits, marked_item=marked)
        count = 1 if isinstance(marked, int) else len(marked)
        k, theta = np.arange(a["iterations"] + 1), asin(sqrt(count / 2**qubits))
        assert a["success_by_iteration"] == pytest.approx(np.sin((2 * k + 1) * theta) ** 2, abs=1e-12)
        assert np.linalg.norm(a["final_state"]) == pytest.approx(1, abs=1e-12)

    def test_grover_of_two_qubits_is_certain_and_its_gates_agree(self, ask):
        a = ask("quantum", "solve", problem="grover", num_qubits=2, marked_item="10")
        assert a["success_probability"] == pytest.approx(1, abs=1e-12) and a["iterations"] == 1
        h, x = [Gate("H", (0,)), Gate("H", (1,))], [Gate("X", (0,)), Gate("X", (1,))]
        oracle = [Gate("X", (1,)), Gate("CZ", (0, 1)), Gate("X", (1,))]
        gates = Circuit(2, (*h, *oracle, *h, *x, Gate("CZ", (0, 1)), *x, *h)).run()
        assert abs(np.vdot(gates, a["final_state"])) == pytest.approx(1, abs=1e-12)

    def test_other_numbers_of_iterations_are_said_to_be_worse(self, ask):
        a = ask("quantum", "solve", problem="grover", num_qubits=4, iterations=0)
        assert a["success_probability"] == pytest.approx(1 / 16) and "3 find" in a.context.warnings[0]

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"problem": "grover", "num_qubits": 3, "marked_item": 8}, "0 to 7"),
            ({"problem": "grover", "num_qubits": 1, "marked_item": [0, 1]}, "nothing to search"),
            ({"problem": "grover", "marked_item": "abc"}, "2 bits"),
            ({"problem": "grover", "num_qubits": 17}, "cap of 16"),
            ({"problem": "bell_state", "num_qubits": 3}, "2 qubits"),
            ({"problem": "bell_state", "bell": "xi"}, "phi"),
            ({"problem": "teleportation", "state": "|00>"}, "no qubit"),
            ({"problem": "bell_state", "n": 3}, "n means nothing"),
        ],
    )
    def test_wrong_requests(self, ask, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("quantum", "solve", **wrong)

    @pytest.mark.parametrize("problem", ["bell_state", "teleportation", "grover", "vqe", "qaoa"])
    def test_figures_and_series(self, ask, problem):
        a = ask("quantum", "solve", _visuals={"static": True, "series": True}, problem=problem, dpi=60)
        assert a["png_b64"].path.stat().st_size > 5000 and a["csv_path"].path.stat().st_size > 20


class TestDihydrogen:
    def test_integrals_of_the_textbook(self):
        """R = 1.4 a_0 (Szabo & Ostlund, section 3.5.2, 4 figures): S, h_gg, h_uu, J_gg, J_gu, J_uu, K_gu."""
        h2 = integrate(1.4 * BOHR_ANGSTROM)
        found = (h2.overlap, *h2.core, *h2.coulomb, h2.exchange)
        assert found == pytest.approx((0.6593, -1.2528, -0.4756, 0.6746, 0.6636, 0.6975, 0.1813), abs=6e-5)
        assert 2 * h2.core[0] + h2.coulomb[0] + h2.repulsion == pytest.approx(-1.1167, abs=6e-5)

    def test_published_qubit_hamiltonian(self):
        """R = 0.735 Å, parity mapping, from the documentation of Qiskit's VQE; signs of Z depend on the convention."""
        terms = integrate(0.735).terms()
        published = {
            "II": -1.052373245772859,
            "ZI": -0.39793742484318045,
            "ZZ": 0.01128010425623538,
            "XX": 0.18093119978423156,
        }
        for string, value in published.items():
            assert terms[string] == pytest.approx(value, abs=2e-8)
        assert np.linalg.eigvalsh(matrix_of(terms))[0] == pytest.approx(-1.85727503, abs=1e-8)

    def test_atoms_far_apart(self):
        """Two STO-3G hydrogen atoms of −0.466582 E_h each (Hehre, Stewart & Pople 1969)."""
        h2 = integrate(5.0)
        lowest = np.linalg.eigvalsh(matrix_of(h2.terms()))[0] + h2.repulsion
        assert lowest == pytest.approx(2 * -0.466582, abs=1e-4)


class TestVariational:
    @pytest.mark.parametrize("bond", [0.5, 0.735, 2.0])
    def test_vqe_finds_the_ground_state_of_h2(self, ask, bond):
        a = ask("quantum", "solve", problem="vqe", bond_length=bond)
        assert a["energy_error"] == pytest.approx(0, abs=1e-8) and a["energy_error"] > -1e-12
        assert a["trajectory"][0] == pytest.approx(a["hartree_fock_energy"])
        assert (np.diff(a["trajectory"]) <= 1e-12).all() and a["iterations"] == len(a["trajectory"]) - 1

    def test_h2_at_equilibrium(self, ask):
        """−1.137306 E_h at 0.735 Å in STO-3G."""
        assert ask("quantum", "solve", problem="vqe")["ground_state_energy"] == pytest.approx(-1.137306, abs=1e-6)
        bohr = ask("quantum", "solve", problem="vqe", bond_length="1.4 bohr")
        assert bohr["parameters"]["bond_length"] == pytest.approx(1.4 * BOHR_ANGSTROM)

    def test_the_trajectory_is_what_its_angles_give(self, ask):
        a = ask("quantum", "solve", problem="vqe")
        energies = matrix_of(a["hamiltonian_terms"])
        for angles, energy in zip(a["angles"], a["trajectory"], strict=True):
            state = pair_excitation().circuit(angles).run()
            assert np.vdot(state, energies @ state).real + a["nuclear_repulsion"] == pytest.approx(energy, abs=1e-12)

    def test_vqe_of_a_given_hamiltonian(self, ask):
        """The Ising chain of two spins with a field: E_0 = −√(1 + 4·0.5²) (a 2 × 2 block by symmetry)."""
        a = ask("quantum", "solve", problem="vqe", hamiltonian="Z0*Z1 + h*(X0 + X1)", vars={"h": 0.5})
        assert a["exact_energy"] == pytest.approx(-sqrt(2)) and a["energy_error"] < 1e-6
        again = ask("quantum", "solve", problem="vqe", hamiltonian="Z0*Z1 + h*(X0 + X1)", vars={"h": 0.5})
        assert (a["trajectory"] == again["trajectory"]).all()

    def test_too_few_steps_are_said(self, ask):
        a = ask("quantum", "solve", problem="vqe", max_iterations=1)
        assert a["energy_error"] > 1e-6 and "max_iterations" in a.context.warnings[0]

    def test_gradients_by_differences(self):
        rng = np.random.default_rng(3)
        matrix = rng.normal(size=(8, 8)) + 1j * rng.normal(size=(8, 8))
        ansatz: Ansatz = layered(3, 1)
        cut = CutProblem.of(4, [(0, 1), (1, 2), (2, 3), (0, 2)])
        for objective, size in ((ansatz.objective(matrix + matrix.conj().T), ansatz.size), (cut.objective, 6)):
            at = rng.uniform(-1, 1, size)
            steps = 1e-5 * np.eye(size)
            numeric = [(objective(at + step)[0] - objective(at - step)[0]) / 2e-5 for step in steps]
            assert objective(at)[1] == pytest.approx(numeric, abs=1e-7)

    @pytest.mark.parametrize(("nodes", "layers", "ratio"), [(4, 1, 3 / 4), (6, 1, 3 / 4), (6, 2, 5 / 6), (4, 2, 1)])
    def test_qaoa_on_an_even_ring(self, ask, nodes, layers, ratio):
        """(2p + 1)/(2p + 2) while 2p + 2 ≤ n, and 1 beyond (Farhi, Goldstone & Gutmann 2014, section IV)."""
        a = ask("quantum", "solve", problem="qaoa", num_qubits=nodes, p_layers=layers)
        assert a["approximation_ratio"] == pytest.approx(ratio, abs=1e-6) and a["max_cut"] == nodes
        assert a["best_cut"] == nodes and a["trajectory"][-1] == pytest.approx(a["expected_cut"])

    def test_cuts_by_brute_force(self, ask):
        edges = [[0, 1], [1, 2], [2, 0], [2, 3], [3, 4], [4, 0]]
        a = ask("quantum", "solve", problem="qaoa", edges=edges)
        best = max(sum((z >> i & 1) != (z >> j & 1) for i, j in edges) for z in range(32))
        assert a["max_cut"] == best == 5
        cut = sum(a["best_partition"][i] != a["best_partition"][j] for i, j in edges)
        assert cut == a["best_cut"] and a["expected_cut"] <= best

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"problem": "vqe", "num_qubits": 4}, "2 qubits"),
            ({"problem": "vqe", "hamiltonian": "a_dag*a"}, "not one of qubits"),
            ({"problem": "vqe", "hamiltonian": [[1, 0], [0, 1]]}, "Pauli operators"),
            ({"problem": "vqe", "bond_length": 0.01}, "bond_length"),
            ({"problem": "vqe", "p_layers": 2}, "p_layers means nothing to vqe"),
            ({"problem": "qaoa", "edges": [[0, 0]]}, "no edge"),
            ({"problem": "qaoa", "edges": [[0, 1], [1, 0]]}, "twice"),
            ({"problem": "qaoa", "edges": [[0, 5]], "num_qubits": 3}, "node 5"),
            ({"problem": "qaoa", "num_qubits": 1}, "no edges"),
        ],
    )
    def test_wrong_requests(self, ask, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("quantum", "solve", **wrong)

    def test_a_hamiltonian_that_is_not_hermitian(self, ask):
        with pytest.raises(PhysicsError, match="not Hermitian"):
            ask("quantum", "solve", problem="vqe", hamiltonian="i*X0")
