"""The one spelling of a variable's name."""

from __future__ import annotations

import re

from physlab.errors import ValidationError
from physlab.expressions.latex import from_latex
from physlab.expressions.latex_tokens import is_latex
from physlab.expressions.spelling import RESERVED, WORDS, shorten, to_ascii


def normal_name(name: str) -> str:
    r"""Return a variable's name as formulas spell it: `ω₀` and `\omega_0` are `omega_0`.

    Raises:
        ValidationError: It is not one name.
    """
    plain = from_latex(name) if is_latex(name) else to_ascii(name).strip()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", plain, re.ASCII) or plain in RESERVED | WORDS:
        raise ValidationError(
            f"{shorten(name)} is not a name for a variable.", hint="Use a letter, then letters, digits and _."
        )
    return plain
