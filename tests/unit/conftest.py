"""A lab of the test's own, with small tools that run without worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.lab import Lab
from physlab.model import NodeRecord, NodeRun, RunRecord
from physlab.planning import Plan
from physlab.run import Event
from physlab.service import Conductor, run_request
from physlab.settings import load_settings


@dataclass
class Outcome:
    """A run: its record, and what was told while it ran."""

    lab: Lab
    record: RunRecord
    events: list[Event]

    def __getitem__(self, name: str) -> NodeRun:
        return next(node for node in self.record.nodes if node.id == name)

    def fields(self, name: str) -> dict[str, Any]:
        return NodeRecord.model_validate(self.lab.store.record(str(self[name].record))).fields

    @property
    def statuses(self) -> dict[str, str]:
        return {node.id: node.status for node in self.record.nodes}


@dataclass
class Bench:
    """A lab and short words for what is done with it."""

    lab: Lab
    folder: Path
    plans: list[Plan] = field(default_factory=list)

    def run(self, nodes: Any, watch: Callable[[Event], None] | None = None, **wishes: Any) -> Outcome:
        named = self.lab.read(nodes, self.folder)
        events: list[Event] = []

        def told(event: Event) -> None:
            events.append(event)
            if watch:
                watch(event)

        conductor = Conductor(watch=told, planned=lambda _, plan: self.plans.append(plan))
        record = service.carry_out(self.lab, named, run_request(self.lab, **wishes), conductor)
        return Outcome(self.lab, record, events)

    def plan(self, nodes: Any, refresh: Any = False) -> Plan:
        checked = self.lab.check(self.lab.read(nodes, self.folder))
        checked.require()
        return self.lab.plan(checked, refresh)

    def states(self, nodes: Any, refresh: Any = False) -> dict[str, str]:
        return {name: node.state for name, node in self.plan(nodes, refresh).nodes.items()}


def open_lab(folder: Path, **overrides: Any) -> Lab:
    paths = {"home": str(folder / "home"), "results": str(folder / "results")}
    return Lab(load_settings(folder, {**paths, **overrides}, environ={"HOME": str(folder)}))


@pytest.fixture
def bench(tmp_path: Path, toy_tools: None) -> Iterator[Bench]:
    """A lab in an empty folder, with the toys."""
    with open_lab(tmp_path) as lab:
        yield Bench(lab, tmp_path)


def node(
    name: str, method: str, /, needs: tuple[str, ...] = (), extra: dict[str, Any] | None = None, **params: Any
) -> Any:
    """Return one toy node."""
    more = {"dependencies": list(needs)} if needs else {}
    return {"id": name, "tool": "toy", "method": method, "params": params, **more, **(extra or {})}
