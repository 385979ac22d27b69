"""The names in operator expressions: which operators people mean, on how many qubits, how far they climb a ladder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.errors import ValidationError, nearest
from physlab.expressions import Expression, Name, from_latex, is_latex, parse
from physlab.expressions.spelling import shorten
from physlab.expressions.tree import TABLE, Leaf, constant_value
from physlab.tools.quantum.qubits import GATES, SPELLINGS, TURNS

LADDER = {"a": 1, "a_dag": 1, "n": 0, "x": 1, "p": 1}  # how many levels each can climb
OSCILLATOR = {
    "adag": "a_dag", "a_dagger": "a_dag", "adagger": "a_dag", "ad": "a_dag", "N": "n", "n_hat": "n", "number": "n",
    "position": "x", "q": "x", "x_hat": "x", "momentum": "p", "p_hat": "p",
}  # fmt: skip
FLIPS = {
    "sigma_plus": np.array([[0, 1], [0, 0]], dtype=complex),
    "sigma_minus": np.array([[0, 0], [1, 0]], dtype=complex),
}
PAULI = re.compile(r"(?:sigma|pauli)_?([xyz])_?(\d*)", re.IGNORECASE)
SITE = re.compile(r"([IXYZHST]|sigma_plus|sigma_minus)_?(\d+)")
_STRING = re.compile(r"[IXYZ]{2,}")
JOINED = {
    "tensor": "%", "kron": "%", "commutator": "commutator", "comm": "commutator", "anticommutator": "anticommutator",
    "dag": "dag", "adjoint": "dag", "dagger": "dag",
}  # fmt: skip
_FUNCTIONS = frozenset((*GATES, *TURNS, *SPELLINGS, *JOINED))


@dataclass(frozen=True)
class Reading:
    """A parsed expression and what it is made of."""

    text: str
    expression: Expression
    kinds: frozenset[str]  # of gate, site, string, ladder
    sites: int
    climb: int


def names_in(text: str, values: Iterable[str] = ()) -> set[str]:
    """Return the names of operators in an expression, as they are spelled.

    Raises:
        ValidationError: It cannot be read.
    """
    known = set(values)
    return set(parse(_spell(text, known), variables=("I", *known), functions=_FUNCTIONS).names) - known


def read_operator(text: str, values: Iterable[str] = ()) -> Reading:
    """Parse an operator expression.

    Args:
        text: The expression.
        values: Names that stand for numbers.

    Raises:
        ValidationError: It cannot be read, or names what is unknown.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValidationError(f"{text!r} is no operator.", hint="Write for instance X, X*Z, Z0*Z1 + 0.5*X0 or a_dag*a.")
    if "%" in text or "@" in text:
        raise ValidationError(f"The operator {text!r} holds % or @.", hint="Write X*Z, or a tensor product as X ⊗ Z.")
    known = set(values)
    for name in known - {"m", "mass", "hbar", "omega"}:
        if _is_operator(name):
            raise ValidationError(
                f"vars names '{name}', which is an operator.", hint="Use another name for the number."
            )
    expression = parse(_spell(text, known), variables=("I", *known), functions=_FUNCTIONS)
    kinds, sites = set[str](), 0
    for name in expression.names - known:
        kind, last = _classify(name, text)
        kinds.add(kind)
        sites = max(sites, last)

    def climb(sign: str, args: list[Any]) -> tuple[int, complex | None]:
        nonlocal sites
        numbers = [value for _, value in args]
        if sign in GATES or sign in TURNS or sign in SPELLINGS:
            kinds.add("site" if (qubits := _sites(sign, numbers, text)) else "gate")
            sites = max([sites, *(qubit + 1 for qubit in qubits)])
            return 0, None
        if None not in numbers:
            return 0, complex(TABLE[sign].numeric(*numbers)) if sign in TABLE else None
        widths = [width for width, _ in args]
        if sign == "**":
            return widths[0] * max(0, round(abs(args[1][1] or 0))), None
        return (max(widths) if sign in ("+", "neg") else sum(widths)), None

    def leaf(node: Leaf) -> tuple[int, complex | None]:
        if isinstance(node, Name):
            return (0, 1.0) if node.name in known else (LADDER.get(OSCILLATOR.get(node.name, node.name), 0), None)
        return 0, constant_value(node)

    width, _ = expression.fold(leaf, climb)
    return Reading(text, expression, frozenset(kinds), sites, width)


