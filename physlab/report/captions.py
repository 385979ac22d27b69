"""Captions made from what was asked: the tool's own sentence, or one composed from its parameters."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from physlab.report import words
from physlab.report.contents import Content, Item
from physlab.tools.types import Unit


def caption(content: Content, item: Item) -> Markup:
    """Return the caption of an artifact, with the step it comes from."""
    text = item.artifact.caption.strip() or _composed(content, item)
    ended = text if text.endswith((".", "!", "?")) else text + "."
    return Markup('{0} <span class="from">Step <a href="#node-{1}">{1}</a>.</span>').format(ended, content.id)


def plain_caption(content: Content, item: Item) -> str:
    """Return the caption as text."""
    return item.artifact.caption.strip() or _composed(content, item)


def _composed(content: Content, item: Item) -> str:
    what = (content.method.summary.rstrip(".") if content.method else "") or f"Output of {content.name}"
    given = ", ".join(f"{name} = {words.value(value)}" for name, value in simple_params(content).items())
    return f"{what}: {item.artifact.name}" + (f" ({words.cut(given, 200)})" if given else "") + "."


def simple_params(content: Content) -> dict[str, Any]:
    """Return the parameters of a node that fit in a sentence: numbers and short texts."""
    params = content.record.params if content.record else {}
    return {n: v for n, v in params.items() if isinstance(v, int | float) or (isinstance(v, str) and 0 < len(v) <= 60)}


def parameter(content: Content, name: str, value: Any) -> Markup:
    """Return `n = 2` or `L = 1.5 nm`, with the unit that the method declares."""
    info = content.method.params.model_fields.get(name) if content.method else None
    declared = next((mark.unit for mark in info.metadata if isinstance(mark, Unit)), None) if info else None
    written = words.unit(declared) if isinstance(value, int | float) else Markup("")
    return Markup("<i>{}</i>&nbsp;=&nbsp;{}").format(name, escape(words.value(value))) + (
        Markup("&nbsp;") + written if written else Markup("")
    )
