"""What a formula may use: one table of operations, with their meaning for numbers and for SymPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np


class Operation(NamedTuple):
    """One operation: how many arguments it takes, and what it does.

    Attributes:
        fewest: Least number of arguments.
        most: Greatest number of arguments.
        numeric: `(*arrays) -> array`.
        symbolic: `(sympy, *expressions) -> expression`.
    """

    fewest: int
    most: int
    numeric: Callable[..., Any]
    symbolic: Callable[..., Any]


def _sympy(name: str) -> Callable[..., Any]:
    return lambda sympy, *args: getattr(sympy, name)(*args)


def _special(name: str) -> Callable[..., Any]:
    """Return a function of `scipy.special`, which is imported when it is first called."""

    def call(*args: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*args)

    return call


def _plain(numeric: Callable[..., Any], name: str, count: int = 1) -> Operation:
    return Operation(count, count, numeric, _sympy(name))


def _logarithm(x: Any, base: Any = math.e) -> Any:
    return np.log(x) if base is math.e else np.log(x) / np.log(base)


def _power(base: Any, exponent: Any) -> Any:
    return np.square(base) if type(exponent) is float and exponent == 2 else np.power(base, exponent)


def _piecewise(*args: Any) -> Any:
    """Choose between `value, condition` pairs; a last lone value holds elsewhere, NaN without one."""
    pairs, rest = _split_pieces(args)
    result = np.nan if rest is None else rest
    for value, condition in reversed(pairs):
        result = np.where(condition, value, result)
    return result


def _symbolic_piecewise(sympy: Any, *args: Any) -> Any:
    pairs, rest = _split_pieces(args)
    return sympy.Piecewise(*pairs, *([] if rest is None else [(rest, True)]))


def _split_pieces(args: tuple[Any, ...]) -> tuple[list[tuple[Any, Any]], Any]:
    pairs = list(zip(args[0::2], args[1::2], strict=False))
    return pairs, args[-1] if len(args) % 2 else None


def _spherical(name: str) -> Callable[..., Any]:
    """Return a spherical Bessel function by way of the ordinary one (DLMF 10.47.3)."""

    def call(order: Any, x: Any) -> Any:
        return np.sqrt(np.pi / (2 * np.asarray(x))) * _special(name)(np.asarray(order) + 0.5, x)

    return call


def _airy(index: int) -> Callable[..., Any]:
    return lambda x: _special("airy")(x)[index]


def _hermite(order: Any, x: Any) -> Any:
    """Return the physicists' Hermite polynomial of a whole order, NaN for another."""
    whole = np.rint(order)
    return np.where(whole == order, _special("eval_hermite")(whole.astype(int), x), np.nan)


MANY = 1000
OPERATIONS: dict[str, Operation] = {
    "+": Operation(2, MANY, lambda *args: reduce(np.add, args), _sympy("Add")),
    "*": Operation(2, MANY, lambda *args: reduce(np.multiply, args), _sympy("Mul")),
    "/": Operation(2, 2, np.divide, lambda sympy, a, b: a / b),
    "**": Operation(2, 2, _power, _sympy("Pow")),
    "%": Operation(2, 2, np.mod, _sympy("Mod")),
    "neg": Operation(1, 1, np.negative, lambda sympy, a: -a),
    "<": Operation(2, 2, np.less, _sympy("Lt")),
    "<=": Operation(2, 2, np.less_equal, _sympy("Le")),
    ">": Operation(2, 2, np.greater, _sympy("Gt")),
    ">=": Operation(2, 2, np.greater_equal, _sympy("Ge")),
    "==": Operation(2, 2, np.equal, _sympy("Eq")),
    "!=": Operation(2, 2, np.not_equal, _sympy("Ne")),
    "and": Operation(2, MANY, lambda *args: reduce(np.logical_and, args), _sympy("And")),
    "or": Operation(2, MANY, lambda *args: reduce(np.logical_or, args), _sympy("Or")),
    "not": Operation(1, 1, np.logical_not, _sympy("Not")),
}
CONDITIONS = frozenset(("<", "<=", ">", ">=", "==", "!=", "and", "or", "not"))

