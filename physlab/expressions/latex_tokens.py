r"""The signs of LaTeX: what a text is made of, and where each sign stands."""

from __future__ import annotations

import re
from typing import NamedTuple

from physlab import caps
from physlab.errors import ValidationError
from physlab.expressions.spelling import GREEK, shorten

DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_TOKEN = re.compile(
    r"(?P<space>(?:\s|~|\\[,;:!> ]|\\(?:quad|qquad|displaystyle|textstyle|thinspace|limits|nolimits)(?![A-Za-z]))+)"
    r"|(?P<name>\\(?:mathrm|text|textrm|mathit|mathsf|textit|mathnormal|operatorname)\*?\s*\{\s*[^{}\\]*\})"
    r"|(?P<size>\\(?:big|Big|bigg|Bigg|left|right)[lrm]?(?![A-Za-z]))"
    r"|(?P<command>\\(?:[A-Za-z]+|[{}|\\]))"
    r"|(?P<number>\d+(?:\.\d*)?|\.\d+)"
    rf"|(?P<letter>[A-Za-z{''.join(GREEK)}])"
    r"|(?P<sign>\*\*|'+|[-+*/^_!(){}\[\]|<>=,&])"
    r"|(?P<odd>\\?.)",
    re.ASCII | re.DOTALL,
)
_BRACED = re.compile(r"[\^_]\s*\{")
_TYPOGRAPHIC = str.maketrans({"−": "-", "–": "-", "·": "*", "×": "*", "⋅": "*", "′": "'", "’": "'", "\u00a0": " "})


class Token(NamedTuple):
    """One sign.

    Attributes:
        kind: command, name, letter, number, sign, size, odd or end.
        text: The sign; of a command without its backslash, of a name what stands in its braces.
        start: Where it begins in the text.
        spaced: Whether space stands before it.
    """

    kind: str
    text: str
    start: int
    spaced: bool


def is_latex(text: str) -> bool:
    r"""Say whether a formula is written in LaTeX: between `$…$`, with a backslash anywhere, or with `^{` or `_{`."""
    return "\\" in text or bool(_BRACED.search(text)) or text.strip()[:1] == "$"


def body(text: str) -> tuple[str, int]:
    r"""Return what stands between `$…$`, `$$…$$`, `\(…\)` or `\[…\]` (else everything), and where it begins."""
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    for opening, closing in DELIMITERS:
        wide = end - start >= len(opening) + len(closing)
        if wide and text.startswith(opening, start) and text.endswith(closing, start, end):
            return text[start + len(opening) : end - len(closing)], start + len(opening)
    return text, 0


def split_equation(text: str) -> list[str]:
    """Return the sides of an equation, each between dollars."""
    inner, _ = body(text)
    parts, depth, before = [""], 0, ""
    for letter in inner:
        if before != "\\":
            depth += (letter == "{") - (letter == "}")
        if letter == "=" and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
        before = "" if before == "\\" else letter
    return [f"${part}$" for part in parts]


def tokenize(text: str) -> list[Token]:
    """Return the signs of a text, ended by one of the kind `end`.

    Raises:
        ValidationError: It is longer than a formula may be.
    """
    longest = int(caps.limit("expression_chars"))
    if len(text) > longest:
        raise ValidationError(
            f"The formula has {len(text)} characters; the cap is {longest}.", hint="Split it over several nodes."
        )
    inner, offset = body(text)
    tokens: list[Token] = []
    spaced = False
    for match in _TOKEN.finditer(inner.translate(_TYPOGRAPHIC)):
        kind, piece = match.lastgroup or "odd", match[0]
        if kind == "space":
            spaced = True
            continue
        if kind == "name":
            kind, piece = _name(piece)
        elif kind in ("command", "size"):
            piece = piece[1:]
        elif kind == "letter" and piece in GREEK:
            kind, piece = "command", GREEK[piece]
        tokens.append(Token(kind, piece, match.start() + offset, spaced))
        spaced = False
    return [*tokens, Token("end", "", offset + len(inner), spaced)]


def _name(piece: str) -> tuple[str, str]:
    command, _, inside = piece.partition("{")
    kind = "operator" if command.startswith(r"\operatorname") else "name"
    return kind, inside[:-1].strip()


def refusal(text: str, token: Token, what: str, hint: str) -> ValidationError:
    """Return the error for a place that was not understood."""
    if token.kind == "end":
        place = "at its end"
    else:
        before, after = text[max(0, token.start - 12) : token.start], text[token.start : token.start + 16]
        more = "…" if token.start > 12 else "", "…" if len(text) > token.start + 16 else ""
        place = f"at character {token.start + 1}: {more[0]}{before}»{after}{more[1]}"
    return ValidationError(f"The LaTeX formula {shorten(text)} {what}, {place}.", hint=hint)
