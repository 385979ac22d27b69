"""Boundary and initial conditions in the spellings people use, as values of derivatives on faces of a box.

`{"u(0,t)": 0}`, `{"x=0": 0}`, `{"x": [0, 1]}`, `{"x": "periodic"}`, `{"left": {"type": "neumann", "value": 0}}`,
`{"u": "sin(pi*x)"}`, `{"y'(0)": 1}`, `["u(1,t) = 0"]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.expressions import Apply, Expression, Name, is_condition, parse
from physlab.tools.surrogate.differential import DERIVATIVE, Notation, rewrite

Bounds = Mapping[str, tuple[float, float]]
_SIDES = {"left": 0, "right": 1, "lower": 0, "upper": 1, "start": 0, "end": 1, "min": 0, "max": 1}
_UPRIGHT = {"bottom": 0, "top": 1}
_KINDS = ("dirichlet", "neumann", "periodic")
_HINT = (
    'Write {"u(0,t)": 0}, {"x=0": 0}, {"x": [0, 1]}, {"x": "periodic"}, {"u_x(1,t)": 0} or '
    '{"left": {"type": "neumann", "value": 0}}.'
)


@dataclass(frozen=True)
class Condition:
    """What a derivative of an unknown (or the unknown itself) is on a face of the box.

    Attributes:
        spelled: As it was understood.
        tree: The left side.
        fixed: Variables that the face holds at a number.
        value: The right side, a formula in the free variables.
    """

    spelled: str
    tree: Any
    fixed: Mapping[str, float]
    value: Expression

    def target(self, places: Mapping[str, Any], values: Mapping[str, float]) -> Any:
        """Return the right side at points.

        Raises:
            ValidationError: It is not a finite real number there.
        """
        found = self.value.evaluate(**{**values, **places})
        if found.dtype.kind == "c" or not np.isfinite(found).all():
            raise ValidationError(
                f"The condition {self.spelled} has no finite real value everywhere on its face.",
                hint="Check its formula on the face.",
            )
        return found.astype(float)


@dataclass
class Conditions:
    """All conditions, and the variables in which the solution is periodic."""

    items: list[Condition] = field(default_factory=list)
    periodic: list[str] = field(default_factory=list)


def read_conditions(boundary: Any, initial: Any, names: Notation, bounds: Bounds) -> Conditions:
    """Return the conditions of a problem.

    Args:
        boundary: `boundary_conditions`, in any spelling.
        initial: `initial_conditions`, in any spelling.
        names: The names of the system.
        bounds: Lower and upper end of each variable.

    Raises:
        ValidationError: One cannot be read, lies outside the box, or speaks of something unknown.
    """
    reader = _Reader(names, bounds)
    reader.boundary(boundary, None)
    reader.initial(initial, None)
    return reader.found


class _Reader:
    def __init__(self, names: Notation, bounds: Bounds) -> None:
        self.names, self.bounds, self.found = names, bounds, Conditions()

    def refuse(self, what: str, hint: str = _HINT) -> ValidationError:
        return ValidationError(f"The condition {what}.", hint=hint)

    def boundary(self, given: Any, unknown: str | None) -> None:
        if given == "periodic":
            for variable in self.names.space:
                self.repeat(variable)
            return
        if isinstance(given, Mapping) and "type" in given:
            given = dict.fromkeys(self.names.space, given)
        for key, value in _pairs(given):
            self.one(key, value, unknown, initial=False)

    def initial(self, given: Any, unknown: str | None) -> None:
        if isinstance(given, str | int | float) and "=" not in str(given):
            given = {"value": given}
        for key, value in _pairs(given):
            self.one(key, value, unknown, initial=True)

    def one(self, key: str, value: Any, unknown: str | None, *, initial: bool) -> None:
        word, names = key.strip(), self.names
        face = re.fullmatch(r"(\w+)\s*==?\s*(.+)", word)
        if word in names.unknowns and isinstance(value, Mapping):
            (self.initial if initial else self.boundary)(value, word)
        elif initial and word in ("value", "velocity", "derivative"):
            time = self.time(word)
            self.add(self.sole(unknown, word), [] if word == "value" else [time], {time: self.bounds[time][0]}, value)
        elif word.lower() in _KINDS:
            self.of_kind(word.lower(), value, unknown)
        elif word in names.variables:
            self.axis(word, value, unknown)
        elif word.lower() in _SIDES | _UPRIGHT:
            self.side(word.lower(), value, unknown)
        elif face and face[1] in names.variables:
            self.face(face[1], self.number(face[2], word), value, unknown)
        else:
            self.called(word, value, initial=initial)

    def of_kind(self, kind: str, value: Any, unknown: str | None) -> None:
        if kind == "periodic":
            for name in [value] if isinstance(value, str) else value:
                self.repeat(name)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self.one(key, {"type": kind, "value": item}, unknown, initial=False)
        else:
            self.boundary({"type": kind, "value": value}, unknown)

    def axis(self, variable: str, value: Any, unknown: str | None) -> None:
        kind = value.get("type") if isinstance(value, Mapping) else value
        if kind == "periodic":
            self.repeat(variable)
            return
        low, high = self.bounds[variable]
        if isinstance(value, Mapping) and "type" not in value:
            for key, item in value.items():
                if key not in _SIDES:
                    raise self.refuse(f"of {variable} has the side '{key}'", "Sides are lower and upper.")
                self.face(variable, (low, high)[_SIDES[key]], item, unknown)
            return
        ends = list(value) if isinstance(value, list | tuple) else [value, value]
        if len(ends) != 2:
            raise self.refuse(f"of {variable} has {len(ends)} values", "Give [lower, upper].")
        for place, item in zip((low, high), ends, strict=True):
            self.face(variable, place, item, unknown)

    def side(self, word: str, value: Any, unknown: str | None) -> None:
        if word in _UPRIGHT and "y" in self.names.variables:
            variable, end = "y", _UPRIGHT[word]
        elif word in _SIDES and (len(self.names.space) == 1 or (word in ("left", "right") and "x" in self.names.space)):
            variable, end = "x" if "x" in self.names.space else self.names.space[0], _SIDES[word]
        else:
            raise self.refuse(f"'{word}' does not say of which variable")
        self.face(variable, self.bounds[variable][end], value, unknown)

    def face(self, variable: str, place: float, value: Any, unknown: str | None) -> None:
        kind, given = "dirichlet", value
        if isinstance(value, Mapping):
            if set(value) <= set(self.names.unknowns):
                for name, item in value.items():
                    self.face(variable, place, item, name)
                return
            kind, given = (
                str(value.get("type", "dirichlet")).lower(),
                value.get("value", 0 if "type" in value else None),
            )
            unknown = value.get("function", value.get("unknown", unknown))
        where = f"at {variable} = {place:g}"
        if kind not in ("dirichlet", "neumann") or given is None:
            raise self.refuse(f"{where}, {value!r}, cannot be read", f"Types are {', '.join(_KINDS)}. {_HINT}")
        name = self.sole(unknown, where)
        if kind == "dirichlet":
            self.add(name, [], {variable: place}, given)
            return
        low, high = self.bounds[variable]
        if place not in (low, high):
            raise self.refuse(f"{where} of type neumann is not on an end of {variable}", "Give u_x(place) instead.")
        self.add(name, [variable], {variable: place}, given, outward=-1 if place == low else 1)

    def called(self, word: str, value: Any, *, initial: bool) -> None:
        """Read `u(0,t)`, `u_x(1,t)`, `y'(0)`, `Derivative(u,x)(0,t)`; initial ones also without the place."""
        match = re.fullmatch(r"(.*?)(?:\(([^()]*)\))?(?:\.subs\(.*\))?", word, re.DOTALL)
        head, inside = (match[1], match[2]) if match else (word, None)
        if match and head.strip() in ("Derivative", "diff"):
            head, inside = word, None
        outer = re.fullmatch(r"((?:Derivative|diff)\(.*\))\s*\(([^()]*)\)", word)
        if outer:
            head, inside = outer[1], outer[2]
        tree = self.names.read(head) if self._derives(head) else None
        if tree is None:
            raise self.refuse(f"'{word}' cannot be read")
        name, orders = _unwind(tree)
        if name not in self.names.unknowns:
            raise self.refuse(f"'{word}' is not about an unknown", f"Unknown: {', '.join(self.names.unknowns)}.")
        if inside is None:
            if not initial:
                raise self.refuse(f"'{word}' does not say where it holds")
            time = self.time(word)
            fixed = {time: self.bounds[time][0]}
        else:
            fixed = self.places(inside, word)
        self.add(name, orders, fixed, value)

    def _derives(self, head: str) -> bool:
        known = {*self.names.values, *self.names.unknowns}
        plain = rewrite(head, self.names.variables, known).strip()
        return plain in self.names.unknowns or plain.startswith(("Derivative", "diff"))

    def places(self, inside: str, word: str) -> dict[str, float]:
        """Return which variables the arguments of `u(0, t)` hold at a number."""
        args = [part.strip() for part in inside.split(",")]
        variables = self.names.variables
        args = [part.partition("=")[2].strip() if part.partition("=")[0].strip() in variables and "=" in part else part
                for part in args]  # fmt: skip
        if len(args) != len(variables):
            raise self.refuse(f"'{word}' has {len(args)} places", f"Give one for each of {', '.join(variables)}.")
        rest = iter([name for name in variables if name not in args])
        fixed = {next(rest): self.number(part, word) for part in args if part not in variables}
        if not fixed:
            raise self.refuse(f"'{word}' holds no variable at a number")
        return fixed

    def number(self, text: str, word: str) -> float:
        found = parse(text, set(self.names.values)).evaluate(**self.names.values)
        if found.dtype.kind == "c" or not np.isfinite(found).all():
            raise self.refuse(f"'{word}' is at no finite place")
        return float(found)

    def time(self, word: str) -> str:
        if self.names.time is None:
            raise self.refuse(f"'{word}' is initial, and there is no time", "Name the face: u(x,0), or call it t.")
        return self.names.time

    def sole(self, unknown: str | None, where: str) -> str:
        if unknown is not None and unknown not in self.names.unknowns:
            raise self.refuse(f"{where} speaks of {unknown}", f"Unknown: {', '.join(self.names.unknowns)}.")
        if unknown is None and len(self.names.unknowns) > 1:
            first = self.names.unknowns[0]
            raise self.refuse(f"{where} does not say for which unknown", f'Write {{"{first}": {{…}}}} or "{first}(…)".')
        return unknown or self.names.unknowns[0]

    def repeat(self, variable: str) -> None:
        if variable not in self.names.space:
            raise self.refuse(f"periodic in {variable!r} is not possible", f"Space: {', '.join(self.names.space)}.")
        if variable not in self.found.periodic:
            self.found.periodic.append(variable)

    def add(self, unknown: str, orders: list[str], fixed: dict[str, float], value: Any, outward: int = 1) -> None:
        places = [f"{fixed[name]:g}" if name in fixed else name for name in self.names.variables]
        left = f"{unknown}{'_' if orders else ''}{''.join(orders)}({', '.join(places)})"
        spelled = f"{'-' if outward < 0 else ''}{left} = {value}"
        for name, place in fixed.items():
            low, high = self.bounds[name]
            if not low <= place <= high:
                raise self.refuse(f"{spelled} lies outside the bounds of {name}, {low:g} to {high:g}")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.refuse(f"{left} has the value {value!r}", "Values are numbers or formulas.")
        free = set(self.names.variables) - fixed.keys()
        text = value if isinstance(value, str) else repr(value)
        expression = parse(text, {*free, *self.names.values})
        if is_condition(expression.tree):
            raise self.refuse(f"{spelled} is no number", "Use where(condition, a, b).")
        tree: Any = Name(unknown)
        for variable in orders:
            tree = Apply(DERIVATIVE, (tree, Name(variable)))
        tree = Apply("neg", (tree,)) if outward < 0 else tree
        for other in self.found.items:
            if (other.tree, other.fixed) == (tree, fixed):
                raise self.refuse(f"{spelled} stands beside {other.spelled}", "Give one of them.")
        self.found.items.append(Condition(spelled, tree, fixed, expression))


def _pairs(given: Any) -> Iterator[tuple[str, Any]]:
    """Yield the conditions of a mapping, of a list of mappings or of texts `left = right`."""
    if isinstance(given, Mapping):
        yield from given.items()
    elif isinstance(given, str):
        yield _split(given)
    else:
        for item in given or ():
            if isinstance(item, Mapping) and "variable" in item:
                rest = {key: part for key, part in item.items() if key not in ("variable", "at")}
                yield (f"{item['variable']}={item['at']}" if "at" in item else item["variable"]), rest
            else:
                yield from [_split(item)] if isinstance(item, str) else _pairs(item)


def _split(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.*\))\s*={1,2}\s*(.+)", text.strip(), re.DOTALL)
    if match is None:
        raise ValidationError(f"The condition '{text}' cannot be read.", hint=_HINT)
    return match[1], match[2]


def _unwind(tree: Any) -> tuple[str, list[str]]:
    """Return the unknown of a derivative, and what it is derived for."""
    orders: list[str] = []
    while isinstance(tree, Apply) and tree.operation == DERIVATIVE:
        orders.insert(0, tree.args[1].name)
        tree = tree.args[0]
    return (tree.name if isinstance(tree, Name) else ""), orders
