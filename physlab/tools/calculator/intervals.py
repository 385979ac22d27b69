"""A formula on a whole interval: its image, by interval arithmetic with outward rounding (mpmath)."""

from __future__ import annotations

from typing import Any

from physlab.expressions import Constant, Expression, Name


class Nowhere(Exception):  # noqa: N818  (says that an interval lies wholly outside the domain)
    """The interval lies wholly outside the domain of the formula."""


def image(expression: Expression, name: str, box: Any) -> Any:
    """Return the image of an interval, or a larger interval.

    Raises:
        KeyError: The formula uses an operation without an interval form.
        ValueError: The interval reaches out of the domain, or over a pole.
    """
    from mpmath import iv

    table = _table()

    def leaf(node: Any) -> Any:
        if isinstance(node, Name):
            return box
        if isinstance(node, Constant):
            if node.name == "pi":
                return iv.pi
            if node.name == "e":
                return iv.e
            raise KeyError(node.name)
        return iv.mpf(str(node.value))

    def apply(operation: str, args: list[Any]) -> Any:
        return table[operation](*args)

    return expression.fold(leaf, apply)


def _table() -> dict[str, Any]:
    from mpmath import iv

    def divide(a: Any, b: Any) -> Any:
        if 0 in b:
            raise ValueError("a pole")
        return a / b

    def power(a: Any, b: Any) -> Any:
        if b.a == b.b and b.a == int(b.a):
            count = int(b.a)
            return a**count if count >= 0 else divide(iv.mpf(1), a**-count)
        return iv.exp(b * logarithm(a))

    def logarithm(a: Any, *base: Any) -> Any:
        if a.b <= 0:
            raise Nowhere
        if a.a <= 0:
            raise ValueError("out of the domain")
        return iv.log(a) / iv.log(base[0]) if base else iv.log(a)

    def root(a: Any) -> Any:
        if a.b < 0:
            raise Nowhere
        if a.a < 0:
            raise ValueError("out of the domain")
        return iv.sqrt(a)

    def tangent(a: Any) -> Any:
        return divide(iv.sin(a), iv.cos(a))

    def total(*args: Any) -> Any:
        return sum(args[1:], args[0])

    def product(*args: Any) -> Any:
        found = args[0]
        for item in args[1:]:
            found = found * item
        return found

    def sign(a: Any) -> Any:
        return iv.mpf(1 if a.a > 0 else -1) if 0 not in a else iv.mpf([-1, 1])

    return {
        "+": total, "*": product, "/": divide, "**": power, "neg": lambda a: -a, "sin": iv.sin, "cos": iv.cos,
        "abs": abs, "sign": sign, "tan": tangent, "exp": iv.exp, "log": logarithm, "sqrt": root,
        "sinh": lambda a: (iv.exp(a) - iv.exp(-a)) / 2, "cosh": lambda a: (iv.exp(a) + iv.exp(-a)) / 2,
        "tanh": lambda a: 1 - 2 / (iv.exp(2 * a) + 1), "sec": lambda a: divide(iv.mpf(1), iv.cos(a)),
    }  # fmt: skip
