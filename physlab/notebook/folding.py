"""Formulas that are wider than a page: broken before their signs, as one would by hand."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)
_SIGNS = frozenset({"=", "+", "-", "<", ">", r"\approx", r"\pm", r"\mp", r"\equiv", r"\simeq", r"\le", r"\leq", r"\ge",
                    r"\geq", r"\to", r"\times", r"\cdot", r"\qquad", r"\Rightarrow"})  # fmt: skip
_DEPTH = {"{": 1, "}": -1, r"\left": 1, r"\right": -1, "(": 1, ")": -1, "[": 1, "]": -1}
_LAID_OUT = frozenset({r"\begin", "&", r"\\", r"\tag"})


def fold(tex: str, width: float, widest: float) -> str:
    """Return a formula in lines that are about as wide as they may be; as it is where there is no place to break it.

    Args:
        tex: TeX without the dollars around it.
        width: How wide it is in one line [px].
        widest: How wide a line may be [px].
    """
    pieces = _pieces(tex)
    most = len(tex) * widest / width * 0.9
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1]) + len(piece) > most:
            lines.append("")
        lines[-1] += piece
    if len(lines) < 2:
        return tex
    rest = "".join(rf" \\ & \quad {line}" for line in lines[1:])
    return rf"\begin{{aligned}} & {lines[0]}{rest} \end{{aligned}}"


def _pieces(tex: str) -> list[str]:
    """Return a formula cut before the signs that stand outside all brackets."""
    pieces, depth, last = [""], 0, "{"
    for token in _TOKEN.findall(tex):
        if token in _LAID_OUT:
            return [tex]
        depth = max(0, depth + _DEPTH.get(token, 0))
        if depth == 0 and token in _SIGNS and last not in _SIGNS and last not in "^_{" and pieces[-1].strip():
            pieces.append("")
        pieces[-1] += token
        last = last if token.isspace() else token
    return pieces
