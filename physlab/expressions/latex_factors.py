r"""What LaTeX multiplies: numbers, names and calls, fractions and roots, brackets and bars, powers, cases."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from physlab import caps
from physlab.expressions.functions import find_function
from physlab.expressions.latex_names import Names
from physlab.expressions.latex_tokens import Token
from physlab.expressions.latex_words import (
    ACCENTS,
    BAR_MEANING,
    BARS,
    CONSTANT_COMMANDS,
    DERIVATIVE_HINT,
    DOTS,
    FENCES,
    FRACTIONS,
    FUNCTION_COMMANDS,
    GREEK_COMMANDS,
    OPERATOR_NAMES,
)

LOGIC, SUM, PRODUCT, POWER, ATOM = range(5)
LONE = re.compile(r"[A-Za-z]\w*|\d+", re.ASCII)
_OPENING_SIZES = frozenset(("left", *(size + "l" for size in ("big", "Big", "bigg", "Bigg"))))
_PRIMARY_COMMANDS = frozenset(
    (*GREEK_COMMANDS, *CONSTANT_COMMANDS, *FUNCTION_COMMANDS, *FRACTIONS, *ACCENTS, *DOTS, *BARS,
     "sqrt", "binom", "overline", "begin", "{", "lbrace", "lparen", "lbrack")
)  # fmt: skip
_BARE_COMMANDS = frozenset((*GREEK_COMMANDS, *CONSTANT_COMMANDS, *FRACTIONS, *ACCENTS, *DOTS, "sqrt"))


class Piece(NamedTuple):
    """A part in plain spelling, and how strongly its outermost operation binds."""

    text: str
    level: int

    def within(self, level: int) -> str:
        """Return the part, with parentheses where an operation of this level needs them."""
        return self.text if self.level >= level else f"({self.text})"


class Factors(Names):
    """Reads one factor of a product.

    Attributes:
        functions: Further functions that may be called; None: any.
        unknown: The function whose derivatives may be written, and its variable.
    """

    def __init__(
        self,
        text: str,
        declared: Collection[str],
        functions: Collection[str] | None,
        unknown: tuple[str, str] | None,
    ) -> None:
        super().__init__(text, {*declared, *(functions or ())})
        self.functions, self.unknown = functions, unknown
        self.depth, self.deepest = 0, int(caps.limit("expression_depth"))
        self.inside: list[str] = [""]  # what is open: "|" when it is a bar that looks the same on both sides

    @abstractmethod
    def expression(self) -> Piece:
        """Read what brackets may hold."""

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Count the levels of what is read inside something else."""
        self.depth += 1
        if self.depth > self.deepest:
            raise self.refuse(self.here, f"nests more than {self.deepest} levels", "Split it over several nodes.")
        yield
        self.depth -= 1

    # --- what may begin a factor ---------------------------------------------------------------------------------

    def starts_factor(self) -> bool:
        """Say whether the next sign begins a factor."""
        token = self.here
        if token.kind == "size":
            return token.text in _OPENING_SIZES or (token.text[-1:] != "r" and self.ahead().text in FENCES)
        if token.kind == "command":
            return token.text in _PRIMARY_COMMANDS
        if token.kind == "sign":
            return token.text in ("(", "[", "{") or (token.text == "|" and self.inside[-1] != "|")
        return token.kind in ("letter", "number", "name", "operator") and not (
            self.inside[-1] == "cases" and self.word()
        )

    def opens_bracket(self, *, tight: bool = False) -> bool:
        """Say whether a bracket opens here; `tight`: without space before it, as a call is written."""
        token = self.ahead() if self.here.kind == "size" else self.here
        if self.here.kind == "size" and self.here.text == "right":
            return False
        return token.kind in ("sign", "command") and token.text in ("(", "[") and not (tight and self.here.spaced)

    def opens_call(self) -> bool:
        r"""Say whether arguments follow: `(x)`, or `{\left(x \right)}` as SymPy writes it."""
        if self.opens_bracket(tight=True):
            return True
        if not self.sees("{") or self.here.spaced:
            return False
        return self.ahead().text == "(" or (self.ahead().kind == "size" and self.ahead(2).text == "(")

    def word(self) -> bool:
        """Say whether the next sign is a word of a case, such as `if`."""
        return self.here.kind == "name" and self.here.text.rstrip(",:.") in _CASE_WORDS

    # --- a factor --------------------------------------------------------------------------------------------------

    def factor(self) -> Piece:
        """Read a factor with its powers and factorials."""
        found = self.primary()
        powered = False
        while True:
            token = self.here
            if self.accept("^"):
                if powered:
                    raise self.refuse(token, "has two exponents", "Put them into braces: x^{2^{3}}.")
                powered, found = True, self.power(found, token)
            elif self.sees("!"):
                self.take()
                if powered or self.sees("!"):
                    raise self.refuse(token, "has an ambiguous factorial", "Put parentheses around its argument.")
                found = Piece(f"factorial({found.text})", ATOM)
            elif self.sees("_"):
                raise self.refuse(token, "has a subscript at what is no name", "Only names have subscripts.")
            elif token.kind == "sign" and token.text.startswith("'"):
                raise self.refuse(token, "has a prime at what has none", DERIVATIVE_HINT)
            else:
                return found

    def power(self, base: Piece, sign: Token) -> Piece:
        """Read an exponent: a number, a conjugate, an adjoint, degrees, or primes."""
        braced = self.sees("{")
        mark = self.ahead() if braced else self.here
        if mark.kind in ("command", "sign") and mark.text in ("circ", "dagger", "*", "ast", "prime"):
            if braced:
                self.take()
            count = 0
            while self.accept(mark.text):
                count += 1
            if braced:
                self.expect("}", sign)
            return self.marked(base, mark, count)
        if self.here.kind == "sign" and not braced:
            raise self.refuse(sign, "has an exponent without braces", "Write ^{…}.")
        exponent = self.argument("exponent", base.text == "e" and self.is_constant("e"))
        inside = exponent.text[1:-1] if exponent.text.startswith("(") else ""
        if LONE.fullmatch(inside):
            raise self.refuse(
                sign, f"has the ambiguous exponent ({inside})", "Write ^{…} without parentheses for a power."
            )
        name = base.text if base.level == ATOM and LONE.fullmatch(base.text) else ""
        if name and self.sees("{") and self.opens_call():
            base = Piece(f"{name}({self.arguments()})", ATOM)
        return Piece(f"{base.within(ATOM)}**{exponent.within(ATOM)}", POWER)

    def marked(self, base: Piece, mark: Token, count: int) -> Piece:
        """Return what a sign in the exponent makes of a factor."""
        if mark.text == "prime":
            return self.primed(base.text, count, mark)
        if count > 1:
            raise self.refuse(mark, f"has several {mark.text}", "Write it once.")
        name = {"circ": "radians", "dagger": "dag"}.get(mark.text, "conjugate")
        return Piece(f"{name}({base.text})", ATOM)

    def primed(self, name: str, count: int, token: Token) -> Piece:
        """Return a derivative of the unknown function."""
        if self.unknown is None or name != self.unknown[0]:
            raise self.refuse(token, f"derives {name}", DERIVATIVE_HINT)
        text = name + "'" * count
        return Piece(f"{text}({self.arguments()})" if self.opens_call() else text, ATOM)

    def argument(self, what: str, strict: bool = True) -> Piece:
        """Read what a command takes: braces, or one sign."""
        token = self.here
        if self.sees("{"):
            return self.braces()
        if token.kind == "number":
            if len(token.text) > 1 and what != "fraction":
                raise self.refuse(token, f"has an {what} of several digits without braces", f"Write {{{token.text}}}.")
            if len(token.text) > 1:
                rest = token._replace(text=token.text[1:], start=token.start + 1, spaced=False)
                self.tokens[self.place : self.place + 1] = [token._replace(text=token.text[0]), rest]
            token = self.take()
            if strict and what == "exponent" and not self.here.spaced and self.here.kind == "letter":
                raise self.refuse(token, f"has an ambiguous {what}", f"Write {{{token.text}}} or {{{token.text}…}}.")
            return Piece(token.text, ATOM)
        if token.kind == "letter":
            self.take()
            if what == "exponent" and not self.here.spaced and self.here.kind in ("letter", "number"):
                raise self.refuse(token, f"has an {what} of several signs without braces", "Write {…} around it.")
            return Piece(token.text, ATOM)
        if token.kind == "name" or (token.kind == "command" and token.text in _BARE_COMMANDS - ACCENTS.keys()):
            if token.kind == "command" and token.text in (*FRACTIONS, *DOTS, "sqrt"):
                return self.primary()
            if token.kind == "name" and not LONE.fullmatch(token.text):
                raise self.refuse(token, f"has the name {token.text!r}", "Names are a letter, then letters, digits, _.")
            self.take()
            return Piece(GREEK_COMMANDS.get(token.text) or CONSTANT_COMMANDS.get(token.text) or token.text, ATOM)
        if token.kind == "end":
            raise self.unknown_token(token)
        raise self.refuse(token, f"lacks the braces of an {what}", "Write {…}.")

    def braces(self) -> Piece:
        """Read a group in braces, which changes nothing."""
        opening = self.take()
        self.inside.append("")
        found = self.expression()
        self.inside.pop()
        self.expect("}", opening)
        return found

    def primary(self) -> Piece:
        """Read a factor without what stands behind it."""
        with self.deeper():
            return self.undressed()

    def undressed(self) -> Piece:
        """Choose how to read a factor by its first sign."""
        token = self.here
        if token.kind == "number":
            return self.number()
        if token.kind in ("letter", "name", "operator"):
            return self.named()
        if token.kind == "size" or self.sees("|") or (token.kind == "command" and token.text in (*BARS, *FENCES)):
            return self.fenced()
        if self.sees("(", "["):
            return self.fenced()
        if self.sees("{"):
            found = self.braces()
            return Piece(found.within(ATOM), ATOM)
        if token.kind == "command":
            for words, read in _COMMANDS:
                if token.text in words:
                    return read(self)
        raise self.unknown_token(token)

    def number(self) -> Piece:
        """Read a number; 1e-3 is the product 1·e-3 in LaTeX, and refused."""
        token = self.take()
        letter, after = self.here, self.ahead()
        if letter.text in ("e", "E") and not letter.spaced and not after.spaced:
            signed = after.text in ("+", "-") and self.ahead(2).kind == "number" and not self.ahead(2).spaced
            if after.kind == "number" or signed:
                raise self.refuse(token, "has an ambiguous number", r"Write 1.5 \cdot 10^{-3}.")
        return Piece(token.text, ATOM)

    def named(self) -> Piece:
        """Read a variable, a constant, or the call of a function by its name."""
        token = self.here
        if token.kind in ("name", "operator") and token.text not in self.declared:
            function = OPERATOR_NAMES.get(token.text, token.text)
            if find_function(function):
                self.take()
                if self.opens_call() or self.opens_bracket() or token.kind == "operator":
                    return self.function(function, token)
                self.place -= 1
        name = self.name()
        if self.here.kind == "sign" and self.here.text.startswith("'"):
            prime = self.take()
            return self.primed(name, len(prime.text), prime)
        known = self.functions is not None and name in self.declared and name not in self.functions
        if self.is_constant(name) or not self.opens_call() or (known and not self.sees("{")):
            return Piece(name, ATOM)  # a declared variable is no function: what follows is a factor
        if token.kind == "command" and name == "gamma" and name not in self.declared:
            raise self.refuse(token, "calls \\gamma", "Write \\Gamma for the function, \\cdot for a product.")
        if self.functions is not None and name not in self.functions and not find_function(name):
            raise self.refuse(
                token, f"may call the function {name} or multiply by it", "Write \\cdot between them for the product."
            )
        return Piece(f"{name}({self.arguments()})", ATOM)

    # --- brackets ----------------------------------------------------------------------------------------------------

    def fenced(self) -> Piece:
        """Read what stands between brackets or bars."""
        sized = self.here.kind == "size"
        if sized:
            self.take()
        opening = self.take()
        bar = opening.text in BARS or opening.text == "|"
        if opening.kind not in ("sign", "command") or (not bar and opening.text not in FENCES):
            raise self.refuse(opening, f"has the bracket {opening.text!r}", "Use ( ), [ ], \\{ \\} or | |.")
        self.inside.append("|" if opening.text == "|" and not sized else "")
        found = self.expression()
        self.inside.pop()
        self.close(sized, opening)
        if bar:
            return Piece(f"{BAR_MEANING[opening.text]}({found.text})", ATOM)
        return Piece(f"({found.text})", ATOM)

    def close(self, sized: bool, opening: Token) -> None:
        """Read the closing bracket that belongs to an opening one."""
        if self.sees(","):
            raise self.unknown_token(self.here)
        if sized:
            if self.here.kind != "size":
                raise self.refuse(
                    self.here, f"lacks the \\right that belongs to {opening.text}", "Close what was opened."
                )
            self.take()
        closing = (FENCES | BARS).get(opening.text, opening.text)
        self.expect(closing, opening)

    def arguments(self) -> str:
        """Read the arguments of a call, in brackets."""
        braced = self.accept("{")
        sized = self.here.kind == "size"
        if sized:
            self.take()
        opening = self.take()
        self.inside.append("")
        parts = [self.expression().text]
        while self.accept(","):
            parts.append(self.expression().text)
        self.inside.pop()
        self.close(sized, opening)
        if braced:
            self.expect("}", opening)
        return ", ".join(parts)

    @abstractmethod
    def function(self, name: str, token: Token) -> Piece:
        """Read the argument of a function."""

    @abstractmethod
    def function_command(self) -> Piece:
        """Read a function that has a command."""

    @abstractmethod
    def fraction(self) -> Piece:
        """Read a fraction, or a derivative."""

    @abstractmethod
    def dotted(self) -> Piece:
        """Read a derivative by time."""

    @abstractmethod
    def cases(self) -> Piece:
        r"""Read \\begin{cases}."""

    def root(self) -> Piece:
        """Read a root; the n-th is the power 1/n."""
        token = self.take()
        index = None
        if self.accept("["):
            index = self.expression()
            self.expect("]", token)
        inside = self.argument("argument of the root")
        if index is None:
            return Piece(f"sqrt({inside.text})", ATOM)
        return Piece(f"{inside.within(ATOM)}**(1/{index.within(POWER)})", POWER)

    def binomial(self) -> Piece:
        """Read a binomial coefficient."""
        self.take()
        above, below = self.argument("fraction"), self.argument("fraction")
        return Piece(f"binomial({above.text}, {below.text})", ATOM)

    def conjugate(self) -> Piece:
        """Read a complex conjugate."""
        self.take()
        return Piece(f"conjugate({self.argument('argument').text})", ATOM)


_CASE_WORDS = frozenset(("for", "if", "when", "otherwise", "else", "and", "or"))
_COMMANDS = (
    (frozenset(FUNCTION_COMMANDS), lambda reader: reader.function_command()),
    (FRACTIONS, lambda reader: reader.fraction()),
    (frozenset(DOTS), lambda reader: reader.dotted()),
    (frozenset(("begin",)), lambda reader: reader.cases()),
    (frozenset(("sqrt",)), Factors.root),
    (frozenset(("binom",)), Factors.binomial),
    (frozenset(("overline",)), Factors.conjugate),
    (frozenset((*GREEK_COMMANDS, *CONSTANT_COMMANDS, *ACCENTS)), Factors.named),
)
