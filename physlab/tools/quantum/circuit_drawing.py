"""Circuits as people draw them: wires, boxes, dots; and probabilities as bars."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import Any

import numpy as np

from physlab.tools.figures import BLUE, COLOURS, INK, QUIET
from physlab.tools.quantum.qubits import Circuit, Gate
from physlab.tools.types import Array

CELL = 1.0  # width of a column
_BOX = 0.32  # half a box
_CONTROLS = {"CNOT": 1, "CZ": 1, "TOFFOLI": 2}
_WIDE = 1.6  # width of a column that holds an angle
ROW = 18.0  # width after which a circuit goes on in the next row
BARS = 16


def widths(circuit: Circuit) -> list[float]:
    """Return the width of each column of a circuit."""
    return [max(_width(gate) for gate in column) for column in circuit.columns]


def _width(gate: Gate) -> float:
    return _WIDE if gate.angle is not None else CELL


def rows(circuit: Circuit) -> list[list[list[Gate]]]:
    """Return the columns of a circuit broken into rows that fit a page."""
    broken, used = [[]], 0.0  # type: list[list[list[Gate]]], float
    for column, width in zip(circuit.columns, widths(circuit), strict=True):
        if used + width > ROW and broken[-1]:
            broken.append([])
            used = 0.0
        broken[-1].append(column)
        used += width
    return broken


def size(circuit: Circuit) -> tuple[float, float]:
    """Return a good width and height of the picture [inch]."""
    lines = rows(circuit)
    longest = max(sum(max(_width(gate) for gate in column) for column in line) for line in lines)
    return 0.62 * (longest + 2.0), 0.62 * (circuit.qubits + 0.5) * len(lines)


def draw_circuit(axes: Any, circuit: Circuit, inputs: Sequence[str] | None = None) -> None:
    """Draw a circuit.

    Args:
        axes: Matplotlib axes; they lose their frame.
        circuit: The gates.
        inputs: What stands at the left end of each wire, in mathtext; |0⟩ by default.
    """
    begin, broken = inputs or [r"$|0\rangle$"] * circuit.qubits, rows(circuit)
    far = 0.0
    for number, line in enumerate(broken):
        top = number * (circuit.qubits + 0.5)
        place = 0.0
        for column in line:
            width = max(_width(gate) for gate in column)
            for gate in column:
                _draw_gate(axes, gate, place + width / 2, top)
            place += width
        far = max(far, place)
        for wire in range(circuit.qubits):
            axes.plot([-0.15, place + 0.15], [top + wire] * 2, color=QUIET, linewidth=1.1, zorder=1)
            name = begin[wire] if number == 0 else rf"$q_{{{wire}}}$"
            axes.text(-0.3, top + wire, name, ha="right", va="center")
    axes.set(xlim=(-1.0, far + 0.3), ylim=(len(broken) * (circuit.qubits + 0.5) - 0.9, -0.6), aspect="equal")
    axes.axis("off")


def _draw_gate(axes: Any, gate: Gate, x: float, top: float) -> None:
    wires = [top + qubit for qubit in gate.qubits]
    if len(wires) > 1:
        axes.plot([x, x], [min(wires), max(wires)], color=INK, linewidth=1.3, zorder=2)
    if gate.name == "SWAP":
        axes.plot([x, x], wires, "x", color=INK, ms=9, mew=1.8, zorder=4)
        return
    controls = _CONTROLS.get(gate.name, 0)
    axes.plot([x] * controls, wires[:controls], "o", color=INK, ms=7, zorder=4)
    if gate.name == "CZ":
        axes.plot([x], wires[1:], "o", color=INK, ms=7, zorder=4)
    elif controls:
        axes.plot([x], [wires[-1]], "o", color="white", mec=INK, mew=1.5, ms=16, zorder=4)
        axes.plot([x], [wires[-1]], "+", color=INK, ms=15, mew=1.5, zorder=5)
    else:
        _draw_box(axes, gate, x, wires)


def _draw_box(axes: Any, gate: Gate, x: float, wires: list[float]) -> None:
    from matplotlib.patches import FancyBboxPatch

    half = _BOX if _width(gate) == CELL else 0.69
    low, high = min(wires) - _BOX, max(wires) + _BOX
    box = FancyBboxPatch(
        (x - half, low), 2 * half, high - low, boxstyle="round,pad=0,rounding_size=0.07",
        facecolor="#eaf2f9", edgecolor=BLUE, linewidth=1.3, zorder=3,
    )  # fmt: skip
    axes.add_patch(box)
    axes.text(x, (low + high) / 2, _label(gate), ha="center", va="center_baseline", fontsize=11.5, zorder=4)


def _label(gate: Gate) -> str:
    if gate.angle is None:
        return gate.name if gate.name.startswith("$") else rf"$\mathrm{{{gate.name}}}$"
    name = "P" if gate.name == "PHASE" else f"{gate.name[0]}_{gate.name[1].lower()}"
    return rf"${name}({_angle(gate.angle)})$"


def _angle(angle: float) -> str:
    """Return an angle as a fraction of π where it is one, otherwise in radians."""
    for below in (1, 2, 3, 4, 6, 8):
        above = angle * below / pi
        if abs(above - round(above)) < 1e-9 and abs(above) < 20:
            whole = round(above)
            if whole == 0:
                return "0"
            sign, count = "-" if whole < 0 else "", "" if abs(whole) == 1 else str(abs(whole))
            return rf"{sign}{count}\pi" + ("" if below == 1 else f"/{below}")
    return f"{angle:.2f}" if abs(angle) >= 0.1 else f"{angle:.1g}"


def draw_probabilities(axes: Any, probabilities: Array, names: Sequence[str], marked: Sequence[int] = ()) -> None:
    """Draw probabilities of basis states as bars; of many only the likeliest, which the title then says."""
    order = np.arange(len(names))
    if len(names) > BARS:
        order = np.sort(np.argsort(probabilities, kind="stable")[::-1][:BARS])
        axes.set_title(f"the {BARS} likeliest of {len(names)} states")
    colours = [COLOURS[1] if index in marked else BLUE for index in order]
    axes.bar(range(len(order)), probabilities[order], color=colours, width=0.65)
    turned = len(order) * len(names[-1]) > 24
    axes.set_xticks(
        range(len(order)), [rf"$|{names[int(index)]}\rangle$" for index in order], rotation=60 if turned else 0
    )
    top = float(probabilities.max())
    axes.set(ylabel="probability", xlim=(-0.6, len(order) - 0.4), ylim=(0, min(1.05, 1.15 * top)))
    axes.grid(axis="x", visible=False)
