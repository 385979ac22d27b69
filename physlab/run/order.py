"""What a run is given: a plan, a place for results, and who carries nodes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from physlab.model import RunRequest, Web
from physlab.model.record import Status
from physlab.planning.plan import Plan
from physlab.sites import Site
from physlab.store import Store
from physlab.submitter import Submitter
from physlab.tools.registry import Method


@dataclass(frozen=True)
class Event:
    """One change of state, for whoever watches a run."""

    node_id: str
    status: Status
    error: dict[str, Any] | None = None
    duration_ms: float = 0.0


@dataclass
class Run:
    """Everything one run needs; `walk` carries it out.

    Attributes:
        plan: What to do.
        store: Where results go.
        sites: Where nodes may run; the first is this machine.
        submitter: How each node is carried out and shown.
        request: Parallelism, policy, what to do on failure.
        run_id: Name of the run.
        dag_id: Identity of the graph.
        title: Its title.
        code_of: Gives the versions of a method's code.
        watch: Told of every change of state.
        caps: Caps of this lab.
        office: Answers the nodes that ask the lab itself.
        web: How this lab asks public services.
        means: How long methods took on average [ms].
        about: What else its record tells: code and environment.
        may_leave: Tells why bytes may not leave the lab, by their SHA-256; None where they may.
    """

    plan: Plan
    store: Store
    sites: Sequence[Site]
    submitter: Submitter
    request: RunRequest
    run_id: str
    dag_id: str
    title: str
    code_of: Callable[[Method], dict[str, str]]
    watch: Callable[[Event], None] = lambda event: None
    caps: Mapping[str, float] = field(default_factory=dict)
    office: Site | None = None
    web: Web = field(default_factory=Web)
    means: Mapping[tuple[str, str | None], float] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    may_leave: Callable[[str], str | None] = lambda digest: None
