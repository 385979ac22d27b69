"""The records that the ledger keeps: one for each computed node, one for each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import Field

from physlab.model.base import Model
from physlab.model.dag import Visuals
from physlab.model.notebook import Name
from physlab.model.stored import Artifact, is_input

Status = Literal["pending", "running", "completed", "cached", "failed", "skipped", "cancelled"]
OffloadPolicy = Literal["local_first", "remote_first", "auto"]


class RunRequest(Model):
    """How a graph is to be run."""

    parallelism: Annotated[int, Field(ge=1, le=16)] = 2
    offload_policy: OffloadPolicy = "auto"
    site: str | None = None
    refresh: bool | tuple[str, ...] = False
    fail_fast: bool = False
    split_s: Annotated[float, Field(gt=0)] = 8.0
    session: Name | None = None


class NodeRecord(Model):
    """One computed node: what was asked, from which inputs, with which code, and what came out.

    `key` is the content key (decision: identical key, identical result); `recipe` is the same hash over the recipes of
    the inputs instead of their contents, so that a whole graph can be looked up at once. `params` holds `{"$in": i}`
    for the i-th input, counted in the order of their places as canonical JSON sorts them; `inputs` gives each input's
    content digest by its place, `sources` what it was (`from:…` or a path), `parents` the records it came from.
    """

    kind: Literal["node"] = "node"
    key: str
    recipe: str
    tool: str
    method: str | None
    params: dict[str, Any]
    inputs: dict[str, str] = {}
    sources: dict[str, str] = {}
    parents: tuple[str, ...] = ()
    visuals: Visuals = Visuals()
    code: dict[str, str]
    seed: int
    device: str
    device_requested: str
    fallback: str | None = None
    fields: dict[str, Any]
    field_digests: dict[str, str]
    artifacts: tuple[Artifact, ...] = ()
    meta: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
    log: str | None = None
    run_id: str
    node_id: str
    started_at: str
    duration_ms: float

    @property
    def written(self) -> dict[str, Any]:
        """The parameters with the references that they were written as (`from:node.field`)."""
        return {name: _written(value, tuple(self.sources.values())) for name, value in self.params.items()}


def _written(value: Any, sources: Sequence[str]) -> Any:
    if is_input(value):
        return sources[value["$in"]] if value["$in"] < len(sources) else "another node"
    if isinstance(value, dict):
        return {name: _written(item, sources) for name, item in value.items()}
    return [_written(item, sources) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """What became of one node in one run (a plain dataclass: a warm run makes ten thousand of them)."""

    id: str
    tool: str
    method: str | None = None
    status: Status
    key: str | None = None
    record: str | None = None
    error: dict[str, Any] | None = None
    why: str = ""
    attempts: int = 0
    site: str | None = None
    placement: str = ""
    history: tuple[str, ...] = ()
    duration_ms: float = 0.0

    @property
    def cached(self) -> bool:
        """True when the result was there before the run."""
        return self.status == "cached"


_DEFAULTS = [(one.name, one.default) for one in fields(NodeRun) if one.default is not MISSING]


class RunRecord(Model):
    """One run of one graph."""

    kind: Literal["run"] = "run"
    run_id: str
    dag_id: str
    title: str
    status: Literal["completed", "failed", "cancelled"]
    started_at: str
    duration_ms: float
    request: RunRequest
    nodes: tuple[NodeRun, ...]
    meta: dict[str, Any] = {}

    @property
    def session(self) -> str:
        """The session that it belongs to."""
        return str(self.meta.get("session", "lab"))

    def brief(self) -> dict[str, Any]:
        """Return the record as JSON; of each node what differs from a `NodeRun`'s defaults."""
        content = self.model_dump(mode="json", exclude={"nodes"})
        content["nodes"] = [
            {"id": node.id, "tool": node.tool, "status": node.status}
            | {name: value for name, default in _DEFAULTS if (value := getattr(node, name)) != default}
            for node in self.nodes
        ]
        return content
