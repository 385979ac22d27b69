"""From Python's syntax tree to ours: what is not on the list is refused, and so is what would grow without bound."""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable, Collection
from itertools import pairwise
from typing import Any

from physlab import caps
from physlab.errors import ValidationError, nearest
from physlab.expressions.functions import ALIASES, CONDITIONS, CONSTANT_ALIASES, CONSTANTS, FUNCTIONS, find_function
from physlab.expressions.latex import from_latex
from physlab.expressions.latex_tokens import is_latex
from physlab.expressions.names import normal_name
from physlab.expressions.spelling import LETTERS, shorten, to_python
from physlab.expressions.tree import (
    Apply,
    Constant,
    Expression,
    Leaf,
    Name,
    Node,
    Number,
    Truth,
    constant_value,
    fold,
    is_constant,
)

DIGITS = 10_000  # a whole number that a formula writes, or makes by powers and factorials, has at most so many
LITERAL_DIGITS = 300
PARTS = 20_000  # numbers, names and operations of a formula that is put together from others
_BINARY: dict[type[ast.operator], str] = {ast.Div: "/", ast.Pow: "**", ast.Mod: "%"}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_RELATIONS = {"Eq": "==", "Ne": "!="}  # as SymPy writes them
_GROWING = frozenset(
    ("factorial", "gamma", "binomial", "legendre", "hermite", "laguerre", "assoc_laguerre", "chebyshevt")
)


def parse(
    text: str,
    names: Collection[str] | None = None,
    *,
    variables: Collection[str] = (),
    functions: Collection[str] = (),
) -> Expression:
    r"""Read a formula.

    Powers are `^` or `**`; `2x`, `2 sin(x)` and `3(x+1)` are products; Greek letters are their names (`ω₀` is
    `omega_0`). `pi`, `e` (Euler's number), `i` and `I` (the imaginary unit) and `inf` are constants unless they are
    declared as variables. LaTeX (`\frac{1}{2} m v^2`, `$mv^2$`) is read as well; there letters without space between
    them are a product, unless they are the name of a variable that is declared.

    Args:
        text: The formula.
        names: The variables it may use; None allows any.
        variables: With `names=None`: names that are variables even where they would be constants.
        functions: Further functions, to which the caller gives a meaning by `Expression.fold`.

    Raises:
        ValidationError: It is not a formula, is too long or too deep, uses an unknown name or function, or spells a
            number of more than 10,000 digits.
    """
    longest = int(caps.limit("expression_chars"))
    if len(text) > longest:
        raise ValidationError(
            f"The formula has {len(text)} characters; the cap is {longest}.", hint="Split it over several nodes."
        )
    declared = frozenset(map(normal_name, (*(names or ()), *variables)))
    spelled = to_python(from_latex(text, declared, functions=functions) if is_latex(text) else text)
    reader = _Reader(text, names, declared, frozenset(functions))
    tree = reader.read(_syntax_tree(text, spelled), 0)
    if "**" in spelled or reader.grows:
        _growth(tree, text)
    return Expression(text, tree, frozenset(reader.names), frozenset(reader.constants))


