"""Formulas on PyTorch tensors, with derivatives by automatic differentiation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from physlab.errors import ValidationError
from physlab.expressions import CONSTANTS, Apply, Constant, Name
from physlab.tools.surrogate.differential import DERIVATIVE

_PLAIN = (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "exp", "log10",
    "log2", "log1p", "expm1", "sqrt", "abs", "sign", "floor", "ceil", "erf", "erfc", "atan2", "hypot",
)  # fmt: skip


def _table(torch: Any) -> dict[str, Callable[..., Any]]:
    """Return what the operations of formulas are on tensors; all are differentiable where they are smooth."""
    table: dict[str, Callable[..., Any]] = {name: getattr(torch, name) for name in _PLAIN}
    one = torch.ones_like
    table |= {
        "+": lambda *args: reduce(torch.add, args),
        "*": lambda *args: reduce(torch.mul, args),
        "/": torch.div,
        "**": torch.pow,
        "%": torch.remainder,
        "mod": torch.remainder,
        "neg": torch.neg,
        "<": torch.lt,
        "<=": torch.le,
        ">": torch.gt,
        ">=": torch.ge,
        "==": torch.eq,
        "!=": torch.ne,
        "and": lambda *args: reduce(torch.logical_and, args),
        "or": lambda *args: reduce(torch.logical_or, args),
        "not": torch.logical_not,
        "sec": lambda x: 1 / torch.cos(x),
        "csc": lambda x: 1 / torch.sin(x),
        "cot": lambda x: 1 / torch.tan(x),
        "sech": lambda x: 1 / torch.cosh(x),
        "csch": lambda x: 1 / torch.sinh(x),
        "coth": lambda x: 1 / torch.tanh(x),
        "log": lambda x, base=None: torch.log(x) if base is None else torch.log(x) / torch.log(base),
        "cbrt": lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3),
        "min": lambda *args: reduce(torch.minimum, args),
        "max": lambda *args: reduce(torch.maximum, args),
        "radians": torch.deg2rad,
        "degrees": torch.rad2deg,
        "sinc": lambda x: torch.sinc(x / math.pi),
        "heaviside": lambda x: torch.heaviside(x, one(x) / 2),
        "loggamma": torch.lgamma,
        "gamma": lambda x: torch.exp(torch.lgamma(x)),
        "where": torch.where,
        "piecewise": lambda *args: _piecewise(torch, args),
    }
    return table


def _piecewise(torch: Any, args: tuple[Any, ...]) -> Any:
    pairs = list(zip(args[0::2], args[1::2], strict=False))
    rest = args[-1] if len(args) % 2 else torch.full_like(args[0], math.nan)
    for value, condition in reversed(pairs):
        rest = torch.where(condition, value, rest)
    return rest


def check_operations(node: Any, text: str) -> None:
    """Refuse a formula that tensors cannot compute, before anything runs.

    Raises:
        ValidationError: It holds a special function or a complex constant.
    """
    if isinstance(node, Constant) and isinstance(CONSTANTS[node.name][0], complex):
        raise ValidationError(
            f"{text!r} holds the imaginary unit.", hint="Write two real equations, for the real and imaginary part."
        )
    if not isinstance(node, Apply):
        return
    if node.operation not in _KNOWN and node.operation != DERIVATIVE:
        raise ValidationError(
            f"{text!r} uses {node.operation}, which cannot be differentiated automatically.",
            hint=f"Equations may use: {', '.join(sorted(name for name in _KNOWN if name.isalnum()))}.",
        )
    for arg in node.args:
        check_operations(arg, text)


_KNOWN = frozenset(
    (*_PLAIN, "+", "*", "/", "**", "%", "mod", "neg", "<", "<=", ">", ">=", "==", "!=", "and", "or", "not", "sec",
     "csc", "cot", "sech", "csch", "coth", "log", "cbrt", "min", "max", "radians", "degrees", "sinc", "heaviside",
     "loggamma", "gamma", "where", "piecewise")
)  # fmt: skip


class Field:
    """Formulas of unknown functions at points; every part is computed once.

    Args:
        torch: The library.
        places: Variable → tensor (points), each requiring a gradient.
        unknowns: Unknown → tensor (points), computed from the places.
        values: Numbers of the other names.
    """

    def __init__(
        self, torch: Any, places: Mapping[str, Any], unknowns: Mapping[str, Any], values: Mapping[str, float]
    ) -> None:
        self.torch, self.names = torch, {**places, **unknowns}
        self.like = next(iter(places.values()))
        self.values, self.table = values, _table(torch)
        self.known: dict[Any, Any] = {}

    def value(self, node: Any) -> Any:
        """Return a tree's values, (points)."""
        if node not in self.known:
            self.known[node] = self._compute(node)
        return self.known[node]

    def _compute(self, node: Any) -> Any:
        if isinstance(node, Apply):
            if node.operation == DERIVATIVE:
                return self._derive(self.value(node.args[0]), self.names[node.args[1].name])
            if node.operation == "**" and not isinstance(node.args[1], Apply | Name):
                return self.value(node.args[0]) ** self._number(node.args[1])
            return self.table[node.operation](*map(self.value, node.args))
        if isinstance(node, Name) and node.name in self.names:
            return self.names[node.name]
        return self.torch.full_like(self.like, self._number(node), requires_grad=False)

    def _number(self, node: Any) -> Any:
        if isinstance(node, Name):
            return self.values[node.name]
        return CONSTANTS[node.name][0] if isinstance(node, Constant) else node.value

    def _derive(self, inner: Any, place: Any) -> Any:
        if not inner.requires_grad:
            return self.torch.zeros_like(self.like)
        (found,) = self.torch.autograd.grad(inner.sum(), place, create_graph=True, allow_unused=True)
        return self.torch.zeros_like(self.like) if found is None else found
