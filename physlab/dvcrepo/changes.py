"""What a commit says: the run, and which parameters are others than in the run before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

SHOWN = 3
LONGEST = 40
ITEMS = 20  # a longer list is told as a whole
TRAILER = "Physlab-Run"


def message(title: str, run_id: str, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """Return the message of the commit of a run.

    Args:
        title: Name of its folder.
        run_id: The run.
        before: Parameters of each node in the run before it, None when there was none.
        now: Those of this run.
    """
    found = list(differences(before, now)) if before is not None else []
    what = _few(found) or ("first run" if before is None else "same parameters")
    rest = "".join(f"{line}\n" for line in found) + "\n" if len(found) > SHOWN else ""
    return f"{_printable(title)}: run {run_id}: {what}\n\n{rest}{TRAILER}: {run_id}\n"


def addition(title: str, run_id: str, paths: Iterable[str]) -> str:
    """Return the message of a commit that shows more of a run than an earlier one did, such as its report."""
    return f"{_printable(title)}: run {run_id}: with {_few(sorted(paths))}\n\n{TRAILER}: {run_id}\n"


def _few(found: Sequence[str]) -> str:
    return ", ".join(found[:SHOWN]) + (f", and {len(found) - SHOWN} more" if len(found) > SHOWN else "")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what changed, such as `n 2 → 3 (node orbital)`."""
    for node in sorted(before.keys() | now.keys()):
        if node not in now or node not in before:
            yield f"node {node} {'gone' if node not in now else 'new'}"
            continue
        old, new = dict(_flat(before[node])), dict(_flat(now[node]))
        for name in sorted(old.keys() | new.keys()):
            if old.get(name, _NOTHING) != new.get(name, _NOTHING):
                yield _printable(f"{name} {_said(old, name)} → {_said(new, name)} (node {node})")


_NOTHING = object()


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and 0 < len(value) <= ITEMS:
        value = dict(enumerate(value))
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _said(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "unset"
    text = _printable(str(values[name]))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _printable(text: str) -> str:
    """Return a text as one line without controls: it comes from others and goes to terminals."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
