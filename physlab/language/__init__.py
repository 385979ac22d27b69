"""A text to a graph: several steps in a row, each understood exactly or named as not understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from physlab.errors import ValidationError
from physlab.language import mathematics, measurements, physics, pictures
from physlab.language.clauses import analyse, split
from physlab.language.hydrogen import hydrogen_experiment
from physlab.language.story import Story, UnclearError

__all__ = ["EXAMPLES", "Missed", "Step", "Understanding", "hydrogen_experiment", "read_sentence", "understand"]

EXAMPLES = (
    "hydrogen 2p state with radial plot, density and animation",
    "differentiate sin(x)*exp(-x) with respect to x",
    "integrate x**2 from 0 to 3",
    "solve x**2 - 2 = 0 for x",
    "solve y'' + 0.2*y' + y = 0 with y(0)=1, y'(0)=0, then plot it from 0 to 30 and animate it",
    "plot sin(x)/x from -10 to 10",
    "convert 5 eV to J",
    "value of the Planck constant",
)
_READERS = (
    physics.convert, measurements.archive, measurements.read_file, measurements.spectrum, measurements.filter_signal,
    physics.bloch, physics.operators, physics.tensors, physics.ensemble, physics.quantum, mathematics.uncertainty,
    mathematics.differentiate, mathematics.integrate, mathematics.solve, mathematics.limit, mathematics.series,
    mathematics.rewrite, mathematics.simplify, pictures.draw, physics.constant,
)  # fmt: skip
_LEADS = ("", "find ", "compute ", "calculate ", "determine ", "what is ", "what are ", "get ", "give me ", "show me ",
          "take ", "do ", "evaluate ")  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A step that was understood, and the nodes it became; none when it changed a node before it."""

    text: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Missed:
    """A step that was not understood, and why."""

    text: str
    why: str


@dataclass(frozen=True)
class Understanding:
    """What a text asks for.

    Attributes:
        nodes: Nodes of the graph.
        steps: What was understood, in order.
        missed: What was not.
    """

    nodes: tuple[dict[str, Any], ...]
    steps: tuple[Step, ...]
    missed: tuple[Missed, ...]

    def spec(self, text: str) -> dict[str, Any]:
        """Return the graph of what was understood."""
        title = " ".join(text.strip().rstrip(".?!").split())
        return {
            "nodes": list(self.nodes),
            "edges": [],
            "metadata": {"title": title[:200], "description": text.strip()},
        }


def understand(text: str) -> Understanding:
    """Read a text step by step; a step may speak of what came before it (`plot it`).

    Args:
        text: One or more sentences in English.
    """
    story, steps, missed = Story(), [], []
    for step in split(text):
        before = len(story.nodes)
        try:
            known = _read(step, story)
            why = "" if known else "these words have no meaning here"
        except UnclearError as unclear:
            known, why = False, str(unclear)
        if known:
            steps.append(Step(step, tuple(node["id"] for node in story.nodes[before:])))
        else:
            del story.nodes[before:]
            story.it = None
            missed.append(Missed(step, why))
    return Understanding(tuple(story.nodes), tuple(steps), tuple(missed))


def _read(step: str, story: Story) -> bool:
    if physics.hydrogen(step, story):
        return True
    for lead in _LEADS:
        if step.lower().startswith(lead):
            clause = analyse(step[len(lead) :])
            if any(reader(clause, story) for reader in _READERS):
                return True
    return False


def read_sentence(text: str) -> dict[str, Any]:
    """Return the specification that a text describes, all of it.

    Raises:
        ValidationError: A step is not understood; the message names it, the hint shows what is.
    """
    found = understand(text)
    if found.nodes and not found.missed:
        return found.spec(text)
    shown = "; ".join(f"'{example}'" for example in EXAMPLES)
    lost = [f"'{item.text[:120]}' is not understood: {item.why}." for item in found.missed]
    known = f" Understood was: {'; '.join(step.text for step in found.steps)}." if found.steps else ""
    raise ValidationError(
        (" ".join(lost) or f"The text '{text[:120]}' asks for nothing.") + known,
        hint=f"Understood are for instance: {shown}.",
    )
