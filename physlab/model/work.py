"""The small, self-contained piece of work that a site gets, and what it gives back."""

from __future__ import annotations

from typing import Any

from physlab.model.base import Model
from physlab.model.dag import Resources, Visuals
from physlab.model.stored import Artifact
from physlab.model.web import Web


class Share(Model):
    """The part of a node's work that is done alone: its units from `start` to before `stop`; `number` counts from 1."""

    start: int
    stop: int
    number: int
    count: int


class Work(Model):
    """Everything a worker needs to run one node; no Prefect, no settings, no secrets.

    `params` are resolved: references became values or stored markers. `checkpoint` is what an earlier attempt saved to
    go on from, name → digest. `share` asks for a part of the node; `parts` are the fields of all parts, in order.
    """

    key: str
    label: str
    tool: str
    method: str | None
    params: dict[str, Any]
    visuals: Visuals
    seed: int
    device: str
    time_limit_s: float
    resources: Resources
    caps: dict[str, float] = {}
    web: Web = Web()
    store: str
    attempt: int = 1
    checkpoint: dict[str, str] = {}
    share: Share | None = None
    parts: tuple[dict[str, Any], ...] = ()


class WorkResult(Model):
    """What running one node gave: stored fields, artifacts and meta; bytes are in the store already."""

    fields: dict[str, Any]
    artifacts: tuple[Artifact, ...] = ()
    meta: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
    log: str | None = None
