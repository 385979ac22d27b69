"""Forward from some bytes: every node, version and run that used them, and what came of that."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physlab.model import NodeRecord
from physlab.model.stored import files_in
from physlab.store import Store
from physlab.versioning.history import by_record, of_bytes
from physlab.versioning.origin.graph import Lineage
from physlab.versioning.origin.upstream import entity_of, node_of, registration_of


@dataclass
class _Uses:
    """Who used what, read from the whole ledger in one pass."""

    nodes_by_file: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    nodes_by_node: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    versions_by_parent: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    made: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    runs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def downstream(store: Store, sha256: str) -> tuple[Lineage, list[str]]:
    """Return what was made from some bytes, step by step, and the runs that it is part of.

    Returns:
        The graph, and the ids of the runs, oldest first.

    Raises:
        StoreError: The ledger is damaged.
    """
    store.refresh()
    uses, lineage = _read(store), Lineage(f"sha256:{sha256}")
    lineage.put(entity_of(sha256, of_bytes(store, sha256), "", {}))
    open_bytes, seen = [sha256], {sha256}
    reached: list[str] = []
    while open_bytes:
        here = open_bytes.pop()
        for record in uses.versions_by_parent.get(here, ()):
            known = by_record(store, record)
            content = known.version.content.sha256
            activity = registration_of(known)
            lineage.activities[activity.id] = activity
            lineage.use(activity.id, f"sha256:{here}", "parent")
            lineage.put(entity_of(content, of_bytes(store, content), "", {}))
            lineage.make(activity.id, f"sha256:{content}")
            if content not in seen:
                seen.add(content)
                open_bytes.append(content)
        for record in uses.nodes_by_file.get(here, ()):
            fresh = _follow(store, uses, lineage, record, f"sha256:{here}")
            reached += fresh
            for maker in fresh:
                for made, _ in uses.made[maker]:
                    if made not in seen:
                        seen.add(made)
                        open_bytes.append(made)
    runs = list(dict.fromkeys(run for record in reached for run in uses.runs.get(record, ())))
    return lineage, sorted(runs)


def _follow(store: Store, uses: _Uses, lineage: Lineage, record: str, used: str) -> list[str]:
    """Add a node and all nodes after it; return the records that are new."""
    found, waiting = [], [(record, used, "file")]
    while waiting:
        name, source, role = waiting.pop()
        activity = f"record:{name}"
        new = activity not in lineage.activities
        if new:
            made = NodeRecord.model_validate(store.record(name))
            lineage.activities[activity] = node_of(name, made)
            for sha256, label in uses.made[name]:
                lineage.put(entity_of(sha256, of_bytes(store, sha256), label, {}))
                lineage.make(activity, f"sha256:{sha256}")
            found.append(name)
        lineage.use(activity, source, role)
        if new:
            waiting += [(after, activity, "value") for after in uses.nodes_by_node.get(name, ())]
    return found


def _read(store: Store) -> _Uses:
    uses = _Uses()
    for line in store.journal.replay():
        record: dict[str, Any] = line.record
        if line.kind == "node":
            for _, sha256 in files_in(record["params"]):
                uses.nodes_by_file[sha256].append(line.digest)
            for parent in record.get("parents", ()):
                uses.nodes_by_node[parent].append(line.digest)
            uses.made[line.digest] = [(item["sha256"], item["name"]) for item in record.get("artifacts", ())]
        elif line.kind == "version":
            for parent in record.get("parents", ()):
                uses.versions_by_parent[parent["sha256"]].append(line.digest)
        elif line.kind == "run":
            for node in record["nodes"]:
                if node.get("record"):
                    uses.runs[node["record"]].append(record["run_id"])
    return uses


def artifact_names(lineage: Lineage) -> list[str]:
    """Return what people call the things that were made."""
    made = dict.fromkeys(entity for _, entity in lineage.made)
    return [lineage.entities[name].name for name in made if name in lineage.entities and Path(name).name]
