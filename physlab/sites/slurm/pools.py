"""Which kind of pilot a node needs: nodes of alike needs share pilots, so that few kinds serve a whole graph."""

from __future__ import annotations

import math

from physlab.errors import ValidationError
from physlab.model import Resources
from physlab.model.job import JobResources
from physlab.settings import SlurmSiteSettings

MARGIN_S = 90.0
"""A pilot takes a node only when its time limit ends so long before the pilot's own [s]."""


def pool_for(
    asked: Resources, time_limit_s: float, site: SlurmSiteSettings, exclude: tuple[str, ...] = ()
) -> JobResources:
    """Return the kind of pilot for a node.

    What fits the site's usual pilot goes there. What does not gets a larger one: cores, memory and time are doubled
    until they suffice, so that nodes that differ a little still share.

    Args:
        asked: What the node asks for.
        time_limit_s: How long the node may run [s].
        site: The site's settings.
        exclude: Machines that failed before.

    Raises:
        ValidationError: The site's settings cannot be a job's.
    """
    gpus = asked.gpu
    memory_gb = _doubled(site.memory_gb, asked.memory_gb or 0.0)
    words = {"partition": (gpus and site.gpu_partition) or site.partition, "account": site.account, "qos": site.qos,
             "constraint": site.constraint}  # fmt: skip
    try:
        return JobResources(
            nodes=asked.nodes,
            cpus=round(_doubled(site.cpus, asked.cpu)),
            memory_mb=math.ceil(memory_gb * 1e9 / 2**20),
            gpus=gpus,
            walltime_s=_doubled(site.walltime_s, time_limit_s + MARGIN_S),
            exclude=exclude,
            **words,
        )
    except ValueError as error:
        raise ValidationError(
            f"The settings of this site make no job: {error}", hint="Mend [sites.slurm.NAME] in physlab.toml."
        ) from error


def _doubled(base: float, needed: float) -> float:
    """Return the base, doubled until it is enough."""
    return base if needed <= base else base * 2 ** math.ceil(math.log2(needed / base))


def pilots_for(cores: int, each: JobResources, most: int) -> int:
    """Return how many pilots serve so many cores' worth of ready nodes, at most `most`."""
    return min(most, math.ceil(cores / each.cpus))
