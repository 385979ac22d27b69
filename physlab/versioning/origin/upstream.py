"""Back from some bytes to the raw inputs, through registrations and nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError
from physlab.model import NodeRecord
from physlab.model.stored import files_in
from physlab.model.version import Version
from physlab.store import Store, schema
from physlab.versioning.history import Known, of_bytes
from physlab.versioning.origin.graph import Activity, Entity, Lineage
from physlab.versioning.origin.records import gave
from physlab.versioning.origins import maker_of


def upstream(store: Store, sha256: str) -> Lineage:
    """Return the whole chain that led to some bytes.

    Raises:
        ValidationError: The lab knows no such bytes.
        StoreError: A record is missing or damaged.
    """
    store.refresh()
    tracing = _Tracing(store, Lineage(f"sha256:{sha256}"))
    tracing.bytes(sha256)
    if not tracing.lineage.activities:
        raise ValidationError(
            f"Nothing is known of sha256:{sha256[:16]}….", hint="Register it with its parents: physlab version add."
        )
    return tracing.lineage


class _Tracing:
    def __init__(self, store: Store, lineage: Lineage) -> None:
        self.store, self.lineage = store, lineage
        self.seen: set[str] = set()

    def bytes(self, sha256: str, name: str = "", **facts: Any) -> str:
        """Add bytes with everything that led to them; return their id."""
        found = f"sha256:{sha256}"
        versions = of_bytes(self.store, sha256)
        self.lineage.put(entity_of(sha256, versions, name, facts))
        if found in self.seen:
            return found
        self.seen.add(found)
        for known in versions:
            self.registration(known)
        maker = maker_of(self.store, [sha256]).get(sha256)
        if maker is not None:
            self.node(maker)
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

    def node(self, record: str) -> None:
        """Add a node that ran, with its files and the nodes before it."""
        if f"record:{record}" in self.lineage.activities:
            return
        made = NodeRecord.model_validate(self.store.record(record))
        activity = node_of(record, made)
        self.lineage.activities[activity.id] = activity
        for place, sha256 in files_in(made.params):
            self.lineage.use(activity.id, self.bytes(sha256), place)
        parents = {name: NodeRecord.model_validate(self.store.record(name)) for name in made.parents}
        for parameter, source in made.sources.items():
            content = made.inputs[parameter]
            value = f"value:{content}"
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


def bytes_of_name(store: Store, name: str, base_dir: Path) -> str:
    """Return the SHA-256 that a name means: `sha256:…`, a version, or a file as it is now.

    Raises:
        ValidationError: It means nothing.
    """
    from physlab.versioning.history import find

    bare = name.removeprefix("sha256:")
    if len(bare) == 64 and set(bare) <= set("0123456789abcdef"):
        return bare
    path = (base_dir / Path(name).expanduser()).absolute()
    if path.is_file():
        sha256 = store.digest_files([path])[path]
        store.refresh()
        table = schema.versions
        if maker_of(store, [sha256]) or store.index.rows(table.select().where(table.c.sha256 == sha256).limit(1)):
            return sha256
    return find(store, name, base_dir).version.content.sha256
