"""What a run shows in the Prefect UI beside its task runs: a card, a table of the nodes, progress, links."""

from __future__ import annotations

import logging
import time
from contextvars import copy_context
from typing import Any
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
)
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from physlab.lab import slug
from physlab.model import RunRecord
from physlab.planning import Plan
from physlab.run import Event

ROWS = 1000
EVERY_S = 1.0
_TROUBLE = (PrefectException, httpx.HTTPError, OSError)
_log = logging.getLogger("physlab.engine")
_FINAL = ("completed", "cached", "failed", "skipped", "cancelled")


class Progress:
    """A progress bar in the UI, moved at most once a second."""

    _client: SyncPrefectClient

    def __init__(self) -> None:
        self._artifact: UUID | None = None
        self._total = self._done = 0
        self._last = 0.0

    def planned(self, _: str, plan: Plan) -> None:
        """Show the bar unless everything is cached."""
        self._total = len(plan.nodes)
        if plan.count("hit") < self._total:
            try:
                found: Any = create_progress_artifact(0.0, key="progress", description="Nodes that are done")
                self._artifact = found
                with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):  # a bar is not worth waiting for
                    self._context, self._client = copy_context(), get_client(sync_client=True)
            except _TROUBLE as trouble:
                _log.warning("The progress bar cannot be shown: %r", trouble)

    def changed(self, event: Event) -> None:
        """Count a node that ended."""
        if event.status in _FINAL:
            self._done += 1
            now = time.monotonic()
            if self._artifact is not None and (now - self._last > EVERY_S or self._done == self._total):
                self._last = now
                try:
                    self._context.copy().run(self._move)
                except _TROUBLE as trouble:
                    _log.warning("The progress bar cannot be moved: %r", trouble)
                    self._artifact = None

    def _move(self) -> None:
        if self._artifact is not None:
            update = ArtifactUpdate(data=100.0 * self._done / self._total)
            self._client.update_artifact(self._artifact, update)


def publish_pages(record: RunRecord, reply: dict[str, Any]) -> None:
    """Publish the card, the table of the nodes and the links of a run; trouble with the API is only logged."""
    name = slug(record.title) or record.dag_id
    try:
        create_markdown_artifact(_card(record, reply), key=f"run-{name}"[:100], description=record.title or None)
        create_table_artifact(_rows(record), key=f"nodes-{name}"[:100], description="Each node, cached or why not")
        results = reply.get("results")
        if results:
            create_link_artifact(
                f"file://{results}",
                link_text=f"Results of {record.run_id}",
                key=f"results-{name}"[:100],
                description="The folder with the figures, tables and films of this run",
            )
    except _TROUBLE as trouble:
        _log.warning("The pages of run %s cannot be published: %r", record.run_id, trouble)


def _card(record: RunRecord, reply: dict[str, Any]) -> str:
    meta = record.meta
    figures = reply.get("reportable", {}).get("figures", [])
    lines = [
        f"# {record.title or record.dag_id}",
        "",
        f"**{record.status}** in {record.duration_ms / 1e3:.2f} s — {meta['cache_hits']} of {len(record.nodes)} nodes "
        f"cached, {meta['computed']} computed, {meta['failed']} failed, on {', '.join(meta['device_mix']) or '—'}.",
        "",
        "| | |",
        "|---|---|",
        f"| run | `{record.run_id}` |",
        f"| DAG | `{record.dag_id}` |",
        f"| results | `{reply.get('results', '—')}` |",
    ]
    for node, reason in meta.get("fallbacks", {}).items():
        lines.append(f"| fallback | `{node}`: {reason} |")
    if figures:
        lines += ["", "## Figures", ""]
        lines += [f"- `{figure['path']}` — {figure['caption']}" for figure in figures[:50]]
    failed = [node for node in record.nodes if node.error]
    if failed:
        lines += ["", "## Failed", ""]
        lines += [f"- **{node.id}**: {(node.error or {}).get('message')}" for node in failed[:50]]
    return "\n".join(lines)


def _rows(record: RunRecord) -> list[dict[str, Any]]:
    return [
        {
            "node": node.id,
            "tool": f"{node.tool}.{node.method}" if node.method else node.tool,
            "state": node.status,
            "why": node.why or (node.error or {}).get("message", ""),
            "ms": round(node.duration_ms, 1),
            "key": (node.key or "")[:16],
        }
        for node in record.nodes[:ROWS]
    ]
