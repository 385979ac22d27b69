"""The three ways to change an object by a patch."""

from __future__ import annotations

import copy
from typing import Any

from physlab.testing.kubernetes.objects import Obj
from physlab.testing.kubernetes.refusals import Refusal, bad_request

JSON, MERGE, STRATEGIC = (f"application/{name}+json" for name in ("json-patch", "merge-patch", "strategic-merge-patch"))
_KEYS = {  # lists that a strategic patch merges by this field of their items
    "containers": "name", "initContainers": "name", "ephemeralContainers": "name", "env": "name", "volumes": "name",
    "volumeMounts": "mountPath", "ports": "containerPort", "imagePullSecrets": "name", "ownerReferences": "uid",
    "conditions": "type", "secrets": "name", "hostAliases": "ip", "volumeDevices": "devicePath",
    "topologySpreadConstraints": "topologyKey", "resourceClaims": "name",
}  # fmt: skip


def apply(content_type: str, obj: Obj, patch: Any) -> Obj:
    """Return an object as a patch leaves it.

    Args:
        content_type: Which kind of patch it is.
        obj: The object; it stays as it is.
        patch: The patch.

    Raises:
        Refusal: The kind is unknown, or the patch does not fit the object.
    """
    if content_type == JSON:
        return _json(obj, patch)
    if content_type in (MERGE, STRATEGIC):
        if not isinstance(patch, dict):
            raise bad_request("error decoding patch: an object is wanted")
        result = copy.deepcopy(obj)
        _merge(result, patch, content_type == STRATEGIC)
        return result
    accepted = f"accepted media types include: {JSON}, {MERGE}, {STRATEGIC}"
    message = f"the body of the request was in an unknown format - {accepted}"
    raise Refusal(415, "UnsupportedMediaType", message)


def _json(obj: Obj, patch: Any) -> Obj:
    from jsonpatch import JsonPatchConflict, JsonPatchException, JsonPatchTestFailed, apply_patch
    from jsonpointer import JsonPointerException

    try:
        changed: Obj = apply_patch(obj, patch)
    except (JsonPatchTestFailed, JsonPatchConflict, JsonPointerException) as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise Refusal(422, "Invalid", message) from error
    except (JsonPatchException, TypeError) as error:
        raise bad_request(f"error decoding patch: {error}") from error
    return changed


def _merge(target: Obj, patch: Obj, strategic: bool) -> None:
    if strategic and patch.get("$patch") == "replace":
        target.clear()
    for key, value in patch.items():
        if strategic and key.startswith("$"):
            _directive(target, key, value)
        elif value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            if strategic and value.get("$patch") == "delete":
                target.pop(key, None)
                continue
            known = target.get(key)
            inner: Obj = known if isinstance(known, dict) else {}
            target[key] = inner
            _merge(inner, value, strategic)  # also drops what a new object holds of nulls
        elif strategic and isinstance(value, list) and isinstance(target.get(key), list):
            target[key] = _lists(key, target[key], value)
        else:
            target[key] = copy.deepcopy(value)


def _directive(target: Obj, key: str, value: Any) -> None:
    word, _, field = key.partition("/")
    if word == "$deleteFromPrimitiveList":
        target[field] = [item for item in target.get(field) or [] if item not in value]
    elif word == "$retainKeys":
        for name in set(target) - set(value):
            del target[name]
    elif word == "$setElementOrder":
        name = _KEYS.get(field, "")
        order = {item.get(name) if isinstance(item, dict) else item: index for index, item in enumerate(value)}
        place = [item.get(name) if isinstance(item, dict) else item for item in target.get(field) or []]
        target[field] = [
            item for _, item in sorted(zip(place, target.get(field) or [], strict=True),
                                       key=lambda pair: order.get(pair[0], len(order)))
        ]  # fmt: skip


def _lists(name: str, old: list[Any], new: list[Any]) -> list[Any]:
    if name == "finalizers":
        return [*old, *(item for item in new if item not in old)]
    key = _KEYS.get(name)
    if key is None:
        return copy.deepcopy(new)
    if any(item.get("$patch") == "replace" for item in new if isinstance(item, dict)):
        return [item for item in copy.deepcopy(new) if "$patch" not in item]
    result = copy.deepcopy(old)
    for item in new:
        place = next((index for index, one in enumerate(result) if one.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if place is not None:
                del result[place]
        elif place is None:
            fresh: Obj = {}
            _merge(fresh, item, True)
            result.append(fresh)
        else:
            _merge(result[place], item, True)
    return result
