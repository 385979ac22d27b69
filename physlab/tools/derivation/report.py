"""How a derivation is handed over: a LaTeX block, Markdown, and a picture of its lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from physlab.tools.context import Context
from physlab.tools.derivation.steps import Step
from physlab.tools.figures import BLUE, GREEN, INK, QUIET, drawing, save_static

_TITLES = {
    "derivative": "Derivative", "integral": "Integral", "series": "Series", "equation": "Equation",
    "ode": "Differential equation", "euler_lagrange": "Equations of motion", "dimensions": "Dimensions",
}  # fmt: skip
_LINES = 40  # in one picture
GAP = 0.55  # between formulas, where the next rule stands [inch]


def aligned(steps: Sequence[Step]) -> str:
    r"""Return steps as an `aligned` environment, which stands inside `equation` or `\[ … \]`."""
    lines = [rf"  & {step.latex} && \text{{{_plain(step.rule)}}}" for step in steps]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _plain(text: str) -> str:
    """Return a text as LaTeX prints it outside mathematics."""
    special = {"\\": r"\textbackslash ", "∫": "$\\int$", "−": "$-$", "²": "$^2$", "⁻¹": "$^{-1}$"}
    special |= {sign: f"\\{sign}" for sign in "#%&_{}"}
    return "".join(special.get(sign, sign) for sign in text)


def summary(kind: str, steps: Sequence[Step], goal: str, level: str) -> str:
    """Return the derivation in words, as Markdown with its formulas between dollar signs.

    Args:
        kind: What was derived.
        steps: The steps to show.
        goal: `derive` gives lines, `explain` a sentence to each.
        level: The audience.
    """
    checked = [step for step in steps if step.how != "given"]
    exact = sum(step.how == "symbolically" for step in checked)
    head = f"## {_TITLES[kind]}\n\nFor the level *{level}*."
    lines = []
    for number, step in enumerate(steps, start=1):
        mark = "" if step.how == "given" else f" (checked {step.how})"
        said = f" {step.text}" if goal == "explain" else ""
        lines.append(f"{number}. **{step.rule[:1].upper()}{step.rule[1:]}.**{said}{mark}\n\n   $${step.latex}$$")
    foot = (
        f"{len(checked)} of {len(steps)} lines claim something; all of them were verified, {exact} by symbolic proof "
        f"and {len(checked) - exact} by numbers to 15 digits. The others say what is asked or defined."
    )
    return "\n\n".join([head, *lines, foot])


def draw(context: Context, steps: Sequence[Step], kind: str) -> dict[str, Any]:
    """Draw the lines of a derivation.

    Args:
        context: The call.
        steps: The steps to show.
        kind: What was derived.

    Returns:
        The reply fields of the picture.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    parser, shown = MathTextParser("path"), steps[:_LINES]
    if len(steps) > _LINES:
        context.warn(f"The picture shows {_LINES} of {len(steps)} steps; `latex` has all.")
    lines, heights, widths = [], [], []
    with drawing(1, 1) as _:
        for step in shown:
            text = f"${_for_mathtext(step.latex)}$"
            try:
                width, height, depth = parser.parse(text, dpi=72, prop=FontProperties(size=15))[:3]
            except ValueError:  # mathtext knows less than LaTeX
                text = step.latex.replace("$", "")
                width, height, depth = 8.0 * len(text), 15.0, 3.0
            lines.append(text)
            widths.append(width / 72)
            heights.append((height + depth) / 72)
    with drawing(min(max(6.0, *widths) + 1.0, 39.0), min(sum(heights) + GAP * len(heights) + 0.8, 39.0)) as figure:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        tall, wide = figure.get_size_inches()[::-1]
        axes.set(xlim=(0, wide), ylim=(tall, 0))
        axes.text(0.3, 0.42, _TITLES[kind], fontsize=17, color=INK, va="center")
        below = 0.85
        for step, text, height in zip(shown, lines, heights, strict=True):
            colour = {"given": QUIET, "symbolically": GREEN, "numerically": BLUE}[step.how]
            tail = "" if step.how == "given" else f", verified {step.how}"
            axes.text(0.3, below, f"{step.rule}{tail}", fontsize=10.5, color=colour, va="center")
            axes.text(0.55, below + 0.2 + height / 2, text, fontsize=15, color=INK, va="center")
            below += height + GAP
        caption = f"{_TITLES[kind]}, derived in {len(steps)} lines; each one that claims something was verified."
        return dict(save_static(context, figure, "derivation", caption))


def _for_mathtext(latex: str) -> str:
    """Return LaTeX in the words that mathtext knows."""
    known = {r"\limits": "", r"\operatorname": r"\mathrm", r"\tfrac": r"\frac", r"\lvert": "|", r"\rvert": "|"}
    for word, other in known.items():
        latex = latex.replace(word, other)
    return latex
