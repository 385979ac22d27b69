"""A text as the steps it asks for, and the parts of a step: its range, its values, its variable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from physlab.errors import PhyslabError
from physlab.expressions import GREEK, Expression, parse

VERBS = (
    "plot", "draw", "graph", "sketch", "show", "visualize", "visualise", "animate", "solve", "differentiate", "derive",
    "integrate", "convert", "find", "compute", "calculate", "evaluate", "simplify", "expand", "factor", "take", "get",
    "give", "determine", "load", "read", "import", "open", "filter", "search", "look up", "express", "propagate",
    "make", "create", "run", "simulate", "study", "fit", "export", "save", "transform", "do", "tell", "print",
)  # fmt: skip
_VERB = rf"(?:{'|'.join(VERBS)})\b(?!\s*(?:,|and\b|$))"
_NOUN = (
    r"(?:(?:the|an?)\s+)?(?:\w+\s+){0,2}(?:plot|portrait|map|derivative|integral|spectrum|transform|commutator|symbols|"
    r"limit|series|uncertainty|roots|solutions?|sphere|lines)\s+of\b"
)
_POLITE = re.compile(
    r"^(?:(?:please|kindly|now|first(?:ly)?|next|finally|also|then|and|so|ok|let us|let's|"
    r"(?:can|could|would|will) you(?: please)?|i (?:want|would like|need) (?:you )?to|i'd like (?:you )?to)[\s,]+)+",
    re.IGNORECASE,
)
_BREAK = re.compile(
    rf"\s*;\s*|\s*[.!?]\s+(?=[A-Z])|\s*,?\s*\b(?:and\s+)?then\b\s*,?\s*|\s*,\s*(?:and\s+)?(?={_VERB}|{_NOUN})"
    rf"|\s+and\s+(?:also\s+)?(?={_VERB})",
    re.IGNORECASE,
)
_WORDS = (
    (r"\bsquared\b", "^2"),
    (r"\bcubed\b", "^3"),
    (r"\bto the (?:power (?:of )?)?(-?[\w.]+)(?:th|st|nd|rd)?(?: power)?\b", r"^(\1)"),
    (r"\b(?:the )?square root of (\w+|\([^()]*\))", r"sqrt(\1)"),
    (r"\b(?:the )?sine of (\w+|\([^()]*\))", r"sin(\1)"),
    (r"\b(?:the )?cosine of (\w+|\([^()]*\))", r"cos(\1)"),
    (r"\b(?:the )?(?:natural )?logarithm of (\w+|\([^()]*\))", r"log(\1)"),
    (r"\b(?:the )?exponential of (\w+|\([^()]*\))", r"exp(\1)"),
    (r"\bdivided by\b", "/"),
    (r"\btimes\b", "*"),
    (r"\bplus\b", "+"),
    (r"\bminus\b", "-"),
    (r"\s*\b(?:is equal to|equals)\b\s*", " = "),
    (r"\binfinity\b|∞", "inf"),
)
_VALUE = r"[A-Za-zα-ωΑ-Ω]\w*'*(?:\([^()]*\))?\s*=\s*[^,=\"'“]+?"
_TAILS = {
    "span": re.compile(
        r"(?:^|\s+|,\s*)(?:(?:for|over|on|with)\s+(?:(?P<name>[^\W\d]\w*)\s+)?)?"
        r"(?:from|between|in the range(?: of| from)?)\s+(?P<lo>\S+)\s+(?:to|and)\s+(?P<hi>[^\s,]+)$",
        re.IGNORECASE,
    ),
    "interval": re.compile(
        r"\s+(?:for|over|on|in)\s+(?:(?P<name>[^\W\d]\w*)\s+(?:in|∈)\s+)?\[(?P<lo>[^,\]]+),(?P<hi>[^,\]]+)\]$"
    ),
    "inequality": re.compile(r"\s+(?:for|over|on)\s+(?P<lo>[^<\s]+)\s*<=?\s*(?P<name>[^\W\d]\w*)\s*<=?\s*(?P<hi>\S+)$"),
    "values": re.compile(
        rf"(?:\s+|,\s*)(?:with|where|given|for|using|at|if)\s+(?P<list>{_VALUE}(?:\s*(?:,|,?\s+and)\s+{_VALUE})*)$"
    ),
    "variable": re.compile(
        r"\s+(?:as (?:a )?function of|with respect to|versus|vs\.?|against|over|wrt|d)\s+(?P<name>[^\W\d]\w*)$",
        re.IGNORECASE,
    ),
    "title": re.compile(r"\s+(?:with (?:the )?title|titled|entitled|called)\s+(?P<q>[\"'“])(?P<title>.+?)[\"'”]$"),
}
_GREEK = frozenset((*GREEK.values(), "hbar"))


class Span(NamedTuple):
    """A range as it was said, and the variable it is of where that was said."""

    low: str
    high: str
    name: str | None

    def numbers(self) -> tuple[float, float] | None:
        """Return the ends as finite numbers in order, or None."""
        low, high = number(self.low), number(self.high)
        good = low is not None and high is not None and np.isfinite([low, high]).all() and low < high
        return (low, high) if good else None  # type: ignore[return-value]


class Clause(NamedTuple):
    """A step without its tails.

    Attributes:
        text: What is left.
        span: Its range.
        values: Numbers for names, and conditions such as `y(0)`, as they were written.
        variable: What it is a function of.
        title: Title of a figure.
    """

    text: str
    span: Span | None = None
    values: Mapping[str, str] = {}
    variable: str | None = None
    title: str | None = None


def split(text: str) -> list[str]:
    """Return the steps of a text in order, without what is only politeness."""
    found = [_POLITE.sub("", part.strip(" ,.?!")) for part in _BREAK.split(" ".join(text.split()))]
    return [part for part in found if part]


def analyse(step: str) -> Clause:
    """Take the tails off a step: range, values, variable, title, in whatever order they stand."""
    for pattern, sign in _WORDS:
        step = re.sub(pattern, sign, step, flags=re.IGNORECASE)
    clause = Clause(step)
    while True:
        found = next(((kind, match) for kind, tail in _TAILS.items() if (match := tail.search(clause.text))), None)
        if found is None:
            return clause
        kind, match = found
        said = match.groupdict()
        clause = clause._replace(text=clause.text[: match.start()].rstrip(" ,"))
        if kind == "values":
            clause = clause._replace(values={**_values(said["list"]), **clause.values})
        elif kind == "variable":
            clause = clause._replace(variable=said["name"])
        elif kind == "title":
            clause = clause._replace(title=said["title"])
        else:
            clause = clause._replace(span=Span(said["lo"].strip(), said["hi"].strip(), said["name"]))


def _values(text: str) -> dict[str, str]:
    pairs = re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", text)
    return {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)}


def number(text: str) -> float | None:
    """Return the number that a text spells (`2pi`, `-inf`), or None."""
    try:
        expression = parse(text, ())
        value = complex(expression.evaluate())
    except PhyslabError:
        return None
    return value.real if value.imag == 0 and not np.isnan(value.real) else None


def formula(text: str) -> Expression | None:
    """Return a text as a formula, or None when it is none: words beside each other are no product here."""
    try:
        found = parse(text)
    except PhyslabError:
        return None
    words = {name for name in found.names if not _is_symbol(name)}
    if words and (re.fullmatch(r"\w+", text.strip()) or re.search(r"[^\W\d_]{2,}\s+[^\W\d]", text)):
        return None
    return found


def _is_symbol(name: str) -> bool:
    head = name.partition("_")[0].rstrip("0123456789")
    return len(head) == 1 or head in _GREEK
