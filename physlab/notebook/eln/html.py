"""HTML of other notebooks → Markdown; what Markdown cannot say is left out, what it would misread is escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")
_AROUND = {"b": "**", "strong": "**", "i": "*", "em": "*", "code": "`", "s": "~~", "del": "~~"}
_BLOCKS = frozenset({"p", "div", "table", "ul", "ol", "blockquote", "section", "article", "figure"})
_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript", "iframe", "object"})
_LEVELS = {f"h{level}": "#" * level + " " for level in range(1, 7)}


class _Reader(HTMLParser):
    """Writes down what a reader would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.silent, self.links, self.lists = 0, list[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.silent += tag in _SILENT
        if tag in _AROUND:
            self.out.append(_AROUND[tag])
        self.out += ["\n\n"] if tag in _BLOCKS or tag == "pre" else []
        self.out += ["\n\n", _LEVELS[tag]] if tag in _LEVELS else []
        self.out += ["  \n"] if tag == "br" else ["\n\n---\n\n"] if tag == "hr" else []
        self.out += ["\n| "] if tag == "tr" else []
        if tag in ("ul", "ol"):
            self.lists.append("- " if tag == "ul" else "1. ")
        if tag == "li":
            self.out += ["\n", "   " * (len(self.lists) - 1), (self.lists or ["- "])[-1]]
        if tag == "a":
            self.links.append(given.get("href", ""))
            self.out.append("[")
        if tag == "img":
            self.out.append(f"![{_escaped(given.get('alt', ''))}]({given.get('src', '').replace(')', '%29')})")

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in _SILENT and self.silent > 0
        if tag in _AROUND:
            self.out.append(_AROUND[tag])
        self.out += ["\n\n"] if tag in _BLOCKS or tag in _LEVELS or tag == "pre" else []
        self.out += [" | "] if tag in ("td", "th") else []
        if tag in ("ul", "ol") and self.lists:
            self.lists.pop()
        if tag == "a" and self.links:
            self.out.append(f"](<{re.sub('[<>]', '', self.links.pop())}>)")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.out.append(_escaped(re.sub(r"[ \t\r\n]+", " ", data)))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def markdown_of(html: str) -> str:
    """Return the text of a page as Markdown."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [line.rstrip() if not line.endswith("  ") else line for line in "".join(reader.out).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