def _syntax_tree(text: str, spelled: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.parse(spelled.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if not spelled.strip():
            raise ValidationError("The formula is empty.", hint="Write for instance sin(x)^2.") from error
        raise ValidationError(
            f"The formula {shorten(text)} cannot be read.", hint="Check its parentheses and operators: 2*(x+1)^2."
        ) from error


def combine(text: str, tree: Node) -> Expression:
    """Return a tree that was put together from other formulas as one formula, under the limits of a written one.

    Args:
        text: How messages call it.
        tree: The tree; its parts may be shared.

    Raises:
        ValidationError: It is too large or too deep, or spells a number of more than 10,000 digits.
    """
    _size(tree, text)
    names: set[str] = set()
    constants: set[str] = set()

    def note(leaf: Leaf) -> None:
        if isinstance(leaf, Name):
            names.add(leaf.name)
        elif isinstance(leaf, Constant):
            constants.add(leaf.name)

    fold(tree, note, lambda operation, args: None)
    _growth(tree, text)
    return Expression(text, tree, frozenset(names), frozenset(constants))


def _size(tree: Node, text: str) -> None:
    """Refuse a tree that is too large or too deep; parts that are shared are measured once.

    Raises:
        ValidationError: It is.
    """
    deepest = int(caps.limit("expression_depth"))
    known: dict[int, tuple[int, int]] = {}

    def measure(node: Node, depth: int) -> tuple[int, int]:
        found = known.get(id(node))
        if found is None:
            inner = (
                [measure(arg, depth + 1) for arg in node.args] if isinstance(node, Apply) and depth <= deepest else []
            )
            found = 1 + sum(size for size, _ in inner), 1 + max((height for _, height in inner), default=0)
            known[id(node)] = found
        if found[0] > PARTS or depth + found[1] > deepest + 1:
            what = f"has more than {PARTS} parts" if found[0] > PARTS else f"nests more than {deepest} levels"
            raise ValidationError(
                f"The formula {shorten(text)} {what} once its functions are put in.", hint="Compute it in steps."
            )
        return found

    measure(tree, 0)


def is_condition(node: Node) -> bool:
    """Say whether a tree is true or false rather than a number."""
    return isinstance(node, Truth) or (isinstance(node, Apply) and node.operation in CONDITIONS)


class _Reader:
    def __init__(
        self, text: str, names: Collection[str] | None, declared: frozenset[str], functions: frozenset[str]
    ) -> None:
        self.text, self.open, self.declared, self.functions = text, names is None, declared, functions
        self.names: set[str] = set()
        self.constants: set[str] = set()
        self.grows = False
        self.deepest = int(caps.limit("expression_depth"))

    def read(self, node: ast.AST, depth: int) -> Node:
        if depth > self.deepest:
            raise self.refuse(f"nests more than {self.deepest} levels", "Split it over several nodes.")
        reader = _READERS.get(type(node))
        if reader is None:
            raise self.refuse("holds what is no formula", "Use numbers, names, + - * / ^ and known functions.")
        return reader(self, node, depth + 1)

    def refuse(self, what: str, hint: str) -> ValidationError:
        return ValidationError(f"The formula {shorten(self.text)} {what}.", hint=hint)

    def number(self, node: ast.AST, depth: int) -> Node:
        """Read an operand that must be a number."""
        found = self.read(node, depth)
        if is_condition(found):
            raise self.refuse("computes with a condition", "Use where(condition, a, b).")
        return found

    def condition(self, node: ast.AST, depth: int) -> Node:
        found = self.read(node, depth)
        if not is_condition(found):
            raise self.refuse("uses a number as a condition", "Write a comparison such as x > 0.")
        return found

    def literal(self, node: ast.Constant, depth: int) -> Node:
        value = node.value
        if isinstance(value, bool):
            return Truth(value)
        if isinstance(value, int):
            if value < 10**LITERAL_DIGITS:
                return Number(value)
        elif isinstance(value, float) and math.isfinite(value):
            return Number(value)
        raise self.refuse("holds a number that is too large", f"Write at most {LITERAL_DIGITS} digits, or inf.")

    def name(self, node: ast.Name, depth: int) -> Node:
        name = "lambda" if node.id == "_lambda" else node.id
        if name not in self.declared:
            constant = CONSTANT_ALIASES.get(name, name)
            if constant in CONSTANTS:
                self.constants.add(constant)
                return Constant(constant)
            if find_function(name) and name not in LETTERS:
                raise self.refuse(f"uses the function {name} without arguments", f"Write {name}(…).")
            if not self.open:
                known = sorted(self.declared)
                hint = nearest(name, known) if known else "It may use no variable here."
                raise self.refuse(f"uses the unknown name '{name}'", hint)
        self.names.add(name)
        return Name(name)

    def binary(self, node: ast.BinOp, depth: int) -> Node:
        kind = type(node.op)
        if kind in (ast.Add, ast.Sub):
            return self.chain(node, depth, "+", (ast.Add, ast.Sub))
        if kind is ast.Mult:
            return self.chain(node, depth, "*", (ast.Mult,))
        if kind in (ast.BitAnd, ast.BitOr):
            sides = (self.condition(node.left, depth), self.condition(node.right, depth))
            return Apply("and" if kind is ast.BitAnd else "or", sides)
        if kind not in _BINARY:
            raise self.refuse("uses an unknown operator", "Known are + - * / ^ % and comparisons.")
        return Apply(_BINARY[kind], (self.number(node.left, depth), self.number(node.right, depth)))

    def chain(self, node: ast.expr, depth: int, operation: str, kinds: tuple[type[ast.operator], ...]) -> Node:
        """Read `a + b - c` as one operation, so that long sums are not deep."""
        terms: list[Node] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, kinds):
            term = self.number(node.right, depth)
            terms.append(Apply("neg", (term,)) if isinstance(node.op, ast.Sub) else term)
            node = node.left
        terms.append(self.number(node, depth))
        return Apply(operation, tuple(reversed(terms)))

    def unary(self, node: ast.UnaryOp, depth: int) -> Node:
        if isinstance(node.op, ast.Not | ast.Invert):
            return Apply("not", (self.condition(node.operand, depth),))
        found = self.number(node.operand, depth)
        return Apply("neg", (found,)) if isinstance(node.op, ast.USub) else found

    def compare(self, node: ast.Compare, depth: int) -> Node:
        sides = [self.number(side, depth) for side in (node.left, *node.comparators)]
        if any(type(op) not in _COMPARISONS for op in node.ops):
            raise self.refuse("uses an unknown comparison", "Known are < <= > >= == !=.")
        links = [Apply(_COMPARISONS[type(op)], pair) for op, pair in zip(node.ops, pairwise(sides), strict=True)]
        return links[0] if len(links) == 1 else Apply("and", tuple(links))

    def logic(self, node: ast.BoolOp, depth: int) -> Node:
        parts = tuple(self.condition(part, depth) for part in node.values)
        return Apply("and" if isinstance(node.op, ast.And) else "or", parts)

    def call(self, node: ast.Call, depth: int) -> Node:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self.refuse("holds what is no formula", "Call known functions by name, as in sin(x).")
        written = "lambda" if node.func.id == "_lambda" else node.func.id
        if written in self.functions:
            return Apply(written, tuple(self.number(arg, depth) for arg in node.args))
        if written in self.declared:
            raise self.refuse(f"calls the variable {written}", f"Write {written}*(…) for a product.")
        if written in _RELATIONS and len(node.args) == 2:
            return Apply(_RELATIONS[written], (self.number(node.args[0], depth), self.number(node.args[1], depth)))
        name = find_function(written)
        if name is None:
            raise self.refuse(f"calls the unknown function '{written}'", nearest(written, (*FUNCTIONS, *ALIASES)))
        args: list[ast.expr] = []
        for arg in node.args:
            args.extend(arg.elts if name == "piecewise" and isinstance(arg, ast.Tuple) else [arg])
        fewest, most = FUNCTIONS[name].fewest, FUNCTIONS[name].most
        if not fewest <= len(args) <= most:
            wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            raise self.refuse(f"gives {written} {len(args)} arguments", f"It takes {wanted}.")
        self.grows = self.grows or name in _GROWING
        return Apply(name, tuple(self.argument(name, i, arg, len(args), depth) for i, arg in enumerate(args)))

    def argument(self, name: str, place: int, node: ast.expr, count: int, depth: int) -> Node:
        conditional = (name == "where" and place == 0) or (name == "piecewise" and place % 2 == 1 and place < count)
        return self.condition(node, depth) if conditional else self.number(node, depth)


_READERS: dict[type[ast.AST], Callable[[_Reader, Any, int], Node]] = {
    ast.Constant: _Reader.literal,
    ast.Name: _Reader.name,
    ast.BinOp: _Reader.binary,
    ast.UnaryOp: _Reader.unary,
    ast.Compare: _Reader.compare,
    ast.BoolOp: _Reader.logic,
    ast.Call: _Reader.call,
}


def _growth(node: Node, text: str) -> float:
    """Return a bound on the digits of the whole numbers that exact arithmetic makes of a tree.

    Raises:
        ValidationError: The bound is above `DIGITS`.
    """
    if isinstance(node, Number):
        return max(1.0, math.log10(abs(node.value) + 1))
    if not isinstance(node, Apply):
        return 1.0
    sizes = [_growth(arg, text) for arg in node.args]
    if node.operation == "**" and is_constant(node.args[1]):
        size = sizes[0] * max(1.0, abs(constant_value(node.args[1])))
    elif node.operation in _GROWING and is_constant(node.args[0]):
        order = abs(constant_value(node.args[0]))
        size = sum(sizes) + order * (max(1.0, math.log10(order + 1)) if len(node.args) == 1 else order)
    else:
        size = sum(sizes)
    if not size <= DIGITS:
        raise ValidationError(
            f"The formula {shorten(text)} makes numbers of more than {DIGITS} digits.",
            hint="Use smaller powers, or write them in exponential form (1e300).",
        )
    return size
