"""What names mean in a calculation: an environment of values, functions and lists that travels from node to node.

Nothing is remembered between calls. A node's result must follow from its parameters alone, or it could not be cached,
repeated or moved to another machine; so what `store_variable` stores is a value, `environment`, that the next node
takes by reference: `environment: from:step1.environment`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from physlab.errors import ValidationError, nearest
from physlab.expressions import Apply, Expression, Name, Number, combine, is_condition, normal_name, parse
from physlab.expressions.functions import ALIASES, FUNCTIONS
from physlab.expressions.tree import Leaf, Node
from physlab.tools.cas.algebra import exact_int
from physlab.tools.context import Context
from physlab.tools.types import array_to_json

MOST_NAMES = 1000
READ_AS = {"e": "Euler's number", "I": "the imaginary unit (as is i)"}


def _to_text(value: Any) -> Any:
    """Read numbers as formulas; complex ones come as `{real, imag}`."""
    value = array_to_json(value)
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, dict) and set(value) == {"real", "imag"} and not isinstance(value["real"], list):
        return f"{spell(value['real'])} + ({spell(value['imag'])})*I"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return spell(value)
    return value


def spell(value: float) -> str:
    """Return a number as a formula: whole numbers exact, others with all their digits."""
    if value != value or abs(value) == float("inf"):
        raise ValueError(f"{value} is not a number")
    return str(value) if isinstance(value, int) else repr(exact_int(float(value)))


Text = Annotated[str, BeforeValidator(_to_text)]


class UserFunction(BaseModel):
    """A function that somebody defined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variables: tuple[str, ...] = Field(min_length=1, description="Names of its arguments.")
    expression: Text = Field(description="Its formula.")


