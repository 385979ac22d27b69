"""Why a node must run: the ingredient of its key that changed since it ran last."""

from __future__ import annotations

from typing import Any

from physlab.model import NodeRecord, is_input
from physlab.planning.plan import Plan, PlannedNode, content_digest


def explain_miss(plan: Plan, node: PlannedNode, before: NodeRecord | None, code: dict[str, str]) -> str:
    """Say why a node is not cached.

    Args:
        plan: The plan.
        node: The node.
        before: The latest record of the node with this id, tool and method.
        code: Versions of its code now.
    """
    if node.id in plan.refreshed:
        if not node.checked.method.lasting:
            return "never cached (it tells of here and now)"
        return "asked to run again" if node.checked.node.cache else "never cached (cache: false)"
    if node.state == "pending":
        return f"waits for {', '.join(node.waits_for)}"
    if before is None:
        return "never run before"
    found = [*_params(before.params, node.params), *_inputs(plan, node, before), *_code(before.code, code)]
    if before.device != node.device:
        found.append(f"device: {before.device} → {node.device}")
    if before.seed != node.checked.node.seed:
        found.append(f"seed: {before.seed} → {node.checked.node.seed}")
    if before.visuals != node.checked.prepared.visuals:
        found.append("other visual outputs are declared")
    return "; ".join(found) or "its stored result is gone or was removed"


def _params(before: dict[str, Any], now: dict[str, Any], place: str = "") -> list[str]:
    names = [*before, *(name for name in now if name not in before)]
    found = []
    for name in names:
        old, new = before.get(name), now.get(name)
        if is_input(old) and is_input(new):
            continue  # what it takes is compared by its content
        if name == "$file" and old and new and old != new:
            found.append(f"{place.removesuffix('.')}: the file has other content")
        elif isinstance(old, dict) and isinstance(new, dict) and not (is_input(old) or is_input(new)):
            found += _params(old, new, f"{place}{name}.")
        elif old != new:
            found.append(f"{place}{name}: {_short(old)} → {_short(new)}")
    return found


def _inputs(plan: Plan, node: PlannedNode, before: NodeRecord) -> list[str]:
    found = []
    for item in node.checked.prepared.inputs:
        entry = plan.nodes[item.reference.node].entry
        if entry is not None and before.inputs.get(item.parameter) != content_digest(entry, item):
            found.append(f"input {item.parameter} ({item.reference}) has other content")
    return found


def _code(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return [
        "the tool's code changed"
        if name == "fingerprint"
        else f"{name}: {before.get(name, 'none')} → {now.get(name, 'none')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _short(value: Any) -> str:
    if is_input(value):
        return "what another node gives"
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as the record, which is JSON, spells it
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "…"
