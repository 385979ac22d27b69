"""Exact arithmetic with functions: rational functions of symbols and of kernels such as sin θ, cos θ, exp f, a(t), √r.

Each kernel is one generator of a field of rational functions over the rationals. Generators with a relation
(cos² = 1 − sin², cosh² = 1 + sinh², q² = radicand) are kept at most linear and out of denominators, so that equal
functions have equal forms and zero is recognised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

import sympy

_RATIOS: dict[Any, Any] = {
    sympy.tan: lambda x: sympy.sin(x) / sympy.cos(x),
    sympy.cot: lambda x: sympy.cos(x) / sympy.sin(x),
    sympy.sec: lambda x: 1 / sympy.cos(x),
    sympy.csc: lambda x: 1 / sympy.sin(x),
    sympy.tanh: lambda x: sympy.sinh(x) / sympy.cosh(x),
    sympy.coth: lambda x: sympy.cosh(x) / sympy.sinh(x),
    sympy.sech: lambda x: 1 / sympy.cosh(x),
    sympy.csch: lambda x: 1 / sympy.sinh(x),
}
_PAIRS: dict[Any, tuple[Any, Any, int]] = {
    sympy.sin: (sympy.sin, sympy.cos, -1), sympy.cos: (sympy.sin, sympy.cos, -1),
    sympy.sinh: (sympy.sinh, sympy.cosh, 1), sympy.cosh: (sympy.sinh, sympy.cosh, 1),
}  # fmt: skip


def plain(expression: Any) -> Any:
    """Return an expression whose angles are single and whose only circular functions are sine and cosine."""
    for ratio, written in _RATIOS.items():
        expression = expression.replace(ratio, written)
    return sympy.expand_trig(expression)


def _powers(expression: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield a power as (base, what is left of the exponent, its rational factor): r^(3/2) is (r, 1, 3/2)."""
    base, exponent = expression.as_base_exp()
    for term in sympy.Add.make_args(sympy.expand(exponent)):
        number, rest = term.as_coeff_Mul(rational=True)
        if base.is_Integer and base > 1 and rest == 1:  # √6 is √2 √3
            for prime, power in sympy.factorint(base).items():
                yield sympy.Integer(prime), rest, number * power
        else:
            yield base, rest, number


