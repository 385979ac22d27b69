"""The variational problems: the hydrogen molecule or any Pauli Hamiltonian (vqe), and cutting a graph (qaoa)."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Any

import numpy as np

from physlab.errors import PhysicsError, ValidationError
from physlab.tools.context import Context
from physlab.tools.figures import BLUE, INK, QUIET, VERMILION, drawing, save_series, save_static
from physlab.tools.quantum.circuit_drawing import draw_circuit, draw_probabilities, size
from physlab.tools.quantum.dihydrogen import integrate, matrix_of
from physlab.tools.quantum.kets import ket_text
from physlab.tools.quantum.operator_names import read_operator
from physlab.tools.quantum.operators import Space, build, is_hermitian
from physlab.tools.quantum.params import SolveParams
from physlab.tools.quantum.qubits import Circuit, labels
from physlab.tools.quantum.variational import (
    Ansatz,
    CutProblem,
    Descent,
    descend,
    ground_energy,
    layered,
    pair_excitation,
    ramps,
)
from physlab.tools.registry import Port
from physlab.tools.types import Array

STARTS = {"vqe": 4, "qaoa": 4}
PORTS = (
    Port("exact_energy", "number", None, "Vqe: lowest eigenvalue of the same Hamiltonian (with the nuclei for H2)."),
    Port("energy_error", "number", None, "Vqe: energy found less the exact one."),
    Port("trajectory", "array", None, "Vqe, qaoa: energy, or expected cut, at the start and after each step."),
    Port("angles", "array", "rad", "Vqe, qaoa: angles at the start and after each step, one row each."),
    Port("optimal_parameters", "array", "rad", "Vqe, qaoa: the angles found (qaoa: γ_1 … γ_p, β_1 … β_p)."),
    Port("converged", "boolean", None, "Vqe, qaoa: False when the steps ran out."),
    Port("electronic_energy", "number", None, "Vqe, H2: without the repulsion of the nuclei [E_h]."),
    Port("nuclear_repulsion", "number", None, "Vqe, H2: repulsion of the nuclei [E_h]."),
    Port("hartree_fock_energy", "number", None, "Vqe, H2: energy of |00>, both electrons in g [E_h]."),
    Port("hamiltonian_terms", "object", None, "Vqe, H2: coefficient of each Pauli string [E_h]."),
    Port("expected_cut", "number", None, "Qaoa: ⟨C⟩ of the state found."),
    Port("max_cut", "number", None, "Qaoa: the largest cut, by trying all partitions."),
    Port("approximation_ratio", "number", None, "Qaoa: expected_cut by max_cut."),
    Port("best_partition", "text", None, "Qaoa: the likeliest partition of the state found, node 0 leftmost."),
    Port("best_cut", "number", None, "Qaoa: edges that it cuts."),
    Port("optimum_probability", "number", None, "Qaoa: probability of measuring a largest cut."),
    Port("edges", "list", None, "Qaoa: the graph."),
)


def solve_vqe(params: SolveParams, context: Context) -> dict[str, Any]:
    """Find a ground-state energy by varying a circuit."""
    if params.hamiltonian is None:
        hamiltonian, ansatz, shift, more, name = _molecule(params)
        starts = [np.zeros(1)]  # Hartree-Fock
    else:
        hamiltonian, ansatz, shift, more, name = _pauli(params, context)
        starts = [context.rng.uniform(-pi, pi, ansatz.size) for _ in range(STARTS["vqe"])]
    found = descend(ansatz.objective(hamiltonian), starts, params.max_iterations)
    circuit, exact = ansatz.circuit(found.angles[-1]), ground_energy(hamiltonian)
    state = circuit.run()
    energy = float(found.trajectory[-1])
    context.meta.update(dtype="complex128", qubits=ansatz.qubits, optimiser="BFGS", seed=context.seed)
    if energy - exact > 1e-6:
        steps = "" if found.converged else f" after {params.max_iterations} iterations; raise max_iterations"
        context.warn(
            f"The energy lies {energy - exact:.2g} above the exact ground state{steps}"
            + ("." if params.hamiltonian is None else "; more layers or another seed may do better.")
        )
    names = labels(2**ansatz.qubits)
    fields: dict[str, Any] = {
        "algorithm": "vqe", "ground_state_energy": energy + shift, "exact_energy": exact + shift,
        "energy_error": energy - exact, "trajectory": found.trajectory + shift, **_descent(found),
        "final_state": state, "final_ket": ket_text(state, names), "basis": names, "probabilities": np.abs(state) ** 2,
        "circuit_description": str(circuit), "circuit_depth": circuit.depth, **more,
    }  # fmt: skip
    fields["units"] = {"energy": "E_h" if params.hamiltonian is None else "that of the Hamiltonian", "angles": "rad"}
    return fields | _show_vqe(params, context, fields, circuit, name)


def _descent(found: Descent) -> dict[str, Any]:
    return {
        "angles": found.angles, "optimal_parameters": found.angles[-1], "iterations": len(found.trajectory) - 1,
        "converged": found.converged,
    }  # fmt: skip


Task = tuple[Array, Ansatz, float, dict[str, Any], str]


def _molecule(params: SolveParams) -> Task:
    if params.num_qubits not in (None, 2):
        raise ValidationError(
            f"num_qubits = {params.num_qubits}: H2 in a minimal basis is reduced by its symmetries to 2 qubits.",
            hint="Leave num_qubits out, or give a hamiltonian of your own.",
        )
    molecule = integrate(params.bond_length)
    terms = molecule.terms()
    more = {
        "nuclear_repulsion": molecule.repulsion, "hamiltonian_terms": terms,
        "hartree_fock_energy": 2 * molecule.core[0] + molecule.coulomb[0] + molecule.repulsion,
        "electronic_energy": ground_energy(matrix_of(terms)),
        "parameters": {"molecule": "H2", "basis_set": "STO-3G", "bond_length": params.bond_length,
                       "max_iterations": params.max_iterations},
    }  # fmt: skip
    return matrix_of(terms), pair_excitation(), molecule.repulsion, more, f"H2 at {params.bond_length:g} Å in STO-3G"


def _pauli(params: SolveParams, context: Context) -> Task:
    if not isinstance(params.hamiltonian, str):
        raise ValidationError("vqe reads a Hamiltonian of Pauli operators.", hint="Write for instance Z0*Z1 + 0.5*X0.")
    reading = read_operator(params.hamiltonian, params.vars)
    if "ladder" in reading.kinds:
        raise ValidationError(
            f"The Hamiltonian {params.hamiltonian!r} is not one of qubits.",
            hint="Use Pauli operators, or problem custom.",
        )

    def admit(dimension: int) -> None:
        context.enforce("dimension", dimension, "the dimension of the Hamiltonian")

    sites = max(reading.sites, params.num_qubits or 0) if reading.sites else 0
    (operator,) = build([reading], Space(values=params.vars, sites=sites, admit=admit))
    qubits = len(operator.spaces)
    if params.num_qubits not in (None, qubits):
        raise ValidationError(
            f"The Hamiltonian has {qubits} qubits, not {params.num_qubits}.", hint="Leave num_qubits out."
        )
    if not is_hermitian(operator.matrix):
        raise PhysicsError(f"The Hamiltonian {params.hamiltonian!r} is not Hermitian.", hint="Use real coefficients.")
    more = {
        "parameters": {"hamiltonian": params.hamiltonian, **params.vars, "layers": params.layers,
                       "max_iterations": params.max_iterations},
    }  # fmt: skip
    return operator.matrix, layered(qubits, params.layers), 0.0, more, f"H = {params.hamiltonian}"


def _show_vqe(
    params: SolveParams, context: Context, fields: dict[str, Any], circuit: Circuit, name: str
) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    unit = " [E_h]" if params.hamiltonian is None else ""
    caption = (
        f"Variational circuit for {name}, and its energy{unit} after each step of the optimiser above the exact one."
    )
    if context.wants("static"):
        wide, high = size(circuit)
        with drawing(max(9.0, min(wide, 12)), high + 3.8, params.dpi) as figure:
            grid = figure.add_gridspec(2, 2, height_ratios=(high + 0.3, 3.4))
            above, left, right = (figure.add_subplot(cell) for cell in (grid[0, :], grid[1, 0], grid[1, 1]))
            draw_circuit(above, circuit)
            steps = np.arange(len(fields["trajectory"]))
            left.axhline(fields["exact_energy"], color=QUIET, linewidth=1.2, linestyle=(0, (5, 3)), label="exact")
            left.plot(steps, fields["trajectory"], "o-", color=BLUE, ms=4.5, label="vqe", clip_on=False)
            left.set(xlabel="step", ylabel=r"energy$\quad [E_h]$" if unit else "energy")
            left.margins(y=0.08)
            left.xaxis.get_major_locator().set_params(integer=True)
            left.legend(loc="upper right")
            left.ticklabel_format(axis="y", useOffset=False)
            draw_probabilities(right, fields["probabilities"], fields["basis"])
            shown |= save_static(context, figure, "vqe", caption)
    if context.wants("series"):
        columns = {"step": np.arange(len(fields["trajectory"])), f"energy{unit}": fields["trajectory"]}
        columns |= {f"angle_{k} [rad]": row for k, row in enumerate(fields["angles"].T)}
        shown |= save_series(context, columns, "vqe", f"Energy{unit} and angles after each step for {name}.")
    return shown


def solve_qaoa(params: SolveParams, context: Context) -> dict[str, Any]:
    """Cut a graph in two by the quantum approximate optimisation algorithm."""
    edges, count = _graph(params)
    context.enforce("qubits", count, "num_qubits")
    problem = CutProblem.of(count, edges)
    found = descend(problem.objective, ramps(params.p_layers, context.rng, STARTS["qaoa"]), params.max_iterations)
    if not found.converged:
        context.warn(f"The optimiser was still moving after {params.max_iterations} steps; raise max_iterations.")
    chance = np.abs(problem.state(found.angles[-1])) ** 2
    expected, largest = -float(found.trajectory[-1]), float(problem.cuts.max())
    likeliest, names = int(np.argmax(chance.round(12))), labels(2**count)
    context.meta.update(dtype="complex128", qubits=count, optimiser="BFGS", seed=context.seed)
    fields: dict[str, Any] = {
        "algorithm": "qaoa", "expected_cut": expected, "max_cut": int(largest),
        "approximation_ratio": expected / largest,
        "best_partition": names[likeliest], "best_cut": int(problem.cuts[likeliest]),
        "optimum_probability": float(chance[problem.cuts == largest].sum()), "trajectory": -found.trajectory,
        **_descent(found), "edges": [list(edge) for edge in edges], "basis": names, "probabilities": chance,
        "circuit_description": f"H on all; {params.p_layers} × (exp(-iγC); RX(2β) on all)",
        "parameters": {"num_qubits": count, "p_layers": params.p_layers, "max_iterations": params.max_iterations},
        "units": {"angles": "rad"},
    }  # fmt: skip
    return fields | _show_qaoa(params, context, fields, problem)


def _graph(params: SolveParams) -> tuple[list[tuple[int, int]], int]:
    """Return the edges and the number of nodes.

    Raises:
        ValidationError: An edge is none, or stands twice.
    """
    if params.edges is None:
        count = 4 if params.num_qubits is None else params.num_qubits
        if count < 2:
            raise ValidationError(f"A graph of {count} node has no edges.", hint="Use num_qubits of 2 or more.")
        ring = {(min(k, (k + 1) % count), max(k, (k + 1) % count)) for k in range(count)}
        return sorted(ring), count
    edges = [(min(edge), max(edge)) for edge in params.edges]
    count = max(max(high for _, high in edges) + 1, params.num_qubits or 0)
    for low, high in edges:
        if low == high or low < 0:
            raise ValidationError(f"[{low}, {high}] is no edge.", hint="Join two different nodes 0, 1, 2, …")
    if len(set(edges)) < len(edges):
        raise ValidationError("An edge stands twice in edges.", hint="Give each pair once.")
    if params.num_qubits is not None and count > params.num_qubits:
        raise ValidationError(
            f"edges name the node {count - 1}, but num_qubits = {params.num_qubits}.", hint="Leave num_qubits out."
        )
    return edges, count


def _show_qaoa(params: SolveParams, context: Context, fields: dict[str, Any], problem: CutProblem) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    what = f"a graph of {problem.qubits} nodes and {len(fields['edges'])} edges with p = {params.p_layers}"
    caption = (
        f"QAOA cuts {what}: the likeliest partition with its cut edges dashed, the expected cut after each step, and"
        " the probabilities of the partitions (largest cuts in the second colour)."
    )
    if context.wants("static"):
        with drawing(12.5, 4.2, params.dpi) as figure:
            left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.15, 1.5))
            _draw_graph(left, fields["edges"], fields["best_partition"])
            left.set_title(f"{fields['best_cut']} of {len(fields['edges'])} edges cut")
            middle.axhline(fields["max_cut"], color=QUIET, linewidth=1.2, linestyle=(0, (5, 3)))
            middle.annotate("largest cut", (0.98, fields["max_cut"]), (0, -5), xycoords=("axes fraction", "data"),
                            textcoords="offset points", ha="right", va="top", color=QUIET)  # fmt: skip
            middle.plot(fields["trajectory"], "o-", color=BLUE, ms=4.5, clip_on=False)
            middle.set(xlabel="step", ylabel="expected cut", title=f"ratio {fields['approximation_ratio']:.4f}")
            middle.margins(y=0.08)
            middle.xaxis.get_major_locator().set_params(integer=True)
            best = [int(index) for index in np.flatnonzero(problem.cuts == problem.cuts.max())]
            draw_probabilities(right, fields["probabilities"], fields["basis"], best)
            shown |= save_static(context, figure, "qaoa", caption)
    if context.wants("series"):
        columns = {"step": np.arange(len(fields["trajectory"])), "expected cut": fields["trajectory"]}
        columns |= {f"angle_{k} [rad]": row for k, row in enumerate(fields["angles"].T)}
        shown |= save_series(context, columns, "qaoa", f"Expected cut and angles after each step; QAOA for {what}.")
    return shown


def _draw_graph(axes: Any, edges: list[list[int]], partition: str) -> None:
    count = len(partition)
    at = [(sin(2 * pi * k / count), cos(2 * pi * k / count)) for k in range(count)]
    for i, j in edges:
        cut = partition[i] != partition[j]
        axes.plot(*zip(at[i], at[j], strict=True), color=VERMILION if cut else INK, linewidth=1.6,
                  linestyle=(0, (4, 2)) if cut else "-", zorder=1)  # fmt: skip
    for k, (x, y) in enumerate(at):
        filled = partition[k] == "1"
        axes.plot([x], [y], "o", ms=21, color=BLUE if filled else "white", mec=BLUE, mew=1.6, zorder=2)
        axes.text(x, y, str(k), ha="center", va="center_baseline", color="white" if filled else INK, zorder=3)
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal")
    axes.axis("off")
