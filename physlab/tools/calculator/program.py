"""A small language for calculations of several steps: assignments, functions, loops and conditions, and nothing else.

    x = 3                      f(x) = x^2 + 1             L = [1, 4, 9]
    for k = 1 to 10 step 2     for v in L                 while x < 100
    if x > 2                   else                       end
    print x                    f(4)                       # a remark

Every formula goes through the one parser; a line that is only a formula is printed. There is no way to files, names of
Python, or time, and steps, printed lines and digits are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from physlab.errors import ComputationError, PhyslabError, ValidationError
from physlab.tools.calculator.names import Environment, Names, UserFunction, plain_name
from physlab.tools.cas.algebra import require_defined, write

MOST_LINES, MOST_PRINTED, DEEPEST = 1000, 1000, 20
_NAME = r"[^\W\d]\w*"
_FOR = re.compile(rf"for\s+({_NAME})\s*(?:=|from)\s*(.+?)\s+to\s+(.+?)(?:\s+step\s+(.+))?")
_EACH = re.compile(rf"for\s+({_NAME})\s+in\s+(.+)")
_TEST = re.compile(r"(if|while)\b\s*(.+?)\s*(?:then|do)?:?")
_FUNCTION = re.compile(rf"(?:def\s+)?({_NAME})\s*\(([^()]*)\)\s*:?=(?!=)\s*(.+)")
_ASSIGN = re.compile(rf"(?:let\s+)?({_NAME})\s*:?=(?!=)\s*(.+)")
_PRINT = re.compile(r"(?:print|disp|return)\s+(.+)")


@dataclass
class Line:
    """One statement: its number, its text, its kind, its parts, and the statements inside it."""

    number: int
    text: str
    kind: str
    parts: tuple[str, ...] = ()
    body: list[Line] = field(default_factory=list)
    other: list[Line] = field(default_factory=list)


def read_program(text: str) -> list[Line]:
    """Return the statements of a program.

    Raises:
        ValidationError: A block has no end, an `end` or `else` has no block, or there is too much of it.
    """
    rows = [
        (number, part.strip())
        for number, row in enumerate(text.replace("\r\n", "\n").split("\n"), start=1)
        for part in row.split("#")[0].split(";")
        if part.strip()
    ]
    if len(rows) > MOST_LINES:
        raise ValidationError(
            f"The program has {len(rows)} statements; at most {MOST_LINES} are read.", hint="Split it."
        )
    top: list[Line] = []
    open_blocks: list[tuple[Line, list[Line]]] = []
    for number, row in rows:
        word = row.rstrip(":").lower()
        current = open_blocks[-1][1] if open_blocks else top
        if word in ("end", "endif", "endfor", "endwhile", "wend", "next"):
            if not open_blocks:
                raise _wrong(number, row, "ends nothing", "Remove it.")
            open_blocks.pop()
        elif word == "else":
            if not open_blocks or open_blocks[-1][0].kind != "if" or open_blocks[-1][1] is open_blocks[-1][0].other:
                raise _wrong(number, row, "belongs to no if", "Write if … else … end.")
            open_blocks[-1] = open_blocks[-1][0], open_blocks[-1][0].other
        else:
            line = _statement(number, row)
            current.append(line)
            if line.kind in ("for", "each", "if", "while"):
                open_blocks.append((line, line.body))
                if len(open_blocks) > DEEPEST:
                    raise _wrong(number, row, f"nests more than {DEEPEST} blocks", "Simplify.")
    if open_blocks:
        raise _wrong(open_blocks[-1][0].number, open_blocks[-1][0].text, "has no end", "Write end after the block.")
    return top


def _wrong(number: int, row: str, what: str, hint: str) -> ValidationError:
    return ValidationError(f"Line {number}, '{row[:60]}', {what}.", hint=hint)


def _statement(number: int, row: str) -> Line:
    if re.match(r"for\b", row):
        if match := _FOR.fullmatch(row.rstrip(":")):
            return Line(number, row, "for", (match[1], match[2], match[3], match[4] or "1"))
        if match := _EACH.fullmatch(row.rstrip(":")):
            return Line(number, row, "each", (match[1], match[2]))
        raise _wrong(number, row, "is no loop", "Write for k = 1 to 10, or for v in [1, 2, 3].")
    if match := _TEST.fullmatch(row):
        return Line(number, row, match[1], (match[2],))
    if match := _FUNCTION.fullmatch(row):
        return Line(number, row, "function", (match[1], match[2], match[3]))
    if match := _ASSIGN.fullmatch(row):
        return Line(number, row, "list" if match[2].startswith("[") else "assign", (match[1], match[2]))
    match = _PRINT.fullmatch(row)
    return Line(number, row, "print", (match[1] if match else row,))


def bare(value: Any) -> Any:
    """Return a value as the environment keeps it: with all the digits of a decimal."""
    return repr(float(value)) if value.is_Float else write(value)["str"]


class Machine:
    """Runs statements in an environment.

    Args:
        environment: Where it starts.
        most_steps: After so many statements it stops with an error.
    """

    def __init__(self, environment: Environment, most_steps: int) -> None:
        self.variables: dict[str, str] = dict(environment.variables)
        self.functions: dict[str, UserFunction] = dict(environment.functions)
        self.lists: dict[str, list[float]] = dict(environment.lists)
        self.most_steps = most_steps
        self.steps = 0
        self.printed: list[tuple[Line, Any]] = []
        self._names: Names | None = None

    def environment(self) -> Environment:
        """Return the names as they are now."""
        return Environment(variables=self.variables, functions=self.functions, lists=self.lists)

    def run(self, lines: list[Line]) -> None:
        """Carry out statements.

        Raises:
            PhyslabError: Of the kind that the statement raised; the message names its line.
        """
        for line in lines:
            self.steps += 1
            if self.steps > self.most_steps:
                raise ComputationError(
                    f"The program ran {self.most_steps} steps and stood in line {line.number}, '{line.text}'.",
                    hint="Check its loops, or raise max_steps.",
                )
            try:
                inner = self._simple(line)
            except PhyslabError as error:
                raise type(error)(
                    f"Line {line.number}, '{line.text[:60]}': {error.message}", hint=error.hint,
                    details={**error.details, "line": line.number},
                ) from error  # fmt: skip
            if inner is not None:
                self._block(line, inner)

    def _simple(self, line: Line) -> Any:
        """Carry out a statement; for a block return what it runs over."""
        parts = line.parts
        if line.kind == "assign":
            self._store(parts[0], self.value(parts[1]))
        elif line.kind == "list":
            self._keep(self.lists, parts[0], [self._number(item) for item in self._items(parts[1])])
        elif line.kind == "function":
            variables = tuple(plain_name(item, "An argument") for item in parts[1].split(","))
            plain = self._fixed(variables, parts[2])
            self._keep(self.functions, parts[0], UserFunction(variables=variables, expression=plain))
        elif line.kind == "print":
            if len(self.printed) >= MOST_PRINTED:
                raise ComputationError(f"More than {MOST_PRINTED} lines are printed.", hint="Print less.")
            self.printed.append((line, self.value(parts[0])))
        elif line.kind == "for":
            return self._range(*(self.value(part) for part in parts[1:]))
        elif line.kind == "each":
            return self._each(parts[1])
        else:
            return self.truth(parts[0])
        return None

    def _block(self, line: Line, inner: Any) -> None:
        if line.kind == "if":
            self.run(line.body if inner else line.other)
        elif line.kind == "while":
            while inner:
                self.run(line.body)
                self.steps += 1
                if self.steps > self.most_steps:
                    raise ComputationError(
                        f"The program ran {self.most_steps} steps and stood in line {line.number}, '{line.text}'.",
                        hint="Check its loops, or raise max_steps.",
                    )
                inner = self._simple(line)
        else:
            for value in inner:
                self._store(line.parts[0], value)
                self.steps += 1
                self.run(line.body)

    def names(self) -> Names:
        """Return what reads formulas here and now."""
        if self._names is None:
            self._names = Names(self.environment_view(), {})
        return self._names

    def environment_view(self) -> Environment:
        """Return the names without checking them again: every one was checked when it was stored."""
        return Environment.model_construct(variables=self.variables, functions=self.functions, lists=self.lists)

    def value(self, text: str) -> Any:
        """Return the value of a formula.

        Raises:
            ComputationError: It is undefined or infinite.
        """
        found = self.names().read(text).to_sympy()
        require_defined(found, f"{text!r}")
        return found

    def truth(self, text: str) -> bool:
        """Say whether a condition holds.

        Raises:
            ComputationError: It depends on names without a value.
        """
        import sympy

        found = self.names().read(text, condition=True).to_sympy()
        if found in (sympy.true, sympy.false):
            return bool(found)
        decided = sympy.simplify(found)
        if decided not in (sympy.true, sympy.false):
            raise ComputationError(f"{text!r} is neither true nor false.", hint="Give its names values.")
        return bool(decided)

    def _fixed(self, variables: tuple[str, ...], text: str) -> str:
        """Check a function's formula; names in it are looked up when it is called."""
        Names(self.environment_view(), {}, variables).read(text)
        return text

    def _store(self, name: str, value: Any) -> None:
        self._keep(self.variables, name, bare(value))

    def _keep(self, part: dict[str, Any], name: str, value: Any) -> None:
        name = plain_name(name, "A name")
        for other in (self.variables, self.functions, self.lists):
            if other is not part:
                other.pop(name, None)
        part[name] = value
        self._names = None

    def _items(self, text: str) -> list[str]:
        from physlab.tools.calculator.plot_params import commas

        inner = text.strip()
        if not (inner.startswith("[") and inner.endswith("]")):
            raise ValidationError(f"'{text}' is no list.", hint="Write [1, 2, 3].")
        return [item for item in commas(inner[1:-1]) if item]

    def _number(self, text: str) -> float:
        try:
            return float(self.value(text))
        except TypeError as error:
            raise ComputationError(f"'{text}' is no real number.", hint="Lists hold numbers.") from error

    def _each(self, text: str) -> list[Any]:
        import sympy

        if text.strip() in self.lists:
            return [sympy.Integer(int(v)) if v == int(v) else sympy.Float(v) for v in self.lists[text.strip()]]
        return [self.value(item) for item in self._items(text)]

    def _range(self, first: Any, last: Any, step: Any) -> Iterator[Any]:
        for value in (first, last, step):
            if not value.is_number or not value.is_real:
                raise ComputationError(f"A loop cannot count with {value}.", hint="Give real numbers.")
        if step == 0:
            raise ValidationError("The step of the loop is 0.", hint="Give another step.")

        def count() -> Iterator[Any]:
            value = first
            while (value <= last) if step > 0 else (value >= last):
                yield value
                value = value + step

        return count()


def merged(environment: Environment, variables: Mapping[str, str]) -> Environment:
    """Return an environment with values given beside it."""
    return environment.with_names(variables={plain_name(name, "A variable"): text for name, text in variables.items()})
