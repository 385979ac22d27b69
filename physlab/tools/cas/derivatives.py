"""Reading an unknown function and its derivatives: y'', ÿ, d²y/dx², Derivative(y(x), x, 2), diff(y, x, 2).

Each derivative becomes one name (`y__2`), so that the one parser of formulas reads the rest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from physlab.errors import ValidationError
from physlab.expressions import from_latex, is_latex
from physlab.expressions.spelling import shorten, to_ascii

_PRIMES = str.maketrans({"′": "'", "’": "'", "ʹ": "'", "″": "''", "‴": "'''", "⁗": "''''", '"': "''"})
_START = r"(?<![A-Za-z_])(?<![A-Za-z_]\d)(?<![A-Za-z_]\d\d)"
_POWER = r"\s*(?:(?:\^|\*\*)\s*\(?\s*)?(\d+)\s*\)?"
_ARGUMENTS = r"((?:\s*,\s*(?:\(\s*\w+\s*,\s*\d+\s*\)|\w+))*)\s*\)"
HIGHEST = 20


@dataclass(frozen=True)
class UnknownFunction:
    """A function of one variable that a differential equation is about.

    Attributes:
        name: The function, for instance `y`.
        variable: What it depends on, for instance `x`.
    """

    name: str
    variable: str

    def token(self, order: int) -> str:
        """Return the name that stands for a derivative; order 0 is the function itself."""
        return f"{self.name}__{order}" if order else self.name

    def spell(self, text: str) -> str:
        """Return a text with the names of derivatives as primes, for messages."""
        return re.sub(rf"\s?{re.escape(self.name)}__(\d+)\s?", lambda m: self.name + "'" * int(m[1]), text)

    def orders(self, text: str) -> set[int]:
        """Return which derivatives a marked text holds, 0 for the function itself."""
        found = re.findall(rf"{_START}{re.escape(self.name)}(?:__(\d+))?(?!\w)", text)
        return {int(order or 0) for order in found}

    def mark(self, text: str, names: Collection[str] = ()) -> str:
        """Return a text in which each derivative is one name.

        Args:
            text: A formula, plain or in LaTeX.
            names: Further names that are known, for LaTeX.

        Raises:
            ValidationError: It derives with respect to another variable, above order 20, or primes something else.
        """
        if is_latex(text):
            known = {*names, self.name, self.variable}
            text = from_latex(text, known, functions=None, unknown=(self.name, self.variable))
        plain = unicodedata.normalize("NFD", text).replace("\u0307", "'").replace("\u0308", "''")
        plain = to_ascii(unicodedata.normalize("NFC", plain.translate(_PRIMES)))
        name, variable = re.escape(self.name), re.escape(self.variable)
        head, call = rf"{_START}{name}(?:__(\d+))?", rf"(?:\s*\(\s*{variable}\s*\))?"
        leibniz = rf"{_START}d(?:{_POWER})?\s*\*?\s*{name}{call}\s*/\s*d\s*{variable}(?:{_POWER})?(?!\w)"
        plain = re.sub(leibniz, lambda m: self._leibniz(m, text), plain)
        plain = re.sub(rf"{_START}{name}('+){call}", lambda m: self._token(len(m[1]), text), plain)
        spellings = (
            rf"(?<![\w.])(?:Derivative|derivative|diff)\(\s*{head}{call}{_ARGUMENTS}",
            rf"{head}{call}\.diff\(\s*(\w+(?:\s*,\s*\w+)*)?\s*\)",
        )
        before = ""
        while before != plain:  # a derivative of a derivative is read from the inside
            before = plain
            for spelling in spellings:
                plain = re.sub(spelling, lambda m: self._called(m, text), plain)
        plain = re.sub(rf"{_START}{name}((?:__\d+)?)\s*\(\s*{variable}\s*\)", rf" {self.name}\1 ", plain)
        if "'" in plain:
            raise ValidationError(
                f"{shorten(text)} has a prime that does not belong to {self.name}.",
                hint=f"Only {self.name} may be derived: {self.name}', {self.name}''.",
            )
        return plain

    def _token(self, order: int, text: str) -> str:
        if not 1 <= order <= HIGHEST:
            raise ValidationError(
                f"{shorten(text)} holds a derivative of order {order}.", hint=f"Orders go from 1 to {HIGHEST}."
            )
        return f" {self.token(order)} "

    def _leibniz(self, match: re.Match[str], text: str) -> str:
        above, below = (int(order or 1) for order in match.groups())
        if above != below:
            raise ValidationError(f"{match[0].strip()!r} has two different orders.", hint="Write d^2y/dx^2.")
        return self._token(above, text)

    def _called(self, match: re.Match[str], text: str) -> str:
        order, words = int(match[1] or 0), re.findall(r"\w+", match[2] or "") or [self.variable]
        while words:
            variable = words.pop(0)
            if variable != self.variable:
                raise ValidationError(
                    f"{match[0].strip()!r} derives with respect to {variable}; {self.name} depends on {self.variable}.",
                    hint="Equations with partial derivatives are not solved here.",
                )
            order += int(words.pop(0)) if words and words[0].isdigit() else 1
        return self._token(order, text)
