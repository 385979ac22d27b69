"""Values as a reader wants to see them: numbers, units, parameters, times, sizes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

from physlab.model import Reference

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_POWER = re.compile(r"([A-Za-zµμΩÅ°]+)(?:_([A-Za-z0-9{}]+))?(?:\s*(?:\*\*|\^)\s*\(?([+-]?\d+(?:[./]\d+)?)\)?)?")


def number(value: float, digits: int = 8) -> str:
    """Return a number with at most so many significant digits: `−13.605693`, `6.626 × 10⁻³⁴`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value) if isinstance(value, int) and abs(value) < 10**12 else f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    mantissa = mantissa.replace("-", "−")
    if not exponent:
        return mantissa
    power = str(int(exponent)).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
    return f"{mantissa} × 10{power}"


def unit(name: str | None) -> Markup:
    """Return a unit with real sub- and superscripts: `a_0^-3/2` → a₀⁻³ᐟ²."""
    if not name or name in ("1", "dimensionless"):
        return Markup("")
    spaced = re.sub(r"(?<!\*)\*(?!\*)", "·", name)
    parts, last = [], 0
    for match in _POWER.finditer(spaced):
        base, index, power = match.groups()
        parts += [escape(spaced[last : match.start()]), escape(base)]
        parts += [Markup("<sub>{}</sub>").format(index.strip("{}"))] if index else []
        parts += [Markup("<sup>{}</sup>").format(power.replace("-", "−"))] if power else []
        last = match.end()
    parts.append(escape(spaced[last:]))
    return Markup("").join(parts)


def value(item: Any, limit: int = 80) -> str:
    """Return a parameter's value in few words; what is longer is cut with an ellipsis."""
    if isinstance(item, bool) or item is None:
        return {True: "yes", False: "no", None: "none"}[item]
    if isinstance(item, int | float):
        return number(item)
    reference = Reference.parse(item)
    if reference is not None:
        field = ".".join(reference.path)
        return f"{field} of {reference.node}" if field else f"the result of {reference.node}"
    if isinstance(item, dict) and set(item) == {"value", "unit"}:
        return f"{value(item['value'])} {item['unit']}"
    if isinstance(item, list | tuple) and len(item) > 6 and all(isinstance(x, int | float) for x in item):
        return f"{len(item)} numbers from {number(item[0], 4)} to {number(item[-1], 4)}"
    if isinstance(item, dict) and item and "$in" not in item:
        return cut("(" + ", ".join(f"{name} = {value(x, limit)}" for name, x in item.items()) + ")", limit)
    if isinstance(item, list | tuple):
        return cut("[" + ", ".join(value(x, limit) for x in item[:50]) + "]", limit)
    return cut(item if isinstance(item, str) else compact(item), limit)


def compact(item: Any) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(item, ensure_ascii=False, default=str)


def cut(text: str, limit: int) -> str:
    """Return a text, with an ellipsis when it is longer than the limit."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def listed(names: Sequence[str], limit: int = 12) -> str:
    """Return names as `a, b and c`; of many only the first."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def count(how_many: int, noun: str) -> str:
    """Return `1 step`, `2 steps`."""
    return f"{how_many} {noun}" + ("" if how_many == 1 else "s")


def duration(milliseconds: float) -> str:
    """Return a time span in a fitting unit."""
    if milliseconds < 1000:
        return f"{milliseconds:.3g} ms"
    seconds = milliseconds / 1000
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def size(number_of_bytes: int) -> str:
    """Return a file size in decimal units."""
    amount, name = float(number_of_bytes), "bytes"
    for name in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or name == "GB":
            break
        amount /= 1000
    return f"{amount:.3g} {name}"


def date(moment: str) -> str:
    """Return the day of an ISO time: `20 November 2026`; a text that is no time stays as it is."""
    try:
        day = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
