"""Plots: curves, surfaces, fields, flows, volumes and animations of formulas and of other nodes' arrays."""

from __future__ import annotations

from physlab.model import Visuals
from physlab.tools.figures import IMPORTS
from physlab.tools.plot import animation as plot_animation
from physlab.tools.plot import curve as plot_curve
from physlab.tools.plot import field as plot_field
from physlab.tools.plot import grid as plot_grid
from physlab.tools.plot import interactive as plot_interactive
from physlab.tools.plot import parametric as plot_parametric
from physlab.tools.plot import phase as plot_phase
from physlab.tools.plot import volume as plot_volume
from physlab.tools.plot.extent import animation_extent, trace_extent, volume_extent
from physlab.tools.registry import Port, registry

FIGURE = {
    "can": Visuals(static=True, series=True, animation=False),
    "libraries": ("numpy", "scipy", "matplotlib"),
    "imports": IMPORTS,
    "kind": "plot",
}
FILM = {
    **FIGURE,
    "can": Visuals(static=True, series=True, animation=True),
    "time_limit_s": 30.0,
    "libraries": ("numpy", "scipy", "matplotlib", "imageio-ffmpeg"),
}
FIELD_CAPS = {"grid_points": "field", "x": "field", "y": "field"}

registry.tool("plot", summary="Pictures of formulas and of other nodes' arrays.", discriminator="plot_type")
registry.method(
    "plot",
    "function_2d",
    params=plot_curve.CurveParams,
    returns=plot_curve.PORTS,
    caps={"samples": "samples", "x": "samples", "frames": "frames"},
    visuals=Visuals(static=True, series=True, animation=False),
    extent=trace_extent,
    **FILM,
)(plot_curve.function_2d)
registry.method(
    "plot",
    "parametric_2d",
    params=plot_parametric.ParametricParams,
    returns=plot_parametric.PORTS,
    caps={"samples": "samples", "t": "samples", "frames": "frames"},
    visuals=Visuals(static=True, series=True, animation=False),
    extent=trace_extent,
    **FILM,
)(plot_parametric.parametric_2d)
registry.method(
    "plot",
    "field_2d",
    params=plot_field.FieldParams,
    returns=plot_field.PORTS,
    caps=FIELD_CAPS,
    **FIGURE,
)(plot_field.field_2d)
registry.method(
    "plot",
    "phase_portrait",
    params=plot_phase.PhaseParams,
    returns=plot_phase.PORTS,
    caps=FIELD_CAPS,
    **{**FIGURE, "imports": (*IMPORTS, "scipy.integrate")},
)(plot_phase.phase_portrait)
registry.method(
    "plot",
    "surface_3d",
    params=plot_grid.SurfaceParams,
    returns=plot_grid.PORTS,
    caps={"samples": "surface", "x": "surface", "y": "surface"},
    **FIGURE,
)(plot_grid.surface_3d)
registry.method(
    "plot",
    "contour_2d",
    params=plot_grid.ContourParams,
    returns=(*plot_grid.PORTS, Port("levels", "number", description="About how many levels.")),
    caps={"samples": "surface", "x": "surface", "y": "surface"},
    **FIGURE,
)(plot_grid.contour_2d)
registry.method(
    "plot",
    "volume_3d",
    params=plot_volume.VolumeParams,
    returns=plot_volume.PORTS,
    visuals=Visuals(static=True, series=False, animation=False),
    caps={"x": "volume", "y": "volume", "z": "volume"},
    extent=volume_extent,
    **FILM,
)(plot_volume.volume_3d)
registry.method(
    "plot",
    "animation",
    params=plot_animation.AnimationParams,
    returns=plot_animation.PORTS,
    visuals=Visuals(static=True, series=False, animation=True),
    caps={"t_range": "frames"},
    extent=animation_extent,
    **FILM,
)(plot_animation.animation)
registry.method(
    "plot",
    "interactive",
    params=plot_interactive.InteractiveParams,
    returns=plot_interactive.PORTS,
    caps={"grid_limit": "interactive", "x_range": "interactive", "y_range": "interactive"},
    **{**FIGURE, "time_limit_s": 30.0},
)(plot_interactive.interactive)

for name in list(registry.tools.announced("plot").methods):
    registry.alias(f"plot_{name}", "plot", str(name))
