"""Problems of quantum information, simulated gate by gate: Bell states, teleportation, Grover's search.

Source: M. A. Nielsen and I. L. Chuang, *Quantum Computation and Quantum Information* (Cambridge, 2000), sections 1.3.6,
1.3.7 and 6.1.
"""

from __future__ import annotations

from math import asin, floor, pi, sqrt
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.tools.context import Context
from physlab.tools.figures import QUIET, VERMILION, drawing, save_series, save_static
from physlab.tools.quantum.circuit_drawing import draw_circuit, draw_probabilities, size
from physlab.tools.quantum.kets import ket_text, normalise, read_state
from physlab.tools.quantum.params import SolveParams
from physlab.tools.quantum.qubits import GATES, Circuit, Gate, apply, basis_state, entropy, labels, reduced
from physlab.tools.registry import Port
from physlab.tools.types import Array

PORTS = (
    Port("circuit_description", "text", None, "Bell state, teleportation, grover: the gates, from left to right."),
    Port("circuit_depth", "number", None, "Gates that stand one after the other."),
    Port("initial_state", "array", None, "Amplitudes before the circuit."),
    Port("final_state", "array", None, "Amplitudes after the circuit, qubit 0 the most significant bit."),
    Port("final_ket", "text", None, "The same as kets."),
    Port("basis", "list", None, "Names of the basis states."),
    Port("probabilities", "array", None, "Probability of each basis state."),
    Port("entanglement", "number", "bit", "Bell state: entropy of one of the two qubits."),
    Port("concurrence", "number", None, "Bell state: 2|ad − bc|."),
    Port("fidelity_with_bell", "number", None, "Bell state: |⟨Bell|ψ⟩|²."),
    Port("state_sent", "array", None, "Teleportation: amplitudes that are sent."),
    Port("outcomes", "list", None, "Teleportation: {bits, probability, correction, fidelity} of each measurement."),
    Port("fidelity", "number", None, "Teleportation: mean over the outcomes of |⟨sent|received⟩|²."),
    Port("algorithm", "text"),
    Port("iterations", "number", None, "Grover: queries; vqe, qaoa: steps of the optimiser."),
    Port("success_probability", "number", None, "Grover: of finding a marked item; teleportation: of fidelity 1."),
    Port("success_by_iteration", "array", None, "Grover: the same after 0, 1, 2, … queries."),
    Port("optimal_iterations", "number", None, "Grover: the number of queries that is best."),
    Port("speedup", "number", None, "Grover: queries that a classical search needs on average, by the queries made."),
)
BELL = {"phi+": (), "phi-": ("Z",), "psi+": ("X",), "psi-": ("X", "Z")}
_NAMES = {"phi+": r"\Phi^+", "phi-": r"\Phi^-", "psi+": r"\Psi^+", "psi-": r"\Psi^-"}


def bell_vector(name: str) -> Array:
    """Return a Bell state by its definition: (|00⟩ ± |11⟩)/√2, (|01⟩ ± |10⟩)/√2."""
    first, second = (0, 3) if name.startswith("phi") else (1, 2)
    state = np.zeros(4, dtype=complex)
    state[first], state[second] = sqrt(0.5), sqrt(0.5) * (1 if name.endswith("+") else -1)
    return state


def solve_bell(params: SolveParams, context: Context) -> dict[str, Any]:
    """Make a Bell state by a Hadamard gate and a CNOT."""
    local = {"X": Gate("X", (1,)), "Z": Gate("Z", (0,))}
    circuit = Circuit(2, (Gate("H", (0,)), Gate("CNOT", (0, 1)), *(local[name] for name in BELL[params.bell])))
    state = circuit.run()
    fields: dict[str, Any] = _circuit_fields(circuit, state) | {
        "parameters": {"bell": params.bell},
        "entanglement": entropy(reduced(state, (0,))),
        "concurrence": float(2 * abs(state[0] * state[3] - state[1] * state[2])),
        "fidelity_with_bell": float(abs(np.vdot(bell_vector(params.bell), state)) ** 2),
        "units": {"entanglement": "bit"},
    }
    context.meta.update(dtype="complex128", qubits=2)
    caption = f"Circuit that makes the Bell state {params.bell} of |00>, and the probabilities of its basis states."
    title = rf"Bell state $|{_NAMES[params.bell]}\rangle$"
    return fields | _show(params, context, "bell_state", caption, circuit, fields["probabilities"], title)


def _circuit_fields(circuit: Circuit, state: Array) -> dict[str, Any]:
    names = labels(len(state))
    return {
        "circuit_description": str(circuit), "circuit_depth": circuit.depth,
        "initial_state": basis_state(0, circuit.qubits), "final_state": state, "final_ket": ket_text(state, names),
        "basis": names, "probabilities": np.abs(state) ** 2,
    }  # fmt: skip


