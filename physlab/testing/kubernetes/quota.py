"""Resource quotas: what a namespace may hold, and what it holds."""

from __future__ import annotations

from physlab.testing.kubernetes.kinds import BY_PLURAL, KINDS, PODS, Kind
from physlab.testing.kubernetes.objects import TERMINAL, Obj, amount, name_of, phase_of, pod_requests
from physlab.testing.kubernetes.refusals import forbidden
from physlab.testing.kubernetes.store import Store

QUOTAS = BY_PLURAL["resourcequotas"]
_COMPUTE = {"cpu": "requests.cpu", "memory": "requests.memory"}


def usage(kind: Kind, obj: Obj) -> dict[str, float]:
    """Return what an object counts for, by the words of a quota."""
    counted = {f"count/{kind.resource}": 1.0}
    if kind is not PODS:
        return {**counted, kind.plural: 1.0}
    if phase_of(obj) in TERMINAL:
        return counted
    counted["pods"] = 1.0
    for name, value in pod_requests(obj["spec"]).items():
        counted[f"requests.{name}"] = value
        if name in _COMPUTE:
            counted[name] = value
    for name, value in pod_requests(obj["spec"], "limits").items():
        counted[f"limits.{name}"] = value
    return counted


def used(store: Store, quota: Obj, namespace: str) -> dict[str, float]:
    """Return what a namespace holds of what a quota limits."""
    total = dict.fromkeys(quota["spec"].get("hard") or {}, 0.0)
    for kind in KINDS:
        for obj in store.all(kind, namespace) if kind.namespaced else ():
            for name, value in usage(kind, obj).items():
                if name in total:
                    total[name] += value
    return total


def admit(store: Store, kind: Kind, namespace: str, obj: Obj) -> None:
    """Refuse a new object that is one too many.

    Raises:
        Refusal: A quota is exceeded, or an object does not say how much it needs of what is limited.
    """
    for quota in store.all(QUOTAS, namespace):
        hard = quota["spec"].get("hard") or {}
        counted = usage(kind, obj)
        _must_say(kind, quota, hard, obj)
        held = used(store, quota, namespace)
        over = [name for name in sorted(hard) if name in counted and held[name] + counted[name] > amount(hard[name])]
        if over:
            said = [
                ",".join(f"{name}={text(name, values[name])}" for name in over)
                for values in (counted, held, {name: amount(hard[name]) for name in over})
            ]
            why = f"exceeded quota: {name_of(quota)}, requested: {said[0]}, used: {said[1]}, limited: {said[2]}"
            raise forbidden(kind, name_of(obj), why)


def _must_say(kind: Kind, quota: Obj, hard: Obj, obj: Obj) -> None:
    if kind is not PODS:
        return
    missing: dict[str, list[str]] = {}
    for name in sorted(hard):
        part, resource = {"cpu": ("requests", "cpu"), "memory": ("requests", "memory")}.get(name) or (
            tuple(name.split(".", 1)) if name.startswith(("requests.", "limits.")) else ("", "")
        )  # fmt: skip
        if resource not in ("cpu", "memory"):
            continue
        for container in obj["spec"]["containers"]:
            resources = container.get("resources") or {}
            if resource not in (resources.get(part) or {}):
                missing.setdefault(name, []).append(container["name"])
    if missing:
        said = "; ".join(f"{name} for: {','.join(containers)}" for name, containers in missing.items())
        raise forbidden(kind, name_of(obj), f"failed quota: {name_of(quota)}: must specify {said}")


def text(name: str, value: float) -> str:
    """Return a number as a quota writes it."""
    if name.endswith("memory"):
        for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
            if value and value % size == 0:
                return f"{value / size:.0f}{unit}"
    return f"{value:.0f}" if value == int(value) else f"{value * 1000:.0f}m"


def write(store: Store, namespace: str) -> None:
    """Write into the quotas of a namespace what is used."""
    for quota in list(store.all(QUOTAS, namespace)):
        hard = quota["spec"].get("hard") or {}
        held = {name: text(name, value) for name, value in used(store, quota, namespace).items()}

        def change(obj: Obj, hard: Obj = hard, held: dict[str, str] = held) -> None:
            obj["status"] = {"hard": dict(hard), "used": held}

        store.update(QUOTAS, quota, change)
