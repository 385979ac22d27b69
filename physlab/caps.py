"""The safety caps, as one table.

A request above a cap is refused with an error that names the cap; `allow_large=true` lifts it for that node, and
`physlab.toml` `[caps]` moves it for a lab. Nothing is ever clamped silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from physlab.errors import ValidationError


@dataclass(frozen=True)
class Cap:
    """One limit: its value, its unit for messages, and what it protects."""

    value: float
    unit: str
    protects: str


CAPS: dict[str, Cap] = {
    "surface": Cap(160, "points per axis", "surfaces and contours"),
    "volume": Cap(160, "points per axis", "volumes"),
    "field": Cap(64, "points per axis", "vector fields"),
    "frames": Cap(300, "frames", "animations"),
    "interactive": Cap(24, "points per axis", "interactive thumbnails"),
    "samples": Cap(100_000, "points", "curves and arrays in a parameter"),
    "values": Cap(5_000_000, "values", "imported files, spectrograms and wavelet maps"),
    "dimension": Cap(1024, "states", "dense matrices of quantum operators"),
    "qubits": Cap(16, "qubits", "simulated quantum circuits"),
    "candidates": Cap(2_000_000, "candidates", "the search of symbolic regression"),
    "time_s": Cap(10, "s", "interactive tools"),
    "animation_time_s": Cap(30, "s", "animations"),
    "expression_chars": Cap(4_000, "characters", "the formula parser"),
    "expression_depth": Cap(60, "levels", "the formula parser"),
    "nodes": Cap(200_000, "nodes", "the planner"),
    "parallelism": Cap(16, "nodes at once", "the run"),
}


def limit(name: str, overrides: Mapping[str, float] | None = None) -> float:
    """Return the value of a cap, after the lab's overrides."""
    return float((overrides or {}).get(name, CAPS[name].value))


def enforce(
    name: str, value: float, *, what: str, allow_large: bool = False, overrides: Mapping[str, float] | None = None
) -> None:
    """Refuse a value above its cap.

    Args:
        name: Key of `CAPS`.
        value: The requested number.
        what: The parameter, for the message.
        allow_large: True lifts the cap.
        overrides: Caps of this lab.

    Raises:
        ValidationError: The value is above the cap and `allow_large` is false.
    """
    ceiling = limit(name, overrides)
    if value > ceiling and not allow_large:
        raise ValidationError(
            f"{what} = {value:g} is above the cap of {ceiling:g} {CAPS[name].unit} for {CAPS[name].protects}.",
            hint=f"Use at most {ceiling:g}, or set allow_large: true on this node if you mean it.",
            details={"cap": name, "limit": ceiling, "value": value},
        )
