"""Where a result came from: node, parameters and inputs, back to the raw files, as a tree of plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from physlab.errors import ValidationError, nearest
from physlab.lab import Lab
from physlab.model import NodeRecord, NodeRun, RunRecord
from physlab.model.stored import files_in
from physlab.store.index import stored_digests
from physlab.versioning.origin.records import gave


def lineage(lab: Lab, run: RunRecord, name: str) -> dict[str, Any]:
    """Return how a node or file of a run came about.

    Args:
        lab: The lab.
        run: The run.
        name: A node's id, a file (its path, or its name in the results folder), or `sha256:…`.

    Returns:
        run_id, node, status, why, error, sha256 (when a file was asked for) and made: the tree of records.

    Raises:
        ValidationError: The run has no such node or file.
    """
    node, sha256 = _find(lab, run, name)
    return {
        "run_id": run.run_id,
        "node": node.id,
        "status": node.status,
        "why": _why(lab, run, node),
        "error": node.error,
        "sha256": sha256,
        "made": _made(lab, node.record, {}) if node.record else None,
    }


def _why(lab: Lab, run: RunRecord, node: NodeRun) -> str:
    if node.record and node.status == "cached":
        made = NodeRecord.model_validate(lab.store.record(node.record))
        if made.run_id != run.run_id:
            return f"{node.why}, made by run {made.run_id}"
    return node.why or ("no result with its key was there" if node.status == "completed" else "")


def _find(lab: Lab, run: RunRecord, name: str) -> tuple[NodeRun, str | None]:
    nodes = {node.id: node for node in run.nodes}
    if name in nodes:
        return nodes[name], None
    wanted = _digest_of(lab, name)
    if wanted:
        for node in run.nodes:
            if node.record and wanted in _digests(NodeRecord.model_validate(lab.store.record(node.record))):
                return node, wanted
        raise ValidationError(
            f"No node of run {run.run_id} made the bytes sha256:{wanted[:16]}….",
            hint="Was the file changed, or does it belong to another run? See: physlab runs.",
        )
    found = _by_name(lab, run, name)
    if found is not None:
        return nodes[found[0]], found[1]
    raise ValidationError(f"Run {run.run_id} has no node and no file '{name}'.", hint=nearest(name, nodes))


def _digest_of(lab: Lab, name: str) -> str | None:
    bare = name.removeprefix("sha256:")
    if len(bare) == 64 and set(bare) <= set("0123456789abcdef"):
        return bare
    path = Path(name)
    return lab.store.digest_files([path])[path] if path.is_file() else None


def _digests(record: NodeRecord) -> set[str]:
    made = {artifact.sha256 for artifact in record.artifacts} | set(stored_digests(record.fields))
    return made | {record.log} if record.log else made


def _by_name(lab: Lab, run: RunRecord, name: str) -> tuple[str, str] | None:
    """Find a file by its path in the results folder, or by its bare name."""
    from physlab.report.contents import read_contents

    for content in read_contents(run, lab.store):
        for item in content.items:
            if name in (item.path, Path(item.path).name):
                return content.id, item.artifact.sha256
    return None


def _made(lab: Lab, record_digest: str, seen: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a record and, below it, the records of its inputs; each record once, afterwards only its name."""
    record = NodeRecord.model_validate(lab.store.record(record_digest))
    whole: dict[str, Any] = {
        "record": record_digest,
        "node": record.node_id,
        "tool": f"{record.tool}.{record.method}" if record.method else record.tool,
        "run_id": record.run_id,
        "started_at": record.started_at,
        "duration_ms": record.duration_ms,
        "device": record.device,
        "machine": record.meta.get("machine"),
        "seed": record.seed,
        "code": record.code,
        "params": record.written,
        "files": dict(files_in(record.params)),
        "artifacts": [{"name": item.name, "sha256": item.sha256} for item in record.artifacts],
        "inputs": [],
    }
    if record_digest in seen:
        return {"record": record_digest, "node": record.node_id, "tool": whole["tool"], "shown_above": True}
    seen[record_digest] = whole
    parents = {name: NodeRecord.model_validate(lab.store.record(name)) for name in record.parents}
    for parameter, source in record.sources.items():
        content = record.inputs[parameter]
        parent = next((name for name, made in parents.items() if gave(made, source, content)), None)
        above = _made(lab, parent, seen) if parent else None
        whole["inputs"].append({"parameter": parameter, "source": source, "content": content, "made": above})
    return whole
