"""States as people write them: `1, i`, `|0> + i|1>`, `(|00> + |11>)/sqrt(2)`, `|+>|0>`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from physlab.errors import PhysicsError, ValidationError
from physlab.expressions import Constant, Name, Number, from_latex, is_latex, parse
from physlab.expressions.tree import Leaf, constant_value
from physlab.tools.types import Array

_KET = re.compile(r"\|\s*([^|>⟩〉]*?)\s*[>⟩〉]")
_IMAGINARY = re.compile(r"(?<![A-Za-z_])(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)?[jJ](?![A-Za-z_0-9(])")
_SINGLE: dict[str, tuple[complex, complex]] = {
    "0": (1, 0), "1": (0, 1),
    "+": (0.5**0.5, 0.5**0.5), "-": (0.5**0.5, -(0.5**0.5)),
    "i": (0.5**0.5, 1j * 0.5**0.5), "+i": (0.5**0.5, 1j * 0.5**0.5), "-i": (0.5**0.5, -1j * 0.5**0.5),
}  # fmt: skip
_HINT = "Write amplitudes such as `1, i`, or kets such as `|0> + i|1>` and `(|00> + |11>)/sqrt(2)`."


def read_state(given: Any) -> Array:
    """Return the amplitudes of a state as they were written, not yet normalised.

    Args:
        given: Text, or a list of amplitudes (numbers, texts such as `"1/sqrt(2)"`, or {real, imag}).

    Returns:
        Shape (dimension,).

    Raises:
        ValidationError: It cannot be read.
    """
    if isinstance(given, str) and given.strip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError:
            given = given.strip().strip("[]")
    if isinstance(given, str):
        given = _from_latex_kets(given)
        if _KET.search(given):
            return _superposition(given)
        given = _split(given)
    if not isinstance(given, Sequence | np.ndarray):
        raise ValidationError(f"state = {given!r} is no state.", hint=_HINT)
    if len(given) < 2:
        raise ValidationError(f"A state of {len(given)} amplitude(s) has no direction.", hint=_HINT)
    return np.array([read_number(item) for item in given], dtype=complex)


def read_number(item: Any) -> complex:
    """Return a complex number written as a number, a formula without variables, or {real, imag}.

    Raises:
        ValidationError: It is none of these, or not finite.
    """
    if isinstance(item, dict) and {"real", "imag"} <= set(item):
        value = complex(float(item["real"]), float(item["imag"]))
    elif isinstance(item, str):
        value = constant_value(parse(_spell(item), ()).tree)
    elif isinstance(item, int | float | complex | np.number) and not isinstance(item, bool):
        value = complex(item)
    else:
        raise ValidationError(f"{item!r} is not a number.", hint="Write 0.5, `1/sqrt(2)`, `i/2` or {real, imag}.")
    if not np.isfinite(value):
        raise ValidationError(f"{item!r} is not a finite number.", hint="Check the formula.")
    return value


def normalise(amplitudes: Array) -> tuple[Array, float]:
    """Return the normalised state and the norm it had.

    Raises:
        PhysicsError: All amplitudes are zero.
    """
    norm = float(np.linalg.norm(amplitudes))
    if norm < 1e-150:
        raise PhysicsError("All amplitudes are zero, and no state has norm 0.", hint="Give one amplitude that is not.")
    return amplitudes / norm, norm


def qubit_count(state: Array) -> int:
    """Return how many qubits a state has.

    Raises:
        ValidationError: Its dimension is no power of two.
    """
    count = int(state.size).bit_length() - 1
    if state.size != 2**count:
        raise ValidationError(
            f"{state.size} amplitudes are no state of qubits.", hint="Give 2, 4, 8, … amplitudes, or kind prob_density."
        )
    return count


def ket_text(state: Array, names: Sequence[str]) -> str:
    """Return a state as `0.7071|00> + 0.7071i|11>`, without amplitudes below 1e-12."""
    terms = []
    for value, name in zip(state, names, strict=True):
        if abs(value) > 1e-12:
            terms.append(f"{_amplitude(complex(value))}|{name}>")
    return " + ".join(terms[:16]).replace("+ -", "- ") + (" + …" if len(terms) > 16 else "")


def _amplitude(value: complex) -> str:
    if abs(value - 1) < 1e-12:
        return ""
    if abs(value.imag) < 1e-12:
        return f"{value.real:.4g}"
    if abs(value.real) < 1e-12:
        return f"{value.imag:.4g}i"
    return f"({value.real:.4g}{value.imag:+.4g}i)"


def _spell(text: str) -> str:
    """Write Python's imaginary unit as the parser does."""
    return _IMAGINARY.sub(lambda match: f"({match[1]}*i)" if match[1] else "i", text)


