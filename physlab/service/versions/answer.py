"""`artifact_versioning`: from what it is given to records with hashes and lineages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.service.backup import auto_backup
from physlab.versioning.labels import label, read_label
from physlab.versioning.register import Named, Wish, register
from physlab.versioning.tags import check_free, check_tag, tag

TOLD = ("experiment", "tools_used")


def artifact_versioning(lab: Lab, params: Mapping[str, Any], base_dir: Path, within: str = "") -> dict[str, Any]:
    """Register artifacts, or have the lab back itself up.

    Args:
        lab: The lab.
        params: Checked parameters of `distributed_collaboration.artifact_versioning`.
        base_dir: Folder that relative paths start from.
        within: Of a node, what its graph is called: the beginning of the names of what another node made.

    Returns:
        records: For each artifact its path, `hash`, `lineage_id`, `version` and whether it was `cached`;
        meta: `cached` is true when all of them were there before with this lineage. With `auto_backup` instead:
        backup: schedule, retention and how it is carried out.

    Raises:
        ValidationError: Something is not there, or a parent is not known; nothing is registered.
        StoreError: The store cannot take it.
    """
    if params.get("auto_backup"):
        return auto_backup(lab, params.get("backup_schedule") or "daily", params.get("retention_policy") or "30_days")
    begun = time.perf_counter()
    metadata = dict(params.get("metadata") or {})
    given = params.get("artifacts")
    if isinstance(given, Mapping):
        given = [Named(f"{within}/{name}" if within else name, Path(path)) for name, path in given.items()]
    wish = Wish(
        artifacts=given or (),
        parents=params.get("parents") or (),
        params=params.get("params_json") or metadata.get("parameters") or {},
        code_version=params.get("code_version") or metadata.get("commit_hash"),
        metadata={name: value for name, value in metadata.items()
                  if name not in ("parameters", "commit_hash") and value not in (None, [], "")},
        external=bool(params.get("external")),
        session=params.get("session_id") or lab.settings.collaboration.session,
    )  # fmt: skip
    name, wanted = params.get("tag"), read_label(params["label"]) if params.get("label") else None
    if name is not None:
        check_tag(name)
        check_free(lab.store, name)
        if len(wish.artifacts) != 1:
            raise ValidationError("A tag stands for one version.", hint="Give one artifact with it.")
    lab.store.refresh()
    found = register(lab.store, wish, base_dir)
    by = found[0].version.by
    if wanted is not None:
        label(lab.store, [item.version.content.sha256 for item in found], wanted, by)
    if name is not None:
        tag(lab.store, name, found[0].record, by, move=True)
    records = [
        {
            "artifact": str(item.given), "hash": f"sha256:{item.version.content.sha256}",
            "lineage_id": item.version.lineage_id, "version": item.record, "size": item.version.content.size,
            "code_version": item.version.code.version, "cached": item.known,
        }
        for item in found
    ]  # fmt: skip
    took = (time.perf_counter() - begun) * 1e3
    return {"records": records, "meta": {"cached": all(item.known for item in found), "duration_ms": took}}
