"""Pictures of a state: Bloch spheres, probabilities, and the circuit that makes it."""

from __future__ import annotations

import re
from math import acos, atan2
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from physlab.errors import ValidationError, nearest
from physlab.tools.context import Context
from physlab.tools.figures import BLUE, drawing, save_series, save_static
from physlab.tools.quantum.bloch import draw_sphere
from physlab.tools.quantum.circuit_drawing import draw_circuit, draw_probabilities, size
from physlab.tools.quantum.kets import ket_text, normalise, qubit_count, read_number, read_state
from physlab.tools.quantum.params import lift_spellings
from physlab.tools.quantum.qubits import (
    GATES,
    SPELLINGS,
    TURNS,
    Circuit,
    Gate,
    basis_state,
    bloch_vector,
    labels,
    prepare,
    reduced,
)
from physlab.tools.registry import Port
from physlab.tools.types import Array, VisualParams

SPHERES = 8
CURVE = 64  # amplitudes from which probabilities are a curve
PORTS = (
    Port("visualization", "text", None, "The kind of picture."),
    Port("state", "array", None, "Normalised amplitudes, qubit 0 the most significant bit."),
    Port("ket", "text", None, "The same as kets."),
    Port("norm", "number", None, "Norm of the amplitudes as they were given."),
    Port("normalised", "boolean", None, "True when the state was given with another norm than 1."),
    Port("bloch_vector", "object", None, "One qubit: {x, y, z}."),
    Port("bloch_vectors", "list", None, "Each qubit: {x, y, z, length}; length below 1 for an entangled one."),
    Port("theta", "number", "rad", "One qubit: angle from |0>."),
    Port("phi", "number", "rad", "One qubit: angle around the axis, from x."),
    Port("probabilities", "array", None, "Probability of each basis state; density |ψ(x)|² where x is given."),
    Port("basis", "list", None, "Names of the basis states."),
    Port("circuit_description", "text", None, "Circuit: its gates from left to right."),
    Port("circuit_depth", "number", None, "Circuit: gates that stand one after the other."),
    Port("fidelity", "number", None, "Circuit that prepares the state: |⟨state|prepared⟩|²."),
    Port("image", "image", None, "The figure as PNG."),
    Port("svg", "image", None, "The figure as SVG."),
    Port("thumbnails", "list", None, "Small PNGs."),
    Port("format", "text", None, "Format of `image`: png."),
    Port("csv_path", "file", None, "The series as CSV."),
)
_GATE = re.compile(r"\s*([A-Za-z_]+)\s*(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?\s*([\d\s,]*)$")


class VisualizeParams(VisualParams):
    """A state, and how to show it."""

    kind: Literal["bloch", "prob_density", "circuit"] = Field("bloch", description="bloch, prob_density or circuit.")
    state: Any = Field(
        None, description="Amplitudes (`1, i`), kets (`|0> + i|1>`, `(|00>+|11>)/sqrt(2)`), or a list; normalised."
    )
    x: Any = Field(None, description="prob_density: positions of ψ(x), evenly spaced or not; state is then ψ on them.")
    circuit: Any = Field(
        None, description="circuit: gates such as `H 0; CNOT 0,1; RY(pi/2) 1`; default: one that prepares the state."
    )
    dpi: int = Field(150, ge=50, le=600, description="Resolution of the PNG [pixels per inch].")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        return lift_spellings(data, {})

    @model_validator(mode="after")
    def _complete(self) -> VisualizeParams:
        if self.state is None and (self.kind != "circuit" or self.circuit is None):
            raise ValueError("state is missing: write for instance |0> + i|1>, or 1, i")
        if self.circuit is not None and self.kind != "circuit":
            raise ValueError(f"circuit means nothing to kind {self.kind}")
        if self.x is not None and self.kind != "prob_density":
            raise ValueError(f"x means nothing to kind {self.kind}")
        return self


