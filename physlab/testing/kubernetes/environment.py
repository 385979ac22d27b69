"""The environment, the words and the folder that a container starts with."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from physlab.testing.kubernetes.kinds import BY_PLURAL
from physlab.testing.kubernetes.objects import Obj, name_of, namespace_of, uid_of
from physlab.testing.kubernetes.selectors import field
from physlab.testing.kubernetes.store import Store

_SOURCES = {
    "configMapKeyRef": "configmaps", "secretKeyRef": "secrets", "configMapRef": "configmaps", "secretRef": "secrets",
}  # fmt: skip


class NotConfigured(Exception):  # noqa: N818 - a state of the container, no fault of the library
    """A container names something that is not there; it waits for it."""


def expand(text: str, env: Mapping[str, str]) -> str:
    """Return a text with `$(NAME)` replaced by variables that there are, and one dollar for every two."""
    return re.sub(r"\$(\$)|\$\(([^)]*)\)", lambda match: match[1] or env.get(match[2], match[0]), text)


def variables(store: Store, pod: Obj, container: Obj, start: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a container.

    Args:
        store: Where ConfigMaps and Secrets are.
        pod: Its pod.
        container: Its specification.
        start: What the image and the machine give.

    Raises:
        NotConfigured: It names something that is not there.
    """
    env = dict(start)
    for source in container.get("envFrom") or []:
        for name in ("configMapRef", "secretRef"):
            if name in source:
                data = values(store, namespace_of(pod), _SOURCES[name], source[name])
                env.update({f"{source.get('prefix', '')}{key}": value for key, value in data.items()})
    for one in container.get("env") or []:
        given = one.get("valueFrom")
        if not given:
            env[one["name"]] = expand(str(one.get("value") or ""), env)
            continue
        value = _from(store, pod, container, given)
        if value is not None:
            env[one["name"]] = value
    return env


def _from(store: Store, pod: Obj, container: Obj, given: Obj) -> str | None:
    if "fieldRef" in given:
        return downward(pod, given["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in given:
        wanted = given["resourceFieldRef"]["resource"]
        found: Any = container.get("resources") or {}
        for key in wanted.split(".", 1):
            found = (found or {}).get(key)
        return str(found or 0)
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in given:
            reference = given[name]
            data = values(store, namespace_of(pod), _SOURCES[name], reference)
            if reference["key"] in data:
                return data[reference["key"]]
            if not reference.get("optional"):
                what = "ConfigMap" if name == "configMapKeyRef" else "Secret"
                raise NotConfigured(
                    f"couldn't find key {reference['key']} in {what} {namespace_of(pod)}/{reference['name']}"
                )
    return None


def values(store: Store, namespace: str, plural: str, reference: Obj) -> dict[str, str]:
    """Return the values of a ConfigMap or Secret as texts."""
    return {key: value.decode(errors="replace") for key, value in contents(store, namespace, plural, reference).items()}


def contents(store: Store, namespace: str, plural: str, reference: Obj) -> dict[str, bytes]:
    """Return the values of a ConfigMap or Secret.

    Raises:
        NotConfigured: There is none.
    """
    name = reference.get("name") or reference.get("secretName") or ""
    found = store.find(BY_PLURAL[plural], namespace, name)
    if found is None:
        if reference.get("optional"):
            return {}
        raise NotConfigured(f'{plural[:-1]} "{name}" not found')
    data = found.get("data") or {}
    if plural == "secrets":
        return {key: base64.b64decode(value) for key, value in data.items()}
    binary = {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
    return {**{key: str(value).encode() for key, value in data.items()}, **binary}


def downward(pod: Obj, path: str) -> str:
    """Return what a pod tells of itself."""
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path):
        return str((pod["metadata"].get(match[1]) or {}).get(match[2], ""))
    if match := re.fullmatch(r"metadata\.(labels|annotations)", path):
        pairs = sorted((pod["metadata"].get(match[1]) or {}).items())
        return "\n".join(f'{key}="{value}"' for key, value in pairs)
    known = {"metadata.name": name_of, "metadata.namespace": namespace_of, "metadata.uid": uid_of}
    if path in known:
        return known[path](pod)
    if path == "status.podIPs":
        return field(pod, "status.podIP")
    return field(pod, path)


def words(container: Obj, image: Mapping[str, Any], env: Mapping[str, str]) -> list[str]:
    """Return what a container runs: its own words go before those of its image."""
    command = container.get("command") or image.get("entrypoint") or []
    args = container.get("args") or ([] if container.get("command") else image.get("cmd") or [])
    return [expand(str(word), env) for word in [*command, *args]]
