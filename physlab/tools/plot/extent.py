"""How much work the films of plots are, told from the parameters before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from physlab.model import Visuals, is_stored_array
from physlab.tools.movie import MAP_NS, film_extent
from physlab.tools.plot.animation import FRAMES
from physlab.tools.plot.volume import FILM, STEPS
from physlab.tools.registry import Extent


def trace_extent(params: Mapping[str, Any], visuals: Visuals) -> Extent | None:
    """Return how much work the film of a curve is; without one there is next to none."""
    if not visuals.animation:
        return None
    dots = params["dpi"]
    size = params["width"] * dots, params["height"] * dots
    return film_extent(params["frames"], size, params["format"], map_ns=0)


def animation_extent(params: Mapping[str, Any], visuals: Visuals) -> Extent | None:
    """Return how much work an animation is."""
    if not visuals.animation:
        return None
    count = points_on(params["t_range"], FRAMES, length_of(params["frame_expr"]))
    dots = params["dpi"]
    drawn = 0 if params["renderer"] == "line" else MAP_NS
    return film_extent(count, (params["width"] * dots, params["height"] * dots), params["format"], map_ns=drawn)


def volume_extent(params: Mapping[str, Any], visuals: Visuals) -> Extent | None:
    """Return how much work the film of a volume is; the sheet is little beside it."""
    if not visuals.animation:
        return None
    axis = params["animate_axis"]
    count = points_on(params[axis], STEPS, length_of(params["f"], "zyx".index(axis)))
    dots = FILM * params["dpi"]
    return film_extent(count, (params["width"] * dots, params["height"] * dots), params["format"])


def points_on(given: Any, samples: int, length: int | None) -> int:
    """Return how many points `axis_points` would make of a parameter as `Work` has it.

    Args:
        given: `[min, max]`, `[min, max, steps]`, the points themselves, or None.
        samples: Points when nothing says how many.
        length: Points that the data have, None for a formula.
    """
    if length is not None:
        return length
    if isinstance(given, list) and len(given) == 3:
        return int(given[2])
    return samples if isinstance(given, list) and len(given) == 2 else length_of(given) or samples


def length_of(value: Any, axis: int = 0) -> int | None:
    """Return the length of a parameter as `Work` has it along an axis; None for what is no array."""
    if isinstance(value, dict):
        if is_stored_array(value):
            return int(value["$array"]["shape"][axis])
        return length_of(value["$scaled"]["value"], axis) if "$scaled" in value else None
    if not isinstance(value, list):
        return None
    return len(value) if axis == 0 else length_of(value[0], axis - 1)
