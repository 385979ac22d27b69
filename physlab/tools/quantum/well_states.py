"""The levels of a particle on a line: numbers, wave functions, and the familiar ladder picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from physlab.tools.context import Context
from physlab.tools.figures import COLOURS, QUIET, drawing, save_series, save_static
from physlab.tools.quantum.params import SolveParams
from physlab.tools.quantum.wells import Box, Oscillator
from physlab.tools.registry import Port
from physlab.tools.types import Array

PORTS = (
    Port("energy_levels", "array", None, "Oscillator, box: E_n from the ground state upwards."),
    Port("ground_state_x", "array", None, "Oscillator, box: positions of the ground state."),
    Port("ground_state_psi", "array", None, "Oscillator, box: ψ of the ground state."),
    Port("wavefunctions", "list", None, "Oscillator, box: {n, x, psi, energy} of the three lowest states."),
    Port("energy", "number", None, "Oscillator, box: energy of the state n."),
    Port("mean_x", "number", None, "Oscillator, box: ⟨x⟩ of the state n, on the grid."),
    Port("mean_x2", "number", None, "Oscillator, box: ⟨x²⟩ of the state n, on the grid."),
)
LADDER = {"harmonic oscillator": 12, "particle in a box": 8}  # so many states fit into one picture


def solve_oscillator(params: SolveParams, context: Context) -> dict[str, Any]:
    """Return the levels of the harmonic oscillator."""
    well = Oscillator(params.omega, params.mass, params.hbar)
    n_max = 10 if params.n_max is None else params.n_max
    given = {"omega": params.omega, "mass": params.mass, "hbar": params.hbar, "n_max": n_max, "n": params.n}
    title = rf"Harmonic oscillator, $\omega = {params.omega:g}$"
    return _solve(well, n_max, params, context, given, "harmonic oscillator", title)


def solve_box(params: SolveParams, context: Context) -> dict[str, Any]:
    """Return the levels of a particle in a box."""
    well = Box(params.length or 1.0, params.mass, params.hbar)
    n_max = 5 if params.n_max is None else max(params.n_max, 1)
    given = {"length": well.length, "mass": params.mass, "hbar": params.hbar, "n_max": n_max, "n": params.n}
    return _solve(
        well, n_max, params, context, given, "particle in a box", rf"Particle in a box, $L = {well.length:g}$"
    )


def _solve(
    well: Oscillator | Box, n_max: int, params: SolveParams, context: Context, given: dict[str, Any], name: str,
    title: str,
) -> dict[str, Any]:  # fmt: skip
    from scipy.integrate import simpson

    context.enforce("samples", params.samples, "samples")
    n = params.level
    x = np.linspace(*well.span(n), params.samples)
    psi = well.states(n, x)[-1]
    shown = min(n_max, well.lowest + LADDER[name] - 1)
    wide = np.linspace(*well.span(shown), params.samples)
    family = well.states(shown, wide)
    ground = np.linspace(*well.span(well.lowest), params.samples)
    fields: dict[str, Any] = {
        "parameters": given,
        "energy_levels": np.array([well.energy(k) for k in range(well.lowest, n_max + 1)]),
        "energy": well.energy(n),
        "ground_state_x": ground,
        "ground_state_psi": well.states(well.lowest, ground)[0],
        "wavefunctions": [
            {"n": well.lowest + k, "x": wide, "psi": family[k], "energy": well.energy(well.lowest + k)}
            for k in range(min(3, len(family)))
        ],
        "x": x, "psi": psi,
        "mean_x": float(simpson(x * psi**2, x=x)), "mean_x2": float(simpson((x * psi) ** 2, x=x)),
        "units": well.units,
    }  # fmt: skip
    context.meta.update(samples=params.samples, dtype="float64")
    return fields | _show(well, wide, family, len(fields["energy_levels"]), params, context, name, title)


def _show(
    well: Oscillator | Box,
    x: Array,
    family: Array,
    total: int,
    params: SolveParams,
    context: Context,
    name: str,
    title: str,
) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    stem, count = name.replace(" ", "_"), len(family)
    some = f"the lowest {count} of {total} states, " if count < total else ""
    states = some + (f"n = {well.lowest} to {well.lowest + count - 1}" if count > 1 else f"n = {well.lowest}")
    caption = f"Energy levels and wave functions of the {name} for {states}."
    if context.wants("static"):
        with drawing(7.5, 6, params.dpi) as figure:
            _draw_ladder(figure.add_subplot(title=title), well, x, family)
            shown |= save_static(context, figure, stem, caption)
    if context.wants("series"):
        columns = {"x": x} | {f"psi_{well.lowest + k}": row for k, row in enumerate(family)}
        shown |= save_series(context, columns, stem, caption)
    return shown


def _draw_ladder(axes: Any, well: Oscillator | Box, x: Array, family: Array) -> None:
    """Draw every ψ_n around the line of its energy."""
    energies = [well.energy(well.lowest + k) for k in range(len(family))]
    gaps = np.diff(energies) if len(energies) > 1 else np.array(energies)
    height = (0.55 if isinstance(well, Oscillator) else 0.42) * float(gaps[0]) / float(np.abs(family).max())
    top = energies[-1] + max(0.75 * float(gaps[0]), 0.4 * float(gaps[-1]))
    if isinstance(well, Oscillator):
        axes.plot(x, well.potential(x), color=QUIET, linewidth=1.3)
        seen = x[np.any(np.abs(family) > 1e-3 * np.abs(family).max(), axis=0)]
        axes.set_xlim(seen[0], seen[-1])
    else:
        axes.plot([0, 0, well.length, well.length], [top, 0, 0, top], color=QUIET, linewidth=2.2, clip_on=False)
    for k, (energy, psi) in enumerate(zip(energies, family, strict=True)):
        colour = COLOURS[k % len(COLOURS)]
        axes.axhline(energy, color=colour, linewidth=0.8, alpha=0.55)
        axes.plot(x, energy + height * psi, color=colour)
        axes.fill_between(x, energy, energy + height * psi, color=colour, alpha=0.12, linewidth=0)
        axes.annotate(
            rf"$n = {well.lowest + k}$", (1.01, energy), xycoords=("axes fraction", "data"), va="center", color=colour
        )
    axes.set(ylim=(0, top), xlabel="$x$", ylabel=r"energy, and $\psi_n(x)$ around it")
    axes.grid(False)
