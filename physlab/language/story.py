"""What a text has asked for so far: the nodes of the graph, and what `it` means."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from physlab.expressions import normal_name
from physlab.language.clauses import formula

Spec = dict[str, Any]
FIGURE = {"static": True, "series": True, "animation": False}
_PRONOUN = re.compile(
    r"(?:it|that|this|them|these|(?:the |this |that |its )?(?:result|answer|solutions?|derivative|integral|formula|"
    r"function|expression|curve|series|equation|same))",
    re.IGNORECASE,
)


class UnclearError(Exception):
    """A step that was recognised but cannot be carried out as it is said; the text says what is missing."""


@dataclass(frozen=True)
class Thing:
    """Something that later steps can speak of.

    Attributes:
        formula: A formula, or a reference to one; None when it is no formula.
        variable: What the formula is a function of.
        quantity: A quantity as {value, unit} of references; None when it is none.
        data: A reference to an array; None when it is none.
        axis: A reference to the points that it belongs to.
        rate: Its sample rate [Hz].
        why: What a picture of it lacks.
    """

    formula: str | None = None
    variable: str = "x"
    quantity: Spec | None = None
    data: str | None = None
    axis: str | None = None
    rate: float | None = None
    why: str = ""


@dataclass
class Story:
    """The graph in the making."""

    nodes: list[Spec] = field(default_factory=list)
    it: Thing | None = None
    picture: Spec | None = None

    def add(self, name: str, tool: str, method: str | None, params: Spec, visuals: Spec | None = None) -> str:
        """Add a node and return its id: the name, with a number when there is one of that name."""
        taken = {node["id"] for node in self.nodes}
        number, node_id = 2, name
        while node_id in taken:
            node_id, number = f"{name}_{number}", number + 1
        node: Spec = {"id": node_id, "tool": tool}
        if method:
            node["method"] = method
        node["params"] = params
        if visuals:
            node["visual_outputs"] = dict(visuals)
            if visuals.get("static"):
                self.picture = node
        self.nodes.append(node)
        return node_id

    def formula(
        self, text: str, variable: str | None, ask: str, *, known: Collection[str] = (), shown: str | None = None
    ) -> tuple[str, str] | None:
        """Return a formula and its variable: the one named, the only one there is, or x; None for no formula.

        Args:
            text: A formula, or words for the one before.
            variable: The variable that was named.
            ask: How one names it, for the message: `with respect to`.
            known: Names that have values.
            shown: The formula as it was written, when that is another text.

        Raises:
            UnclearError: There are several variables, or nothing that `it` could mean.
        """
        if _PRONOUN.fullmatch(text):
            if self.it is None or self.it.formula is None:
                raise UnclearError((self.it and self.it.why) or f"there is no formula before that '{text}' could mean")
            return self.it.formula, variable or self.it.variable
        found = formula(text)
        if found is None:
            return None
        names = sorted(found.names - set(map(normal_name, known)))
        if variable is not None and (variable := normal_name(variable)) in names:
            return text, variable
        if variable is None and len(names) == 1:
            return text, names[0]
        if "x" in names or not names:
            return text, variable or "x"
        raise UnclearError(
            f"'{shown or text}' holds {' and '.join(names)}: say which one is meant, '… {ask} {variable or names[0]}'"
        )
