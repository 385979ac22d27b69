"""The figures and tables of a run, as `run_dag` answers them."""

from __future__ import annotations

from typing import Any

from physlab.model import RunRecord
from physlab.report.captions import plain_caption
from physlab.report.contents import Content, Item, is_table, read_files, twins
from physlab.report.folder import Results
from physlab.store import Store


def reportable(run: RunRecord, store: Store, results: Results | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return what a report can show: figures (with animations) and tables, in the order of the run.

    Args:
        run: The run.
        store: Where the records of its nodes are.
        results: Its results folder; without it the paths are relative to where that folder would be.

    Returns:
        `figures` and `tables`, each a list of `{path, caption, node_id, sha256}`.

    Raises:
        StoreError: A record is missing or damaged.
    """
    found: dict[str, list[dict[str, Any]]] = {"figures": [], "tables": []}
    for content in results.contents if results else read_files(run, store):
        films = [item for item in content.items if item.artifact.role == "animation"]
        figures = [*(group[0] for group in twins(content.items)), *films]
        found["figures"] += [_entry(content, item, results) for item in figures]
        found["tables"] += [_entry(content, item, results) for item in content.items if is_table(item.artifact)]
    return found


def _entry(content: Content, item: Item, results: Results | None) -> dict[str, Any]:
    return {
        "path": str(results.path / item.path) if results else item.path,
        "caption": plain_caption(content, item),
        "node_id": content.id,
        "sha256": item.artifact.sha256,
    }