def _show(
    params: SolveParams, context: Context, name: str, caption: str, circuit: Circuit, chance: Array, title: str,
    inputs: list[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    shown, names = dict[str, Any](), labels(len(chance))
    if context.wants("static"):
        wide, high = size(circuit)
        with drawing(max(8.0, wide), high + 3.2, params.dpi) as figure:
            above, below = figure.subplots(2, 1, height_ratios=(high + 0.2, 2.6))
            draw_circuit(above, circuit, inputs)
            above.set_title(title)
            draw_probabilities(below, chance, names)
            shown |= save_static(context, figure, name, caption)
    if context.wants("series"):
        columns = {"state": np.array([f"|{label}>" for label in names]), "probability": chance}
        shown |= save_series(context, columns, name, f"Probabilities of the basis states: {caption}")
    return shown


def solve_teleportation(params: SolveParams, context: Context) -> dict[str, Any]:
    """Send the state of qubit 0 to qubit 2 by a Bell pair and two classical bits, for all four outcomes."""
    if params.state is None:
        raw = context.rng.normal(size=2) + 1j * context.rng.normal(size=2)
    else:
        raw = read_state(params.state)
    if len(raw) != 2:
        raise ValidationError(f"A state of {len(raw)} amplitudes is no qubit.", hint="Send one such as |0> + i|1>.")
    sent, norm = normalise(raw)
    if params.state is not None and abs(norm - 1) > 1e-9:
        context.warn(f"The state had the norm {norm:.6g} and was normalised.")
    circuit = Circuit(3, (Gate("H", (1,)), Gate("CNOT", (1, 2)), Gate("CNOT", (0, 1)), Gate("H", (0,))))
    start = np.kron(sent, basis_state(0, 2))
    before = circuit.run(start)
    outcomes: list[dict[str, Any]] = []
    for index in range(4):
        bits = (index >> 1, index & 1)
        received = before.reshape(4, 2)[index]
        probability = float(np.vdot(received, received).real)
        received = received / sqrt(probability)
        steps = [name for name, bit in (("X", bits[1]), ("Z", bits[0])) if bit]
        for step in steps:
            received = apply(GATES[step], received, (0,))
        outcomes.append({
            "bits": f"{bits[0]}{bits[1]}", "probability": probability, "correction": "".join(reversed(steps)) or "I",
            "fidelity": float(abs(np.vdot(sent, received)) ** 2),
        })  # fmt: skip
    worst = min(outcome["fidelity"] for outcome in outcomes)
    shown = Circuit(3, (*circuit.gates, Gate("CNOT", (1, 2)), Gate("CZ", (0, 2))))
    # Measuring after instead of before the corrections changes no outcome (Nielsen & Chuang, section 4.4)
    after = shown.run(start)
    fields: dict[str, Any] = _circuit_fields(shown, after) | {
        "parameters": {"state": ket_text(sent, ["0", "1"])},
        "initial_state": start, "state_sent": sent, "outcomes": outcomes,
        "fidelity": float(sum(outcome["probability"] * outcome["fidelity"] for outcome in outcomes)),
        "success_probability": float(sum(o["probability"] for o in outcomes if o["fidelity"] > 1 - 1e-9)),
        "units": {},
    }  # fmt: skip
    context.meta.update(dtype="complex128", qubits=3, worst_fidelity=worst)
    caption = (
        f"Teleportation of {ket_text(sent, ['0', '1'])} from qubit 0 to qubit 2, corrections as controlled gates, and"
        " the probabilities of the basis states at the end."
    )
    inputs = [r"$|\psi\rangle$", r"$|0\rangle$", r"$|0\rangle$"]
    return fields | _show(
        params, context, "teleportation", caption, shown, fields["probabilities"], "Teleportation", inputs
    )


def solve_grover(params: SolveParams, context: Context) -> dict[str, Any]:
    """Search marked items: phase flip and inversion about the mean, on the state vector."""
    count = params.num_qubits or 2
    context.enforce("qubits", count, "num_qubits")
    total = 2**count
    marked = _marked(params.marked_item, count)
    theta = asin(sqrt(len(marked) / total))
    best = max(0, floor(pi / (4 * theta)))
    steps = best if params.iterations is None else params.iterations
    state = np.full(total, 2 ** (-count / 2), dtype=complex)  # H on each qubit of |0…0⟩
    start, history = state, [float((np.abs(state[marked]) ** 2).sum())]
    for _ in range(steps):
        state = state.copy()
        state[marked] *= -1  # the oracle
        state = 2 * state.mean() - state  # 2|s⟩⟨s| − 1, which is H (2|0…0⟩⟨0…0| − 1) H
        history.append(float((np.abs(state[marked]) ** 2).sum()))
    if params.iterations is not None and steps != best:
        context.warn(f"{steps} iterations were asked for; {best} find the item with {_success(theta, best):.4f}.")
    chance, names = np.abs(state) ** 2, labels(total)
    queries = max(steps, 1)
    fields: dict[str, Any] = {
        "algorithm": "grover", "iterations": steps, "optimal_iterations": best,
        "success_probability": history[-1], "success_by_iteration": np.array(history),
        "circuit_depth": 1 + 4 * steps, "speedup": (total + 1) / (len(marked) + 1) / queries,
        "circuit_description": f"H on all; {steps} × (flip marked; H on all; flip all but |{'0' * count}>; H on all)",
        "initial_state": start, "final_state": state, "basis": names, "probabilities": chance,
        "parameters": {"num_qubits": count, "marked_item": marked, "iterations": steps}, "units": {},
    }  # fmt: skip
    context.meta.update(dtype="complex128", qubits=count)
    return fields | _show_grover(params, context, fields, theta, count)


def _success(theta: float, steps: float) -> float:
    return float(np.sin((2 * steps + 1) * theta) ** 2)


def _marked(given: int | tuple[int, ...] | str, count: int) -> list[int]:
    """Return the marked items as sorted indices.

    Raises:
        ValidationError: One does not exist, or all are marked.
    """
    if isinstance(given, str):
        bits = given.strip().strip("|>⟩")
        if len(bits) != count or set(bits) - {"0", "1"}:
            raise ValidationError(
                f"marked_item = {given!r} is not {count} bits.", hint=f"Write for instance {'01' * count:.{count}}."
            )
        items = [int(bits, 2)]
    else:
        items = sorted({given} if isinstance(given, int) else set(given))
    if not items or items[0] < 0 or items[-1] >= 2**count:
        raise ValidationError(
            f"marked_item = {given} does not exist among the {2**count} items of {count} qubits.",
            hint=f"Use 0 to {2**count - 1}, or more qubits.",
        )
    if len(items) == 2**count:
        raise ValidationError("All items are marked, so there is nothing to search.", hint="Mark fewer.")
    return items


def _show_grover(
    params: SolveParams, context: Context, fields: dict[str, Any], theta: float, count: int
) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    history, steps = fields["success_by_iteration"], fields["iterations"]
    marked = fields["parameters"]["marked_item"]
    what = (
        f"{'item' if len(marked) == 1 else 'items'} {', '.join(map(str, marked[:5]))}{' …' if len(marked) > 5 else ''}"
    )
    caption = (
        f"Grover's search for {what} among {2**count}: one iteration as a circuit, the probability of success after"
        f" each iteration with sin²((2k+1)θ), and the probabilities after {steps} iterations."
    )
    wires = tuple(range(count))
    layer = [Gate("H", (wire,)) for wire in wires]
    flips = [Gate(name, wires, matrix=np.eye(1)) for name in ("$O$", "$Z_0$")]  # drawn, never applied
    once = Circuit(count, (*layer, flips[0], *layer, flips[1], *layer))
    if context.wants("static"):
        _, high = size(once)
        with drawing(9.5, high + 4.0, params.dpi) as figure:
            grid = figure.add_gridspec(2, 2, height_ratios=(high + 0.3, 3.4))
            above, left, right = (figure.add_subplot(cell) for cell in (grid[0, :], grid[1, 0], grid[1, 1]))
            draw_circuit(above, once)
            above.set_title(rf"first iteration of {steps}: $O$ flips what is marked, $Z_0$ all but $|0\ldots 0\rangle$")
            fine = np.linspace(0, max(steps, 1), 400)
            left.plot(
                fine, np.sin((2 * fine + 1) * theta) ** 2, color=QUIET, linewidth=1.2, label=r"$\sin^2((2k+1)\theta)$"
            )
            left.plot(
                range(steps + 1),
                history,
                "o",
                color=VERMILION,
                ms=5.5 if steps < 40 else 2.5,
                label="simulated",
                clip_on=False,
            )
            left.set(xlabel="iteration $k$", ylabel="success probability", ylim=(0, 1.05))
            left.xaxis.get_major_locator().set_params(integer=True)
            left.legend(loc="best")
            draw_probabilities(right, fields["probabilities"], fields["basis"], marked)
            right.set_ylabel("final probability")
            shown |= save_static(context, figure, "grover", caption)
    if context.wants("series"):
        columns = {"iteration": np.arange(steps + 1), "success probability": history}
        shown |= save_series(context, columns, "grover", f"Success of Grover's search for {what} among {2**count}.")
    return shown
