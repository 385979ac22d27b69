"""What a test cluster shall be: its nodes, its images, and the pace of its controllers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

DEFAULT_IMAGE: dict[str, Any] = {"cmd": ["/bin/sh"]}


@dataclass(frozen=True)
class NodePlan:
    """One node.

    Args:
        name: Its name.
        cpu: Cores that it says to have.
        memory: Memory that it says to have.
        gpus: Accelerators (`nvidia.com/gpu`).
        pods: How many pods it takes.
        labels: Its labels, beside its host name.
        taints: What keeps pods away, each with key, value and effect.
    """

    name: str = "node-1"
    cpu: str = "4"
    memory: str = "16Gi"
    gpus: int = 0
    pods: int = 110
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class ClusterPlan:
    """A cluster. The paces are those of a real one unless a test is in a hurry.

    Args:
        nodes: Its nodes.
        images: What an image brings: `entrypoint`, `cmd`, `env`, `working_dir`. Other images exist and have a shell.
        missing_images: Images that cannot be pulled.
        namespaces: Made at the start, beside `default` and `kube-system`.
        job_backoff_s: First pause before a job's failed pod is made anew; it doubles.
        restart_backoff_s: First pause before a container that failed twice starts again; it doubles.
        collect_s: How long garbage collection takes to notice an owner that is gone.
        node_grace_s: How long a silent node is believed to be well.
        startup_s: How long a container takes to be created.
        isolation: `namespaces` (own processes and mounts, as in a container), `processes` (neither), or `auto`.
    """

    nodes: tuple[NodePlan, ...] = (NodePlan(),)
    images: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    missing_images: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    job_backoff_s: float = 10
    restart_backoff_s: float = 10
    collect_s: float = 0.5
    node_grace_s: float = 50
    startup_s: float = 0.1
    isolation: str = "auto"

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> ClusterPlan:
        """Return the plan of plain values."""
        nodes = tuple(NodePlan(**{**node, "taints": tuple(node["taints"])}) for node in given["nodes"])
        tuples = {name: tuple(given[name]) for name in ("missing_images", "namespaces")}
        return cls(**{**given, "nodes": nodes, **tuples})
