"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable

from physlab.testing.kubernetes.kinds import Kind
from physlab.testing.kubernetes.objects import Obj, labels_of
from physlab.testing.kubernetes.refusals import bad_request

Test = Callable[[Obj], bool]
_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_ALWAYS_FIELDS = ("metadata.name", "metadata.namespace")
_FIELDS = {
    "pods": ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase",
             "status.podIP", "spec.hostNetwork"),
    "events": ("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
               "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
               "reportingComponent", "source", "type"),
    "jobs": ("status.successful",),
    "secrets": ("type",),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase", "name"),
}  # fmt: skip


def parse(kind: Kind, labels: str, fields: str) -> Test:
    """Return the test of a request's two selectors.

    Raises:
        Refusal: A selector cannot be read.
    """
    tests = [*_labels(labels), *_fields(kind, fields)]
    return lambda obj: all(test(obj) for test in tests)


def _labels(text: str) -> list[Test]:
    return [_label(part.strip()) for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def _label(part: str) -> Test:
    if match := re.fullmatch(rf"(?P<key>{_KEY})\s+(?P<word>in|notin)\s*\((?P<values>[^()]*)\)", part):
        values, key = {value.strip() for value in match["values"].split(",")}, match["key"]
        if match["word"] == "in":
            return lambda obj: labels_of(obj).get(key) in values
        return lambda obj: labels_of(obj).get(key) not in values
    if match := re.fullmatch(rf"(?P<key>{_KEY})\s*(?P<sign>==|!=|=)\s*(?P<value>[-A-Za-z0-9_.]*)", part):
        key, value = match["key"], match["value"]
        if match["sign"] == "!=":
            return lambda obj: labels_of(obj).get(key) != value
        return lambda obj: labels_of(obj).get(key) == value
    if match := re.fullmatch(rf"(?P<no>!?)\s*(?P<key>{_KEY})", part):
        key, wanted = match["key"], not match["no"]
        return lambda obj: (key in labels_of(obj)) == wanted
    raise bad_request(f"unable to parse requirement: found '{part}', expected: a requirement of a label selector")


def _fields(kind: Kind, text: str) -> list[Test]:
    tests: list[Test] = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"(?P<path>[^=!]+)(?P<sign>==|!=|=)(?P<value>.*)", part)
        if not match:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if match["path"] not in (*_ALWAYS_FIELDS, *_FIELDS.get(kind.plural, ())):
            raise bad_request(f"field label not supported: {match['path']}")
        tests.append(_field(match["path"], match["value"], match["sign"] != "!="))
    return tests


def _field(path: str, value: str, equal: bool) -> Test:
    return lambda obj: (field(obj, path) == value) == equal


def field(obj: Obj, path: str) -> str:
    """Return a value inside an object as text; empty where there is none."""
    if path == "status.successful":
        path = "status.succeeded"
        return field(obj, path) or "0"
    found: object = obj
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, bool):
        return str(found).lower()
    return "" if found is None else str(found)
