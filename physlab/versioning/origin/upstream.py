"""Back from some bytes to the raw inputs, through registrations and nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError
from physlab.model import NodeRecord
from physlab.model.stored import files_in
from physlab.model.version import Version
from physlab.store import Store
from physlab.versioning.history import Known, of_bytes
from physlab.versioning.origin.graph import Activity, Entity, Lineage
from physlab.versioning.origin.records import gave
from physlab.versioning.origins import maker_of


def upstream(store: Store, sha256: str, known: Known | None = None, name: str = "") -> Lineage:
    """Return the whole chain that led to some bytes.

    Args:
        store: Where.
        sha256: The bytes.
        known: The version of them that is meant; None: whatever is registered of these bytes.
        name: What they are called where no version says it.

    Raises:
        ValidationError: The lab knows no such bytes.
        StoreError: A record is missing or damaged.
    """
    store.refresh()
    tracing = _Tracing(store, Lineage(f"sha256:{sha256}"))
    tracing.bytes(sha256, name, only=known)
    if not tracing.lineage.activities:
        raise ValidationError(
            f"Nothing is known of sha256:{sha256[:16]}….", hint="Register it with its parents: physlab version add."
        )
    return tracing.lineage


class _Tracing:
    def __init__(self, store: Store, lineage: Lineage) -> None:
        self.store, self.lineage = store, lineage
        self.seen: set[str] = set()

    def bytes(self, sha256: str, name: str = "", only: Known | None = None) -> str:
        """Add bytes with everything that led to them, or to one version of them; return their id."""
        found = f"sha256:{sha256}"
        everywhere = of_bytes(self.store, sha256)
        versions = everywhere if only is None else [only]
        others = [known.name for known in everywhere if only is not None and known.record != only.record]
        facts = {"same_bytes": others} if others else {}
        self.lineage.put(entity_of(sha256, versions, name, facts))
        if found in self.seen:
            return found
        self.seen.add(found)
        for known in versions:
            self.registration(known)
        maker = maker_of(self.store, [sha256]).get(sha256)
        if maker is not None:
            self.node(maker, sha256)
            self.lineage.make(f"record:{maker}", found)
        return found

    def registration(self, known: Known) -> None:
        """Add a registration and what it names as parents; one without parents or more adds nothing but its fact."""
        activity = registration_of(known)
        self.lineage.activities[activity.id] = activity
        self.lineage.make(activity.id, f"sha256:{known.version.content.sha256}")
        for parent in known.version.parents:
            above = self.bytes(parent.sha256, Path(parent.path).name if parent.path else "")
            self.lineage.use(activity.id, above, "parent")

    def node(self, record: str, sha256: str = "") -> None:
        """Add a node that ran, with its files and the nodes before it; some bytes that it made get the name it gave."""
        made = NodeRecord.model_validate(self.store.record(record))
        given = next((artifact.name for artifact in made.artifacts if artifact.sha256 == sha256), None)
        bare = self.lineage.entities.get(f"sha256:{sha256}")
        if given and bare is not None and bare.name.startswith("sha256:"):
            self.lineage.entities[bare.id] = replace(bare, name=given)
        if f"record:{record}" in self.lineage.activities:
            return
        activity = node_of(record, made)
        self.lineage.activities[activity.id] = activity
        for place, sha256 in files_in(made.params):
            self.lineage.use(activity.id, self.bytes(sha256), place)
        parents = {name: NodeRecord.model_validate(self.store.record(name)) for name in made.parents}
        for parameter, source in made.sources.items():
            content = made.inputs[parameter]
            value = f"value:{content}:{source.removeprefix('from:')}"  # equal outputs stay two
            self.lineage.put(Entity(value, source.removeprefix("from:"), "value"))
            self.lineage.use(activity.id, value, parameter)
            giver = next((name for name, parent in parents.items() if gave(parent, source, content)), None)
            if giver is not None:
                self.node(giver)
                self.lineage.make(f"record:{giver}", value)


def entity_of(sha256: str, versions: list[Known], name: str, facts: Mapping[str, Any]) -> Entity:
    """Return bytes as an entity, named after their latest version."""
    if not versions:
        return Entity(f"sha256:{sha256}", name or f"sha256:{sha256[:12]}…", facts=dict(facts))
    latest = versions[-1].version
    told = {"versions": [known.name for known in versions], "artifact": latest.artifact, **facts}
    content = latest.content
    return Entity(f"sha256:{sha256}", Path(latest.artifact).name, content.kind, content.size, told)


def registration_of(known: Known) -> Activity:
    """Return a registration as an activity."""
    version: Version = known.version
    facts = {"params": version.params, "code": version.code.model_dump(mode="json", exclude_defaults=True),
             "metadata": version.metadata, "by": version.by, "lineage_id": version.lineage_id,
             "tags": list(known.tags)}  # fmt: skip
    told = {name: fact for name, fact in facts.items() if fact}
    return Activity(f"record:{known.record}", known.name, "registration", version.registered_at, told)


def node_of(record: str, made: NodeRecord) -> Activity:
    """Return a node that ran as an activity."""
    tool = f"{made.tool}.{made.method}" if made.method else made.tool
    facts = {
        "tool": tool, "params": made.written, "code": made.code, "seed": made.seed, "device": made.device,
        "machine": made.meta.get("machine"), "run": made.run_id, "duration_ms": made.duration_ms, "key": made.key,
    }  # fmt: skip
    return Activity(f"record:{record}", made.node_id, "node", made.started_at, facts)
