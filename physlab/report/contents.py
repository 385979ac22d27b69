"""What a report can show of a run: each node with its record, its method and its files under human names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pydantic

from physlab.errors import StoreError, ValidationError
from physlab.model import Artifact, NodeRecord, NodeRun, RunRecord, is_stored_array, is_stored_file
from physlab.plugins import all_tools
from physlab.store import Store
from physlab.tools import Method

FOLDERS = {
    "static": "figures",
    "series": "data",
    "data": "data",
    "animation": "animations",
    "thumbnail": "thumbnails",
    "log": "logs",
    "document": "documents",
}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Item:
    """An artifact of a node and its path in the results folder."""

    node_id: str
    artifact: Artifact
    path: str


DETAILED = 1000  # nodes up to which a results folder tells every value


@dataclass(frozen=True)
class Content:
    """One node of a run. `record` is None when it gave no result, `method` when its tool is not installed here."""

    run: NodeRun
    record: NodeRecord | None
    method: Method | None
    items: tuple[Item, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    log: str | None = None

    @property
    def id(self) -> str:
        """Id of the node."""
        return self.run.id

    @property
    def name(self) -> str:
        """`tool.method`."""
        return f"{self.run.tool}.{self.run.method}" if self.run.method else self.run.tool


def read_contents(run: RunRecord, store: Store) -> list[Content]:
    """Return the nodes of a run, in its order, with their records.

    Raises:
        StoreError: A record is missing, damaged or no record of a node.
    """
    return _contents(run.nodes, store)


def read_files(run: RunRecord, store: Store) -> list[Content]:
    """Return the nodes of a run that a results folder tells of.

    These are all of them up to `DETAILED` nodes; in a larger run those that wrote files or failed: the values of the
    others stay in the ledger, and reading thousands of records would cost more than a warm run.

    Raises:
        StoreError: A record is missing, damaged or no record of a node.
    """
    if len(run.nodes) <= DETAILED:
        return read_contents(run, store)
    store.refresh()
    known = store.index.by_record([node.record for node in run.nodes if node.record is not None])
    plain = {digest for digest, entry in known.items() if not entry.blobs}
    return _contents([node for node in run.nodes if node.record not in plain], store)


def _contents(nodes: Iterable[NodeRun], store: Store) -> list[Content]:
    taken: set[str] = set()
    return [_content(node, store, taken) for node in nodes]


def _content(node: NodeRun, store: Store, taken: set[str]) -> Content:
    record = _record(node, store)
    if record is None:
        return Content(node, None, _method(node))
    items, seen = [], set()
    for artifact in record.artifacts:
        path = _free(FOLDERS[artifact.role], node.id, artifact.name, taken)
        items.append(Item(node.id, artifact, path))
        seen.add(artifact.sha256)
    fields = {
        name: _free("data", node.id, _file_name(name, value), taken)
        for name, value in record.fields.items()
        if stored_digest(value) not in (None, *seen)
    }
    log = _free("logs", node.id, "log.txt", taken) if record.log and record.log not in seen else None
    return Content(node, record, _method(node), tuple(items), fields, log)


def _record(node: NodeRun, store: Store) -> NodeRecord | None:
    if node.record is None:
        return None
    data = store.record(node.record)
    try:
        return NodeRecord.model_validate(data)
    except pydantic.ValidationError as error:
        raise StoreError(
            f"Record {node.record[:12]} of node '{node.id}' is no record of a node ({error.error_count()} problems).",
            hint="It was written by another version of physlab; run the node again with --refresh.",
        ) from error


def _method(node: NodeRun) -> Method | None:
    try:
        return all_tools().find(node.tool, node.method)
    except ValidationError:
        return None  # a tool of another package: its records speak for themselves


def stored_digest(value: Any) -> str | None:
    """Return the digest of a field that lies in the store."""
    if is_stored_array(value):
        return str(value["$array"]["sha256"])
    return str(value["$file"]["sha256"]) if is_stored_file(value) else None


def _file_name(name: str, value: Any) -> str:
    return f"{name}.npy" if is_stored_array(value) else str(value["$file"]["name"])


def _free(folder: str, node_id: str, name: str, taken: set[str]) -> str:
    """Return a path that no other file of the run has, also where upper and lower case are the same."""
    path = PurePosixPath(clean(f"{node_id}_{name}"))
    candidate, number = f"{folder}/{path}", 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{folder}/{path.stem}_{number}{path.suffix}"
    taken.add(candidate.casefold())
    return candidate


def clean(name: str, limit: int = 120) -> str:
    """Return a name that is one plain path component: letters, digits, `.`, `_` and `-`."""
    plain = _UNSAFE.sub("_", name).strip("._")
    stem, dot, suffix = plain.rpartition(".")
    if dot and len(suffix) <= 8:
        return f"{stem[: limit - len(suffix) - 1]}.{suffix}"
    return plain[:limit] or "unnamed"


def is_table(artifact: Artifact) -> bool:
    """Say whether an artifact is a table that a report can print."""
    return artifact.media_type == "text/csv" and artifact.role in ("series", "data", "document")


def twins(items: Sequence[Item]) -> list[list[Item]]:
    """Return static figures grouped by name without extension: one figure, several formats; the printable one first."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        if item.artifact.role == "static":
            groups.setdefault(item.artifact.name.rpartition(".")[0] or item.artifact.name, []).append(item)
    return [sorted(group, key=lambda item: _RANK.get(item.artifact.media_type, 9)) for group in groups.values()]


_RANK = {"image/png": 0, "image/jpeg": 1, "image/webp": 2, "image/gif": 3, "image/svg+xml": 4}


def previews(animation: Item, items: Sequence[Item]) -> list[Item]:
    """Return the thumbnails that belong to an animation: those whose name begins with its name."""
    stem = animation.artifact.name.rpartition(".")[0]
    return [i for i in items if i.artifact.role == "thumbnail" and stem and i.artifact.name.startswith(stem)]
