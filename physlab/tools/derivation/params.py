"""The parameters of derivations, and how a problem is read: calls, equations, Lagrangians, and short sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from physlab.errors import ValidationError
from physlab.expressions import ASSUMPTIONS
from physlab.tools.cas.params import Formula
from physlab.tools.types import VisualParams

Kind = Literal["derivative", "integral", "series", "equation", "ode", "euler_lagrange", "dimensions"]
_LEVELS = {
    "undergraduate": "undergrad", "basic": "undergrad", "beginner": "undergrad", "introductory": "undergrad",
    "graduate": "grad", "intermediate": "grad", "advanced": "expert", "research": "expert", "phd": "expert",
}  # fmt: skip
_RELATIONS = {">": "positive", ">=": "nonnegative", "<": "negative", "<=": "nonpositive", "!=": "nonzero"}
_NAME = r"[^\W\d]\w*"


def _to_assumptions(value: Any) -> Any:
    """Read `["x > 0", "n integer", "m is positive", "real"]` and what `cas` reads as `{variable or *: words}`."""
    if isinstance(value, str):
        value = [part for part in re.split(r"[;,]", value) if part.strip()]
    if isinstance(value, Mapping):
        return {name: [words] if isinstance(words, str) else list(words) for name, words in value.items()}
    if not isinstance(value, list | tuple):
        return value
    found: dict[str, list[str]] = {}
    for item in value:
        text = str(item).strip().replace("≥", ">=").replace("≤", "<=").replace("≠", "!=")
        relation = re.fullmatch(rf"({_NAME}(?:\s*,\s*{_NAME})*)\s*(>=|<=|!=|>|<)\s*0(?:\.0*)?", text)
        words = re.fullmatch(rf"({_NAME})\s*(?::|∈|in|is|are)?\s*(?:an?\s+)?([a-z_]+)", text)
        if relation:
            for name in re.split(r"\s*,\s*", relation[1]):
                found.setdefault(name, []).append(_RELATIONS[relation[2]])
        elif text in ASSUMPTIONS:
            found.setdefault("*", []).append(text)
        elif words and words[2] in ASSUMPTIONS:
            found.setdefault(words[1], []).append(words[2])
        else:
            raise ValidationError(
                f"the assumption {text!r} cannot be read.",
                hint="Write 'x > 0', 'n integer', 'm is positive' or 'real'.",
            )
    return found


def _to_level(value: Any) -> Any:
    return _LEVELS.get(value.strip().lower(), value.strip().lower()) if isinstance(value, str) else value


class DerivationParams(VisualParams):
    """A problem, and for whom it is derived."""

    goal: Literal["derive", "explain"] = Field(
        "derive", description="derive: the steps; explain: the steps with a sentence of explanation each."
    )
    context_expr_sympy: Formula = Field(
        validation_alias=AliasChoices("context_expr_sympy", "problem", "expr", "expression"),
        description="`diff(x^2*sin(x), x)`, `integrate(x*exp(-x), (x, 0, inf))`, `series(cos(x), x, 0, 6)`, an "
        "equation `a*x^2 + b*x + c = 0`, `y'' + y = 0`, a Lagrangian `L = m*x'^2/2 - k*x^2/2`, or `solve … for x`, "
        "`differentiate … with respect to x`, `integrate … from 0 to 1`, `expand … around 0`.",
    )
    task: Kind | None = Field(None, description="What it is, where the problem does not say it.")
    symbol: str | None = Field(
        None, validation_alias=AliasChoices("symbol", "variable"), description="The variable, or the unknown."
    )
    func: str | None = Field(None, description="The unknown function of a differential equation; default: found.")
    coordinates: tuple[str, ...] = Field((), description="Coordinates of a Lagrangian; default: what has a velocity.")
    order: int | None = Field(None, ge=1, le=20, description="Of a derivative (1), or first power left out (6).")
    bounds: tuple[Formula, Formula] | None = Field(None, description="Of a definite integral.")
    point: Formula = Field("0", description="Around which a series is made.")
    ics: dict[str, Formula] = Field({}, description='Conditions of a differential equation: `{"y(0)": 1}`.')
    units: dict[str, str] = Field(
        {}, description="Unit of each variable: the dimensions of the problem are checked as well."
    )
    assumptions: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_to_assumptions)] = Field(
        {}, description='What is known: `["x > 0", "n integer", "real"]`, or `{"x": ["positive"]}`.'
    )
    audience_level: Annotated[Literal["undergrad", "grad", "expert"], BeforeValidator(_to_level)] = Field(
        "grad",
        validation_alias=AliasChoices("audience_level", "level"),
        description="undergrad: every rule; grad: the working; expert: problem and results.",
    )
    include_steps: bool = Field(True, description="False leaves the working out of latex and summary.")
    model: str | None = Field(
        None,
        min_length=1,
        description="A language model that adds a commentary, labelled as such; default: the one of the configured "
        "endpoint, none without one; `none` asks none.",
    )

    @model_validator(mode="after")
    def _known(self) -> DerivationParams:
        for words in self.assumptions.values():
            for word in words:
                if word not in ASSUMPTIONS:
                    raise ValueError(f"there is no assumption '{word}'")
        return self


def expand(raw: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    """Name the configured model, so that a result with a commentary has another key than one without."""
    from physlab.settings import load_settings

    if raw.get("model") is not None:
        return raw
    endpoint = load_settings(base_dir).endpoint
    return {**raw, "model": endpoint.model} if endpoint.base_url is not None else raw


@dataclass(frozen=True)
class Problem:
    """A problem as it was understood; texts are formulas.

    Attributes:
        kind: What it is.
        text: Function, equation or Lagrangian.
        symbol: Variable or unknown; "" where it must be found.
        order: Of a derivative, or of a series.
        bounds: Of an integral.
        point: Of a series.
        found: What was read out of the text, for the reply.
    """

    kind: Kind
    text: str
    symbol: str = ""
    order: int | None = None
    bounds: tuple[str, str] | None = None
    point: str = "0"
    func: str = ""
    found: dict[str, Any] = field(default_factory=dict)


_CALLS = {
    "diff": "derivative", "Derivative": "derivative", "derivative": "derivative", "integrate": "integral",
    "Integral": "integral", "series": "series", "taylor": "series", "solve": "equation", "dsolve": "ode",
    "euler_lagrange": "euler_lagrange",
}  # fmt: skip
_SENTENCES: tuple[tuple[Kind, str], ...] = (
    ("euler_lagrange", r"(?:find |derive )?(?:the )?(?:euler[- ]lagrange equations?|equations? of motion)\s+"
     r"(?:for|of|from)\s+(?:the lagrangian\s+)?(?P<text>.+?)"),
    ("derivative", r"(?:differentiate|derive|(?:find |compute |take )?(?:the )?derivative of)\s+(?P<text>.+?)"
     r"(?:\s+(?:with respect to|w\.?r\.?t\.?|by)\s+(?P<symbol>\w+))?"),
    ("integral", r"(?:integrate|(?:find |compute |take )?(?:the )?integral of)\s+(?P<text>.+?)"
     r"(?:\s*\bd(?P<d>[a-z])\b)?(?:\s+(?:with respect to|w\.?r\.?t\.?|over)\s+(?P<symbol>\w+))?"
     r"(?:\s+from\s+(?P<low>\S+)\s+to\s+(?P<high>\S+))?"),
    ("series", r"(?:expand|(?:the )?(?:taylor|maclaurin|power) series of)\s+(?P<text>.+?)(?:\s+in\s+(?P<symbol>\w+))?"
     r"(?:\s+(?:around|about|at|near)\s+(?:\w+\s*=\s*)?(?P<point>\S+))?(?:\s+(?:to|up to)\s+order\s+(?P<order>\d+))?"),
    ("equation", r"solve\s+(?P<text>.+?)(?:\s+for\s+(?P<symbol>\w+))?"),
)  # fmt: skip


def read_problem(params: DerivationParams) -> Problem:
    """Say what is asked.

    Raises:
        ValidationError: It cannot be told.
    """
    text = params.context_expr_sympy.strip().rstrip(".?")
    said = _from_call(text) or _from_sentence(text) or {"text": text}
    body = said["text"]
    kind = params.task or said.get("kind") or _guess(body)
    if kind == "equation" and _is_differential(body):
        kind = "ode"
    if kind is None:
        raise ValidationError(
            f"What to do with {text!r} is not said.",
            hint="Write diff(…, x), integrate(…, x), series(…, x, 0, 6), an equation with =, a Lagrangian L = …, "
            "or set task: derivative, integral, series, equation, ode, euler_lagrange, dimensions.",
        )
    order = params.order or said.get("order")
    return Problem(
        kind, body, params.symbol or said.get("symbol") or "", order, params.bounds or said.get("bounds"),
        said.get("point") or params.point, params.func or said.get("func") or "",
    )  # fmt: skip


def _is_differential(text: str) -> bool:
    return bool(re.search(r"\w['′″]|\bdiff\(|Derivative\(|\bd\^?\d?\s*\w+\s*/\s*d\w|[ẍẏÿẋ]|\.diff\(", text))


def _guess(text: str) -> Kind | None:
    if re.match(r"\s*(?:L|Lagrangian|\\mathcal\{L\})\s*=", text) or (
        _is_differential(text) and "=" not in text and not text.startswith("Eq(")
    ):
        return "euler_lagrange"
    if _is_differential(text):
        return "ode"
    return "equation" if re.search(r"(?<![<>=!])=(?!=)", text) or text.startswith("Eq(") else None


def _from_call(text: str) -> dict[str, Any] | None:
    """Read `diff(f, x, 2)`, `Integral(f, (x, a, b))`, `series(f, x, 0, 6)`, `solve(e, x)`; `Eq(…)` is an equation."""
    match = re.fullmatch(r"(\w+)\((.*)\)(?:\.doit\(\))?", text, re.DOTALL)
    if match is None or match[1] not in _CALLS or not _balanced(match[2]):
        return None
    kind, parts = _CALLS[match[1]], _arguments(match[2])
    rest = [part.strip() for part in parts[1:]]
    found: dict[str, Any] = {"kind": kind, "text": parts[0].strip()}
    if rest and rest[0].startswith("("):
        rest = _arguments(rest[0][1:-1]) + rest[1:]
    rest = [part.split("=")[-1].strip() for part in rest]
    if rest:
        found["symbol"] = rest[0]
    if kind == "ode" and rest:
        found["func"] = found.pop("symbol").partition("(")[0]
    if kind == "derivative":
        orders = [int(part) if part.isdigit() else 1 for part in rest[1:]]
        found["order"] = sum(orders) + (0 if rest[1:2] and rest[1].isdigit() else 1) if rest else None
        others = {part for part in rest if not part.isdigit()}
        if len(others) > 1:
            raise ValidationError(f"{text!r} derives by {', '.join(sorted(others))}.", hint="One variable at a time.")
    if kind == "integral" and len(rest) >= 3:
        found["bounds"] = (rest[1].strip(), rest[2].strip())
    if kind == "series":
        found["point"] = rest[1] if len(rest) > 1 else "0"
        found["order"] = int(rest[2]) if len(rest) > 2 and rest[2].isdigit() else None
    return found


def _balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return depth == 0


def _arguments(text: str) -> list[str]:
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _from_sentence(text: str) -> dict[str, Any] | None:
    for kind, pattern in _SENTENCES:
        match = re.fullmatch(pattern, text, re.IGNORECASE)
        if match is None:
            continue
        parts = match.groupdict()
        found: dict[str, Any] = {"kind": kind, "text": parts["text"].strip()}
        found["symbol"] = parts.get("symbol") or parts.get("d")
        if parts.get("low"):
            found["bounds"] = (parts["low"], parts["high"])
        found["point"] = parts.get("point")
        found["order"] = int(parts["order"]) + 1 if parts.get("order") else None
        return found
    return None