FUNCTIONS: dict[str, Operation] = {
    "sin": _plain(np.sin, "sin"),
    "cos": _plain(np.cos, "cos"),
    "tan": _plain(np.tan, "tan"),
    "sec": _plain(lambda x: 1 / np.cos(x), "sec"),
    "csc": _plain(lambda x: 1 / np.sin(x), "csc"),
    "cot": _plain(lambda x: 1 / np.tan(x), "cot"),
    "asin": _plain(np.arcsin, "asin"),
    "acos": _plain(np.arccos, "acos"),
    "atan": _plain(np.arctan, "atan"),
    "atan2": _plain(np.arctan2, "atan2", 2),
    "sinh": _plain(np.sinh, "sinh"),
    "cosh": _plain(np.cosh, "cosh"),
    "tanh": _plain(np.tanh, "tanh"),
    "sech": _plain(lambda x: 1 / np.cosh(x), "sech"),
    "csch": _plain(lambda x: 1 / np.sinh(x), "csch"),
    "coth": _plain(lambda x: 1 / np.tanh(x), "coth"),
    "asinh": _plain(np.arcsinh, "asinh"),
    "acosh": _plain(np.arccosh, "acosh"),
    "atanh": _plain(np.arctanh, "atanh"),
    "exp": _plain(np.exp, "exp"),
    "log": Operation(1, 2, _logarithm, _sympy("log")),
    "log10": Operation(1, 1, np.log10, lambda sympy, x: sympy.log(x, 10)),
    "log2": Operation(1, 1, np.log2, lambda sympy, x: sympy.log(x, 2)),
    "log1p": Operation(1, 1, np.log1p, lambda sympy, x: sympy.log(1 + x)),
    "expm1": Operation(1, 1, np.expm1, lambda sympy, x: sympy.exp(x) - 1),
    "sqrt": _plain(np.sqrt, "sqrt"),
    "cbrt": Operation(1, 1, np.cbrt, lambda sympy, x: sympy.real_root(x, 3)),
    "hypot": Operation(2, 2, np.hypot, lambda sympy, x, y: sympy.sqrt(x**2 + y**2)),
    "abs": _plain(np.abs, "Abs"),
    "sign": _plain(np.sign, "sign"),
    "floor": _plain(np.floor, "floor"),
    "ceil": _plain(np.ceil, "ceiling"),
    "mod": _plain(np.mod, "Mod", 2),
    "min": Operation(1, MANY, lambda *args: reduce(np.minimum, args), _sympy("Min")),
    "max": Operation(1, MANY, lambda *args: reduce(np.maximum, args), _sympy("Max")),
    "re": _plain(np.real, "re"),
    "im": _plain(np.imag, "im"),
    "conjugate": _plain(np.conjugate, "conjugate"),
    "arg": _plain(np.angle, "arg"),
    "radians": Operation(1, 1, np.radians, lambda sympy, x: x * sympy.pi / 180),
    "degrees": Operation(1, 1, np.degrees, lambda sympy, x: x * 180 / sympy.pi),
    "sinc": Operation(1, 1, lambda x: np.sinc(np.asarray(x) / np.pi), _sympy("sinc")),
    "heaviside": Operation(1, 1, lambda x: np.heaviside(x, 0.5), _sympy("Heaviside")),
    "where": Operation(
        3, 3, lambda c, a, b: np.where(c, a, b), lambda sympy, c, a, b: sympy.Piecewise((a, c), (b, True))
    ),
    "piecewise": Operation(2, MANY, _piecewise, _symbolic_piecewise),
    "erf": _plain(_special("erf"), "erf"),
    "erfc": _plain(_special("erfc"), "erfc"),
    "erfi": _plain(_special("erfi"), "erfi"),
    "gamma": _plain(_special("gamma"), "gamma"),
    "loggamma": _plain(_special("gammaln"), "loggamma"),
    "factorial": Operation(1, 1, lambda x: _special("gamma")(np.asarray(x) + 1), _sympy("factorial")),
    "binomial": _plain(_special("binom"), "binomial", 2),
    "beta": _plain(_special("beta"), "beta", 2),
    "besselj": _plain(_special("jv"), "besselj", 2),
    "bessely": _plain(_special("yv"), "bessely", 2),
    "besseli": _plain(_special("iv"), "besseli", 2),
    "besselk": _plain(_special("kv"), "besselk", 2),
    "jn": _plain(_spherical("jv"), "jn", 2),
    "yn": _plain(_spherical("yv"), "yn", 2),
    "airyai": _plain(_airy(0), "airyai"),
    "airybi": _plain(_airy(2), "airybi"),
    "legendre": _plain(_special("eval_legendre"), "legendre", 2),
    "hermite": _plain(_hermite, "hermite", 2),
    "laguerre": _plain(_special("eval_laguerre"), "laguerre", 2),
    "assoc_laguerre": _plain(_special("eval_genlaguerre"), "assoc_laguerre", 3),
    "chebyshevt": _plain(_special("eval_chebyt"), "chebyshevt", 2),
    "zeta": _plain(_special("zeta"), "zeta"),
    "LambertW": _plain(lambda x: np.real_if_close(_special("lambertw")(x)), "LambertW"),
}

ALIASES: dict[str, str] = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh", "arccosh": "acosh",
    "arctanh": "atanh", "ln": "log", "Abs": "abs", "sgn": "sign", "ceiling": "ceil", "Mod": "mod", "Min": "min",
    "Max": "max", "real": "re", "imag": "im", "conj": "conjugate", "deg2rad": "radians", "rad2deg": "degrees",
    "Heaviside": "heaviside", "Piecewise": "piecewise", "Gamma": "gamma", "lgamma": "loggamma",
    "binom": "binomial", "jv": "besselj", "yv": "bessely", "spherical_jn": "jn", "spherical_yn": "yn",
    "lambertw": "LambertW", "genlaguerre": "assoc_laguerre", "minimum": "min", "maximum": "max",
}  # fmt: skip

CONSTANTS: dict[str, tuple[complex, str]] = {
    "pi": (math.pi, "pi"),
    "e": (math.e, "E"),
    "I": (1j, "I"),
    "inf": (math.inf, "oo"),
    "EulerGamma": (0.5772156649015329, "EulerGamma"),
}
CONSTANT_ALIASES = {"i": "I", "oo": "inf", "infinity": "inf"}


def find_function(name: str) -> str | None:
    """Return the table's name of a function, or None when there is none."""
    known = ALIASES.get(name, name)
    return known if known in FUNCTIONS else None
