"""Rates as people write them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

SLOWEST = 1000
"""Slower makes no sense [bytes/s]."""
_RATE = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<prefix>[kKmMgG]?)(?P<binary>i?)B?(?:/s)?\s*")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}


def read_rate(text: str) -> int:
    """Return the bytes a second of `5MB/s`, `500 kB/s`, `1 MiB/s`, `3M` or a number of bytes a second.

    Raises:
        ValueError: It is not a rate, or slower than 1 kB/s.
    """
    found = _RATE.fullmatch(str(text))
    if found is not None:
        base = 1024 if found["binary"] else 1000
        rate: int = round(float(found["number"]) * base ** _POWERS[found["prefix"].lower()])
        if rate >= SLOWEST:
            return rate
    raise ValueError(f"'{text}' is no rate; say 5MB/s, 500kB/s or 1000000 (at least 1 kB/s)")


def _read(value: object) -> object:
    return read_rate(value) if isinstance(value, str) else value


Rate = Annotated[float, BeforeValidator(_read), Field(ge=SLOWEST)]
"""Bytes a second, also as a text."""
