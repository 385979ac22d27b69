"""The Python face: describe an experiment, look at it, run it, look at what came out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physlab import service
from physlab.engine.watch import Watcher
from physlab.errors import ValidationError, nearest
from physlab.lab import Lab, new_run_id
from physlab.model import Artifact, NodeRecord, Problem, RunRecord
from physlab.settings import load_settings
from physlab.tools.execute import restore
from physlab.tools.types import array_to_json


class Output:
    """A value that a node will make; give it to another node as a parameter."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getitem__(self, field: str | int) -> Output:
        """Return a field of it."""
        return Output(f"{self._path}.{field}")

    def __str__(self) -> str:
        return f"from:{self._path}"

    __repr__ = __str__
    __iter__ = None  # Python would ask for [0], [1], … without end


class Dag:
    """A graph of tool calls.

        dag = Dag("Hydrogen 2p")
        state = dag.node("quantum", "solve", problem="hydrogen", n=2, l=1)
        dag.node("plot", "function_2d", f=state["radial"], x=state["r"])
        run = dag.run()

    Args:
        title: What people call it.
        description: One or two sentences; becomes the report's abstract.
        author: Who made it.
        bib: BibTeX entries, or paths of files of them, that the report cites.
    """

    def __init__(self, title: str = "", description: str = "", author: str = "", bib: Sequence[str] = ()) -> None:
        self.title, self.description, self.author, self.bib = title, description, author, list(bib)
        self._nodes: list[dict[str, Any]] = []

    def node(
        self,
        tool: str,
        method: str | None = None,
        /,
        *,
        id: str | None = None,
        after: Iterable[Output | str] = (),
        visual_outputs: Mapping[str, bool] | None = None,
        resources: Mapping[str, Any] | None = None,
        device: str = "auto",
        seed: int = 0,
        retries: int = 0,
        cache: bool = True,
        params: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> Output:
        """Add a tool call and return its output.

        Args:
            tool: Tool name, see `physlab tools`.
            method: Its method.
            id: Name of the node; made from the tool when left out.
            after: Nodes that must be done before, beyond those whose outputs are used.
            visual_outputs: Which of `static`, `series`, `animation` it writes.
            resources: `cpu`, `memory_gb`, `walltime_s`, …
            device: `auto`, `cpu`, `gpu` or a kind.
            seed: Seed of its random numbers.
            retries: How often it is tried again.
            cache: False computes it in every run.
            params: Parameters whose names are those of this function.
            **parameters: Parameters of the tool; outputs of other nodes, arrays and numbers.
        """
        taken = {node["id"] for node in self._nodes}
        name = id or next(n for n in _names(tool) if n not in taken)
        if name in taken:
            raise ValidationError(f"There is a node '{name}' already.", hint="Give each node its own id.")
        extras: dict[str, Any] = {
            "method": method,
            "dependencies": [str(item).removeprefix("from:").split(".")[0] for item in after],
            "visual_outputs": dict(visual_outputs) if visual_outputs else None,
            "resources": dict(resources) if resources else None,
            "device": None if device == "auto" else device,
            "seed": seed or None,
            "retries": retries or None,
            "cache": None if cache else False,
        }
        node = {"id": name, "tool": tool, "params": _plain({**(params or {}), **parameters})}
        self._nodes.append({**node, **{key: value for key, value in extras.items() if value not in (None, [])}})
        return Output(name)

    def spec(self) -> dict[str, Any]:
        """Return the specification as JSON values."""
        metadata = {"title": self.title, "description": self.description, "author": self.author, "bib": self.bib}
        return {"metadata": {key: value for key, value in metadata.items() if value}, "nodes": self._nodes}

    def save(self, path: str | Path) -> Path:
        """Write the specification as JSON, for `physlab run`."""
        target = Path(path)
        target.write_text(json.dumps(self.spec(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return target

    @property
    def id(self) -> str:
        """The content-addressed id (16 hex digits)."""
        with _lab() as lab:
            return lab.read(self.spec(), Path.cwd()).dag_id

    def validate(self) -> list[Problem]:
        """Return every problem; the graph runs when none is an error."""
        with _lab() as lab:
            return lab.check(lab.read(self.spec(), Path.cwd())).problems

    def run(self, *, server: bool = True, **wishes: Any) -> Run:
        """Run the graph and return what came out.

        Args:
            server: True shows the run in the lab's Prefect server, which is started when needed.
            **wishes: `parallelism`, `offload_policy`, `refresh`, `fail_fast`.

        Raises:
            PhyslabError: The graph is wrong, or a node failed (`details["run_id"]` names the run).
        """
        from physlab.engine.launch import launch

        run_id = new_run_id()
        reply = launch(
            load_settings(), self.spec(), run_id=run_id, watcher=Watcher(), server=server, announce=print, **wishes
        )
        if reply.error is not None:
            raise reply.error
        return Run(run_id)

    def _repr_png_(self) -> bytes:
        from physlab.report.overview import draw_overview

        with _lab() as lab:
            named = lab.read(self.spec(), Path.cwd())
            return draw_overview(named.dag, service.kinds(lab, named.dag), problems=lab.check(named).problems)


class Run:
    """One run: `run["node"]["field"]` is a value, `run.figures` are files.

    Args:
        name: Run id, `latest`, or the id or title of a graph (its latest run).
    """

    def __init__(self, name: str = "latest") -> None:
        with _lab() as lab:
            self.record: RunRecord = lab.find_run(name)

    @property
    def id(self) -> str:
        """The run's id."""
        return self.record.run_id

    def __getitem__(self, node: str) -> dict[str, Any]:
        """Return the fields of a node's result; arrays as NumPy arrays, files as objects with a `path`."""
        with _lab() as lab:
            made = self._made(lab, node)
            return {name: restore(value, lab.store.blobs) for name, value in made.fields.items()}

    def artifacts(self, node: str | None = None, role: str | None = None) -> Iterator[Artifact]:
        """Yield the artifacts of a node (or of all), for instance those with the role `static`."""
        with _lab() as lab:
            for item in self.record.nodes:
                if item.record is not None and node in (None, item.id):
                    made = NodeRecord.model_validate(lab.store.record(item.record))
                    yield from (artifact for artifact in made.artifacts if role in (None, artifact.role))

    def report(
        self,
        title: str | None = None,
        authors: Sequence[str] = (),
        abstract: str = "",
        bib: Sequence[str] = (),
    ) -> Path:
        """Write the PDF and return its path."""
        with _lab() as lab:
            reply = service.publish_report(
                lab, self.id, title=title, authors=list(authors), abstract=abstract, bib=list(bib)
            )
        return Path(reply.body["pdf_path"])

    def _made(self, lab: Lab, node: str) -> NodeRecord:
        found = next((item for item in self.record.nodes if item.id == node), None)
        if found is None:
            raise ValidationError(
                f"The run {self.id} has no node '{node}'.", hint=nearest(node, (item.id for item in self.record.nodes))
            )
        if found.record is None:
            raise ValidationError(f"The node '{node}' has no result: it is {found.status}.", hint=found.why)
        return NodeRecord.model_validate(lab.store.record(found.record))

    def _repr_png_(self) -> bytes:
        from physlab.report.overview import draw_overview

        with _lab() as lab:
            named = lab.find_dag(self.record.dag_id)
            states = {item.id: item.status for item in self.record.nodes}
            return draw_overview(named.dag, service.kinds(lab, named.dag), statuses=states)

    def __repr__(self) -> str:
        meta = self.record.meta
        return (
            f"<Run {self.id} of '{self.record.title or self.record.dag_id}': {self.record.status}, "
            f"{meta['cache_hits']} cached, {meta['computed']} computed, {meta['failed']} failed>"
        )


def _lab() -> Lab:
    return Lab(load_settings())


def _names(tool: str) -> Iterator[str]:
    yield tool
    number = 2
    while True:
        yield f"{tool}_{number}"
        number += 1


def _plain(value: Any) -> Any:
    if isinstance(value, Output):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return array_to_json(np.asarray(value))
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