def _from_latex_kets(text: str) -> str:
    r"""Write `\ket{0}` and `|0\rangle` as `|0>`."""
    text = re.sub(r"\\ket\s*\{([^{}]*)\}", r"|\1>", text)
    return re.sub(r"(?:\\left\s*)?(?:\||\\[lr]?vert)([^|>\\]*)(?:\\right\s*)?\\rangle", r"|\1>", text)


def _split(text: str) -> list[str]:
    """Split at commas outside parentheses."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if sign in ",;" and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts if part.strip()]


def _ket(label: str) -> Array:
    if re.fullmatch(r"[01]+", label):
        signs = list(label)
    elif label in _SINGLE:
        signs = [label]
    elif re.fullmatch(r"[01+-]+", label):
        signs = list(label)
    else:
        raise ValidationError(f"The ket |{label}> is unknown.", hint="Use bits, +, -, i and -i: |0>, |01>, |+->, |-i>.")
    if len(signs) > 16:
        raise ValidationError(f"The ket |{label}> has {len(signs)} qubits.", hint="Use at most 16.")
    state = np.ones(1, dtype=complex)
    for sign in signs:
        state = np.kron(state, np.array(_SINGLE[sign], dtype=complex))
    return state


def _superposition(text: str) -> Array:
    """Read sums and products of kets; kets side by side are a tensor product."""
    kets: dict[str, Array] = {}

    latex = is_latex(text)

    def name(match: re.Match[str]) -> str:
        key = f"ket_{len(kets)}"
        kets[key] = _ket(match[1])
        return rf"\mathrm{{{key}}}" if latex else f" {key} "

    # a tensor product is written with the sign of the product: vectors have no other one
    plain = _KET.sub(name, text)
    plain = from_latex(plain, kets) if latex else _spell(plain)
    plain = plain.replace("⊗", "*")
    value = parse(plain, kets).fold(lambda leaf: _leaf(leaf, kets), lambda sign, args: _combine(sign, args, text))
    if not isinstance(value, np.ndarray):
        raise ValidationError(f"state = {text!r} is a number, not a state.", hint=_HINT)
    if not np.isfinite(value).all():
        raise ValidationError(f"state = {text!r} has amplitudes that are not finite.", hint="Check its coefficients.")
    return value


def _leaf(leaf: Leaf, kets: dict[str, Array]) -> Any:
    if isinstance(leaf, Name):
        return kets[leaf.name]
    if isinstance(leaf, Number | Constant):
        return constant_value(leaf)
    raise ValidationError("A state holds no conditions.", hint=_HINT)


def _combine(sign: str, args: list[Any], text: str) -> Any:
    from physlab.expressions.tree import TABLE

    vectors = [isinstance(arg, np.ndarray) for arg in args]
    if not any(vectors):
        return complex(TABLE[sign].numeric(*args))
    if sign == "+" and all(vectors):
        if len({arg.size for arg in args}) > 1:
            sizes = " and ".join(sorted({f"{arg.size.bit_length() - 1}" for arg in args}))
            raise ValidationError(f"state = {text!r} adds kets of {sizes} qubits.", hint="All terms need one length.")
        return sum(args[1:], args[0])
    if sign == "neg":
        return -args[0]
    if sign == "/" and not vectors[1]:
        if args[1] == 0:
            raise ValidationError(f"state = {text!r} divides by zero.", hint="Check its coefficients.")
        return args[0] / args[1]
    if sign == "*":
        result: Any = 1.0 + 0j
        for arg in args:
            result = (
                np.kron(result, arg) if isinstance(result, np.ndarray) and isinstance(arg, np.ndarray) else result * arg
            )
        if result.size > 2**16:
            raise ValidationError(f"state = {text!r} has more than 16 qubits.", hint="Use fewer kets.")
        return result
    raise ValidationError(f"state = {text!r} applies '{sign}' to kets.", hint="Kets are added, multiplied and scaled.")
