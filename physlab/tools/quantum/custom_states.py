"""States of a Hamiltonian that the user wrote: of x and p on a grid, of Pauli and ladder operators, or a matrix."""

from __future__ import annotations

import json
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np

from physlab.errors import PhysicsError, ValidationError
from physlab.expressions import parse
from physlab.tools.context import Context
from physlab.tools.figures import COLOURS, QUIET, drawing, save_series, save_static
from physlab.tools.quantum.circuit_drawing import draw_probabilities
from physlab.tools.quantum.grid import EDGE, Hamiltonian, Levels, find_grid, uncertainty
from physlab.tools.quantum.grid import Grid as Line
from physlab.tools.quantum.kets import read_number
from physlab.tools.quantum.operator_names import Reading, names_in, read_operator
from physlab.tools.quantum.operators import Space, build, is_hermitian, trim
from physlab.tools.quantum.params import SolveParams
from physlab.tools.quantum.qubits import labels
from physlab.tools.registry import Port
from physlab.tools.types import Array

PORTS = (
    Port("eigenvalues", "array", None, "Custom: energies from the ground state upwards."),
    Port("ground_state_energy", "number", None, "Custom, vqe: the lowest energy."),
    Port("excited_state_energies", "array", None, "Custom: the other energies."),
    Port("ground_state", "array", None, "Custom: ψ of the ground state on x, or its amplitudes."),
    Port("states", "array", None, "Custom: states, one a row."),
    Port("degeneracy", "number", None, "Custom: states that share the lowest energy."),
    Port("energy_uncertainty", "array", None, "Custom: change of each energy on a coarser, narrower grid or basis."),
    Port("representation", "text", None, "Custom: grid, qubits, oscillator or matrix."),
)
MOST_POINTS = 701
SHOWN = 8
_LIST_HINT = (
    "Write x and p (p^2/2 + x^4), Pauli operators (Z0*Z1 + 0.5*X0), ladder operators, or a matrix [[1, 0], [0, -1]]."
)


def solve_custom(params: SolveParams, context: Context) -> dict[str, Any]:
    """Return the lowest states of the user's Hamiltonian."""
    given = params.hamiltonian
    if isinstance(given, str) and given.strip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise ValidationError(f"hamiltonian = {given!r} is no matrix in JSON.", hint=_LIST_HINT) from error
    if not isinstance(given, str):
        return _finite(_matrix(given, context), params, context, "matrix", None)
    values = {**params.vars, **{"hbar": params.hbar, "mass": params.mass, "m": params.mass, "omega": params.omega}}
    if params.dimension is None:
        names = names_in(given, values)
        if names and names <= {"x", "p"}:
            return _on_grid(params, context, values)
    reading = read_operator(given, values)
    if "ladder" in reading.kinds and params.dimension is None:
        raise ValidationError(
            f"The Hamiltonian {given!r} holds ladder operators, whose space must end somewhere.",
            hint="Give dimension, the number of oscillator levels, for instance 40.",
        )
    return _of_operators(reading, params, context, values)


def _matrix(given: Any, context: Context) -> Array:
    rows = list(given) if isinstance(given, list | tuple | np.ndarray) else []
    if isinstance(given, dict) and set(given) == {"real", "imag"}:
        matrix = np.asarray(given["real"], dtype=float) + 1j * np.asarray(given["imag"], dtype=float)
    elif not rows or any(not isinstance(row, list | tuple | np.ndarray) or len(row) != len(rows) for row in rows):
        raise ValidationError("hamiltonian is not a square matrix.", hint=_LIST_HINT)
    else:
        context.enforce("dimension", len(rows), "the dimension of the Hamiltonian")
        matrix = np.array([[read_number(item) for item in row] for row in rows])
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
        raise ValidationError("hamiltonian is not a square matrix of finite numbers.", hint=_LIST_HINT)
    return matrix


