"""From a planned node to the work that a site gets: references become stored values, files become digests."""

from __future__ import annotations

import mimetypes
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from physlab.errors import ComputationError, ValidationError, nearest
from physlab.model import NodeRecord, Resources, Web, Work, is_stored_array, is_stored_file
from physlab.model.stored import files_in
from physlab.planning.plan import Plan, PlannedNode
from physlab.store import Entry, Store, schema
from physlab.tools.execute import restore
from physlab.tools.prepare import Input, time_limit_s

KEEP = 256  # results kept in memory; the others are read from the journal again


class Inputs:
    """Gives nodes the values of what they depend on; used by all threads of a run.

    Args:
        plan: The plan of the run.
        store: Where results lie.
        caps: Caps of this lab.
        web: How this lab asks public services.
    """

    def __init__(self, plan: Plan, store: Store, caps: Mapping[str, float], web: Web) -> None:
        self.plan, self.store, self.caps, self.web = plan, store, dict(caps), web
        self._recent: OrderedDict[str, tuple[dict[str, Any], dict[str, Any]]] = OrderedDict()
        self._known: dict[tuple[str, bool], dict[str, Any]] = {}
        self._guard = threading.Lock()

    def keep(self, digest: str, fields: dict[str, Any], meta: dict[str, Any]) -> None:
        """Remember a fresh result."""
        with self._guard:
            self._recent[digest] = (fields, meta)
            self._recent.move_to_end(digest)
            if len(self._recent) > KEEP:
                self._recent.popitem(last=False)

    def _result(self, digest: str) -> tuple[dict[str, Any], dict[str, Any]]:
        with self._guard:
            found = self._recent.get(digest)
            if found is not None:
                self._recent.move_to_end(digest)
                return found
        record = NodeRecord.model_validate(self.store.record(digest))
        self.keep(digest, record.fields, record.meta)
        return record.fields, record.meta

    def work(
        self, node: PlannedNode, label: str, attempt: int, resources: Resources | None = None,
        limit_s: float | None = None, checkpoint: Mapping[str, str] | None = None, here: bool = True,
    ) -> Work:  # fmt: skip
        """Return the self-contained work of a node whose inputs are all there.

        Args:
            node: The node.
            label: What it is called in messages.
            attempt: Counts from 1.
            resources: What it gets, where that is not what it asked for.
            checkpoint: What an earlier attempt saved, name → digest.
            limit_s: How long it may run [s], where that is not what it asked for.
            here: It runs on this machine: files that were registered to stay where they are are read there.

        Raises:
            ValidationError: A referenced field does not exist.
        """
        checked = node.checked
        values = [self._value(item) for item in checked.prepared.inputs]
        params = self._fill(checked.prepared.params, values, node.params, here)
        resources = resources or checked.node.resources or Resources()
        return Work(
            key=str(node.key),
            label=label,
            tool=checked.node.tool,
            method=checked.method.name,
            params={**params, "allow_large": checked.prepared.allow_large},
            visuals=checked.prepared.visuals,
            seed=checked.node.seed,
            device=node.device,
            time_limit_s=limit_s or time_limit_s(checked.method, checked.prepared, resources.walltime_s),
            resources=resources,
            caps=self.caps,
            web=self.web,
            store=str(self.store.root),
            attempt=attempt,
            checkpoint=dict(checkpoint or {}),
        )

    def given(self, node: PlannedNode) -> dict[str, str]:
        """Return the files and arrays that a node gets, as far as its inputs are there: SHA-256 → name.

        Files of the user's that went into them are among them: what is computed from private data tells of them.

        Raises:
            ValidationError: A referenced field does not exist.
        """
        inputs = node.checked.prepared.inputs
        there = [item for item in inputs if self._entry(item) is not None]
        found = dict(_files(node.checked.prepared.params, node.params))
        for item in there:
            found |= _stored(self._value(item), str(item.reference))
        return {**self._origins([entry.record for item in there if (entry := self._entry(item))]), **found}

    def _origins(self, records: list[str]) -> dict[str, str]:
        """Return the user's own files that went into records and everything before them: SHA-256 → what took it."""
        found: dict[str, str] = {}
        waiting = list(dict.fromkeys(records))
        for digest in waiting:  # grows while it is walked
            record = self.store.record(digest)
            for place, sha256 in files_in(record["params"]):
                found.setdefault(sha256, f"{record['node_id']}.{place}")
            waiting += [parent for parent in record["parents"] if parent not in waiting]
        return found

    def _entry(self, item: Input) -> Entry | None:
        return self.plan.nodes[item.reference.node].entry

    def _value(self, item: Input) -> Any:
        entry = self._entry(item)
        if entry is None:
            raise ComputationError(f"{item.reference} was not computed.")
        fields, meta = self._result(entry.record)
        value: Any = fields
        if item.reference.path and item.reference.path[0] == "meta":
            value = {"meta": meta}
        for part in item.reference.path:
            value = self._step(value, part, item)
        return value if item.factor == 1.0 else {"$scaled": {"value": value, "factor": item.factor}}

    def _step(self, value: Any, part: str, item: Input) -> Any:
        if is_stored_array(value) and part.lstrip("-").isdigit():
            value = restore(value, self.store.blobs).tolist()
        if isinstance(value, dict) and part in value:
            return value[part]
        if isinstance(value, list) and part.lstrip("-").isdigit() and -len(value) <= int(part) < len(value):
            return value[int(part)]
        known = (
            list(value) if isinstance(value, dict) else [f"0 to {len(value) - 1}"] if isinstance(value, list) else []
        )
        raise ValidationError(f"'{item.reference}': there is no '{part}'.", hint=nearest(part, known))

    def _fill(self, value: Any, values: list[Any], planned: Any, here: bool) -> Any:
        if isinstance(value, dict):
            if len(value) == 1 and "$in" in value:
                return values[value["$in"]]
            if len(value) == 1 and "$path" in value:
                return self._file(value["$path"], planned["$file"], here)
            return {key: self._fill(item, values, planned[key], here) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fill(item, values, planned[index], here) for index, item in enumerate(value)]
        return value

    def _file(self, path: str, expected: str, here: bool) -> dict[str, Any]:
        """Put a file of the user's into the store, once; one that was registered to stay is only verified."""
        if (path, here) not in self._known:
            if not Path(path).is_file():
                raise ValidationError(f"The file '{path}' is gone.", hint="Restore it and run again.")
            stays = here and self._stays(expected)
            if stays:
                sha256, size = self.store.digest_files([Path(path)])[Path(path)], Path(path).stat().st_size
            else:
                sha256, size = self.store.blobs.put(Path(path))
            if sha256 != expected:
                raise ValidationError(f"The file '{path}' changed while the run began.", hint="Run again.")
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            told = {"sha256": sha256, "name": Path(path).name, "media_type": kind, "size": size, "show": "path"}
            self._known[path, here] = {**told, "stays": path} if stays else told
        return {"$file": self._known[path, here]}

    def _stays(self, sha256: str) -> bool:
        """Say whether bytes were registered to stay where they are, and the store does not have them anyhow."""
        table = schema.versions.c
        query = sa.select(table.artifact).where(table.sha256 == sha256, table.kind == "external").limit(1)
        return bool(self.store.index.rows(query)) and not self.store.blobs.path(sha256).exists()


def _files(prepared: Any, planned: Any) -> Iterator[tuple[str, str]]:
    """Yield the SHA-256 and path of each file in a node's parameters."""
    if isinstance(prepared, dict) and len(prepared) == 1 and "$path" in prepared:
        yield planned["$file"], prepared["$path"]
    elif isinstance(prepared, dict):
        for key, value in prepared.items():
            yield from _files(value, planned[key])
    elif isinstance(prepared, list):
        for value, other in zip(prepared, planned, strict=True):
            yield from _files(value, other)


def _stored(value: Any, name: str) -> dict[str, str]:
    """Return the SHA-256 and name of each file and array in a stored value."""
    if is_stored_file(value):
        return {value["$file"]["sha256"]: value["$file"]["name"]}
    if is_stored_array(value):
        return {value["$array"]["sha256"]: name}
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {digest: known for item in items for digest, known in _stored(item, name).items()}