class Environment(BaseModel):
    """Named values, functions and lists; the field `environment` of a reply is one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variables: dict[str, Text] = Field({}, max_length=MOST_NAMES, description="Formulas, without free names or with.")
    functions: dict[str, UserFunction] = Field({}, max_length=MOST_NAMES, description="Functions by name.")
    lists: dict[str, list[float]] = Field({}, max_length=MOST_NAMES, description="Lists of numbers by name.")

    def with_names(
        self,
        variables: Mapping[str, str] | None = None,
        functions: Mapping[str, UserFunction] | None = None,
        lists: Mapping[str, list[float]] | None = None,
    ) -> Environment:
        """Return a copy with more names; a name means one thing, so that an older meaning of it is dropped."""
        fresh: dict[str, dict[str, Any]] = {
            "variables": dict(variables or {}),
            "functions": dict(functions or {}),
            "lists": dict(lists or {}),
        }
        taken = {name for part in fresh.values() for name in part}
        kept = {
            part: {name: value for name, value in getattr(self, part).items() if name not in taken} for part in fresh
        }
        merged: dict[str, Any] = {part: {**kept[part], **fresh[part]} for part in fresh}
        found = Environment(**merged)
        if (count := sum(map(len, merged.values()))) > MOST_NAMES:
            raise ValidationError(f"The environment has {count} names; the limit is {MOST_NAMES}.", hint="Drop some.")
        return found


def plain_name(name: str, what: str) -> str:
    """Return a name as formulas spell it.

    Raises:
        ValidationError: It is no name, or means a built-in function.
    """
    found = normal_name(name)
    if found in FUNCTIONS or found in ALIASES:
        raise ValidationError(f"{what} cannot be called '{name}', which is a built-in function.", hint="Rename it.")
    return found


class Names:
    """Reads formulas and puts in what their names stand for.

    Args:
        environment: Names from other nodes.
        variables: Values given beside the formula; they win.
        bound: Variables of the calculation, which keep their name whatever the environment says.

    Raises:
        ValidationError: A bound variable has a value in `variables`, or a name is none.
    """

    def __init__(
        self, environment: Environment, variables: Mapping[str, str] | None = None, bound: Iterable[str] = ()
    ) -> None:
        given = {normal_name(name): text for name, text in (variables or {}).items()}
        self.bound = frozenset(map(normal_name, bound))
        if clash := sorted(self.bound & given.keys()):
            raise ValidationError(
                f"{clash[0]} is the variable of this calculation and has a value in variables.", hint="Take it out."
            )
        self._texts = {**{normal_name(name): text for name, text in environment.variables.items()}, **given}
        self._functions = {normal_name(name): item for name, item in environment.functions.items()}
        self._lists = environment.lists
        self._values: dict[str, Node] = {}
        self._bodies: dict[str, tuple[list[str], Node]] = {}

    def read(self, text: str, context: Context | None = None, *, condition: bool = False) -> Expression:
        """Return a formula with the values and functions of the environment put in.

        Args:
            text: The formula.
            context: Gets notes on letters that were read as constants.
            condition: True reads a comparison instead of a number.

        Raises:
            ValidationError: It cannot be read, is a condition where a number is needed or the other way round, calls a
                function with the wrong number of arguments, or a definition runs in a circle.
        """
        raw = parse(text, variables=self._known(self.bound), functions=self._functions)
        if is_condition(raw.tree) != condition:
            if condition:
                raise ValidationError(f"{text!r} is a number, not a condition.", hint="Write for instance x < 2.")
            raise ValidationError(f"{text!r} is a condition, not a number.", hint="Use where(condition, a, b).")
        if context is not None:
            for name in sorted(raw.constants & READ_AS.keys()):
                context.meta.setdefault("read_as", {})[name] = READ_AS[name]
        return combine(text, self._filled(raw.tree, {name: Name(name) for name in self.bound}, ()))

    def _known(self, more: Collection[str]) -> set[str]:
        return {*self._texts, *more}

    def _filled(self, tree: Node, places: Mapping[str, Node], above: tuple[str, ...]) -> Node:
        """Return a tree with values for names and bodies for calls; `places` are the arguments in scope."""
        if isinstance(tree, Apply):
            args = tuple(self._filled(arg, places, above) for arg in tree.args)
            return (
                self._called(tree.operation, args, above)
                if tree.operation in self._functions
                else Apply(tree.operation, args)
            )
        return self._leaf(tree, places, above)

    def _leaf(self, leaf: Leaf, places: Mapping[str, Node], above: tuple[str, ...]) -> Node:
        if not isinstance(leaf, Name) or leaf.name in places:
            return places[leaf.name] if isinstance(leaf, Name) else leaf
        if leaf.name not in self._texts:
            if leaf.name in self._lists:
                raise ValidationError(f"{leaf.name} is a list.", hint="Use list_operations for lists.")
            return leaf
        if leaf.name not in self._values:
            self._guard(leaf.name, above)
            text = self._texts[leaf.name]
            raw = parse(text, variables=self._known(()), functions=self._functions)
            if is_condition(raw.tree):
                raise ValidationError(f"{leaf.name} = {text!r} is a condition, not a number.")
            self._values[leaf.name] = self._filled(raw.tree, {}, (*above, leaf.name))
        return self._values[leaf.name]

    def _called(self, name: str, args: tuple[Node, ...], above: tuple[str, ...]) -> Node:
        function = self._functions[name]
        if len(args) != len(function.variables):
            wanted = f"{name}({', '.join(function.variables)})"
            raise ValidationError(f"{name} gets {len(args)} arguments; it is {wanted}.", hint="Give as many.")
        self._guard(f"{name}()", above)
        if name not in self._bodies:
            inner = [normal_name(item) for item in function.variables]
            raw = parse(function.expression, variables=self._known(inner), functions=self._functions)
            if is_condition(raw.tree):
                raise ValidationError(f"{name} is a condition, not a number.", hint="Use where(condition, a, b).")
            self._bodies[name] = inner, raw.tree
        inner, body = self._bodies[name]
        return self._filled(body, dict(zip(inner, args, strict=True)), (*above, f"{name}()"))

    def _guard(self, name: str, above: tuple[str, ...]) -> None:
        if name in above:
            circle = " → ".join((*above[above.index(name) :], name))
            raise ValidationError(f"The definitions run in a circle: {circle}.", hint="Break it.")


def require_names(expression: Expression, allowed: Collection[str]) -> None:
    """Refuse a formula with free names that are not the calculation's own.

    Raises:
        ValidationError: Names the first of them.
    """
    if unknown := sorted(expression.names - set(allowed)):
        raise ValidationError(
            f"The formula {expression.text!r} uses '{unknown[0]}', which has no value.",
            hint=f"Give it in variables. {nearest(unknown[0], allowed) if allowed else ''}".strip(),
        )


def number_tree(value: Any) -> Node:
    """Return a SymPy number as a tree, anything else by way of its text."""
    from physlab.tools.cas.algebra import write

    if value.is_Integer:
        return Number(int(value))
    if value.is_Float:
        return Number(float(value))
    return parse(write(value)["str"]).tree
