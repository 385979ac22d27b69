"""Into which parts a node's work is divided, when it is long and can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from physlab.model import Share, Visuals
from physlab.tools.registry import Method

MOST_PARTS = 64
PART = 0.25
"""A part takes about so much of `split_s`: short, so that cores come out even, and yet longer than its preparation."""


def divide(
    method: Method, params: Mapping[str, Any], visuals: Visuals, split_s: float, at_once: int
) -> tuple[Share, ...]:
    """Return the parts of a node, none when it is to be done in one piece.

    Nothing that differs from run to run enters: a run finds the parts that an earlier one has made.

    Args:
        method: What the node calls.
        params: Its parameters as `Work` has them.
        visuals: What it is to write.
        split_s: From how much expected work on it is divided [s].
        at_once: How many pieces of work its site may have at the same time.
    """
    if method.extent is None or at_once < 2:
        return ()
    try:
        extent = method.extent(params, visuals)
        if extent is None or extent.units < 2 or extent.seconds < split_s:
            return ()
        wanted = round(PART * split_s * extent.units / extent.seconds)
    except (TypeError, ValueError, LookupError, ArithmeticError):
        return ()  # values of other nodes that do not fit: the call itself says what is wrong
    size = max(1, wanted, -(-extent.units // MOST_PARTS))
    starts = range(0, extent.units, size)
    return tuple(
        Share(start=start, stop=min(start + size, extent.units), number=number, count=len(starts))
        for number, start in enumerate(starts, 1)
    )
