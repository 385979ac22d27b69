"""Lineage in the formats that others read. The table is the router."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import physlab
from physlab.versioning.origin.graph import Activity, Entity, Lineage

if TYPE_CHECKING:
    from physlab.report.overview.sketch import Box

PRODUCER = f"urn:physlab:{physlab.__version__}"
OPENLINEAGE = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"


def _json(lineage: Lineage) -> str:
    return json.dumps(lineage.as_object(), indent=2, ensure_ascii=False)


def _prov(lineage: Lineage) -> str:
    """W3C PROV-JSON (https://www.w3.org/submissions/prov-json)."""
    document: dict[str, Any] = {
        "prefix": {"lab": "urn:physlab:", "prov": "http://www.w3.org/ns/prov#"},
        "entity": {
            _name(item.id): _told({"prov:label": item.name, "prov:type": item.kind, "size": item.size, **item.facts})
            for item in lineage.entities.values()
        },
        "activity": {
            _name(item.id): {"prov:startTime": item.at, **_told({"prov:label": item.name, "prov:type": item.kind,
                                                                 **item.facts})}
            for item in lineage.activities.values()
        },
        "agent": {"lab:physlab": {"prov:type": "prov:SoftwareAgent", "prov:label": "physlab"}},
        "used": {
            f"_:u{n}": {"prov:activity": _name(a), "prov:entity": _name(e), "prov:role": role}
            for n, (a, e, role) in enumerate(_used(lineage), 1)
        },
        "wasGeneratedBy": {
            f"_:g{n}": {"prov:entity": _name(e), "prov:activity": _name(a)} for n, (a, e) in enumerate(lineage.made, 1)
        },
        "wasInformedBy": {
            f"_:i{n}": {"prov:informed": _name(after), "prov:informant": _name(before)}
            for n, (after, before, _) in enumerate(_informed(lineage), 1)
        },
        "wasAssociatedWith": {
            f"_:a{n}": {"prov:activity": _name(name), "prov:agent": "lab:physlab"}
            for n, name in enumerate(lineage.activities, 1)
        },
    }  # fmt: skip
    return json.dumps({name: part for name, part in document.items() if part}, indent=2, ensure_ascii=False)


def _name(identity: str) -> str:
    return "lab:" + identity.replace(":", "-")


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts as attributes: what is no plain value is written as JSON."""
    plain = {
        name if ":" in name else f"lab:{name}": value
        if isinstance(value, str | int | float | bool)
        else json.dumps(value, ensure_ascii=False)
        for name, value in facts.items()
        if value not in (None, {}, [], "")
    }
    return {name: value for name, value in plain.items() if not isinstance(value, float) or value == value}


def _used(lineage: Lineage) -> list[tuple[str, str, str]]:
    return [item for item in lineage.used if item[1] in lineage.entities]


def _informed(lineage: Lineage) -> list[tuple[str, str, str]]:
    return [item for item in lineage.used if item[1] in lineage.activities]


def _openlineage(lineage: Lineage) -> str:
    """One COMPLETE event for each activity (https://openlineage.io/docs/spec/object-model)."""
    events = []
    for item in lineage.activities.values():
        facets = {"physlab": {"_producer": PRODUCER, "_schemaURL": PRODUCER, "record": item.id, **item.facts}}
        events.append({
            "eventType": "COMPLETE",
            "eventTime": item.at,
            "run": {"runId": str(uuid.uuid5(uuid.NAMESPACE_URL, item.id)), "facets": facets},
            "job": {"namespace": "physlab", "name": str(item.facts.get("tool", item.name))},
            "inputs": [_dataset(lineage, e) for a, e, _ in _used(lineage) if a == item.id],
            "outputs": [_dataset(lineage, e) for a, e in lineage.made if a == item.id],
            "producer": PRODUCER,
            "schemaURL": OPENLINEAGE,
        })  # fmt: skip
    return json.dumps(sorted(events, key=lambda event: event["eventTime"]), indent=2, ensure_ascii=False)


def _dataset(lineage: Lineage, entity: str) -> dict[str, Any]:
    version = {"_producer": PRODUCER, "_schemaURL": PRODUCER, "datasetVersion": entity}
    return {"namespace": "physlab", "name": lineage.entities[entity].name, "facets": {"version": version}}


def _svg(lineage: Lineage) -> str:
    """The picture: what was done as boxes, things as boxes of another colour, arrows from cause to effect."""
    from physlab.report.overview.draw import write_svg
    from physlab.report.overview.scene import compose
    from physlab.report.overview.sketch import Arrow, layered

    boxes = [_thing(item) for item in lineage.entities.values()] + [_deed(item) for item in lineage.activities.values()]
    there = {box.key for box in boxes}
    arrows = [Arrow(entity, activity, (role,)) for activity, entity, role in lineage.used if entity in there]
    arrows += [Arrow(activity, entity, ("made",)) for activity, entity in lineage.made if entity in there]
    return write_svg(compose(replace(layered(tuple(boxes), list(dict.fromkeys(arrows))), words=_WORDS)))


def _thing(item: Entity) -> Box:
    """Return the box of a thing: its name, and what it is."""
    from physlab.report.overview.sketch import Box

    if item.kind == "value":
        return Box(item.id, item.name, "value", _KIND[item.kind])
    bare = item.name.startswith("sha256:")
    return Box(item.id, item.kind if bare else item.name, f"{item.id[:19]}…", _KIND[item.kind])


def _deed(item: Activity) -> Box:
    """Return the box of what was done: by what, when, with which parameters and code."""
    from physlab.report.overview.sketch import Box

    facts = item.facts
    code = facts.get("code") or {}
    said = (
        code.get("version")
        or code.get("commit")
        or (f"code {code['fingerprint'][:8]}" if "fingerprint" in code else "")
    )
    when = f"{item.at[:16].replace('T', ' ')} UTC"
    params = ", ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in (facts.get("params") or {}).items() if value not in (None, "", {}, [])
    )  # fmt: skip
    notes = tuple(note for note in (f"{when} · {said}" if said else when, params) if note)
    return Box(item.id, item.name, str(facts.get("tool") or facts.get("by") or ""), _KIND[item.kind], notes=notes)


_KIND = {"file": "data", "folder": "data", "external": "lookup", "value": "text", "node": "compute",
         "registration": "user"}  # fmt: skip
_WORDS = {"data": "bytes", "lookup": "bytes kept elsewhere", "text": "value", "compute": "node", "user": "registration"}
FORMATS: dict[str, Callable[[Lineage], str]] = {
    "json": _json,
    "prov": _prov,
    "openlineage": _openlineage,
    "svg": _svg,
}


def write_lineage(lineage: Lineage, form: str) -> str:
    """Return a lineage in one of the `FORMATS`, as text."""
    return FORMATS[form](lineage)
