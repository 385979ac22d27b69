"""The text of entries: Markdown with math → HTML that can do nothing but be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from physlab.errors import ValidationError
from physlab.model.notebook import Attachment
from physlab.notebook.formulas import draw

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MAX_CHARS = 500_000
MAX_FORMULAS = 2000
WIDEST = 44.0
"""A formula that stands by itself and is wider gets several lines [size of a letter]."""
SCHEME = "artifact:"
SIDES = ("left", "center", "right")
TAGS = frozenset({"a", "blockquote", "br", "code", "del", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
                  "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"})  # fmt: skip
Address = Callable[[str], str | None]
"""Tells where the bytes of a SHA-256 can be seen; None where they cannot."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_OPEN, _CLOSE = "\ue000", "\ue001"
_PLACE = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_OURS = re.compile(f"[{_OPEN}{_CLOSE}\\0]")


@dataclass(frozen=True)
class Rendered:
    """A text as HTML.

    Attributes:
        html: A fragment; pictures and links lead to what `address` said, formulas are pictures that it holds.
        problems: What could not be shown, and why; it stands in the text as it was written.
        shown: SHA-256 of the pictures that it shows.
    """

    html: str
    problems: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


@dataclass
class _Work:
    """A text in the making: what is put in behind the cleaning, and what went wrong."""

    files: dict[str, str]
    address: Address
    size_px: float
    strict: bool
    parts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    formulas: int = 0

    def put(self, html: str) -> str:
        self.parts.append(html)
        return f"{_OPEN}{len(self.parts) - 1}{_CLOSE}"

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 that an image or a link names: by itself, or by the name of an attachment."""
        bare = name.removeprefix(SCHEME)
        if bare != name:
            return bare if _DIGEST.fullmatch(bare) else None
        return self.files.get(name) or self.files.get(unquote(name))


def render(
    text: str,
    files: Sequence[Attachment] = (),
    address: Address = lambda sha256: None,
    *,
    size_px: float = 16.0,
    strict: bool = True,
) -> Rendered:
    """Return Markdown with math as HTML without anything active in it.

    Raw HTML is text. Pictures are `![what](artifact:SHA256)`, or `![what](name.png)` by the name of an attachment;
    links lead to `https:`, `http:`, `mailto:` and files of ours. Nothing else is loaded by who reads it.

    Args:
        text: Markdown; `$E=mc^2$` and `$$…$$` are formulas in TeX.
        files: The attachments that it may name.
        address: Tells where a file can be seen.
        size_px: Size of the letters of formulas [px].
        strict: Whether what cannot be shown is an error; else it stands there as it was written, and is told.

    Raises:
        ValidationError: The text is too long or has too many formulas; or, when strict, a formula is wrong, or a
            picture names no file.
    """
    if len(text) > MAX_CHARS:
        raise ValidationError(
            f"The text has {len(text)} characters.", hint=f"At most {MAX_CHARS}: attach what is longer as a file."
        )
    import nh3

    sides = {"td": set(SIDES), "th": set(SIDES)}
    work = _Work({item.name: item.sha256 for item in files}, address, size_px, strict)
    html = _parser().render(_OURS.sub("\ufffd", text), {"work": work})
    clean = nh3.clean(
        html, tags=set(TAGS), attributes={"a": {"href"}, "ol": {"start"}}, url_schemes={"http", "https", "mailto"},
        url_relative="deny", allowed_classes=sides, link_rel="noopener noreferrer nofollow",
    )  # fmt: skip
    return Rendered(
        _PLACE.sub(lambda match: work.parts[int(match[1])], clean),
        tuple(work.problems),
        tuple(dict.fromkeys(work.shown)),
    )


def check(text: str, files: Sequence[Attachment] = ()) -> None:
    """Refuse a text that could not be shown as it is meant; to be asked before it is written down for good.

    Raises:
        ValidationError: It is too long, or has a formula that is wrong, or a picture that names no file.
    """
    render(text, files, lambda sha256: "#", strict=True)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.use(dollarmath_plugin, double_inline=True, allow_labels=False, allow_space=False, allow_digits=False)
    rules: dict[str, Callable[..., str]] = {
        "math_inline": _inline, "math_inline_double": _display, "math_block": _block, "image": _image,
        "link_open": _link, "link_close": _link_end, "heading_open": _heading, "heading_close": _heading,
        "td_open": _cell, "th_open": _cell,
    }  # fmt: skip
    for name, rule in rules.items():
        parser.add_render_rule(name, rule)
    return parser


def _inline(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
    return _formula(env["work"], tokens[at].content, "$", block=False)


def _display(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
    return _formula(env["work"], tokens[at].content, "$$", block=True)


def _block(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
    return f"<div>{_formula(env['work'], tokens[at].content, '$$', block=True)}</div>\n"


def _formula(work: _Work, tex: str, mark: str, block: bool) -> str:
    work.formulas += 1
    if work.formulas > MAX_FORMULAS:
        raise ValidationError(
            f"The text has more than {MAX_FORMULAS} formulas.", hint="Divide it into several entries."
        )
    try:
        drawn = draw(tex, work.size_px, block, WIDEST * work.size_px)
        if not block and drawn.width > WIDEST * work.size_px:  # it fits into no line
            block, drawn = True, draw(tex, work.size_px, True, WIDEST * work.size_px)
    except ValidationError as error:
        return _unshown(work, f"{mark}{tex}{mark}", error)
    picture = (
        f'<img class="math" src="{drawn.address}" alt="{escape(" ".join(tex.split()))}" width="{drawn.width}"'
        f' height="{drawn.height}">'
    )
    return work.put(f'<span class="formula">{picture}</span>' if block else picture)


def _unshown(work: _Work, written: str, error: ValidationError) -> str:
    """Put what was written where it cannot be shown, with the reason."""
    if work.strict:
        raise error
    work.problems.append(error.message)
    return work.put(f'<code class="unshown" title="{escape(error.message)}">{escape(written)}</code>')


def _image(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
    work: _Work = env["work"]
    name, alt = str(tokens[at].attrs.get("src", "")), self.renderInlineAsText(tokens[at].children or [], options, env)
    sha256 = work.digest(name)
    address = work.address(sha256) if sha256 else None
    if sha256 is None or address is None:
        why = f"The picture '{name[:80]}' " + (
            "cannot be seen here." if sha256 else "is no attachment of the entry, and no artifact:SHA256."
        )
        hint = f"Attachments: {', '.join(work.files) or 'none'}; pictures from elsewhere are never loaded."
        return _unshown(work, f"![{alt}]({name})", ValidationError(why, hint=hint))
    work.shown.append(sha256)
    title = escape(str(tokens[at].attrs.get("title") or ""))
    told = f' title="{title}"' if title else ""
    return work.put(f'<img class="picture" src="{escape(address)}" alt="{escape(alt)}"{told}>')


def _link(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
    """Open a link; one to a file of ours is put in behind the cleaning, which knows its address is ours."""
    work: _Work = env["work"]
    target = str(tokens[at].attrs.get("href", ""))
    sha256 = work.digest(target)
    address = work.address(sha256) if sha256 else None
    env.setdefault("links", []).append(address)
    if address is None:
        return f'<a href="{escape(target)}">'
    return work.put(f'<a class="file" href="{escape(address)}">')


def _link_end(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
    address = env["links"].pop()
    work: _Work = env["work"]
    return "</a>" if address is None else work.put("</a>")


def _heading(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
    """Headings of a text stand below the title of its entry and that of its part."""
    tag = f"h{min(6, int(tokens[at].tag[1]) + 2)}"
    return f"<{tag}>" if tokens[at].nesting == 1 else f"</{tag}>\n"


def _cell(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
    """Cells say by a class how they are aligned: no style attribute is let through."""
    side = str(tokens[at].attrs.get("style", "")).removeprefix("text-align:")
    return f'<{tokens[at].tag} class="{side}">' if side in SIDES else f"<{tokens[at].tag}>"
