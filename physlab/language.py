"""A sentence to a graph: what is understood is understood exactly, everything else is refused with examples."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from physlab.errors import ValidationError

EXAMPLES = (
    "hydrogen 2p state with radial plot, density and animation",
    "differentiate sin(x)*exp(-x) with respect to x",
    "integrate x**2 from 0 to 3",
    "solve x**2 - 2 = 0 for x",
    "plot sin(x)/x from -10 to 10",
    "convert 5 eV to J",
    "value of the Planck constant",
)
_LETTERS = "spdfghi"
_CONSTANTS = {"pi", "e", "E", "I"}
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
Spec = dict[str, Any]


def read_sentence(text: str) -> Spec:
    """Return the specification that a sentence describes.

    Raises:
        ValidationError: It is not understood; the hint shows what is.
    """
    sentence = " ".join(text.strip().rstrip(".?!").split())
    for pattern, make in _RULES:
        match = re.search(pattern, sentence, re.IGNORECASE)
        if match is not None:
            spec = make(match, sentence)
            spec["metadata"] = {"title": sentence[:200], "description": text.strip()}
            return spec
    shown = "; ".join(f"'{example}'" for example in EXAMPLES)
    raise ValidationError(
        f"The sentence '{text[:120]}' is not understood.", hint=f"Understood are for instance: {shown}."
    )


def _one(tool: str, method: str | None, visuals: Spec | None = None, **params: Any) -> Spec:
    node: Spec = {"id": tool, "tool": tool, "params": params}
    if method:
        node["method"] = method
    if visuals:
        node["visual_outputs"] = visuals
    return {"nodes": [node], "edges": []}


def _hydrogen(match: re.Match[str], sentence: str) -> Spec:
    n, l_, m = 2, 1, 0
    state = re.search(r"\b(\d+)([spdfghi])\b", sentence)
    if state:
        n, l_ = int(state[1]), _LETTERS.index(state[2])
    for name in "nlm":
        given = re.search(rf"\b{name}\s*=\s*(-?\d+)", sentence)
        if given:
            n, l_, m = (
                int(given[1]) if name == "n" else n,
                int(given[1]) if name == "l" else l_,
                int(given[1]) if name == "m" else m,
            )
    return hydrogen_experiment(n, l_, m, animation=bool(re.search(r"animat|movie|video|time", sentence, re.IGNORECASE)))


def hydrogen_experiment(n: int, l_: int, m: int, *, animation: bool) -> Spec:
    """Return the graph that studies one hydrogen state.

    Args:
        n: Principal quantum number.
        l_: Orbital quantum number.
        m: Magnetic quantum number.
        animation: True adds its superposition with a state that it radiates to or from, in time.
    """
    figure = {"static": True, "series": True, "animation": False}
    name = f"{n}{_LETTERS[l_] if l_ < len(_LETTERS) else f'(l={l_})'}"
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
            "visual_outputs": figure,
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
            "visual_outputs": figure,
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


def _symbol(formula: str, given: str | None, say: str) -> str:
    """Return the symbol that is meant: the one named, the only one there is, or x."""
    names = {name for name in re.findall(r"[A-Za-z_]\w*\b(?!\s*\()", formula) if name not in _CONSTANTS}
    if given or not names:
        return given or "x"
    if len(names) == 1 or "x" in names:
        return "x" if "x" in names else names.pop()
    raise ValidationError(
        f"'{formula}' holds {' and '.join(sorted(names))}.", hint=f"Say which one is meant: '… {say} {min(names)}'."
    )


def _dipole_partner(n: int, l_: int) -> dict[str, int]:
    """Return a state whose superposition with this one has an oscillating dipole: l differs by one, n too."""
    return {"n": n - 1, "l": l_ - 1, "m": 0} if l_ else {"n": n + 1, "l": 1, "m": 0}


def _differentiate(match: re.Match[str], _: str) -> Spec:
    return _one("cas", "diff", expr=match["expr"], symbol=_symbol(match["expr"], match["symbol"], "with respect to"))


def _integrate(match: re.Match[str], _: str) -> Spec:
    bounds: Spec = {} if match["lo"] is None else {"bounds": [float(match["lo"]), float(match["hi"])]}
    symbol = _symbol(match["expr"], match["symbol"], "with respect to")
    return _one("cas", "integrate", expr=match["expr"], symbol=symbol, **bounds)


def _solve(match: re.Match[str], _: str) -> Spec:
    symbol = _symbol(match["equation"], match["symbol"], "for")
    return _one("cas", "solve_equation", equation=match["equation"], symbol=symbol)


def _plot(match: re.Match[str], _: str) -> Spec:
    symbol = _symbol(match["expr"], None, "over")
    if symbol != "x":
        raise ValidationError(f"'{match['expr']}' is a formula in {symbol}.", hint="Write the plot's variable as x.")
    low, high = (-10.0, 10.0) if match["lo"] is None else (float(match["lo"]), float(match["hi"]))
    visuals = {"static": True, "series": True, "animation": False}
    return _one("plot", "function_2d", visuals, f=match["expr"], x_min=low, x_max=high)


def _convert(match: re.Match[str], _: str) -> Spec:
    return _one("units_convert", None, quantity={"value": float(match["value"]), "unit": match["unit"]}, to=match["to"])


def _constant(match: re.Match[str], _: str) -> Spec:
    return _one("constants_get", None, name=match["name"])


_SPAN = rf"(?:\s+(?:from|between)\s+(?P<lo>{_NUMBER})\s+(?:to|and)\s+(?P<hi>{_NUMBER}))?"
_BY = r"(?:\s+(?:with respect to|wrt|d)\s*(?P<symbol>[A-Za-z]\w*))?"
_STATE = r"(?:\b\d[spdfghi]\b|\bn\s*=\s*\d|\b(?:states?|orbitals?|wave ?functions?|radial|experiment)\b)"
_RULES: tuple[tuple[str, Callable[[re.Match[str], str], Spec]], ...] = (
    (rf"\bhydrogen\b(?=.*{_STATE})|{_STATE}.*\bhydrogen\b", _hydrogen),
    (rf"^(?:differentiate|derive|derivative of|d/dx of)\s+(?P<expr>.+?){_BY}$", _differentiate),
    (rf"^(?:integrate|integral of)\s+(?P<expr>.+?){_BY}{_SPAN}$", _integrate),
    (r"^solve\s+(?P<equation>.+?)(?:\s+for\s+(?P<symbol>[A-Za-z]\w*))?$", _solve),
    (rf"^(?:plot|draw|graph)\s+(?P<expr>.+?){_SPAN}$", _plot),
    (rf"^convert\s+(?P<value>{_NUMBER})\s*(?P<unit>\S+)\s+(?:to|into|in)\s+(?P<to>\S+)$", _convert),
    (r"^(?:(?:what is |give |get )?(?:the )?value of|constant)\s+(?:the\s+)?(?P<name>.+?)$", _constant),
)
