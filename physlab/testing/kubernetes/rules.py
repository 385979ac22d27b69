"""Which objects the API server refuses as invalid."""

from __future__ import annotations

import copy
import re
from typing import Any

from physlab.testing.kubernetes.kinds import Kind
from physlab.testing.kubernetes.objects import Obj, amount
from physlab.testing.kubernetes.refusals import invalid

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def check(kind: Kind, obj: Obj, before: Obj | None = None) -> None:
    """Refuse an object that breaks the rules of its kind.

    Args:
        kind: The kind.
        obj: The object, with its defaults.
        before: What it was, if it is changed.

    Raises:
        Refusal: It breaks them.
    """
    problems = _metadata(kind, obj["metadata"])
    if kind.plural == "jobs":
        problems += _job(obj["spec"], "spec")
    elif kind.plural == "cronjobs":
        problems += _cronjob(obj["spec"])
    elif kind.plural == "pods":
        problems += _pod(obj["spec"], "spec")
    elif kind.plural in ("secrets", "configmaps"):
        problems += _data(obj)
    if before is not None:
        problems += _unchanged(kind, obj, before)
    if problems:
        raise invalid(kind, str(obj["metadata"].get("name") or ""), problems)


def _metadata(kind: Kind, metadata: Obj) -> list[str]:
    name = str(metadata.get("name") or "")
    if not name:
        return ["metadata.name: Required value: name or generateName is required"]
    problems = []
    label = kind.plural == "namespaces"
    longest = {"namespaces": 63, "jobs": 63, "cronjobs": 52}.get(kind.plural, 253)
    if kind.group.startswith("rbac"):
        problems += [] if not re.search(r"[/%]|^\.{1,2}$", name) else [f'metadata.name: Invalid value: "{name}"']
    elif not re.fullmatch(_LABEL if label else _SUBDOMAIN, name):
        words = _LABEL_WORDS if label else _SUBDOMAIN_WORDS
        problems.append(f'metadata.name: Invalid value: "{name}": {words}')
    if len(name) > longest:
        problems.append(f'metadata.name: Invalid value: "{name}": must be no more than {longest} characters')
    return problems + _labels(metadata, "metadata")


def _labels(metadata: Obj, path: str) -> list[str]:
    problems = []
    for key, value in (metadata.get("labels") or {}).items():
        if len(str(value)) > 63:
            problems.append(f'{path}.labels: Invalid value: "{value}": must be no more than 63 bytes')
        elif not re.fullmatch(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", str(value)):
            problems.append(f'{path}.labels: Invalid value: "{value}": {_VALUE_WORDS}')
        if not re.fullmatch(rf"({_SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", key):
            problems.append(f'{path}.labels: Invalid value: "{key}": name part must consist of alphanumeric characters')
    return problems


def _job(spec: Obj, path: str) -> list[str]:
    problems = [
        f"{path}.{name}: Invalid value: {spec[name]}: must be greater than or equal to 0"
        for name in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
        if spec.get(name) is not None and spec[name] < 0
    ]
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        problems.append(f"{path}.completions: Required value: when completion mode is Indexed")
    template = spec["template"]
    problems += _labels(template.get("metadata") or {}, f"{path}.template")
    if template["spec"].get("restartPolicy") not in ("OnFailure", "Never"):
        problems.append(f'{path}.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"')
    return problems + _pod(template["spec"], f"{path}.template.spec")


def _cronjob(spec: Obj) -> list[str]:
    from physlab.testing.kubernetes.schedule import Schedule

    problems = []
    try:
        Schedule(str(spec.get("schedule") or ""), spec.get("timeZone"))
    except ValueError as error:
        problems.append(f'spec.schedule: Invalid value: "{spec.get("schedule")}": {error}')
    policy = spec["concurrencyPolicy"]
    if policy not in ("Allow", "Forbid", "Replace"):
        problems.append(
            f'spec.concurrencyPolicy: Unsupported value: "{policy}": supported values: "Allow", "Forbid", "Replace"'
        )
    return problems + _pod_template(spec["jobTemplate"]["spec"]["template"]["spec"])


def _pod_template(spec: Obj) -> list[str]:
    path = "spec.jobTemplate.spec.template.spec"
    if spec.get("restartPolicy") not in ("OnFailure", "Never"):
        return [f'{path}.restartPolicy: Required value: valid values: "OnFailure", "Never"', *_pod(spec, path)]
    return _pod(spec, path)


def _pod(spec: Obj, path: str) -> list[str]:
    if not spec.get("containers"):
        return [f"{path}.containers: Required value"]
    problems, seen = [], set()
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or []):
            place = f"{path}.{group}[{index}]"
            problems += _container(container, place, volumes)
            name = container.get("name")
            if name and name in seen:
                problems.append(f'{place}.name: Duplicate value: "{name}"')
            seen.add(name)
    policy = spec.get("restartPolicy")
    if policy not in ("Always", "OnFailure", "Never"):
        accepted = '"Always", "Never", "OnFailure"'
        problems.append(f'{path}.restartPolicy: Unsupported value: "{policy}": supported values: {accepted}')
    return problems


