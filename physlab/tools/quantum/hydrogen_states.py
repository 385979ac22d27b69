# ruff: noqa: E741  — l is the orbital quantum number
"""One stationary state of hydrogen: its numbers, its wave function, its picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from physlab.tools.context import Context
from physlab.tools.figures import BLUE, INK, QUIET, VERMILION, colour_bar, drawing, heat_map, save_series, save_static
from physlab.tools.quantum.hydrogen import Atom, on_plane
from physlab.tools.quantum.params import SolveParams
from physlab.tools.registry import Port
from physlab.tools.types import Array

FINE_STRUCTURE = 7.2973525643e-3  # CODATA 2022

PORTS = (
    Port("energy_ev", "number", "eV", "Hydrogen: the energy, −Ry Z²/n²."),
    Port("energy_hartree", "number", "E_h"),
    Port("r", "array", "a_0", "Hydrogen: the radial grid."),
    Port("radial", "array", "a_0**(-3/2)", "Hydrogen: R_nl(r), ∫R²r²dr = 1."),
    Port("radial_probability", "array", "1/a_0", "Hydrogen: r²R²."),
    Port("normalisation", "number", None, "Hydrogen: ∫R²r²dr on the grid."),
    Port("mean_r", "number", "a_0", "Hydrogen: ⟨r⟩."),
    Port("mean_r2", "number", "a_0^2", "Hydrogen: ⟨r²⟩."),
    Port("mean_inv_r", "number", "1/a_0", "Hydrogen: ⟨1/r⟩."),
    Port("most_probable_r", "number", "a_0", "Hydrogen: where r²R² is largest."),
    Port("radial_nodes", "number", None, "Hydrogen: n − l − 1."),
    Port("node_radii", "array", "a_0", "Hydrogen: where R_nl vanishes."),
    Port("density", "array", "a_0^-3", "Hydrogen: |ψ_nlm|² on the x–z plane, rows along z, columns along x."),
    Port("density_x", "array", "a_0", "Hydrogen: columns of the density."),
    Port("density_z", "array", "a_0", "Hydrogen: rows of the density."),
    Port("transitions", "list", None, "Hydrogen: {to_n, to_l, energy_ev, wavelength_nm} of the dipole lines."),
)


def solve_hydrogen(params: SolveParams, context: Context) -> dict[str, Any]:
    """Return the state n, l, m of hydrogen or of an ion with one electron."""
    from scipy.integrate import cumulative_simpson

    atom, n, l = params.atom(), params.level, params.l
    context.enforce("samples", params.samples, "samples")
    context.enforce("surface", params.density_samples, "density_samples")
    r = np.linspace(0.0, params.r_max or atom.reach(n), params.samples)
    radial = atom.radial(n, l, r)
    probability = (r * radial) ** 2
    inside = cumulative_simpson(probability, x=r, initial=0.0)
    visible = float(r[min(int(np.searchsorted(inside, 0.999)), len(r) - 1)])
    axis = np.linspace(-1.0, 1.0, params.density_samples) * (params.density_extent or visible)
    density = on_plane(atom, n, l, params.m, axis, axis) ** 2
    _warn(params, atom, float(inside[-1]), context)
    fields: dict[str, Any] = {
        "energy_ev": atom.energy_ev(n),
        "energy_hartree": -atom.mass * atom.Z**2 / (2 * n**2),
        "x": r, "psi": radial, "r": r, "radial": radial, "radial_probability": probability,
        "normalisation": float(inside[-1]),
        "mean_r": atom.mean_r(n, l), "mean_r2": atom.mean_r2(n, l), "mean_inv_r": atom.mean_inverse_r(n),
        "most_probable_r": atom.most_probable_r(n, l),
        "radial_nodes": n - l - 1, "node_radii": atom.node_radii(n, l),
        "density": density, "density_x": axis, "density_z": axis,
        "transitions": list(atom.transitions(n, l)),
        "parameters": {"Z": params.Z, "n": n, "l": l, "m": params.m, "reduced_mass_me": atom.mass},
        "units": {port.name: port.unit for port in PORTS if port.unit} | {"x": "a_0", "psi": "a_0**(-3/2)"},
    }  # fmt: skip
    context.meta.update(samples=params.samples, mesh=[params.density_samples] * 2, dtype="float64")
    return fields | _show(params, fields, visible, context)


def _warn(params: SolveParams, atom: Atom, found: float, context: Context) -> None:
    if abs(found - 1) > 1e-3:
        context.warn(
            f"The radial grid holds {found:.4f} of the electron: raise r_max"
            f" (default {atom.reach(params.level):g} a_0) or samples ({params.samples})."
        )
    if (relativity := (params.Z * FINE_STRUCTURE) ** 2) > 0.01:
        context.warn(f"Z = {params.Z:g}: relativity, left out here, matters at the level of (Zα)² = {relativity:.1%}.")


def _show(params: SolveParams, fields: dict[str, Any], visible: float, context: Context) -> dict[str, Any]:
    """Write the figure and the series that are wanted."""
    n, l, m = params.level, params.l, params.m
    name, of = f"hydrogen_n{n}_l{l}_m{m}", f"of hydrogen (Z = {params.Z:g}, n = {n}, l = {l}"
    shown: dict[str, Any] = {}
    if context.wants("static"):
        caption = (
            f"Radial function R_{n}{l}(r), radial probability, and density in the x–z plane with its colours on a"
            f" square-root scale, {of}, m = {m})."
        )
        with drawing(11, 5.2, params.dpi) as figure:
            _draw(figure, params, fields, visible)
            shown |= save_static(context, figure, name, caption)
    if context.wants("series"):
        columns: dict[str, Array] = {
            "r [a_0]": fields["r"], "R [a_0^-3/2]": fields["radial"], "r^2 R^2 [1/a_0]": fields["radial_probability"],
        }  # fmt: skip
        caption = f"Radial function R_{n}{l}(r) and radial probability {of})."
        shown |= save_series(context, columns, name, caption)
    return shown


def _draw(figure: Any, params: SolveParams, fields: dict[str, Any], visible: float) -> None:
    n, l, m = params.level, params.l, params.m
    grid = figure.add_gridspec(2, 2, width_ratios=(1.12, 1.0))
    wave, chance, plane = (figure.add_subplot(cell) for cell in (grid[0, 0], grid[1, 0], grid[:, 1]))
    r, window = fields["r"], (0.0, min(1.15 * visible, float(fields["r"][-1])))

    wave.axhline(0, color=QUIET, linewidth=0.8)
    wave.plot(r, fields["radial"], color=BLUE)
    wave.plot(fields["node_radii"], np.zeros(n - l - 1), "o", color="white", mec=BLUE, mew=1.4, ms=5.5)
    wave.set(xlim=window, ylabel=rf"$R_{{{n}{l}}}(r)\quad [a_0^{{-3/2}}]$")
    wave.tick_params(labelbottom=False)

    chance.plot(r, fields["radial_probability"], color=VERMILION)
    chance.fill_between(r, fields["radial_probability"], color=VERMILION, alpha=0.14, linewidth=0)
    chance.axvline(fields["mean_r"], color=INK, linewidth=1, linestyle=(0, (5, 3)))
    mean = rf"$\langle r\rangle = {fields['mean_r']:.4g}\,a_0$"
    chance.annotate(mean, (fields["mean_r"], 0.93), (6, 0), xycoords=("data", "axes fraction"),
                    textcoords="offset points", va="center")  # fmt: skip
    chance.set(
        xlim=window,
        ylim=(0, 1.22 * float(fields["radial_probability"].max())),
        xlabel=r"$r\quad [a_0]$",
        ylabel=r"$r^2R^2\quad [a_0^{-1}]$",
    )

    image = heat_map(plane, fields["density_x"], fields["density_z"], fields["density"], colormap="magma", gamma=0.5)
    plane.set(aspect="equal", xlabel=r"$x\quad [a_0]$", ylabel=r"$z\quad [a_0]$")
    colour_bar(figure, image, plane, rf"$|\psi_{{{n}{l}{m}}}|^2\quad [a_0^{{-3}}]$", shrink=0.86)
    figure.suptitle(rf"{params.atom().title}:  $n = {n},\ l = {l},\ m = {m}$,   $E = {fields['energy_ev']:.5g}$ eV")