def picture(params: VisualizeParams, context: Context) -> dict[str, Any]:
    """Return a state's numbers, and draw it."""
    if params.kind == "circuit" and params.circuit is not None:
        return _given_circuit(params, context)
    if params.x is not None:
        return _density(params, context)
    state, fields = _normal(read_state(params.state), params, context)
    fields["basis"] = labels(len(state))
    fields["ket"] = ket_text(state, fields["basis"])
    fields["probabilities"] = np.abs(state) ** 2
    context.enforce("samples", len(state), "the number of amplitudes")
    return fields | {"bloch": _bloch, "prob_density": _probabilities, "circuit": _preparation}[params.kind](
        state, fields, params, context
    )


def _normal(raw: Array, params: VisualizeParams, context: Context) -> tuple[Array, dict[str, Any]]:
    state, norm = normalise(raw)
    changed = abs(norm - 1) > 1e-9
    if changed:
        context.warn(f"The state had the norm {norm:.6g} and was normalised.")
    context.meta.update(dtype="complex128")
    fields = {
        "visualization": params.kind, "state": state, "norm": norm, "normalised": changed, "format": "png",
    }  # fmt: skip
    return state, fields


def _bloch(state: Array, fields: dict[str, Any], params: VisualizeParams, context: Context) -> dict[str, Any]:
    count = qubit_count(state)
    if count > SPHERES:
        raise ValidationError(
            f"{count} qubits do not fit into one picture.", hint=f"Show at most {SPHERES}, or prob_density."
        )
    vectors = [bloch_vector(reduced(state, (qubit,))) for qubit in range(count)]
    listed = [{**_xyz(vector), "length": float(np.linalg.norm(vector))} for vector in vectors]
    found: dict[str, Any] = {"bloch_vectors": listed}
    if count == 1:
        x, y, z = vectors[0]
        found |= {"bloch_vector": _xyz(vectors[0]), "theta": acos(max(-1.0, min(1.0, z))), "phi": atan2(y, x)}
    caption = f"Bloch {'sphere' if count == 1 else 'spheres of the single qubits'} of {fields['ket']}."
    if context.wants("static"):
        across = min(count, 4)
        down = -(-count // across)
        with drawing(4.6 if count == 1 else 3.6 * across, (4.9 if count == 1 else 4.0) * down, params.dpi) as figure:
            for qubit, axes in enumerate(figure.subplots(down, across, squeeze=False).flat):
                axes.axis("off")
                if qubit < count:
                    title = (
                        _title(vectors[qubit])
                        if count == 1
                        else rf"qubit {qubit}, $|\vec r| = {listed[qubit]['length']:.3g}$"
                    )
                    draw_sphere(axes, vectors[qubit], title)
            found |= save_static(context, figure, "bloch", caption, png_field="image")
    if context.wants("series"):
        rows = np.array(vectors).T
        columns = {"qubit": np.arange(count), **dict(zip("xyz", rows, strict=True))}
        found |= save_series(context, columns, "bloch", f"Bloch vectors of {fields['ket']}.")
    return found


def _xyz(vector: Array) -> dict[str, float]:
    return {name: float(value) for name, value in zip("xyz", vector, strict=True)}


def _title(vector: Array) -> str:
    x, y, z = (value + 0.0 if abs(value) > 5e-4 else 0.0 for value in vector)
    return rf"$\vec r = ({x:.3f},\ {y:.3f},\ {z:.3f})$"


def _probabilities(state: Array, fields: dict[str, Any], params: VisualizeParams, context: Context) -> dict[str, Any]:
    chance, names, shown = fields["probabilities"], fields["basis"], dict[str, Any]()
    what = fields["ket"] if len(fields["ket"]) <= 80 else f"a state of {len(state)} amplitudes"
    caption = f"Probabilities of the basis states of {what}."
    if context.wants("static"):
        with drawing(7.5, 4.4, params.dpi) as figure:
            axes = figure.add_subplot()
            if len(chance) > CURVE and len(chance) != 2 ** (len(chance).bit_length() - 1):
                axes.plot(chance, color=BLUE)
                axes.set(xlabel="basis state", ylabel="probability")
            else:
                draw_probabilities(axes, chance, names)
            shown |= save_static(context, figure, "probabilities", caption, png_field="image")
    if context.wants("series"):
        columns = {"state": np.array([f"|{name}>" for name in names]), "probability": chance,
                   "Re": state.real, "Im": state.imag}  # fmt: skip
        shown |= save_series(context, columns, "probabilities", caption)
    return shown


def _density(params: VisualizeParams, context: Context) -> dict[str, Any]:
    """Return |ψ(x)|² of a wave function on points."""
    from scipy.integrate import trapezoid

    x, raw = np.asarray(params.x, dtype=float), read_state(params.state)
    context.enforce("samples", len(raw), "the number of points")
    if x.shape != raw.shape or not np.isfinite(x).all() or not (np.diff(x) > 0).all():
        raise ValidationError(
            f"x has the shape {x.shape} and the state {raw.shape}.",
            hint="Give one increasing position for each amplitude.",
        )
    norm = float(np.sqrt(trapezoid(np.abs(raw) ** 2, x)))
    if norm < 1e-150:
        normalise(np.zeros(2))
    fields: dict[str, Any] = {
        "visualization": params.kind, "state": raw / norm, "norm": norm, "normalised": abs(norm - 1) > 1e-3,
        "format": "png",
        "probabilities": np.abs(raw / norm) ** 2,
    }  # fmt: skip
    if fields["normalised"]:
        context.warn(f"∫|ψ|²dx was {norm**2:.6g}; the wave function was normalised.")
    context.meta.update(dtype="complex128", samples=len(x))
    caption = f"Probability density on {len(x)} points from {x[0]:.4g} to {x[-1]:.4g}."
    if context.wants("static"):
        with drawing(7.5, 4.4, params.dpi) as figure:
            axes = figure.add_subplot(xlabel="$x$", ylabel=r"$|\psi(x)|^2$")
            axes.plot(x, fields["probabilities"], color=BLUE)
            axes.fill_between(x, fields["probabilities"], color=BLUE, alpha=0.13, linewidth=0)
            axes.set_ylim(0, 1.08 * float(fields["probabilities"].max()))
            fields |= save_static(context, figure, "density", caption, png_field="image")
    if context.wants("series"):
        fields |= save_series(context, {"x": x, "|psi|^2": fields["probabilities"]}, "density", caption)
    return fields


def _preparation(state: Array, fields: dict[str, Any], params: VisualizeParams, context: Context) -> dict[str, Any]:
    count = qubit_count(state)
    if count > 6:
        raise ValidationError(
            f"A circuit that prepares {count} qubits has about {2 ** (count + 1)} gates and cannot be drawn.",
            hint="Draw at most 6 qubits, or give the circuit itself.",
        )
    circuit = prepare(state)
    fidelity = float(abs(np.vdot(state, circuit.run())) ** 2)
    caption = f"Circuit that prepares {fields['ket']} from |{'0' * count}>, and the probabilities of its basis states."
    found = {"circuit_description": str(circuit), "circuit_depth": circuit.depth, "fidelity": fidelity}
    return found | _show_circuit(circuit, fields["probabilities"], caption, params, context)


def _given_circuit(params: VisualizeParams, context: Context) -> dict[str, Any]:
    gates = read_gates(params.circuit)
    count = 1 + max(qubit for gate in gates for qubit in gate.qubits)
    start, inputs = None, None
    if params.state is not None:
        start, _ = _normal(read_state(params.state), params, context)
        if qubit_count(start) < count:
            raise ValidationError(
                f"The circuit has {count} qubits and the state {qubit_count(start)}.",
                hint="Give a state of as many qubits.",
            )
        count = qubit_count(start)
        inputs = [rf"$q_{{{qubit}}}$" for qubit in range(count)]
    context.enforce("qubits", count, "the number of qubits")
    circuit = Circuit(count, tuple(gates))
    state = circuit.run(basis_state(0, count) if start is None else start)
    state, fields = _normal(state, params, context)
    names = labels(len(state))
    fields |= {
        "basis": names, "ket": ket_text(state, names), "probabilities": np.abs(state) ** 2,
        "circuit_description": str(circuit), "circuit_depth": circuit.depth,
    }  # fmt: skip
    caption = f"Circuit of {len(gates)} gates on {count} qubits, and the probabilities of the basis states at its end."
    return fields | _show_circuit(circuit, fields["probabilities"], caption, params, context, inputs)


def read_gates(given: Any) -> list[Gate]:
    """Read `H 0; CNOT 0,1; RY(pi/2) 1`, a list of such texts, or of {gate, qubits, angle}.

    Raises:
        ValidationError: A gate is unknown, or its qubits or angle do not fit it.
    """
    items = [item for item in re.split(r"[;\n]", given) if item.strip()] if isinstance(given, str) else given
    if not isinstance(items, list | tuple) or not items:
        raise ValidationError(f"circuit = {given!r} has no gates.", hint="Write for instance H 0; CNOT 0,1.")
    return [_gate(item) for item in items]


def _gate(item: Any) -> Gate:
    if isinstance(item, dict):
        name, angle, qubits = str(item.get("gate", "")), item.get("angle"), item.get("qubits", ())
        wires = [qubits] if isinstance(qubits, int) else list(qubits)
    else:
        match = _GATE.fullmatch(str(item))
        if match is None:
            raise ValidationError(f"The gate {item!r} cannot be read.", hint="Write H 0, CNOT 0,1 or RY(pi/2) 1.")
        name, inside = match[1], match[2]
        turns = SPELLINGS.get(name.upper(), name.upper()) in TURNS
        angle = inside if turns else None
        places = re.split(r"[\s,]+", ((match[3] or "") if turns else f"{inside or ''} {match[3] or ''}").strip())
        if not all(place.isdecimal() for place in places):
            raise ValidationError(f"The gate {item!r} names no qubits.", hint="Write H 0, CNOT 0,1 or RY(pi/2) 1.")
        wires = [int(place) for place in places]
    name = SPELLINGS.get(name.upper(), name.upper())
    if name not in GATES and name not in TURNS:
        raise ValidationError(f"The gate '{name}' is unknown.", hint=nearest(name, (*GATES, *TURNS)))
    wanted = 1 if name in TURNS else len(GATES[name]).bit_length() - 1
    if len(wires) != wanted or len(set(wires)) < wanted or any(type(k) is not int or not 0 <= k < 64 for k in wires):
        raise ValidationError(f"The gate {item!r} needs {wanted} different qubit(s).", hint="Qubits are 0, 1, 2, …")
    if (angle is None) != (name not in TURNS):
        raise ValidationError(
            f"The gate {item!r} {'needs an' if angle is None else 'takes no'} angle.", hint="Write RY(pi/2) 0."
        )
    if angle is None:
        return Gate(name, tuple(wires))
    value = read_number(angle)
    if value.imag:
        raise ValidationError(f"The gate {item!r} turns by an angle that is not real.", hint="Give radians.")
    return Gate(name, tuple(wires), value.real)


def _show_circuit(
    circuit: Circuit, chance: Array, caption: str, params: VisualizeParams, context: Context,
    inputs: list[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    shown, names = dict[str, Any](), labels(len(chance))
    if context.wants("static"):
        wide, high = size(circuit)
        with drawing(max(6.5, wide), high + 3.0, params.dpi) as figure:
            above, below = figure.subplots(2, 1, height_ratios=(high + 0.2, 2.6))
            draw_circuit(above, circuit, inputs)
            draw_probabilities(below, chance, names)
            shown |= save_static(context, figure, "circuit", caption, png_field="image")
    if context.wants("series"):
        columns = {"state": np.array([f"|{name}>" for name in names]), "probability": chance}
        shown |= save_series(context, columns, "circuit", f"Probabilities: {caption}")
    return shown
