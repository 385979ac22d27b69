"""Reading partial differential equations: `u_t = 0.1*u_xx`, `Derivative(u(x, t), t)`, `∂²u/∂x²`, `y'' + y = 0`.

Every notation of a derivative is rewritten as `Derivative(u, x, 2)`, which the one parser of formulas reads.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from physlab.errors import ValidationError
from physlab.expressions import FUNCTIONS, Apply, Expression, Name, Number, normal_name, parse
from physlab.expressions.spelling import shorten, to_ascii
from physlab.tools.cas.algebra import sides

DERIVATIVE, LAPLACIAN = "Derivative", "laplacian"
TIMES = ("t", "time", "tau")
HIGHEST = 8
_CALLED = {"Derivative": DERIVATIVE, "derivative": DERIVATIVE, "diff": DERIVATIVE}
_CALLED |= {"laplacian": LAPLACIAN, "Laplacian": LAPLACIAN}
_PRIMES = str.maketrans({"′": "'", "’": "'", "ʹ": "'", "″": "''", "‴": "'''", '"': "''"})
_START = r"(?<![A-Za-z_])(?<![A-Za-z_]\d)(?<![A-Za-z_]\d\d)"
_NAME = r"[A-Za-z][A-Za-z0-9]*"
_POWER = r"\s*(?:(?:\^|\*\*)\s*\(?\s*(\d+)\s*\)?)?\s*"


@dataclass(frozen=True)
class Notation:
    """The names of a system of equations.

    Attributes:
        variables: What the unknowns depend on, in the order of the bounds: places by name, then the time.
        unknowns: The functions to find.
        values: Numbers of the other names.
    """

    variables: tuple[str, ...]
    unknowns: tuple[str, ...]
    values: Mapping[str, float]

    @property
    def time(self) -> str | None:
        """The variable that is the time, None when there is none."""
        if len(self.variables) == 1:
            return self.variables[0]
        return next((name for name in TIMES if name in self.variables), None)

    @property
    def space(self) -> tuple[str, ...]:
        """The variables that are not the time."""
        return tuple(name for name in self.variables if len(self.variables) == 1 or name != self.time)

    def read(self, text: str) -> Any:
        """Return the tree of a formula, its derivatives as `Apply("Derivative", (inner, variable))`.

        Raises:
            ValidationError: It cannot be read, or derives with respect to what is no variable.
        """
        found = self.parse(text)
        return _normal(found.tree, self, text)

    def parse(self, text: str) -> Expression:
        """Read a formula with derivatives."""
        names = {*self.variables, *self.unknowns, *self.values}
        plain = rewrite(text, self.variables, names).strip()
        try:
            return parse(plain, names, functions={*_CALLED, *self.unknowns})
        except ValidationError as error:
            lacks = "unknown name" in error.message
            hint = f"{error.hint} Give other names their numbers in vars: {{alpha: 0.1}}." if lacks else error.hint
            raise ValidationError(error.message, hint=hint) from error

    def residual(self, equation: str) -> Any:
        """Return the tree of `left - right` of an equation.

        Raises:
            ValidationError: It is not one equation, or holds no unknown.
        """
        left, right = sides(equation)
        tree = Apply("+", (self.read(left), Apply("neg", (self.read(right),))))
        if not any(depends(tree, name) for name in self.unknowns):
            raise ValidationError(f"The equation {shorten(equation)} holds no unknown.", hint=self._hint())
        return tree

    def _hint(self) -> str:
        return f"Unknown: {', '.join(self.unknowns)}; variables: {', '.join(self.variables)}."


def notation(equations: Sequence[str], variables: Sequence[str], unknowns: Sequence[str], values: Any) -> Notation:
    """Return the names of a system; unknowns that are not given are those that the equations derive or call.

    Raises:
        ValidationError: There is no unknown, or a name stands for two things.
    """
    known = {normal_name(name): float(value) for name, value in values.items()}
    axes = tuple(normal_name(name) for name in variables)
    found = tuple(normal_name(name.partition("(")[0]) for name in unknowns)
    if not found:
        found = tuple(dict.fromkeys(name for text in equations for name in _derived(text, axes, known)))
    if not found:
        raise ValidationError(
            "The equations hold no derivative of an unknown function.",
            hint="Write u_t = 0.1*u_xx, Derivative(u(x,t), t) = …, or name the unknowns: unknowns: [u].",
        )
    for one, other in ((axes, known), (found, known), (found, axes)):
        if clash := sorted(set(one) & set(other)):
            raise ValidationError(f"The name {clash[0]} stands for two things.", hint="Rename one of them.")
    return Notation(axes, found, known)


def _derived(text: str, variables: Sequence[str], known: Collection[str]) -> list[str]:
    plain = rewrite(text, variables, known)
    inside = re.findall(rf"(?:{'|'.join(_CALLED)})\(\s*({_NAME}(?:_\w+)?)\s*[(,)]", plain)
    axes = "|".join(map(re.escape, variables))
    called = re.findall(rf"{_START}([A-Za-z]\w*)\(\s*(?:{axes})(?:\s*,\s*(?:{axes}))*\s*\)", plain)
    return [name for name in (*inside, *called) if name not in {*variables, *known, *_CALLED, *FUNCTIONS}]


def rewrite(text: str, variables: Sequence[str], known: Collection[str]) -> str:
    """Return a text in which every derivative is written `Derivative(u, x, 2)`.

    Args:
        text: A formula or an equation.
        variables: What may be derived for.
        known: Names that are no derivatives, although they look like `k_x`.

    Raises:
        ValidationError: A prime does not say which variable it means.
    """
    plain = unicodedata.normalize("NFD", text).replace("\u0307", "'").replace("\u0308", "''")
    plain = to_ascii(unicodedata.normalize("NFC", plain.translate(_PRIMES)))
    axis = "|".join(sorted(map(re.escape, variables), key=len, reverse=True))
    call = rf"(?:\s*\(\s*(?:{axis})(?:\s*,\s*(?:{axis}))*\s*\))?"
    plain = re.sub(rf"(?:∇|\u2207)\s*(?:\^|\*\*)\s*\(?\s*2\s*\)?\s*({_NAME}){call}|Δ\s+({_NAME}){call}",
                   lambda m: f" {LAPLACIAN}({m[1] or m[2]}) ", plain)  # fmt: skip
    below = rf"(?:[d∂]\s*(?:{axis}){_POWER}\*?\s*)"
    leibniz = (
        rf"{_START}[d∂]{_POWER}\*?\s*({_NAME}){call}\s*/\s*(?:\(\s*({below}+)\)|({below}))((?:∂\s*(?:{axis}){_POWER})*)"
    )
    plain = re.sub(leibniz, lambda m: _leibniz(m, axis, text), plain)
    plain = re.sub(rf"({_NAME}){call}\.diff\(", r"Derivative(\1, ", plain)
    plain = re.sub(rf",\s*\(\s*({axis})\s*,\s*(\d+)\s*\)", r", \1, \2", plain)
    suffix = rf"{_START}({_NAME})_(?:\{{((?:{axis}|[\s,_])+)\}}|((?:{axis}|_)+))(?!\w){call}"
    plain = re.sub(suffix, lambda m: _subscript(m, axis, known), plain)
    return re.sub(rf"{_START}([A-Za-z]\w*?)('+){call}", lambda m: _primed(m, variables, text), plain)


def _leibniz(match: re.Match[str], axis: str, text: str) -> str:
    above = int(match[1] or 1)
    below = f"{match[3] or match[5] or ''}{match[7] or ''}"
    words = [(name, int(order or 1)) for name, order in re.findall(rf"[d∂]\s*({axis}){_POWER}", below)]
    if sum(order for _, order in words) != above:
        raise ValidationError(f"{match[0].strip()!r} in {shorten(text)} has two orders.", hint="Write ∂^2u/∂x^2.")
    return f" Derivative({match[2]}, {', '.join(f'{name}, {order}' for name, order in words)}) "


def _subscript(match: re.Match[str], axis: str, known: Collection[str]) -> str:
    name, spelled = match[1], match[2] or match[3]
    if f"{name}_{spelled}" in known:
        return match[0]
    return f" Derivative({name}, {', '.join(re.findall(axis, spelled))}) "


def _primed(match: re.Match[str], variables: Sequence[str], text: str) -> str:
    if len(variables) != 1:
        raise ValidationError(
            f"The prime in {shorten(text)} does not say which of {', '.join(variables)} it derives for.",
            hint=f"Write {match[1]}_{variables[0]} or Derivative({match[1]}, {variables[0]}).",
        )
    return f" Derivative({match[1]}, {variables[0]}, {len(match[2])}) "


def depends(node: Any, name: str) -> bool:
    """Say whether a tree holds a name."""
    return any(depends(arg, name) for arg in node.args) if isinstance(node, Apply) else node == Name(name)


def order_of(node: Any) -> int:
    """Return how often a tree derives at most."""
    if not isinstance(node, Apply):
        return 0
    own = node.operation == DERIVATIVE
    inner = node.args[:1] if node.operation == DERIVATIVE else node.args
    return own + max((order_of(arg) for arg in inner), default=0)


def _normal(node: Any, names: Notation, text: str) -> Any:
    """Return a tree with one derivative a node, and calls such as u(x, t) as the unknown's name."""
    if not isinstance(node, Apply):
        return node
    if node.operation in names.unknowns:
        if set(node.args) != {Name(name) for name in names.variables} or len(node.args) != len(names.variables):
            raise ValidationError(
                f"{shorten(text)} takes {node.operation} at another place than ({', '.join(names.variables)}).",
                hint="Values at fixed places belong into boundary_conditions and initial_conditions.",
            )
        return Name(node.operation)
    kind = _CALLED.get(node.operation)
    if kind == LAPLACIAN and len(node.args) == 1:
        inner = _normal(node.args[0], names, text)
        second = tuple(_derive(_derive(inner, name), name) for name in names.space)
        return second[0] if len(second) == 1 else Apply("+", second)
    if kind == DERIVATIVE:
        return _expand(_normal(node.args[0], names, text), list(node.args[1:]), names, text)
    return Apply(node.operation, tuple(_normal(arg, names, text) for arg in node.args))


def _derive(inner: Any, name: str) -> Any:
    return Apply(DERIVATIVE, (inner, Name(name)))


def _expand(inner: Any, words: list[Any], names: Notation, text: str) -> Any:
    if not words and len(names.variables) == 1:
        words = [Name(names.variables[0])]
    count = 0
    while words:
        variable = words.pop(0)
        if not isinstance(variable, Name) or variable.name not in names.variables:
            told = variable.name if isinstance(variable, Name) else "what is no variable"
            raise ValidationError(
                f"{shorten(text)} derives for {told}.", hint=f"The variables are {', '.join(names.variables)}."
            )
        order = int(words.pop(0).value) if words and isinstance(words[0], Number) else 1
        count += order
        if not order >= 1 or count > HIGHEST:
            raise ValidationError(f"{shorten(text)} holds a derivative of order {count}.", hint=f"At most {HIGHEST}.")
        for _ in range(order):
            inner = _derive(inner, variable.name)
    if not count:
        raise ValidationError(f"A derivative in {shorten(text)} names no variable.", hint="Write Derivative(u, x).")
    return inner
