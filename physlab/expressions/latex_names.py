r"""Names in LaTeX: single letters, `x_{max}`, `m_\mathrm{e}`, `\omega_0`, `\hat{x}`, and runs of letters."""

from __future__ import annotations

import re
from collections.abc import Collection

from physlab.errors import ValidationError, nearest
from physlab.expressions.functions import CONSTANT_ALIASES, CONSTANTS
from physlab.expressions.latex_tokens import Token, refusal, tokenize
from physlab.expressions.latex_words import (
    ACCENTS,
    COMMANDS,
    CONSTANT_COMMANDS,
    DERIVATIVE_HINT,
    GREEK_COMMANDS,
    REFUSED,
    WORDS,
)

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_SIGNS = {"+": "plus", "-": "minus"}


class Cursor:
    """A place in a text of LaTeX signs.

    Attributes:
        text: The formula as it was written.
        declared: Names that are known, so that `rate` is one name and not five.
    """

    def __init__(self, text: str, declared: Collection[str]) -> None:
        self.text, self.declared = text, frozenset(declared)
        self.tokens, self.place = tokenize(text), 0
        self._spelled: dict[str, str] = {}

    @property
    def here(self) -> Token:
        """The sign to be read next."""
        return self.tokens[self.place]

    def ahead(self, count: int = 1) -> Token:
        """Return a later sign."""
        return self.tokens[min(self.place + count, len(self.tokens) - 1)]

    def take(self) -> Token:
        """Return the sign to be read next, and go on."""
        token = self.here
        if token.kind != "end":
            self.place += 1
        return token

    def sees(self, *signs: str) -> bool:
        """Say whether one of these signs or commands is next."""
        return self.here.kind in ("sign", "command") and self.here.text in signs

    def accept(self, *signs: str) -> bool:
        """Read one of these signs if it is next."""
        if self.sees(*signs):
            self.place += 1
            return True
        return False

    def expect(self, sign: str, after: Token) -> None:
        """Read a sign that must be next."""
        if not self.accept(sign):
            raise self.refuse(after, f"lacks the {sign} that belongs to {after.text}", "Close what was opened.")

    def refuse(self, token: Token, what: str, hint: str) -> ValidationError:
        """Return the error for a sign that was not understood."""
        return refusal(self.text, token, what, hint)

    def unknown_token(self, token: Token) -> ValidationError:
        """Return the error for a sign that no formula may hold here."""
        if token.text == ",":
            return self.refuse(token, "has a comma outside a call", "Decimals are written with a point.")
        if token.kind == "end":
            return self.refuse(token, "ends too early", "Write what is missing.")
        if token.kind in ("command", "size"):
            hint = REFUSED.get(token.text) or nearest(token.text, COMMANDS)
            return self.refuse(token, f"holds \\{token.text} where it cannot be read", hint)
        if token.text == "=":
            hint = "An equation belongs into the parameter `equation`; conditions are written with < and \\le."
            return self.refuse(token, "holds =", hint)
        hints = {"%": "Write \\bmod.", "**": "Write ^.", "&": "It belongs into \\begin{cases}.", "'": DERIVATIVE_HINT}
        return self.refuse(
            token,
            f"holds {token.text!r} where it cannot be read",
            hints.get(token.text[:2], "Check what stands there."),
        )


