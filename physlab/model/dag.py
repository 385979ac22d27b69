"""The graph of an experiment."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from physlab.model.base import Model

NodeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$")]
Device = Literal["auto", "cpu", "gpu", "cuda", "hip", "mps", "xpu"]


class Visuals(Model):
    """Which visual outputs a node declares; None leaves it to the tool's default."""

    static: bool | None = None
    series: bool | None = None
    animation: bool | None = None


class Resources(Model):
    """What a node asks of the machine that runs it."""

    cpu: Annotated[int, Field(ge=1, le=4096, description="Processor cores")] = 1
    memory_gb: Annotated[float, Field(gt=0, description="Memory [GB]")] | None = None
    gpu: Annotated[int, Field(ge=0, le=64, description="Accelerators")] = 0
    nodes: Annotated[int, Field(ge=1, le=10_000, description="Machines")] = 1
    walltime_s: Annotated[float, Field(gt=0, description="Time limit [s]")] | None = None
    site: Annotated[str, Field(min_length=1, description="Site that has to run it")] | None = None


class Node(Model):
    """One tool call of the graph.

    `params` may hold references to other nodes' results; `dependencies` orders nodes that pass no data.
    """

    id: NodeId
    tool: str
    method: str | None = None
    params: dict[str, Any] = {}
    dependencies: tuple[str, ...] = ()
    visual_outputs: Visuals | None = None
    resources: Resources | None = None
    device: Device = "auto"
    seed: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0
    retries: Annotated[int, Field(ge=0, le=20)] = 0
    retry_delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0
    cache: bool = True


class Edge(Model):
    """`source` before `target`; with `data_key`, that field of `source` also enters `target`."""

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    data_key: str | None = None


class Dag(Model):
    """An experiment: nodes, edges, and what people call it.

    `title`, `description`, `author`, `version` and `bib` never enter the identity of the graph. `bib` holds BibTeX
    entries, or names of files of them.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    title: str = ""
    description: str = ""
    author: str = ""
    version: str = ""
    bib: tuple[str, ...] = ()
