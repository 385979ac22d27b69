r"""From LaTeX (`\frac{1}{2} m v^2`, `\sin^2\theta`) to the plain spelling that the parser reads.

The result is text, with every product and parenthesis written: the parser's whitelist and limits hold for it as for
any other formula. What could mean two things is refused, with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from physlab.expressions.latex_factors import ATOM, LOGIC, LONE, POWER, PRODUCT, SUM, Factors, Piece
from physlab.expressions.latex_tokens import Token
from physlab.expressions.latex_words import (
    DERIVATIVE_HINT,
    DOTS,
    FUNCTION_COMMANDS,
    GREEK_COMMANDS,
    OVER,
    RELATIONS,
    TIMES,
)

_NAMED = re.compile(r"[A-Za-z]\w*(\*\*\w+)?", re.ASCII)


def from_latex(
    text: str,
    declared: Collection[str] = (),
    *,
    functions: Collection[str] | None = (),
    unknown: tuple[str, str] | None = None,
) -> str:
    r"""Return a LaTeX formula in plain spelling.

    Args:
        text: The formula, with or without its dollars.
        declared: Names that are known: `rate` is one name where it is declared, else the product r·a·t·e.
        functions: Further functions that may be called; None allows any name.
        unknown: The function, and its variable, of which derivatives are read (`\dot{y}`, `\frac{d^2 y}{dx^2}`).

    Raises:
        ValidationError: It cannot be read, or could mean two things; the message shows the place.
    """
    return _Latex(text, declared, functions, unknown).formula()


class _Latex(Factors):
    def formula(self) -> str:
        if self.here.kind == "end":
            return ""
        found = self.expression()
        if self.here.kind != "end":
            raise self.unknown_token(self.here)
        return found.text

    # --- operations, from the weakest ------------------------------------------------------------------------------

    def expression(self) -> Piece:
        return self.joined(("lor", "vee"), "or", lambda: self.joined(("land", "wedge"), "and", self.comparison))

    def joined(self, signs: tuple[str, ...], word: str, part: Callable[[], Piece]) -> Piece:
        parts = [part()]
        while self.accept(*signs) or (self.here.kind == "name" and self.here.text == word and self.take()):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Piece(f" {word} ".join(f"({item.text})" for item in parts), LOGIC)

    def comparison(self) -> Piece:
        if self.accept("neg", "lnot"):
            with self.deeper():
                return Piece(f"not ({self.comparison().text})", LOGIC)
        found = self.sum()
        while self.sees(*RELATIONS) or ("cases" in self.inside[-1:] and self.sees("=")):
            sign = RELATIONS.get(self.take().text, "==")
            found = Piece(f"{found.text} {sign} {self.sum().within(SUM)}", LOGIC)
        return found

    def sum(self) -> Piece:
        sign = self.take().text if self.sees("+", "-") else ""
        first = self.product()
        if not self.sees("+", "-"):
            return Piece(f"-{first.within(PRODUCT)}", SUM) if sign == "-" else first
        terms = [sign.replace("+", "") + first.within(PRODUCT)]
        while self.sees("+", "-"):
            sign = self.take().text
            if self.sees("+", "-"):
                raise self.refuse(self.here, "has two signs in a row", "Put parentheses between them.")
            terms += [sign, self.product().within(PRODUCT)]
        return Piece(" ".join(terms), SUM)

    def product(self) -> Piece:
        signed = self.place > 0 and self.tokens[self.place - 1].text in ("+", "-")
        divided, alone, barred = False, not signed, self.sees("|")
        found = last = self.factor()
        while True:
            token = self.here
            if self.accept(*TIMES, "otimes", *OVER):
                last, divided = self.signed_factor(), token.text in OVER
                sign = "/" if divided else " ⊗ " if token.text == "otimes" else "*"
                found = Piece(f"{found.within(PRODUCT)}{sign}{last.within(POWER)}", PRODUCT)
            elif self.accept("bmod"):
                last = self.factor()
                if not alone or self.starts_factor() or self.sees("bmod", "+", "-", *TIMES, *OVER):
                    raise self.refuse(token, "has an ambiguous \\bmod", "Put parentheses around its two sides.")
                return Piece(f"mod({found.text}, {last.text})", ATOM)
            elif self.starts_factor():
                if divided:
                    raise self.refuse(token, "has an ambiguous product after /", "Write \\frac, or parentheses.")
                last = self.neighbour(last, barred)
                found = Piece(f"{found.within(PRODUCT)}*{last.within(POWER)}", PRODUCT)
            else:
                return found
            alone, barred = False, barred or token.text == "|"

    def signed_factor(self) -> Piece:
        if self.accept("-"):
            return Piece(f"-{self.factor().within(POWER)}", SUM)
        return self.factor()

    def neighbour(self, left: Piece, barred: bool) -> Piece:
        """Read the right side of a product whose sign is left out; `barred`: bars stand in the product already."""
        token = self.here
        if token.kind == "number":
            raise self.refuse(token, "has a number after its factor", "Write \\cdot, or the number in front.")
        if token.text == "|" and barred:
            raise self.refuse(token, "has an ambiguous row of bars", "Write \\lvert x \\rvert.")
        opens = self.opens_bracket()
        right = self.factor()
        called = opens and _NAMED.fullmatch(left.text) and not self.is_constant(left.text)
        if called and LONE.fullmatch(right.text.removeprefix("(").removesuffix(")")):
            name = left.text.partition("*")[0]
            raise self.refuse(
                token, f"may call the function {name} or multiply by it", f"Write {name} \\cdot … for the product."
            )
        return right

    # --- functions -------------------------------------------------------------------------------------------------

    def function_command(self) -> Piece:
        token = self.take()
        name = FUNCTION_COMMANDS[token.text]
        base = ""
        if self.sees("_"):
            if token.text != "log":
                raise self.refuse(self.here, f"has a subscript at \\{token.text}", "Only \\log has a base.")
            self.take()
            base = self.argument("base").text
        if base in ("10", "2"):
            name, base = name + base, ""
        return self.function(name, token, base)

    def function(self, name: str, token: Token, base: str = "") -> Piece:
        if name == "atan" and token.kind == "operator" and self.accept("_"):
            if self.argument("subscript").text != "2":
                raise self.refuse(token, "has a subscript at atan", "Write \\operatorname{atan2}.")
            name = "atan2"
        exponent = None
        if self.sees("^"):
            sign = self.take()
            exponent = self.argument("exponent")
            if exponent.text == "-1":
                raise self.refuse(
                    sign,
                    f"has {name}^{{-1}}, which may be the inverse function or the reciprocal",
                    f"Write \\arc{name} or \\frac{{1}}{{\\{name} x}}.",
                )
        argument = self.function_argument(name, token)
        found = Piece(f"{name}({argument}{', ' if base else ''}{base})", ATOM)
        if exponent is None:
            return found
        if self.sees("^"):
            raise self.refuse(self.here, "has two exponents", "Put parentheses around the function.")
        return Piece(f"{found.text}**{exponent.within(ATOM)}", POWER)

    def function_argument(self, name: str, token: Token) -> str:
        if self.opens_bracket() or self.opens_call():
            return self.arguments()
        if self.sees("{"):
            found = self.braces()
            if self.sees("^", "!"):
                raise self.refuse(self.here, f"has an ambiguous power of {name}", "Put parentheses where they belong.")
            return found.text
        if self.sees("|", "lvert", "lfloor", "lceil") or self.here.kind == "size":
            return self.fenced().text
        if self.here.text in FUNCTION_COMMANDS and self.here.kind == "command":
            return self.primary().text
        return self.bare_argument(name, token)

    def bare_argument(self, name: str, token: Token) -> str:
        r"""Read `\sin 2\pi f t`: a number and names up to the next operation."""
        parts: list[str] = []
        closed = False
        while self.starts_factor():
            here = self.here
            if here.kind == "command" and here.text in FUNCTION_COMMANDS and parts and not parts[-1].isdecimal():
                break
            number = here.kind == "number" and bool(parts)
            if closed or number or self.ends_bare() or (parts and here.spaced and self.spaced_out(here)):
                raise self.refuse(
                    here, f"leaves open what the argument of {name} is", f"Write \\{name}(…), or the factor in front."
                )
            factor = self.factor()
            if parts and factor.text.startswith("e**") and self.is_constant("e"):
                raise self.refuse(
                    here, f"leaves open what the argument of {name} is", f"Write \\{name}(…), or the factor in front."
                )
            closed = here.kind == "command" and here.text not in GREEK_COMMANDS and here.text != "pi"
            parts.append(factor.within(POWER))
        if not parts:
            raise self.refuse(self.here, f"gives {name} no argument", f"Write \\{token.text}(…).")
        following = self.ahead()
        free = following.kind == "command" and following.text in FUNCTION_COMMANDS
        if self.sees(*OVER, "bmod") or (self.sees(*TIMES) and not free):
            raise self.refuse(
                self.here, f"leaves open what the argument of {name} is", f"Write \\{name}(…) with parentheses."
            )
        return "*".join(parts)

    def ends_bare(self) -> bool:
        """Say whether a factor cannot stand in an argument without parentheses."""
        return self.here.kind == "size" or self.sees("(", "[", "{", "|", "begin", "binom", *FUNCTION_COMMANDS)

    def spaced_out(self, token: Token) -> bool:
        r"""Say whether a space was asked for before a sign: `\sin x \, y`."""
        return bool(re.search(r"\\(?:[,;:!> ]|q?quad)\s*$|~\s*$", self.text[: token.start]))

    # --- derivatives -----------------------------------------------------------------------------------------------

    def fraction(self) -> Piece:
        token = self.take()
        if self.sees("{") and self.is_d(self.ahead()) and self.ahead(2).text != "_":
            found = self.derivative(token)
            if found is not None:
                return found
        above, below = self.argument("fraction"), self.argument("fraction")
        return Piece(f"{above.within(PRODUCT)}/{below.within(POWER)}", PRODUCT)

    def is_d(self, token: Token) -> bool:
        if token.kind == "command":
            return token.text == "partial"
        return token.kind in ("letter", "name", "operator") and token.text == "d" and "d" not in self.declared

    def derivative(self, token: Token) -> Piece | None:
        r"""Read `\frac{d^2 y}{dx^2}` and `\frac{d}{dx} y`; None where it is no derivative."""
        start, depth, place = self.place, 0, self.place
        while place < len(self.tokens) - 1:
            sign = self.tokens[place]
            depth += (sign == ("sign", "{", *sign[2:])) - (sign == ("sign", "}", *sign[2:]))
            place += 1
            if depth == 0:
                break
        variable = self.tokens[min(place + 2, len(self.tokens) - 1)]
        if self.tokens[place].text != "{" or not self.is_d(self.tokens[min(place + 1, len(self.tokens) - 1)]):
            return None
        if variable.text in ("_", "}") or variable.kind == "end":
            return None
        if self.unknown is None:
            raise self.refuse(token, "holds a derivative", DERIVATIVE_HINT)
        if self.tokens[place + 1].text == "partial":
            raise self.refuse(token, "holds a partial derivative", "Partial differential equations are not solved.")
        self.place = start + 2
        order, operand = self.order(), None
        if not self.sees("}"):
            operand = self.operand()
        self.expect("}", token)
        self.place += 2
        name, below = self.name(), self.order()
        self.expect("}", token)
        if below != order or name != self.unknown[1]:
            raise self.refuse(
                token, f"derives by {name}^{below} at order {order}", f"Write \\frac{{d^2 y}}{{d{self.unknown[1]}^2}}."
            )
        if operand is None:
            operand = self.operand()
        if operand not in (self.unknown[0], f"{self.unknown[0]}({self.unknown[1]})"):
            raise self.refuse(token, f"derives {operand}", f"Only {self.unknown[0]} may be derived.")
        return Piece(f"Derivative({self.unknown[0]}, {name}, {order})", ATOM)

    def operand(self) -> str:
        found = self.primary().text
        return found[1:-1] if found.startswith("(") else found

    def order(self) -> int:
        token = self.here
        if not self.accept("^"):
            return 1
        found = self.argument("order").text
        if not found.isdecimal() or len(found) > 3:
            raise self.refuse(token, f"has a derivative of order {found}", "Write a whole number.")
        return int(found)

    def dotted(self) -> Piece:
        token = self.take()
        name = self.argument("argument").text
        spelled = f"{name}{token.text}"
        if spelled in self.declared:
            return Piece(spelled, ATOM)
        return self.primed(name, DOTS[token.text], token)

    # --- cases -----------------------------------------------------------------------------------------------------

    def cases(self) -> Piece:
        opening = self.take()
        self.environment(opening)
        parts: list[str] = []
        self.inside.append("cases")
        while True:
            parts.append(self.expression().text)
            self.accept(",")
            if not self.accept("&"):
                raise self.refuse(self.here, "has a case without &", r"Write value & \text{if } condition \\.")
            word = self.take().text.rstrip(",:.") if self.word() else ""
            if word in ("otherwise", "else"):
                break
            parts.append(self.expression().text)
            if not self.accept("\\") or self.sees("end"):
                break
        self.inside.pop()
        self.accept("\\")
        if not self.accept("end"):
            raise self.refuse(self.here, "does not end its cases here", r"Write \\ between cases, \end{cases} behind.")
        self.environment(opening)
        return Piece(f"piecewise({', '.join(parts)})", ATOM)

    def environment(self, opening: Token) -> None:
        name = ""
        if self.accept("{"):
            while self.here.kind == "letter":
                name += self.take().text
            self.expect("}", opening)
        if name != "cases":
            raise self.refuse(opening, f"holds the environment {name!r}", r"Only \begin{cases} is read.")