class Names(Cursor):
    """Reads names."""

    def name(self) -> str:
        """Read one name: a letter, a Greek letter, an accent or upright text, with its subscripts."""
        token = self.take()
        if token.kind == "letter":
            found = self._run(token)
            return found or self._subscripted(token, token.text)
        if token.kind in ("name", "operator"):
            if not _PLAIN.fullmatch(token.text):
                raise self.refuse(
                    token, f"has the name {token.text!r}", "Names are a letter, then letters, digits and _."
                )
            return self._subscripted(token, token.text)
        if token.text in ACCENTS:
            return self._subscripted(token, *self._accented(token))
        if token.text in CONSTANT_COMMANDS and not self.sees("_"):
            return CONSTANT_COMMANDS[token.text]
        if token.text == "Delta":
            return self._difference(token)
        return self._subscripted(token, GREEK_COMMANDS.get(token.text, token.text))

    def _run(self, first: Token) -> str | None:
        """Read a declared name of several letters; None when the letters are names of their own."""
        start, run = self.place, first.text
        while not self.here.spaced and (self.here.kind == "letter" or (run and self.here.text.isdecimal())):
            run += self.take().text
        if run == first.text:
            return None
        if run in self.declared and not self.sees("_"):
            return self._one_name(first, run)
        if self.sees("_"):
            found = self._subscripted(first, run, checked=False)
            if found in self.declared:
                return self._one_name(first, found)
        self.place = start
        self._refuse_words(first, re.split(r"\d", run)[0])
        return None

    def _one_name(self, first: Token, run: str) -> str:
        if set(run) <= self.declared:
            raise self.refuse(
                first,
                f"has the ambiguous {run}, which is a name and a product of names",
                rf"Write \mathrm{{{run}}} for the name, {' '.join(run)} for the product.",
            )
        return run

    def _refuse_words(self, first: Token, run: str) -> None:
        parts = {run[i:j] for i in range(len(run)) for j in range(i + 2, len(run) + 1)} if len(run) <= 40 else set()
        if run in WORDS or any(len(part) > 2 and part in WORDS for part in parts):
            word = max((part for part in parts if part in WORDS), key=len, default=run)
            known = word if word in COMMANDS else f"operatorname{{{word}}}"
            raise self.refuse(
                first,
                f"has the letters {run}, which LaTeX reads as the product {' '.join(run)}",
                rf"Write \{known} for {word}, or spaces between the letters for a product.",
            )
        inside = sorted(part for part in parts if part in self.declared)
        if inside:
            raise self.refuse(
                first,
                f"has the letters {run}, in which {inside[0]} is a declared name",
                rf"Write \mathrm{{{inside[0]}}} for the name, spaces between the letters for a product.",
            )

    def _accented(self, token: Token) -> tuple[str, str]:
        braced = self.accept("{")
        if self.here.kind not in ("letter", "name") and not (
            self.here.kind == "command" and self.here.text in GREEK_COMMANDS
        ):
            raise self.refuse(self.here, f"has \\{token.text} over what is no letter", "Put it over one letter.")
        letter = self.take()
        if braced:
            self.expect("}", token)
        return GREEK_COMMANDS.get(letter.text, letter.text), ACCENTS[token.text]

    def _difference(self, token: Token) -> str:
        r"""Read \Delta: alone, or with the letter whose change it is."""
        if self.here.kind != "letter" and not (self.here.kind == "command" and self.here.text in GREEK_COMMANDS):
            return self._subscripted(token, "Delta")
        start, spelled = self.place, "Delta" + GREEK_COMMANDS.get(self.here.text, self.here.text)
        self.take()
        joined = self._subscripted(token, spelled, checked=False)
        product, one = "Delta" in self.declared, joined in self.declared
        if product == one:
            raise self.refuse(
                token,
                f"has \\Delta before a letter, which may be the name {joined} or a product",
                rf"Write \mathrm{{{joined}}} for the name, \Delta \cdot … for the product.",
            )
        if one:
            return joined
        self.place = start
        return "Delta"

    def _subscripted(self, token: Token, base: str, *more: str, checked: bool = True) -> str:
        """Join a name and its subscripts: by `_`, or without where that name is the declared one."""
        parts = list(more)
        if self.sees("_"):
            parts += self._subscript()
            if self.sees("_"):
                raise self.refuse(self.here, "has two subscripts", "Put them into one pair of braces.")
        joined, glued = "_".join((base, *parts)), "".join((base, *parts))
        if parts and glued in self.declared:
            if joined in self.declared:
                raise self.refuse(token, f"may mean {joined} or {glued}, and both are declared", "Rename one of them.")
            joined = glued
        if not _PLAIN.fullmatch(joined):
            raise self.refuse(token, f"has the name {joined!r}", "Names are a letter, then letters, digits and _.")
        if checked and token.kind == "command":
            self._distinguish(token, joined)
        return joined

    def _distinguish(self, token: Token, name: str) -> None:
        """Refuse two signs of one formula that would become one name."""
        if self._spelled.setdefault(name, token.text) != token.text:
            raise self.refuse(
                token,
                f"holds both \\{self._spelled[name]} and \\{token.text}, which are one name here",
                "Give one of them a subscript.",
            )

    def _subscript(self) -> list[str]:
        opened = self.take()
        if not self.accept("{"):
            token = self.take()
            follows = not self.here.spaced and self.here.kind in ("letter", "number")
            if len(token.text) > 1 if token.kind == "number" else token.kind == "letter" and follows:
                raise self.refuse(
                    token, "has a subscript of several signs without braces", "Write _{…}, or a space after one sign."
                )
            return [self._element(token, alone=True)]
        parts: list[str] = []
        joins = False
        while not self.accept("}"):
            token = self.take()
            if token.text in (",", "_", "{"):
                if token.text == "{":
                    raise self.refuse(token, "has a subscript with braces inside", "Write \\mathrm{…} for words.")
                joins = False
                continue
            element = self._element(token, alone=not parts and self.sees("}"))
            if joins and not token.spaced and token.kind in ("letter", "number"):
                parts[-1] += element
            else:
                parts.append(element)
            joins = token.kind in ("letter", "number")
        if not parts:
            raise self.refuse(opened, "has an empty subscript", "Write for instance x_{0}.")
        return parts

    def _element(self, token: Token, *, alone: bool) -> str:
        if token.kind == "letter" or (token.kind == "number" and token.text.isdecimal()):
            return token.text
        if token.kind == "name" and re.fullmatch(r"[A-Za-z0-9_]+", token.text, re.ASCII):
            return token.text
        if token.kind == "command" and token.text in (GREEK_COMMANDS | CONSTANT_COMMANDS):
            return GREEK_COMMANDS.get(token.text) or CONSTANT_COMMANDS[token.text]
        if token.text in _SIGNS and alone:
            return _SIGNS[token.text]
        if token.kind == "end":
            raise self.refuse(token, "ends inside a subscript", "Write the closing }.")
        raise self.refuse(token, f"has {token.text!r} in a subscript", "Subscripts are letters, digits and commas.")

    def is_constant(self, name: str) -> bool:
        """Say whether a name is a constant rather than a variable."""
        return name not in self.declared and CONSTANT_ALIASES.get(name, name) in CONSTANTS
