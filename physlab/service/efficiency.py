"""What a run asked for, what it used, and what to ask for next time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physlab.errors import PhyslabError
from physlab.lab import Lab
from physlab.model import NodeRecord, NodeRun, Resources, RunRecord
from physlab.model.job import JobStatus
from physlab.service.jobs.cluster import open_again
from physlab.sites.files import PIECE
from physlab.sites.slurm.ends import ENDS, read_ends

WORTH_MS = 1000.0
"""Shorter nodes are not worth a suggestion [ms]."""
SPARE = 1.3
"""Suggestions leave so much room above what was used."""


def efficiency(lab: Lab, name: str) -> dict[str, Any]:
    """Compare what a run asked for with what it used.

    Args:
        lab: The lab.
        name: Run id, `latest`, or the id or title of a graph.

    Returns:
        `nodes` (asked and used cores, memory, time), `jobs` of schedulers with what their accounts say (`idle` and
        `released` are pilots that physlab ended: they had no work, or the lab was closed), `core_hours` used and
        reserved, `saved_s` by the cache, and `resources`, a block for each node to paste.
    """
    record = lab.find_run(name)
    asked = {node.id: node.resources for node in lab.find_dag(record.dag_id).dag.nodes}
    computed = [_node(lab, node, asked.get(node.id)) for node in record.nodes if node.status == "completed"]
    jobs = [job for site, ids in record.meta.get("jobs", {}).items() for job in _jobs(lab, site, ids)]
    used_s = sum(node["cpu_s"] or 0.0 for node in computed)
    held_s = sum((job["elapsed_s"] or 0.0) * job["cores"] for job in jobs)
    worth = [node for node in computed if node["duration_s"] * 1e3 >= WORTH_MS]
    return {
        "run_id": record.run_id,
        "nodes": computed,
        "jobs": jobs,
        "core_hours": {"used": used_s / 3600, "reserved": held_s / 3600 if jobs else None},
        "saved_s": _saved_s(lab, record),
        "resources": {node["id"]: suggestion for node in worth if (suggestion := _suggest(node))},
    }


def _node(lab: Lab, node: NodeRun, asked: Resources | None) -> dict[str, Any]:
    made = NodeRecord.model_validate(lab.store.record(str(node.record)))
    seconds, cpu_s = made.duration_ms / 1e3, made.meta.get("cpu_s")
    alone_s = float(made.meta.get("duration_ms", made.duration_ms)) / 1e3  # without the way there and the waiting
    return {
        "id": node.id, "site": node.site, "attempts": node.attempts, "duration_s": seconds, "alone_s": alone_s,
        "cpu_s": cpu_s, "cores_used": cpu_s / alone_s if cpu_s is not None and alone_s > 0 else None,
        "peak_mb": made.meta.get("peak_mb"), "asked": (asked or Resources()).model_dump(exclude_none=True),
    }  # fmt: skip


def _jobs(lab: Lab, site: str, ids: dict[str, int]) -> list[dict[str, Any]]:
    """Return what a cluster's accounts say of pilots; nothing where it cannot be asked."""
    try:
        with open_again(lab, site) as cluster:
            told = cluster.client.poll(dict.fromkeys(ids, Path("/nowhere")))
            notes = lab.site_folder(site) / "pilots" / ENDS
            ends = read_ends(cluster.files.read(notes, -PIECE).decode(errors="replace"))
    except (PhyslabError, OSError):
        return []
    return [_job(site, told[job], cores, ends.get(job)) for job, cores in ids.items() if job in told]


def _job(site: str, status: JobStatus, cores: int, end: str | None) -> dict[str, Any]:
    """Return a pilot's figures; one that physlab itself cancelled ended as what physlab said then."""
    state = end if end and status.state == "cancelled" else status.state
    return {
        "site": site, "job": status.job_id, "state": state, "machines": list(status.machines), "cores": cores,
        "elapsed_s": status.elapsed_s, "cpu_s": status.cpu_s, "peak_mb": status.memory_mb, "gpus": status.gpus,
        "gpu_percent": status.gpu_percent,
    }  # fmt: skip


def _saved_s(lab: Lab, record: RunRecord) -> float:
    """Return how long the cached nodes took when they were computed [s]."""
    cached = {node.record for node in record.nodes if node.status == "cached" and node.record}
    return sum(NodeRecord.model_validate(lab.store.record(digest)).duration_ms for digest in cached) / 1e3


def _suggest(node: Mapping[str, Any]) -> dict[str, float | int]:
    """Return what a node should ask for: what it used, and a little more."""
    if node["cores_used"] is None:
        return {}
    found: dict[str, float | int] = {"cpu": max(1, math.ceil(node["cores_used"] - 0.2))}
    if node["peak_mb"]:
        found["memory_gb"] = math.ceil(SPARE * node["peak_mb"] * 2**20 / 1e8) / 10
    found["walltime_s"] = max(60, math.ceil(2 * node["alone_s"] / 60) * 60)
    return found
