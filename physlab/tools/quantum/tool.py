"""Quantum mechanics: bound states and how they move, operators, pictures of states, and simulated circuits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from physlab.model import Visuals
from physlab.tools.context import Context
from physlab.tools.figures import IMPORTS, SERIES_PORTS, STATIC_PORTS
from physlab.tools.movie import ANIMATION_PORTS
from physlab.tools.quantum import (
    custom_states,
    gate_problems,
    hydrogen_motion,
    hydrogen_states,
    variational_problems,
    well_states,
)
from physlab.tools.quantum import ops as quantum_ops
from physlab.tools.quantum import pictures as quantum_pictures
from physlab.tools.quantum.params import EvolveParams, SolveParams, merge_nested
from physlab.tools.registry import Port, registry

PROBLEMS: dict[str, Callable[[SolveParams, Context], dict[str, Any]]] = {
    "hydrogen": hydrogen_states.solve_hydrogen,
    "sho": well_states.solve_oscillator,
    "particle_in_box": well_states.solve_box,
    "custom": custom_states.solve_custom,
    "bell_state": gate_problems.solve_bell,
    "teleportation": gate_problems.solve_teleportation,
    "grover": gate_problems.solve_grover,
    "vqe": variational_problems.solve_vqe,
    "qaoa": variational_problems.solve_qaoa,
}


def expand(raw: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    """Lift a nested `params` object before its references are looked for."""
    return dict(merge_nested(raw))


registry.tool(
    "quantum",
    summary="Bound states and their motion, operators, pictures of states, and simulated quantum circuits.",
    discriminator="action",
)


@registry.method(
    "quantum",
    "solve",
    params=SolveParams,
    returns=(
        Port("problem", "text"),
        Port("parameters", "object", None, "The parameters that were used."),
        Port("x", "array", None, "Positions of psi; the radial grid r [a_0] for hydrogen."),
        Port("psi", "array", None, "The wave function of the state n on x; R_nl(r) for hydrogen."),
        *hydrogen_states.PORTS,
        *well_states.PORTS,
        *custom_states.PORTS,
        *gate_problems.PORTS,
        *variational_problems.PORTS,
        Port("units", "object", None, "Unit of each field."),
        *STATIC_PORTS,
        *SERIES_PORTS,
    ),
    can=Visuals(static=True, series=True, animation=False),
    caps={
        "samples": "samples",
        "density_samples": "surface",
        "grid_points": "dimension",
        "dimension": "dimension",
        "num_qubits": "qubits",
    },
    expand=expand,
    libraries=("numpy", "scipy", "matplotlib"),
    imports=(*IMPORTS, "scipy.special"),
)
def solve(params: SolveParams, context: Context) -> dict[str, Any]:
    """Solve a problem: bound states and their energies, or a simulated quantum circuit, with a figure.

    Args:
        params: The problem and its parameters.
        context: The surroundings of the call.

    Returns:
        `psi` is what a function plot draws against `x`: R_nl(r) [a_0^-3/2] for hydrogen, ψ_n(x) otherwise.
        Which of the other fields a reply holds depends on the problem.
    """
    return {"problem": params.problem, **PROBLEMS[params.problem](params, context)}


@registry.method(
    "quantum",
    "evolve",
    params=EvolveParams,
    returns=(
        Port("problem", "text"),
        Port("parameters", "object", None, "The parameters that were used."),
        *hydrogen_motion.PORTS,
        Port("units", "object", None, "Unit of each field."),
        *STATIC_PORTS,
        *SERIES_PORTS,
        *ANIMATION_PORTS,
    ),
    can=Visuals(static=True, series=True, animation=True),
    caps={"frames": "frames", "samples": "surface"},
    expand=expand,
    time_limit_s=30.0,
    libraries=("numpy", "scipy", "matplotlib", "imageio-ffmpeg"),
    imports=(*IMPORTS, "scipy.special"),
    extent=hydrogen_motion.evolve_extent,
)
def evolve(params: EvolveParams, context: Context) -> dict[str, Any]:
    """Let a superposition of hydrogen states evolve: its beat, ⟨z⟩(t), and a film of the density.

    Args:
        params: The states, and how long to watch them.
        context: The surroundings of the call.

    Returns:
        Times [fs], ⟨z⟩ [a_0], the beat period [fs], and the film.
    """
    return {"problem": params.problem, **hydrogen_motion.evolve_hydrogen(params, context)}


@registry.method(
    "quantum",
    "ops",
    params=quantum_ops.OpsParams,
    returns=quantum_ops.PORTS,
    caps={"dimension": "dimension"},
    expand=expand,
    libraries=("numpy", "scipy"),
)
def ops(params: quantum_ops.OpsParams, context: Context) -> dict[str, Any]:
    """Return operators as matrices with their properties, or the commutator of two.

    Args:
        params: The operators and the task.
        context: The surroundings of the call.

    Returns:
        Complex matrices; those of an oscillator hold the exact elements between its lowest levels.
    """
    return quantum_ops.operate(params, context)


@registry.method(
    "quantum",
    "visualize",
    params=quantum_pictures.VisualizeParams,
    returns=quantum_pictures.PORTS,
    can=Visuals(static=True, series=True, animation=False),
    expand=expand,
    libraries=("numpy", "scipy", "matplotlib"),
    imports=IMPORTS,
    kind="plot",
)
def visualize(params: quantum_pictures.VisualizeParams, context: Context) -> dict[str, Any]:
    """Show a state: Bloch spheres, probabilities, or a circuit that makes it.

    Args:
        params: The state and the kind of picture.
        context: The surroundings of the call.

    Returns:
        The normalised state, what the picture shows as numbers, and the picture.
    """
    return quantum_pictures.picture(params, context)
