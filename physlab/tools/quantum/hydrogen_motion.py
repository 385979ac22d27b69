# ruff: noqa: E741  — l is the orbital quantum number
"""A superposition of hydrogen states in time: the moving density, and the swing of the electron's mean position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from physlab.errors import PhysicsError
from physlab.model import Visuals
from physlab.tools.context import Context
from physlab.tools.figures import BLUE, INK, QUIET, VERMILION, colour_bar, drawing, heat_map, save_series, save_static
from physlab.tools.movie import Blitter, film_extent, repaint, save_movie
from physlab.tools.quantum.hydrogen import H_EV_FS, Atom, dipole_z, on_plane
from physlab.tools.quantum.params import EvolveParams
from physlab.tools.registry import Extent, Port
from physlab.tools.types import Array

PORTS = (
    Port("t", "array", "fs", "The instants of the frames; the last step back to the start is left out."),
    Port("dipole_z", "array", "a_0", "⟨z⟩(t) of the electron."),
    Port("beat_period_fs", "number", "fs", "h/ΔE of the two nearest different energies."),
    Port("beat_energy_ev", "number", "eV", "That ΔE."),
    Port("mean_energy_ev", "number", "eV", "⟨H⟩, which does not change."),
    Port("probabilities", "array", None, "|amplitude|² of each state after normalisation."),
)
FILM = 9.0, 4.3  # width and height of the film [inch]
LETTERS = "spdfghiklm"


@dataclass(frozen=True)
class Superposition:
    """Stationary states with amplitudes.

    Attributes:
        atom: The atom.
        numbers: (n, l, m) of each state.
        amplitudes: Complex amplitudes, normalised (states).
    """

    atom: Atom
    numbers: tuple[tuple[int, int, int], ...]
    amplitudes: Array

    @classmethod
    def of(cls, params: EvolveParams) -> Superposition:
        """Return what the parameters describe, normalised."""
        parts = params.superposition
        raw = np.array([part.amplitude * np.exp(1j * part.phase) for part in parts])
        numbers = tuple((part.n, part.l, part.m) for part in parts)
        return cls(params.atom(), numbers, raw / np.linalg.norm(raw))

    @cached_property
    def energies(self) -> Array:
        """Energy of each state [eV]."""
        return np.array([self.atom.energy_ev(n) for n, _, _ in self.numbers])

    @property
    def beat_ev(self) -> float:
        """The smallest difference between two energies that take part [eV].

        Raises:
            PhysicsError: All states have one energy.
        """
        shells = sorted({n for (n, _, _), a in zip(self.numbers, self.amplitudes, strict=True) if a})
        if len(shells) < 2:
            raise PhysicsError(
                f"All states have n = {shells[0]} and one energy, so the density does not move.",
                hint="Superpose states with different n, for instance 1s and 2p.",
            )
        return float(np.diff([self.atom.energy_ev(n) for n in shells]).min())

    @property
    def label(self) -> str:
        """Such as `1s + 2p`."""
        return " + ".join(f"{n}{LETTERS[l]}" + (f"(m={m})" if m else "") for n, l, m in self.numbers)

    def at(self, t: Array | float) -> Array:
        """Return the amplitudes at times t [fs], shape (states,) or (states, times)."""
        turns = np.multiply.outer(self.energies, t) / H_EV_FS
        return np.asarray((self.amplitudes * np.exp(-2j * np.pi * turns).T).T)

    def mean_z(self, t: Array) -> Array:
        """Return ⟨z⟩ at times t [a_0]."""
        matrix = np.array([[dipole_z(self.atom, bra, ket) for ket in self.numbers] for bra in self.numbers])
        c = self.at(t)
        return np.asarray(np.einsum("jt,jk,kt->t", c.conj(), matrix, c).real)


def evolve_hydrogen(params: EvolveParams, context: Context) -> dict[str, Any]:
    """Return the beat of a superposition, and draw its density as a film."""
    state = Superposition.of(params)
    context.enforce("frames", params.frames, "frames")
    context.enforce("surface", params.samples, "samples")
    period = H_EV_FS / state.beat_ev
    t = np.linspace(0.0, params.duration_fs or period, params.frames, endpoint=False)
    weights = np.abs(state.amplitudes) ** 2
    fields: dict[str, Any] = {
        "t": t, "dipole_z": state.mean_z(t),
        "beat_period_fs": period, "beat_energy_ev": state.beat_ev,
        "mean_energy_ev": float(weights @ state.energies), "probabilities": weights,
        "parameters": params.model_dump(mode="json", include={"Z", "superposition", "frames", "fps", "duration_fs"}),
        "units": {port.name: port.unit for port in PORTS if port.unit},
    }  # fmt: skip
    context.meta.update(frames=params.frames, mesh=[params.samples] * 2, dtype="float64")
    return fields | _show(params, state, fields, context)


def evolve_extent(params: Mapping[str, Any], visuals: Visuals) -> Extent | None:
    """Return how much work the film is; the numbers are little beside it."""
    if not visuals.animation:
        return None
    width, height = (params["dpi"] * side for side in FILM)
    return film_extent(params["frames"], (width, height), params["format"])


def _show(params: EvolveParams, state: Superposition, fields: dict[str, Any], context: Context) -> dict[str, Any]:
    reach = params.extent or 2.1 * max(state.atom.mean_r(n, l) for n, l, _ in state.numbers)
    axis = np.linspace(-reach, reach, params.samples)
    film, shown = _Film(state, axis, fields["t"], fields["dipole_z"]), dict[str, Any]()
    name = "hydrogen_" + "_".join(f"{n}{LETTERS[l]}{abs(m) or ''}" for n, l, m in state.numbers)
    what = f"of the superposition {state.label} of hydrogen (Z = {params.Z:g})"
    span = f"over {params.duration_fs or fields['beat_period_fs']:.4g} fs"
    if context.wants("static"):
        caption = (
            f"Density in the x–z plane (colours on a cube-root scale) at four instants, and mean position ⟨z⟩ {what}"
            f" {span}."
        )
        with drawing(11, 5.3, params.dpi) as figure:
            film.draw_stills(figure)
            shown |= save_static(context, figure, name, caption)
    if context.wants("series"):
        columns = {"t [fs]": fields["t"], "z [a_0]": fields["dipole_z"]}
        shown |= save_series(context, columns, name, f"Mean position ⟨z⟩ {what} {span}.")
    if context.wants("animation"):
        with drawing(*FILM, params.dpi) as figure:
            blitter, update = film.animate(figure)
            frames = blitter.frames(params.frames, update)
            caption = f"Density in the x–z plane and mean position ⟨z⟩ {what} {span}."
            shown |= save_movie(
                context,
                frames,
                name,
                caption,
                fps=params.fps,
                format=params.format,
            )
    return shown


class _Film:
    """The pictures of one superposition."""

    def __init__(self, state: Superposition, axis: Array, t: Array, z: Array) -> None:
        self.state, self.axis, self.t, self.z = state, axis, t, z
        self.basis = np.array([on_plane(state.atom, *numbers, axis, axis) for numbers in state.numbers])
        moduli = np.abs(state.amplitudes)
        self.brightest = np.tensordot(moduli, np.abs(self.basis), 1) ** 2  # reached when all phases agree

    def density(self, t: float) -> Array:
        """Return |ψ|² on the plane at a time [fs]."""
        c = self.state.at(t)
        return np.asarray(np.tensordot(c.real, self.basis, 1) ** 2 + np.tensordot(c.imag, self.basis, 1) ** 2)

    def draw_plane(self, axes: Any, t: float) -> tuple[Any, Any]:
        """Draw the density at a time; returns the image and the text with the time."""
        density = self.density(t)
        image = heat_map(axes, self.axis, self.axis, density, scale=self.brightest, colormap="magma", gamma=1 / 3)
        axes.set(aspect="equal", xlabel=r"$x\quad [a_0]$")
        return image, axes.text(0.04, 0.94, _clock(t), transform=axes.transAxes, color="white", va="top")

    def draw_swing(self, axes: Any) -> None:
        """Draw ⟨z⟩ against time."""
        end = self.t[-1] + self.t[1]
        fine = np.linspace(0.0, end, 400)
        axes.axhline(0, color=QUIET, linewidth=0.8)
        axes.plot(fine, self.state.mean_z(fine), color=BLUE)
        peak = max(float(np.abs(self.z).max()), 0.1)
        axes.set(xlim=(0, end), ylim=(-1.25 * peak, 1.25 * peak))
        axes.set(xlabel=r"$t\quad$ [fs]", ylabel=r"$\langle z\rangle\quad [a_0]$")

    def draw_stills(self, figure: Any) -> None:
        """Draw four instants and the swing."""
        grid = figure.add_gridspec(2, 4, height_ratios=(1.5, 1.0))
        swing, planes, image = figure.add_subplot(grid[1, :]), [], None
        self.draw_swing(swing)
        for column, index in enumerate(np.arange(4) * len(self.t) // 4):
            axes = figure.add_subplot(grid[0, column])
            image, _ = self.draw_plane(axes, self.t[index])
            axes.set(ylabel=r"$z\quad [a_0]$") if column == 0 else axes.tick_params(labelleft=False)
            swing.plot(self.t[index], self.z[index], "o", color=VERMILION, ms=7, clip_on=False, zorder=5)
            planes.append(axes)
        colour_bar(figure, image, planes, r"$|\psi|^2\quad [a_0^{-3}]$", shrink=0.9)
        figure.suptitle(f"{self.state.atom.title}: {self.state.label}")

    def animate(self, figure: Any) -> tuple[Blitter, Any]:
        """Draw the moving picture; returns its blitter and what moves it."""
        grid = figure.add_gridspec(1, 2, width_ratios=(1.0, 1.05))
        plane, swing = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
        image, clock = self.draw_plane(plane, 0.0)
        plane.set(ylabel=r"$z\quad [a_0]$")
        colour_bar(figure, image, plane, r"$|\psi|^2\quad [a_0^{-3}]$", shrink=0.9)
        self.draw_swing(swing)
        (dot,) = swing.plot([0], [self.z[0]], "o", color=VERMILION, mec="white", ms=10, clip_on=False, zorder=5)
        (thread,) = swing.plot([0, 0], [0, self.z[0]], color=INK, linewidth=1, linestyle=(0, (4, 3)))
        figure.suptitle(f"{self.state.atom.title}: {self.state.label}")

        def update(index: int) -> None:
            t, z = self.t[index], self.z[index]
            repaint(image, self.density(t))
            clock.set_text(_clock(t))
            dot.set_data([t], [z])
            thread.set_data([t, t], [0, z])

        return Blitter(figure, [image, *plane.spines.values(), clock, thread, dot]), update


def _clock(t: float) -> str:
    return f"$t = {t:.3f}$ fs"