def _spell(text: str, known: Iterable[str] = ()) -> str:
    """Write †, ⊗, σx and LaTeX in the parser's signs."""
    if is_latex(text):
        if found := re.search(r"(?<![A-Za-z])[IXYZ]{2,}(?![A-Za-z])", text):
            tensor, product = r" \otimes ".join(found[0]), " ".join(found[0])
            raise ValidationError(
                f"The operator {shorten(text)} holds {found[0]}, a string of operators or a product.",
                hint=f"Write {tensor} for the tensor product, {product} for the product.",
            )
        bare = re.sub(r"\\(?:wide)?hat\s*(?:\{([^{}]*)\}|([A-Za-z]))", lambda match: match[1] or match[2], text)
        text = from_latex(bare, ("I", *known), functions=_FUNCTIONS)
    text = re.sub(r"\ba\s*(?:†|\^\s*†|\^\s*\{?\\?dag(?:ger)?\}?)", "a_dag", text)
    text = re.sub(r"[σΣ]_?([xyzXYZ])(?=[^A-Za-z]|$)", lambda match: f"sigma_{match[1].lower()}", text)
    text = re.sub(r"σ_?([xyz])", r"sigma_\1", text)
    return text.replace("σ⁺", "sigma_plus").replace("σ⁻", "sigma_minus").replace("⊗", "%").replace("x̂", "x")


def _classify(name: str, text: str) -> tuple[str, int]:
    """Return the kind of an operator's name, and how many qubits it asks for."""
    if name == "I":
        return "identity", 0
    pauli = PAULI.fullmatch(name)
    site = SITE.fullmatch(name)
    if (pauli and pauli[2]) or site:
        return "site", int(pauli[2] if pauli else site[2]) + 1  # type: ignore[index]
    if pauli or name in FLIPS or name == "PHASE" or SPELLINGS.get(name.upper(), name) in GATES:
        return "gate", 0
    if OSCILLATOR.get(name, name) in LADDER:
        return "ladder", 0
    if _STRING.fullmatch(name):
        return "string", 0
    known = (*GATES, "PHASE", *LADDER, "sigma_x", "sigma_y", "sigma_z", "sigma_plus", "sigma_minus", "X0", "XZ")
    raise ValidationError(
        f"The operator {text!r} uses the unknown name '{name}'.",
        hint=f"{nearest(name, known)} A number's name needs its value in vars.",
    )


def _is_operator(name: str) -> bool:
    try:
        _classify(name, name)
    except ValidationError:
        return False
    return True


def _sites(sign: str, numbers: list[complex | None], text: str) -> tuple[int, ...]:
    """Return the qubits that a gate is called with: `CNOT(0, 1)`, `RX(pi/2, 0)`."""
    name = SPELLINGS.get(sign, sign)
    wanted = 1 if name in TURNS else len(GATES[name]).bit_length() - 1
    given = numbers[1:] if name in TURNS else numbers
    if None in numbers or (name in TURNS and not numbers) or len(given) not in ((0, 1) if name in TURNS else (wanted,)):
        form = f"{name}(angle) or {name}(angle, qubit)" if name in TURNS else f"{name}({', '.join('01234'[:wanted])})"
        raise ValidationError(
            f"The operator {text!r} calls {sign} with other arguments than it takes.", hint=f"Write {form}."
        )
    qubits = tuple(round(number.real) for number in given if number is not None)
    if any(number != qubit or not 0 <= qubit < 16 for number, qubit in zip(given, qubits, strict=True)):
        raise ValidationError(
            f"The operator {text!r} names a qubit that does not exist.", hint="Qubits are 0, 1, … 15."
        )
    if len(set(qubits)) < len(qubits):
        raise ValidationError(f"The operator {text!r} gives {sign} one qubit twice.", hint="Name different qubits.")
    return qubits