class FunctionField:
    """The field that holds given expressions.

    Args:
        expressions: All expressions that will be converted, first and second derivatives included.
    """

    def __init__(self, expressions: Iterable[Any]) -> None:
        self._roots: dict[tuple[Any, Any], int] = {}  # (base, rest of exponent) → common denominator
        self._kernels: dict[Any, None] = {}
        for expression in expressions:
            self._collect(plain(expression))
        spelled = [*self._kernels]
        for (base, rest), whole in self._roots.items():
            if rest != 1 or whole > 1:
                spelled.append(base ** (rest / whole))
                if base.is_Symbol and rest == 1 and base in self._kernels:
                    spelled.remove(base)  # r is a power of its own root
        self.generators = sorted(dict.fromkeys(spelled), key=lambda item: (item.count_ops(), str(item)))
        names = [sympy.Symbol(f"g{number}") for number in range(len(self.generators))]
        self.field = sympy.polys.fields.field(names or [sympy.Symbol("g")], sympy.QQ)[0]
        self._place = {item: number for number, item in enumerate(self.generators)}
        self._names = dict(zip(names, self.generators, strict=True))
        self._relations: list[tuple[int, Any]] = []
        self._slopes: dict[tuple[int, Any], Any] = {}
        for number in reversed(range(len(self.generators))):
            square = self._square(self.generators[number])
            if square is not None:
                self._relations.append((number, square))

    @property
    def entangled(self) -> list[Any]:
        """Generators that may depend on each other in ways that are not known here, so that zero may be missed."""
        roots = [item for item in self.generators if item.is_Pow and item.exp.is_Rational and not item.base.is_Atom]
        found = roots if len(roots) > 1 else []
        angles = {item.args[0]: item for item in self.generators if item.func in _PAIRS}
        for one, other in combinations(angles, 2):
            if (one / other).is_Rational:
                found += [angles[one], angles[other]]
        return found

    def _collect(self, expression: Any) -> None:
        if expression.is_Rational:
            return
        if expression.is_Add or expression.is_Mul:
            for part in expression.args:
                self._collect(part)
        elif expression.is_Pow or isinstance(expression, sympy.exp):
            for base, rest, number in _powers(expression):
                key = (base, rest)
                self._roots[key] = int(sympy.ilcm(self._roots.get(key, 1), number.q))
                if base != sympy.E:
                    self._collect(base)
        elif expression.func in _PAIRS:
            sine, cosine, _ = _PAIRS[expression.func]
            self._kernels |= dict.fromkeys((sine(expression.args[0]), cosine(expression.args[0])))
        else:
            self._kernels[expression] = None

    def _square(self, kernel: Any) -> Any:
        """Return the square of a generator that has a relation, None for the others."""
        if kernel.func in (sympy.cos, sympy.cosh):
            sine, _, sign = _PAIRS[kernel.func]
            return 1 + sign * self._generator(sine(kernel.args[0])) ** 2
        if kernel.is_Pow and kernel.exp == sympy.Rational(1, 2) and not kernel.base.is_Symbol:
            return self.convert(kernel.base)
        return None

    def _generator(self, kernel: Any) -> Any:
        return self.field.gens[self._place[kernel]]

    def convert(self, expression: Any) -> Any:
        """Return the field's element of an expression."""
        return self.reduce(self._convert(plain(expression)))

    def _convert(self, item: Any) -> Any:
        if item.is_Rational:
            return self.field.from_expr(item)
        if item.is_Add or item.is_Mul:
            total = self.field.zero if item.is_Add else self.field.one
            for part in item.args:
                total = total + self._convert(part) if item.is_Add else total * self._convert(part)
            return total
        if item.is_Pow or isinstance(item, sympy.exp):
            total = self.field.one
            for base, rest, number in _powers(item):
                total *= self._power(base, rest, number)
            return total
        whole = self._roots.get((item, sympy.Integer(1)), 1)
        return self._generator(item) if whole == 1 else self._generator(item ** sympy.Rational(1, whole)) ** whole

    def _power(self, base: Any, rest: Any, number: Any) -> Any:
        whole = self._roots[base, rest]
        if rest == 1 and whole == 1:
            return self.reduce(self._convert(base)) ** int(number)
        return self._generator(base ** (rest / whole)) ** int(number * whole)

    def reduce(self, element: Any) -> Any:
        """Return the one form of an element: related generators linear, and not in the denominator."""
        for place, square in self._relations:
            if element.numer.degree(place) <= 1 and element.denom.degree(place) <= 0:
                continue
            p, p1 = self._halves(element.numer, place, square)
            q, q1 = self._halves(element.denom, place, square)
            generator = self.field.gens[place]
            if q1:
                norm = q**2 - q1**2 * square
                element = ((p * q - p1 * q1 * square) + (p1 * q - p * q1) * generator) / norm
            else:
                element = (p + p1 * generator) / q
        return element

    def _halves(self, polynomial: Any, place: int, square: Any) -> tuple[Any, Any]:
        """Return a polynomial as `even + odd · generator`, with the generator's square put in."""
        parts: dict[int, dict[Any, Any]] = {}
        for monomial, number in polynomial.terms():
            power = monomial[place]
            parts.setdefault(power, {})[(*monomial[:place], 0, *monomial[place + 1 :])] = number
        halves = [self.field.zero, self.field.zero]
        for power, terms in parts.items():
            halves[power % 2] += self.field.new(polynomial.ring.from_dict(terms)) * square ** (power // 2)
        return halves[0], halves[1]

    def derive(self, element: Any, variable: Any) -> Any:
        """Return the partial derivative of an element."""
        total = self.field.zero
        for place, name in enumerate(element.field.gens):
            if element.numer.degree(place) <= 0 and element.denom.degree(place) <= 0:
                continue
            slope = self._slope(place, variable)
            if slope:
                total += element.diff(name) * slope
        return self.reduce(total)

    def _slope(self, place: int, variable: Any) -> Any:
        """Return the derivative of a generator."""
        key = (place, variable)
        if key not in self._slopes:
            self._slopes[key] = self.convert(self.generators[place].diff(variable)) if self.generators else 0
        return self._slopes[key]

    def express(self, element: Any) -> Any:
        """Return an element as a factored SymPy expression, in the shorter of its forms by sine or by cosine."""
        over, under = (self._factors(part) for part in (element.numer, element.denom))
        return sympy.Mul(*over) / sympy.Mul(*under)

    def _factors(self, polynomial: Any) -> list[Any]:
        number, factors = polynomial.factor_list()
        powers = dict(factors)
        written = [sympy.Rational(str(number))]
        for place, _ in self._relations:
            kernel = self.generators[place]
            if kernel.func in _PAIRS:
                written += self._merged(powers, _PAIRS[kernel.func], kernel.args[0])
        for factor, power in powers.items():
            shown = self._shortest(factor.as_expr())
            signs = [term.could_extract_minus_sign() for term in sympy.Add.make_args(shown)]
            flipped = 2 * sum(signs) > len(signs)
            written += [sympy.Integer(-1) ** power, (-shown) ** power] if flipped else [shown**power]
        return written

    def _merged(self, powers: dict[Any, int], pair: tuple[Any, Any, int], angle: Any) -> Iterator[Any]:
        """Take (sin − 1)(sin + 1) out of the factors, and yield −cos² instead."""
        sine = self._generator(pair[0](angle)).numer
        minus, plus = sine - 1, sine + 1
        shared = min(powers.get(minus, 0), powers.get(plus, 0))
        if shared:
            powers[minus] -= shared
            powers[plus] -= shared
            yield (-(pair[1](angle) ** 2)) ** shared

    def _shortest(self, expression: Any) -> Any:
        shown = expression.subs(self._names)
        for kernel in self.generators:
            if kernel.func in (sympy.cos, sympy.cosh):
                sine, _, sign = _PAIRS[kernel.func]
                other = sympy.expand(shown.subs(sine(kernel.args[0]) ** 2, sign * (kernel**2 - 1)))
                shown = other if len(other.args) < len(shown.args) else shown
        return shown
