"""From what people write (`2α x²`, `3(x+1)`, `x^2`) to the arithmetic of Python's grammar, in ASCII."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterator

from physlab.errors import ValidationError
from physlab.expressions.functions import find_function


def _name_of(letter: str) -> str:
    """Return `alpha` for α, `Omega` for Ω."""
    name = unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda")
    return name.capitalize() if letter.isupper() else name


GREEK = {letter: _name_of(letter) for letter in "αβγδεζηθικλμνξοπρστυφχψωςΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"}
GREEK |= {"ϕ": "phi", "ϑ": "theta", "ϵ": "epsilon", "ϱ": "rho", "\u00b5": "mu", "\u2126": "Omega"}
GREEK |= {"ħ": "hbar", "ℏ": "hbar"}
LETTERS = frozenset(GREEK.values())
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("·×⋅∙", "*"),
        **dict.fromkeys("−–", "-"),
        **dict.fromkeys("\u00a0\u2009\u202f", " "),
        "÷": "/",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "∞": " inf ",
        "√": " sqrt ",
    }
)
_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SUB = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUPER_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_SUB_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_GREEK_LETTER = re.compile(
    rf"(?P<before>[A-Za-z0-9])?(?P<letter>[{''.join(GREEK)}])(?=(?P<after>[A-Za-z{''.join(GREEK)}])?)"
)

_TOKEN = re.compile(
    r"(?P<radix>0[xXoObB][0-9A-Fa-f]+)"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<open>\()|(?P<close>\))"
    r"|(?P<sign>\*\*|\^|<=|>=|==|!=|[-+*/%,<>&|~])"
    r"|(?P<space>\s+)|(?P<odd>.)",
    re.ASCII | re.DOTALL,
)
_OPERANDS, _ENDS = frozenset(("number", "name", "open")), frozenset(("number", "name", "close"))
WORDS = frozenset(("and", "or", "not"))
RESERVED = frozenset(keyword.kwlist) - WORDS - {"lambda", "True", "False"}


def shorten(text: str) -> str:
    """Return a formula as messages show it."""
    return repr(text if len(text) <= 60 else text[:57] + "…").replace("\\\\", "\\")


def to_ascii(text: str) -> str:
    """Spell Greek letters, superscripts, subscripts and typographic signs in ASCII."""
    if text.isascii():
        return text
    text = _SUPER_RUN.sub(lambda run: f"**({run[0].translate(_SUPER)}) ", text)
    text = _SUB_RUN.sub(lambda run: f"_{run[0].translate(_SUB)} ", text).translate(_SIGNS)
    return _GREEK_LETTER.sub(_spell_letter, text)


def _spell_letter(match: re.Match[str]) -> str:
    """`ωt` is a product, `Δx` and `ω0` are one name."""
    before, letter, after = match["before"] or "", match["letter"], match["after"]
    name = GREEK[letter]
    gap = " " if after and name != "Delta" else ""
    return f"{before}{' ' if before else ''}{name}{gap}"


def to_python(text: str) -> str:
    """Return a formula with `**` for powers and `*` for every product, names that Python reserves escaped.

    Raises:
        ValidationError: It holds a sign or a word that no formula may hold, or an ambiguous product.
    """
    return "".join(_spell(text))


def _spell(text: str) -> Iterator[str]:
    last, word = "", ""  # kind and text of the piece before
    before, spaced = "", False  # the sign before the operand that is being read; whether a space came just now
    groups: list[str] = []
    for match in _TOKEN.finditer(to_ascii(text)):
        kind, piece = match.lastgroup or "odd", match[0]
        if kind == "space":
            spaced = True
            continue
        if kind in ("odd", "radix"):
            raise ValidationError(f"The formula {shorten(text)} holds {piece!r}.", hint=_advise(piece))
        if piece in WORDS or piece == "~":
            kind = "sign"
        if kind in _OPERANDS:
            if last not in _ENDS:
                before = word if last == "sign" else ""
            elif _multiplies(last, word, kind, piece, text):
                if before == "/" or (before == "^" and not spaced):
                    raise _ambiguous(text, before, word, piece)
                yield "*"
                before = "*"
            elif spaced:
                yield " "
        if kind == "open":
            groups.append(before)
        elif kind == "close":
            before = groups.pop() if groups else ""
        yield _escape(piece, kind, text)
        if not (piece in ("+", "-") and last == "sign" and word in ("/", "^")):
            word = "^" if piece == "**" else piece
        last, spaced = kind, False


def _multiplies(last: str, word: str, kind: str, piece: str, text: str) -> bool:
    """Say whether a product is meant between two neighbours."""
    if kind == "number":
        return last == "close"
    if last == "name" and kind == "open":
        return word == "pi"
    if last == "name" and find_function(word) and word not in LETTERS:
        raise ValidationError(
            f"The formula {shorten(text)} uses {word} without parentheses.", hint=f"Write {word}({piece}…)."
        )
    return True


def _escape(piece: str, kind: str, text: str) -> str:
    if piece in WORDS:
        return f" {piece} "
    if kind == "name":
        if piece in RESERVED:
            raise ValidationError(
                f"The formula {shorten(text)} holds the reserved word '{piece}'.", hint="Use another name for it."
            )
        return "_lambda" if piece == "lambda" else piece
    return "**" if piece == "^" else piece


def _ambiguous(text: str, sign: str, word: str, piece: str) -> ValidationError:
    shown = f"…{sign}{word}{piece}…"
    return ValidationError(
        f"The formula {shorten(text)} has the ambiguous product {shown}.", hint="Write the * and the parentheses."
    )


def _advise(piece: str) -> str:
    if piece == "=":
        return "Use == to compare; an equation belongs into the parameter `equation`."
    if piece in "[]{}":
        return "Use round parentheses."
    if piece == "!":
        return "Write factorial(n)."
    return "Allowed are numbers, names, + - * / ^ % ( ) , comparisons, and/or/not, and known functions."
