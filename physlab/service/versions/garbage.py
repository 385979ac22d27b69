"""Making room: what nothing needs any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from physlab.lab import Lab
from physlab.versioning.garbage import collect, find_garbage

DAY_S = 86_400.0


def collect_garbage(
    lab: Lab, *, older_than_days: int | None = None, grace_days: float = 14, delete: bool = False
) -> dict[str, Any]:
    """Return what nothing needs, and remove it if that is wanted.

    Args:
        lab: The lab.
        older_than_days: Let go of the results of runs that are older [days]; None: of none.
        grace_days: Younger files stay [days].
        delete: Remove it.

    Returns:
        files, bytes: what goes, or would; kept, young: how many files stay because they are needed, or young;
        runs: whose results are let go; hashes: the first hundred of what goes.

    Raises:
        ResourceError: Somebody else collects, or reads the whole store.
        StoreError: The store cannot be written; nothing that is needed is gone.
    """
    before = None
    if older_than_days is not None:
        before = (datetime.now(UTC) - timedelta(days=older_than_days)).isoformat()
    found = find_garbage(lab.store, grace_s=grace_days * DAY_S, before=before)
    files, size = len(found.blobs), found.size
    if delete:
        files, size = collect(lab.store, found, grace_s=grace_days * DAY_S)
    return {
        "files": files, "bytes": size, "kept": found.kept, "young": found.young, "runs": found.runs,
        "hashes": [f"sha256:{digest}" for digest in sorted(found.blobs)[:100]], "deleted": delete,
    }  # fmt: skip
