"""A formula as a tree of numbers, names and known operations, and its two readings: NumPy and SymPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from physlab.errors import ComputationError, ValidationError, nearest
from physlab.expressions.functions import CONSTANTS, FUNCTIONS, OPERATIONS

T = TypeVar("T")
TABLE = OPERATIONS | FUNCTIONS


class Number(NamedTuple):
    """A literal; whole numbers stay exact."""

    value: float


class Constant(NamedTuple):
    """A number with a name: pi, e, I, inf."""

    name: str


class Name(NamedTuple):
    """A variable."""

    name: str


class Truth(NamedTuple):
    """The condition True or False."""

    value: bool


class Apply(NamedTuple):
    """An operation or function of arguments."""

    operation: str
    args: tuple[Any, ...]


Leaf = Number | Constant | Name | Truth
Node = Leaf | Apply


def fold(node: Node, leaf: Callable[[Leaf], T], apply: Callable[[str, list[T]], T]) -> T:
    """Reduce a tree from its leaves upwards: `leaf` reads a leaf, `apply` joins what an operation's arguments gave."""
    if isinstance(node, Apply):
        return apply(node.operation, [fold(arg, leaf, apply) for arg in node.args])
    return leaf(node)


@dataclass(frozen=True)
class Expression:
    """A parsed formula.

    Attributes:
        text: As it was written.
        tree: Its syntax tree.
        names: Its free variables.
        constants: The named constants that it uses.
    """

    text: str
    tree: Node
    names: frozenset[str]
    constants: frozenset[str]

    def fold(self, leaf: Callable[[Leaf], T], apply: Callable[[str, list[T]], T]) -> T:
        """Reduce the tree from its leaves upwards; `apply` gets the operation's name in the tables."""
        return fold(self.tree, leaf, apply)

    def evaluate(self, /, **values: Any) -> NDArray[Any]:
        """Return the numbers of the formula.

        Args:
            **values: A number or an array for each free variable (others are allowed and only widen the shape).

        Returns:
            An array, (the common shape of the values). Where real arithmetic has no value (0/0, the root of a
            negative number) it holds NaN or infinity.

        Raises:
            ValidationError: A variable has no value, the shapes do not fit, or a function has no complex form.
        """
        missing = sorted(self.names - values.keys())
        if missing:
            raise ValidationError(
                f"The formula {self.text!r} has no value for {', '.join(missing)}.", hint="Give each variable a value."
            )
        arrays = {name: _to_array(name, value) for name, value in values.items()}
        try:
            shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
            with np.errstate(all="ignore"):
                result = np.asarray(self.fold(lambda node: _number(node, arrays), _compute))
        except (TypeError, ValueError) as error:
            raise ValidationError(
                f"The formula {self.text!r} cannot be computed: {error}.",
                hint="Give arrays of one shape; comparisons, floor, min and max need real numbers.",
            ) from error
        return result if result.shape == shape else np.array(np.broadcast_to(result, shape))

    def to_sympy(
        self, assumptions: Mapping[str, Mapping[str, bool]] | None = None, values: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the formula as a SymPy expression, built piece by piece.

        Args:
            assumptions: What is known of a variable: `{"a": {"positive": True}}`.
            values: Numbers (or SymPy expressions) that stand for variables from the start, so that `0/0` is seen.

        Raises:
            ValidationError: Assumptions contradict each other or do not exist.
            ComputationError: SymPy refuses an operation, such as ordering complex numbers.
        """
        import sympy

        known = {name: _to_sympy(sympy, value) for name, value in (values or {}).items()}
        symbols = {name: symbol(name, (assumptions or {}).get(name)) for name in self.names - known.keys()}

        def leaf(node: Leaf) -> Any:
            if isinstance(node, Name):
                return known[node.name] if node.name in known else symbols[node.name]
            return (
                getattr(sympy, CONSTANTS[node.name][1]) if isinstance(node, Constant) else _to_sympy(sympy, node.value)
            )

        try:
            return self.fold(leaf, lambda operation, args: TABLE[operation].symbolic(sympy, *args))
        except (TypeError, ValueError, ArithmeticError, NotImplementedError) as error:
            raise ComputationError(
                f"The formula {self.text!r} has no meaning: {error}.", hint="Check its domain and its conditions."
            ) from error


def symbol(name: str, assumptions: Mapping[str, bool] | None = None) -> Any:
    """Return the SymPy symbol of a variable.

    Raises:
        ValidationError: An assumption does not exist, or two contradict each other.
    """
    import sympy
    from sympy.core.facts import InconsistentAssumptions

    unknown = set(assumptions or {}) - ASSUMPTIONS
    if unknown:
        raise ValidationError(
            f"The assumption '{min(unknown)}' of {name} does not exist.", hint=nearest(min(unknown), ASSUMPTIONS)
        )
    try:
        return sympy.Symbol(name, **(assumptions or {}))
    except InconsistentAssumptions as error:
        raise ValidationError(
            f"The assumptions of {name} contradict each other: {', '.join(assumptions or {})}.", hint="Drop one."
        ) from error


ASSUMPTIONS = frozenset(
    ("real", "positive", "negative", "nonnegative", "nonpositive", "nonzero", "zero", "integer", "rational",
     "irrational", "complex", "imaginary", "even", "odd", "prime", "finite", "extended_real", "commutative")
)  # fmt: skip


def _to_array(name: str, value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    if array.dtype.kind not in "fc":
        raise ValidationError(f"The value of {name} is not a number or an array of numbers.", hint="Give numbers.")
    return array


def _number(node: Leaf, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(node, Name):
        return arrays[node.name]
    if isinstance(node, Constant):
        return CONSTANTS[node.name][0]
    return node.value if isinstance(node, Truth) else float(node.value)


def _compute(operation: str, args: list[Any]) -> Any:
    return TABLE[operation].numeric(*args)


def _to_sympy(sympy: Any, value: Any) -> Any:
    if isinstance(value, bool):
        return sympy.true if value else sympy.false
    if isinstance(value, int | np.integer):
        return sympy.Integer(int(value))
    if isinstance(value, float | np.floating):
        return sympy.Float(float(value))
    if isinstance(value, complex | np.complexfloating):
        return sympy.Float(value.real) + sympy.I * sympy.Float(value.imag)
    return value


def is_constant(node: Node) -> bool:
    """Say whether a tree holds no variable."""
    return fold(node, lambda leaf: not isinstance(leaf, Name), lambda _, args: all(args))


def constant_value(node: Node) -> complex:
    """Return the number of a tree without variables; NaN or infinity where it has none.

    Raises:
        ValidationError: It applies to a complex number what only real ones have, such as floor(i).
    """
    try:
        with np.errstate(all="ignore"):
            return complex(fold(node, lambda leaf: _number(leaf, {}), _compute))
    except (TypeError, ValueError) as error:
        raise ValidationError(
            f"A constant of the formula cannot be computed: {error}.",
            hint="Comparisons, floor, mod, min and max need real numbers.",
        ) from error
