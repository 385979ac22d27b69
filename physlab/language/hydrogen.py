"""The experiment that a sentence about a state of hydrogen means."""

from __future__ import annotations

from typing import Any

LETTERS = "spdfghi"
Spec = dict[str, Any]
_FIGURE = {"static": True, "series": True, "animation": False}


def hydrogen_experiment(n: int, l_: int, m: int, *, animation: bool) -> Spec:
    """Return the graph that studies one hydrogen state.

    Args:
        n: Principal quantum number.
        l_: Orbital quantum number.
        m: Magnetic quantum number.
        animation: True adds its superposition with a state that it radiates to or from, in time.
    """
    name = f"{n}{LETTERS[l_] if l_ < len(LETTERS) else f'(l={l_})'}"
    nodes: list[Spec] = [
        {"id": "rydberg", "tool": "constants_get", "params": {"name": "Ry"}},
        {
            "id": "state",
            "tool": "quantum",
            "method": "solve",
            "params": {"problem": "hydrogen", "n": n, "l": l_, "m": m},
            "visual_outputs": {"static": False, "series": True, "animation": False},
        },
        {
            "id": "radial",
            "tool": "plot",
            "method": "function_2d",
            "params": {
                "f": "from:state.radial",
                "x": "from:state.r",
                "title": f"Radial function of hydrogen {name}",
                "xlabel": "r / a₀",
                "ylabel": "R(r) / a₀^(-3/2)",
            },
            "visual_outputs": _FIGURE,
        },
        {
            "id": "density",
            "tool": "plot",
            "method": "contour_2d",
            "params": {
                "f": "from:state.density",
                "x": "from:state.density_x",
                "y": "from:state.density_z",
                "title": f"Probability density of hydrogen {name}",
                "xlabel": "x / a₀",
                "ylabel": "z / a₀",
            },
            "visual_outputs": _FIGURE,
        },
    ]
    if animation:
        nodes.append(
            {
                "id": "motion",
                "tool": "quantum",
                "method": "evolve",
                "params": {"superposition": [_dipole_partner(n, l_), {"n": n, "l": l_, "m": m}], "frames": 120},
                "visual_outputs": {"static": False, "series": True, "animation": True},
            }
        )
    return {"nodes": nodes, "edges": []}


def _dipole_partner(n: int, l_: int) -> dict[str, int]:
    """Return a state whose superposition with this one has an oscillating dipole: l differs by one, n too."""
    return {"n": n - 1, "l": l_ - 1, "m": 0} if l_ else {"n": n + 1, "l": 1, "m": 0}
