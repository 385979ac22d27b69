"""What a pod is asked for: nodes of alike needs get alike pods, so that they can share one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from physlab.model import Resources
from physlab.settings import KubernetesSiteSettings

MARGIN_S = 30.0
"""A node begins in a pod only when its time limit ends so long before the pod's own [s]."""
KINDS = {"nvidia.com": "cuda", "amd.com": "hip", "gpu.intel.com": "xpu"}
"""Which kind of accelerator a cluster's resource is, by the vendor in its name."""


@dataclass(frozen=True)
class Shape:
    """What a pod is asked for.

    Attributes:
        cpus: Cores.
        memory_gb: Memory [GB].
        gpus: Accelerators.
        walltime_s: How long it may run [s].
    """

    cpus: int
    memory_gb: float
    gpus: int
    walltime_s: float

    def at_once(self, memory_gb: float, cpu: int) -> int:
        """Return how many pieces of work that need so much run in it at the same time."""
        fit = int(self.memory_gb / memory_gb + 1e-9) if memory_gb else self.cpus
        return 1 if self.gpus else max(1, min(self.cpus // cpu, fit))


def shape_for(asked: Resources, time_limit_s: float, site: KubernetesSiteSettings) -> Shape:
    """Return the pod for a node: the site's usual one, larger where the node asks for more.

    Args:
        asked: What the node asks for.
        time_limit_s: How long it may run [s].
        site: The site's settings.
    """
    need_s = time_limit_s + MARGIN_S
    longer = 2 ** math.ceil(math.log2(need_s / site.walltime_s)) if need_s > site.walltime_s else 1
    return Shape(
        cpus=max(site.cpus, asked.cpu),
        memory_gb=max(site.memory_gb, asked.memory_gb or 0.0),
        gpus=asked.gpu,
        walltime_s=site.walltime_s * longer,
    )


def accelerators(site: KubernetesSiteSettings) -> tuple[str, ...]:
    """Return the kinds of accelerator that the site's resource promises."""
    if site.gpu_resource is None:
        return ()
    return tuple(kind for vendor, kind in KINDS.items() if site.gpu_resource.startswith(f"{vendor}/")) or ("cuda",)
