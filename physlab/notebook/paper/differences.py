"""What a revision changed, as HTML for reading on paper: what went is struck through, what came is underlined."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher

from markupsafe import Markup, escape

from physlab.model.notebook import Attachment, Entry

FEW_WORDS = 3000
"""Up to so many words are compared word by word; of more, whole lines are shown."""
MOST_LINES = 400
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_TEXTS = {"title": "Title", "content": "Content", "conclusions": "Conclusions"}


def differences(old: Entry, new: Entry) -> list[tuple[str, Markup]]:
    """Return what differs between two revisions: the name of each part that does, and how."""
    found = [
        (name, _text(getattr(old, field), getattr(new, field)))
        for field, name in _TEXTS.items()
        if getattr(old, field) != getattr(new, field)
    ]
    sets = {"Tags": (old.tags, new.tags), "Tools": (old.tools_used, new.tools_used),
            "Files": (_files(old.attachments), _files(new.attachments)),
            "Computations": (tuple(item.record[:12] for item in old.sources),
                             tuple(item.record[:12] for item in new.sources))}  # fmt: skip
    return found + [(name, _names(before, after)) for name, (before, after) in sets.items() if before != after]


def _files(attachments: Sequence[Attachment]) -> tuple[str, ...]:
    return tuple(f"{item.name} ({item.sha256[:12]})" for item in attachments)


def _names(old: Sequence[str], new: Sequence[str]) -> Markup:
    gone = [_gone(name) for name in old if name not in new]
    come = [_come(name) for name in new if name not in old]
    return Markup(", ").join(gone + come) or Markup("another order")


def _gone(text: str) -> Markup:
    return Markup("<del>{}</del>").format(text)


def _come(text: str) -> Markup:
    return Markup("<ins>{}</ins>").format(text)


def _text(old: str, new: str) -> Markup:
    lines = list(_lines(old.splitlines(), new.splitlines()))
    shown = lines[:MOST_LINES]
    if len(lines) > MOST_LINES:
        shown.append(Markup("… and {} lines more").format(len(lines) - MOST_LINES))
    return Markup("\n").join(shown)


def _lines(old: Sequence[str], new: Sequence[str]) -> Iterator[Markup]:
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            yield from _around(old[a:b], first=a == 0, last=b == len(old))
        elif what == "replace" and len(_WORDS.findall("".join([*old[a:b], *new[c:d]]))) <= FEW_WORDS:
            yield from _words("\n".join(old[a:b]), "\n".join(new[c:d])).split("\n")
        else:
            yield from map(_gone, old[a:b])
            yield from map(_come, new[c:d])


def _around(lines: Sequence[str], first: bool, last: bool) -> Iterator[Markup]:
    """Yield the line after a change and that before the next one; of what is between only that it is there."""
    head = [] if first else [escape(lines[0])]
    tail = [] if last or (len(lines) == 1 and head) else [escape(lines[-1])]
    between = [Markup("⋯")] if len(lines) > len(head) + len(tail) else []
    yield from (*head, *between, *tail)


def _words(old: str, new: str) -> Markup:
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    parts = []
    for what, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            parts.append(escape("".join(before[a:b])))
            continue
        parts += [_each(_gone, "".join(before[a:b]))] if b > a else []
        parts += [_each(_come, "".join(after[c:d]))] if d > c else []
    return Markup("").join(parts)


def _each(mark: Callable[[str], Markup], text: str) -> Markup:
    """Mark each line by itself: lines are parted afterwards."""
    return Markup("\n").join(mark(line) if line else Markup("") for line in text.split("\n"))
