"""A plan in words: what would run, why, where and how long; and why a node is not cached."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from physlab.errors import ValidationError, nearest
from physlab.lab import Lab, NamedDag
from physlab.model import NodeRecord, RunRequest
from physlab.planning import Plan, PlannedNode, explain_miss
from physlab.planning.parts import divide
from physlab.run.inputs import Inputs
from physlab.run.posts import Posts
from physlab.store import Entry, schema
from physlab.tools.fingerprint import code_identity


def preview(lab: Lab, named: NamedDag, request: RunRequest, *, limit: int | None = None) -> dict[str, Any]:
    """Say what a run would do, without doing it.

    Args:
        lab: The lab.
        named: The graph.
        request: How it would be run.
        limit: Describe at most so many nodes, those that would run first.

    Returns:
        dag_id, title, counts (hit, miss, pending), expected_s (None: nothing like it ran before) and nodes: id, tool,
        state, why, device, fallback, site, placement, expected_ms, parts (None: its inputs must be there to tell).

    Raises:
        ValidationError: The graph is not right.
    """
    plan = make_plan(lab, named, request)
    sites = [*lab.sites(), *lab.clusters(request.site)]
    means = lab.mean_durations()
    posts, inputs = Posts(sites, None, request, means), Inputs(plan, lab.store, lab.settings.caps, lab.settings.web)
    order = sorted(plan.nodes.values(), key=lambda node: node.state == "hit")
    described = [
        {**_describe(lab, plan, node, posts, means), "parts": _parts(node, posts, inputs, request.split_s)}
        for node in order[:limit]
    ]
    return {
        "dag_id": named.dag_id,
        "title": named.dag.title,
        "total": len(plan.nodes),
        "counts": {"hit": plan.count("hit"), "miss": plan.count("miss"), "pending": plan.count("pending")},
        "expected_s": _expected_s(plan, means, request.parallelism),
        "parallelism": request.parallelism,
        "offload_policy": request.offload_policy,
        "nodes": described,
    }


def make_plan(lab: Lab, named: NamedDag, request: RunRequest) -> Plan:
    """Check and plan a graph.

    Raises:
        ValidationError: The graph is not right, or `refresh` names an unknown node.
    """
    checked = lab.check(named)
    checked.require()
    return lab.plan(checked, request.refresh, request)


def scripts(lab: Lab, named: NamedDag, request: RunRequest) -> dict[str, str]:
    """Return, for each node that would run and whose inputs are known, the command its site would start."""
    plan = make_plan(lab, named, request)
    sites = [*lab.sites(), *lab.clusters(request.site)]
    posts = Posts(sites, None, request, lab.mean_durations())
    inputs = Inputs(plan, lab.store, lab.settings.caps, lab.settings.web)
    found = {}
    for node in plan.nodes.values():
        if node.state == "miss":
            post = posts.give(node)
            found[node.id] = post.site.script(inputs.work(node, node.id, 1, limit_s=post.limit_s))
    return found


def why_cached(lab: Lab, named: NamedDag, node_id: str) -> dict[str, Any]:
    """Say whether a node of a graph is cached, by which earlier run, or which ingredient of its key changed.

    Raises:
        ValidationError: The graph is not right, or has no such node.
    """
    plan = make_plan(lab, named, RunRequest())
    if node_id not in plan.nodes:
        raise ValidationError(f"The graph has no node '{node_id}'.", hint=nearest(node_id, plan.nodes))
    node = plan.nodes[node_id]
    return {"node": node_id, "state": node.state, "key": node.key, "why": explain(lab, plan, node)}


def explain(lab: Lab, plan: Plan, node: PlannedNode) -> str:
    """Say why a node is cached, or why it is not."""
    if node.entry is not None and node.state == "hit":
        return f"same key as the result of run {node.entry.run_id} ({node.entry.started_at[:19]})"
    return explain_miss(plan, node, _before(lab, node), code_identity(node.checked.method))


def _before(lab: Lab, node: PlannedNode) -> NodeRecord | None:
    entry = _latest(lab, node)
    return NodeRecord.model_validate(lab.store.record(entry.record)) if entry else None


def _latest(lab: Lab, node: PlannedNode) -> Entry | None:
    """Return the latest result of the node with this id, tool and method."""
    table, asked = schema.nodes.c, node.checked
    same = sa.and_(table.node_id == node.id, table.tool == asked.node.tool, table.method == asked.method.name)
    return next(iter(lab.store.index.entries(same, limit=1)), None)


def _describe(
    lab: Lab,
    plan: Plan,
    node: PlannedNode,
    posts: Posts,
    means: dict[tuple[str, str | None], float],
) -> dict[str, Any]:
    mean = means.get(_method(node))
    runs = node.state != "hit"
    post = posts.give(node) if runs else None
    entry = _latest(lab, node) if runs else node.entry
    return {
        "id": node.id,
        "tool": node.checked.method.full_name,
        "state": node.state,
        "why": explain(lab, plan, node),
        "device": node.device,
        "fallback": node.fallback,
        "site": post.site.name if post else None,
        "placement": post.reason if post else "",
        "expected_ms": (entry.duration_ms if entry else mean) if runs else 0.0,
    }


def _parts(node: PlannedNode, posts: Posts, inputs: Inputs, split_s: float) -> int | None:
    """Return in how many parts a node would be done; None when values of other nodes are missing that tell."""
    if node.checked.method.extent is None or node.state == "hit":
        return 1
    if node.state == "pending":
        return None
    try:
        work = inputs.work(node, node.id, 1)
    except ValidationError:  # a field that is not there: the node will say so
        return None
    at_once = posts.at_once(posts.give(node).site)
    return len(divide(node.checked.method, work.params, work.visuals, split_s, at_once)) or 1


def _method(node: PlannedNode) -> tuple[str, str | None]:
    return node.checked.node.tool, node.checked.method.name


def _expected_s(plan: Plan, means: dict[tuple[str, str | None], float], parallelism: int) -> float | None:
    """Return how long a run will take if every node takes its method's mean; None when a method never ran."""
    times = [means.get(_method(node)) for node in plan.nodes.values() if node.state != "hit"]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return None
    return max(max(known, default=0.0), sum(known) / parallelism) / 1e3
