"""Small words about API objects: times, names, owners, conditions, quantities. An object is what its JSON is."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Obj = dict[str, Any]

LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # those that the API server draws names from
TERMINAL = ("Succeeded", "Failed")
_SUFFIX = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
_RANDOM = random.SystemRandom()


def now(micro: bool = False) -> str:
    """Return this moment as the API writes it, to the second or to the microsecond."""
    moment = datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def seconds(stamp: str) -> float:
    """Return a time as the API writes it as seconds since 1970."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def stamp(moment: float) -> str:
    """Return seconds since 1970 as the API writes a time."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def suffix(count: int = 5) -> str:
    """Return the letters that make a generated name unique."""
    return "".join(_RANDOM.choices(LETTERS, k=count))


def hexadecimal(count: int) -> str:
    """Return a random number in hexadecimal digits."""
    return f"{_RANDOM.getrandbits(4 * count):0{count}x}"


def name_of(obj: Obj) -> str:
    """Return an object's name."""
    return str(obj["metadata"]["name"])


def namespace_of(obj: Obj) -> str:
    """Return an object's namespace; empty for one of the whole cluster."""
    return str(obj["metadata"].get("namespace") or "")


def uid_of(obj: Obj) -> str:
    """Return an object's identity, which no later object of the name has."""
    return str(obj["metadata"]["uid"])


def labels_of(obj: Obj) -> dict[str, str]:
    """Return an object's labels."""
    return obj["metadata"].get("labels") or {}


def deleting(obj: Obj) -> bool:
    """Return whether an object is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def phase_of(obj: Obj) -> str:
    """Return a pod's phase."""
    return str((obj.get("status") or {}).get("phase") or "")


def owner_reference(obj: Obj) -> Obj:
    """Return what makes an object the controller of another."""
    return {
        "apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": name_of(obj), "uid": uid_of(obj),
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def controlled_by(obj: Obj, uid: str) -> bool:
    """Return whether an object's controller is the one with this identity."""
    owners = obj["metadata"].get("ownerReferences") or []
    return any(owner.get("controller") and owner["uid"] == uid for owner in owners)


def condition(obj: Obj, kind: str) -> Obj | None:
    """Return a condition of an object's status."""
    found = (obj.get("status") or {}).get("conditions") or []
    return next((one for one in found if one["type"] == kind), None)


def is_true(obj: Obj, kind: str) -> bool:
    """Return whether an object has a condition that holds."""
    found = condition(obj, kind)
    return found is not None and found["status"] == "True"


def set_condition(conditions: list[Obj], new: Obj) -> None:
    """Put a condition among others; its transition time stays as long as its status does."""
    for index, old in enumerate(conditions):
        if old["type"] == new["type"]:
            if old["status"] == new["status"] and "lastTransitionTime" in old:
                new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
                if "lastProbeTime" in old:
                    new["lastProbeTime"] = old["lastProbeTime"]
            conditions[index] = new
            return
    conditions.append(new)


def find(items: Iterable[Obj], name: str) -> Obj | None:
    """Return the item of a list that has a name."""
    return next((item for item in items if item.get("name") == name), None)


def amount(quantity: Any) -> float:
    """Return a quantity (`500m`, `2Gi`, 4) as a number.

    Raises:
        ValueError: It is none.
    """
    match = re.fullmatch(r"([+-]?[0-9.]+)([eE][+-]?[0-9]+)?([numkMGTPE]?i?)", str(quantity).strip())
    if not match or match[3] not in _SUFFIX:
        raise ValueError(f"{quantity!r} is no quantity")
    return float(match[1] + (match[2] or "")) * _SUFFIX[match[3]]


def pod_requests(spec: Obj, part: str = "requests") -> dict[str, float]:
    """Return what a pod's containers ask for together; an initial container counts where it asks for more."""
    total: dict[str, float] = {}
    for container in spec.get("containers") or []:
        for name, quantity in _asked(container, part).items():
            total[name] = total.get(name, 0) + amount(quantity)
    for container in spec.get("initContainers") or []:
        for name, quantity in _asked(container, part).items():
            total[name] = max(total.get(name, 0), amount(quantity))
    return total


def _asked(container: Obj, part: str) -> Mapping[str, Any]:
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    return {**limits, **(resources.get("requests") or {})} if part == "requests" else limits
