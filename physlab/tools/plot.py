"""Plots: curves, surfaces, contours and animations of formulas and of other nodes' arrays."""

from __future__ import annotations

from physlab.model import Visuals
from physlab.tools import plot_animation, plot_curve, plot_grid
from physlab.tools.figures import IMPORTS
from physlab.tools.registry import Port, registry

FIGURE = {
    "can": Visuals(static=True, series=True, animation=False),
    "libraries": ("numpy", "scipy", "matplotlib"),
    "imports": IMPORTS,
    "kind": "plot",
}

registry.tool("plot", summary="Pictures of formulas and of other nodes' arrays.", discriminator="plot_type")
registry.method(
    "plot",
    "function_2d",
    params=plot_curve.CurveParams,
    returns=plot_curve.PORTS,
    caps={"samples": "samples", "x": "samples"},
    **FIGURE,
)(plot_curve.function_2d)
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
    "animation",
    params=plot_animation.AnimationParams,
    returns=plot_animation.PORTS,
    visuals=Visuals(static=True, series=False, animation=True),
    can=Visuals(static=True, series=True, animation=True),
    time_limit_s=30.0,
    caps={"t_range": "frames"},
    libraries=("numpy", "scipy", "matplotlib", "imageio-ffmpeg"),
    imports=IMPORTS,
    kind="plot",
)(plot_animation.animation)

for name in ("function_2d", "surface_3d", "contour_2d", "animation"):
    registry.alias(f"plot_{name}", "plot", name)