def _of_operators(reading: Reading, params: SolveParams, context: Context, values: dict[str, float]) -> dict[str, Any]:
    def admit(dimension: int) -> None:
        context.enforce("dimension", dimension, "the dimension of the Hamiltonian")

    levels = params.dimension or 2
    sites = max(reading.sites, params.num_qubits or 0) if reading.sites else 0
    space = Space(
        levels, values, sites=sites, admit=admit, scale_x=sqrt(params.hbar / (2 * params.mass * params.omega)),
        scale_p=sqrt(params.hbar * params.mass * params.omega / 2),
    )  # fmt: skip
    (operator,) = build([reading], space)
    matrix = trim(operator, levels)
    if all(size > 0 for size in operator.spaces):
        return _finite(matrix, params, context, "qubits", None)
    (wide,) = build([reading], replace(space, dimension=levels + levels // 4 + 2))
    return _finite(matrix, params, context, "oscillator", trim(wide, levels + levels // 4 + 2))


def _finite(matrix: Array, params: SolveParams, context: Context, kind: str, wider: Array | None) -> dict[str, Any]:
    if not is_hermitian(matrix):
        off = float(np.abs(matrix - matrix.conj().T).max())
        raise PhysicsError(
            f"The Hamiltonian is not Hermitian (H − H† reaches {off:.3g}): its energies would not be real.",
            hint="Add the Hermitian conjugate, for instance a + a_dag, or H + dag(H).",
        )
    energies, vectors = np.linalg.eigh(matrix)
    states = np.array([vector * _real_phase(vector) for vector in vectors.T])
    context.meta.update(dtype="complex128", dimension=len(matrix))
    fields = {"representation": kind, "parameters": _parameters(params, kind)}
    shown = len(energies)
    if wider is not None:
        moved = np.abs(np.linalg.eigvalsh(wider)[: len(energies)] - energies)
        shown = min(params.count, len(energies))
        fields["energy_uncertainty"] = moved[:shown]
        context.meta["convergence"] = {
            "dimension": len(matrix), "compared_with": len(wider),
            "change_of_the_shown_energies": float(moved[:shown].max()),
        }  # fmt: skip
        _warn(moved[:shown], energies, "dimension", context)
    names = labels(len(matrix)) if kind != "oscillator" else [str(k) for k in range(len(matrix))]
    fields |= _energies(energies[:shown], states[:shown])
    return fields | {"units": {"energy": "that of the Hamiltonian"}} | _show_finite(params, fields, names, context)


def _energies(energies: Array, states: Array) -> dict[str, Any]:
    scale = max(float(np.abs(energies).max()), 1e-300)
    return {
        "eigenvalues": energies, "energy_levels": energies, "ground_state_energy": float(energies[0]),
        "excited_state_energies": energies[1:], "ground_state": states[0], "states": states,
        "degeneracy": int(np.count_nonzero(energies - energies[0] <= 1e-9 * scale)),
    }  # fmt: skip


def _on_grid(params: SolveParams, context: Context, values: dict[str, float]) -> dict[str, Any]:
    from scipy.integrate import trapezoid

    hamiltonian = Hamiltonian(parse(str(params.hamiltonian), ("x", "p", *values)), values)
    count = max(params.count, (params.n or 0) + 1)
    if params.grid_points:
        context.enforce("dimension", params.grid_points, "grid_points")
    start = 6 * sqrt(params.hbar / (params.mass * params.omega))
    if params.x_min is not None and params.x_max is not None:
        points = params.grid_points or max(401, 4 * count)
        found = hamiltonian.solve(Line(params.x_min, params.x_max, points | 1, params.hbar), count)
    else:
        found = find_grid(hamiltonian, count, params.grid_points or MOST_POINTS, params.hbar, start)
    if len(found.energies) < count:
        if params.level >= len(found.energies):
            raise PhysicsError(
                f"n = {params.level}: only {len(found.energies)} states of {params.hamiltonian!r} are bound.",
                hint=f"Use n = 0 to {len(found.energies) - 1}.",
            )
        context.warn(
            f"Only {len(found.energies)} of the {count} levels that were asked for are bound; the others are left out."
        )
        count = len(found.energies)
    moved, convergence = uncertainty(hamiltonian, found)
    context.meta.update(samples=found.grid.points, dtype=str(found.states.dtype), convergence=convergence)
    x, n = found.grid.x, params.level
    if float(found.edge.max()) > EDGE:
        context.warn(
            f"States reach the ends of the grid ({found.grid.low:.4g} to {found.grid.high:.4g}), where it closes into a"
            " ring: they are not bound, or the grid is too narrow. Set x_min and x_max, or ask for fewer levels."
        )
    _warn(moved, found.energies, "grid", context)
    density = np.abs(found.states[n]) ** 2
    fields = {
        "representation": "grid", "parameters": _parameters(params, "grid"), **_energies(found.energies, found.states),
        "energy_uncertainty": moved, "energy": float(found.energies[n]), "x": x, "psi": found.states[n],
        "ground_state_x": x, "ground_state_psi": found.states[0],
        "wavefunctions": [
            {"n": k, "x": x, "psi": found.states[k], "energy": float(found.energies[k])} for k in range(min(3, count))
        ],
        "mean_x": float(trapezoid(x * density, x)), "mean_x2": float(trapezoid(x**2 * density, x)),
        "units": {"energy": "that of the Hamiltonian", "x": "that of x in the Hamiltonian", "psi": "x^-1/2"},
    }  # fmt: skip
    return fields | _show_grid(params, hamiltonian, found, context)


def _warn(moved: Array, energies: Array, what: str, context: Context) -> None:
    scale = max(float(np.ptp(energies[: len(moved)])), float(np.abs(energies[0])), 1e-300)
    poor = np.flatnonzero(moved > 1e-6 * scale)
    if len(poor):
        context.warn(
            f"The energies from level {poor[0]} on still move by up to {moved.max():.2g} with the {what}: enlarge it,"
            " or trust them only to energy_uncertainty."
        )


def _real_phase(vector: Array) -> complex:
    largest = vector[np.argmax(np.abs(vector) > 0.5 * np.abs(vector).max())]
    return complex(np.conj(largest) / abs(largest))


def _parameters(params: SolveParams, kind: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"hamiltonian": params.hamiltonian, **params.vars}
    if kind in ("grid", "oscillator"):
        shown |= {"hbar": params.hbar, "mass": params.mass, "omega": params.omega}
    return shown | ({"dimension": params.dimension} if kind == "oscillator" else {})


def _show_finite(params: SolveParams, fields: dict[str, Any], names: list[str], context: Context) -> dict[str, Any]:
    """Draw the levels and the ground state's probabilities."""
    energies, ground, shown = fields["eigenvalues"], fields["ground_state"], dict[str, Any]()
    caption = f"Energies and ground-state probabilities of {_name(params)}."
    chance = np.abs(ground) ** 2
    if context.wants("static"):
        with drawing(9, 4.6, params.dpi) as figure:
            left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
            for k, energy in enumerate(energies[:64]):
                left.plot([0.1, 0.9], [energy, energy], color=COLOURS[k % len(COLOURS)])
            left.set(xlim=(0, 1), xticks=[], ylabel="energy", title="levels")
            left.margins(y=0.08)
            left.grid(False)
            draw_probabilities(right, chance, names)
            right.set_title("ground state" + (f", {right.get_title()}" if right.get_title() else ""))
            shown |= save_static(context, figure, "custom_levels", caption)
    if context.wants("series"):
        columns = {"level": np.arange(len(energies)), "energy": energies}
        shown |= save_series(context, columns, "custom_levels", f"Energies of {_name(params)}.")
    return shown


def _name(params: SolveParams) -> str:
    text = params.hamiltonian
    return f"H = {text}" if isinstance(text, str) and len(text) <= 80 else "the given Hamiltonian"


def _show_grid(params: SolveParams, hamiltonian: Hamiltonian, found: Levels, context: Context) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    count = min(SHOWN, len(found.energies))
    x, some = found.grid.x, "" if count == len(found.energies) else f" the lowest {count} of {len(found.energies)}"
    caption = f"Energy levels and wave functions of {_name(params)}:{some} states n = 0 to {count - 1}."
    if context.wants("static"):
        with drawing(7.5, 6, params.dpi) as figure:
            _draw_ladder(figure.add_subplot(), hamiltonian, found, count)
            shown |= save_static(context, figure, "custom_states", caption)
    if context.wants("series"):
        columns: dict[str, Array] = {"x": x}
        for k, state in enumerate(found.states[:count]):
            parts = (
                {f"psi_{k}": state}
                if state.dtype.kind == "f"
                else {f"Re psi_{k}": state.real, f"Im psi_{k}": state.imag}
            )
            columns |= parts
        shown |= save_series(context, columns, "custom_states", caption)
    return shown


def _draw_ladder(axes: Any, hamiltonian: Hamiltonian, found: Levels, count: int) -> None:
    """Draw the real part of every ψ_n around its energy, and H(x, p = 0) where that is a potential."""
    x, energies = found.grid.x, found.energies[:count]
    gaps = np.diff(energies) if count > 1 else np.array([abs(energies[0]) or 1.0])
    typical = (
        float(np.median(gaps[gaps > 0.1 * gaps.max()] if gaps.max() else gaps)) or float(np.ptp(energies)) / 5 or 1.0
    )
    states = found.states[:count].real
    height = 0.5 * typical / float(np.abs(states).max())
    potential = np.broadcast_to(
        hamiltonian.expression.evaluate(**{**hamiltonian.values, "x": x, "p": 0.0}), x.shape
    ).real
    low = min(float(potential.min()), float(energies[0]) - typical)
    low = max(low, float(energies[0]) - 1.5 * float(np.ptp(energies) + typical))
    axes.plot(x, potential, color=QUIET, linewidth=1.3)
    seen = x[np.any(np.abs(states) > 2e-3 * np.abs(states).max(), axis=0)]
    for k, (energy, psi) in enumerate(zip(energies, states, strict=True)):
        colour = COLOURS[k % len(COLOURS)]
        axes.axhline(energy, color=colour, linewidth=0.8, alpha=0.55)
        axes.plot(x, energy + height * psi, color=colour)
        axes.fill_between(x, energy, energy + height * psi, color=colour, alpha=0.12, linewidth=0)
    top = float(energies[-1]) + typical
    _label_levels(axes, energies, 0.035 * (top - low))
    axes.set(
        xlim=(seen[0], seen[-1]),
        ylim=(low - 0.02 * (top - low), top),
        xlabel="$x$",
        ylabel=r"energy, and $\psi_n(x)$ around it",
    )
    axes.grid(False)


def _label_levels(axes: Any, energies: Array, apart: float) -> None:
    """Write n beside each level; levels that almost touch share a line."""
    groups: list[list[int]] = []
    for k, energy in enumerate(energies):
        if groups and energy - energies[groups[-1][0]] < apart:
            groups[-1].append(k)
        else:
            groups.append([k])
    for group in groups:
        text = rf"$n = {', '.join(map(str, group))}$"
        axes.annotate(
            text, (1.01, float(np.mean(energies[group]))), xycoords=("axes fraction", "data"), va="center",
            color=COLOURS[group[0] % len(COLOURS)],
        )  # fmt: skip
