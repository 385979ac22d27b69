"""Quantum mechanics with known answers: bound states, and how superpositions of them move."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from physlab.model import Visuals
from physlab.tools import hydrogen_motion, hydrogen_states, well_states
from physlab.tools.context import Context
from physlab.tools.figures import IMPORTS, SERIES_PORTS, STATIC_PORTS
from physlab.tools.movie import ANIMATION_PORTS
from physlab.tools.quantum_params import EvolveParams, SolveParams, merge_nested
from physlab.tools.registry import Port, registry

PROBLEMS: dict[str, Callable[[SolveParams, Context], dict[str, Any]]] = {
    "hydrogen": hydrogen_states.solve_hydrogen,
    "sho": well_states.solve_oscillator,
    "particle_in_box": well_states.solve_box,
}


def expand(raw: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    """Lift a nested `params` object before its references are looked for."""
    return dict(merge_nested(raw))


registry.tool(
    "quantum", summary="Bound states of hydrogen, oscillator and box, and their motion.", discriminator="action"
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
        Port("units", "object", None, "Unit of each field."),
        *STATIC_PORTS,
        *SERIES_PORTS,
    ),
    can=Visuals(static=True, series=True, animation=False),
    caps={"samples": "samples", "density_samples": "surface"},
    expand=expand,
    libraries=("numpy", "scipy", "matplotlib"),
    imports=(*IMPORTS, "scipy.special"),
)
def solve(params: SolveParams, context: Context) -> dict[str, Any]:
    """Find bound states: energies, wave functions, expectation values, and a figure of them.

    Args:
        params: The problem and its parameters.
        context: The surroundings of the call.

    Returns:
        `psi` is what a function plot draws against `x`: R_nl(r) [a_0^-3/2] for hydrogen, ψ_n(x) otherwise.
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