def _container(container: Obj, place: str, volumes: set[Any]) -> list[str]:
    problems = []
    name = container.get("name")
    if not name:
        problems.append(f"{place}.name: Required value")
    elif not re.fullmatch(_LABEL, name) or len(name) > 63:
        problems.append(f'{place}.name: Invalid value: "{name}": {_LABEL_WORDS}')
    if not container.get("image"):
        problems.append(f"{place}.image: Required value")
    policy = container.get("imagePullPolicy")
    if policy not in ("Always", "IfNotPresent", "Never"):
        accepted = '"Always", "IfNotPresent", "Never"'
        problems.append(f'{place}.imagePullPolicy: Unsupported value: "{policy}": supported values: {accepted}')
    for index, one in enumerate(container.get("env") or []):
        if not one.get("name"):
            problems.append(f"{place}.env[{index}].name: Required value")
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            problems.append(f'{place}.volumeMounts[{index}].name: Not found: "{mount.get("name")}"')
        if not mount.get("mountPath"):
            problems.append(f"{place}.volumeMounts[{index}].mountPath: Required value")
    return problems + _resources(container.get("resources") or {}, f"{place}.resources")


def _resources(resources: Obj, place: str) -> list[str]:
    problems = []
    limits = resources.get("limits") or {}
    for part in ("limits", "requests"):
        for name, quantity in (resources.get(part) or {}).items():
            try:
                value = amount(quantity)
            except ValueError:
                problems.append(
                    f'{place}.{part}[{name}]: Invalid value: "{quantity}": quantities must match the regular '
                    "expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                )
                continue
            if part == "requests" and name in limits and value > amount(limits[name]):
                problems.append(
                    f'{place}.requests: Invalid value: "{quantity}": must be less than or equal to {name} limit of '
                    f"{limits[name]}"
                )
    return problems


def _data(obj: Obj) -> list[str]:
    words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    return [
        f"data[{key}]: Invalid value: \"{key}\": {words} (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex "
        "used for validation is '[-._a-zA-Z0-9]+')"
        for key in (obj.get("data") or {})
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", key)
    ]


def _unchanged(kind: Kind, obj: Obj, before: Obj) -> list[str]:
    if kind.plural == "jobs":
        fixed = [name for name in ("completionMode", "selector", "podFailurePolicy") if
                 obj["spec"].get(name) != before["spec"].get(name)]  # fmt: skip
        never_began = before["spec"].get("suspend") and not (before.get("status") or {}).get("startTime")
        if obj["spec"].get("template") != before["spec"].get("template") and not never_began:
            fixed.append("template")
        elastic = obj["spec"].get("completionMode") == "Indexed"
        if obj["spec"].get("completions") != before["spec"].get("completions") and not elastic:
            fixed.append("completions")
        return [f"spec.{name}: Invalid value: {obj['spec'].get(name)}: field is immutable" for name in fixed]
    if kind.plural == "pods" and _fixed(obj["spec"]) != _fixed(before["spec"]):
        return [
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
            "negative)"
        ]
    if kind.plural in ("secrets", "configmaps") and before.get("immutable"):
        changed = obj.get("data") != before.get("data")
        return ["data: Forbidden: field is immutable when `immutable` is set"] if changed else []
    return []


def _fixed(spec: Obj) -> Obj:
    rest = copy.deepcopy(spec)
    for name in ("activeDeadlineSeconds", "tolerations"):
        rest.pop(name, None)
    for container in [*(rest.get("initContainers") or []), *rest["containers"]]:
        container.pop("image", None)
    return rest
