"""The graph of lineage: things and what was done, in the terms of W3C PROV. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Entity:
    """Something with a content: bytes, or a value that went from node to node.

    Attributes:
        id: `sha256:…` of its bytes, or `value:…` of a value's content and where it came out of.
        name: What people call it.
        kind: file, folder, external or value.
        size: Of its bytes [bytes], where that is known.
        facts: What else is known: versions, place, ….
    """

    id: str
    name: str
    kind: Literal["file", "folder", "external", "value"] = "file"
    size: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Activity:
    """Something that was done: a node that ran, or a registration by somebody.

    Attributes:
        id: `record:` and the digest of its record in the ledger.
        name: The node's id, or the artifact's name.
        kind: node or registration.
        at: When it began, in UTC.
        facts: tool, params, code, seed, device, run, by, ….
    """

    id: str
    name: str
    kind: Literal["node", "registration"]
    at: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Lineage:
    """Entities, activities, and which used and made which.

    Attributes:
        of: Id of the entity that was asked for.
        used: Activity, entity and role: it went in.
        made: Activity and entity: it came out.
        remark: What has to be said of the name that it was asked by.
    """

    of: str
    entities: dict[str, Entity] = field(default_factory=dict)
    activities: dict[str, Activity] = field(default_factory=dict)
    used: list[tuple[str, str, str]] = field(default_factory=list)
    made: list[tuple[str, str]] = field(default_factory=list)
    remark: str = ""

    def put(self, entity: Entity) -> None:
        """Add an entity; of one that is there, more is known afterwards."""
        known = self.entities.get(entity.id)
        if known is None or (entity.size is not None and known.size is None):
            self.entities[entity.id] = entity

    def use(self, activity: str, entity: str, role: str) -> None:
        """Say that an activity used an entity."""
        if (activity, entity, role) not in self.used:
            self.used.append((activity, entity, role))

    def make(self, activity: str, entity: str) -> None:
        """Say that an activity made an entity."""
        if (activity, entity) not in self.made:
            self.made.append((activity, entity))

    def raw(self) -> Iterator[Entity]:
        """Yield where the chain begins: what nothing made, and was registered without parents at most."""
        working = {activity for activity, _, _ in self.used}
        working |= {name for name, activity in self.activities.items() if activity.kind == "node"}
        made = {entity for activity, entity in self.made if activity in working}
        yield from (entity for name, entity in self.entities.items() if name not in made)

    def as_object(self) -> dict[str, Any]:
        """Return the graph as one JSON object."""
        return {
            "of": self.of,
            "entities": [{k: v for k, v in vars(item).items() if v is not None} for item in self.entities.values()],
            "activities": [dict(vars(item)) for item in self.activities.values()],
            "used": [{"activity": a, "entity": e, "role": role} for a, e, role in self.used],
            "made": [{"activity": a, "entity": e} for a, e in self.made],
            **({"remark": self.remark} if self.remark else {}),
        }
