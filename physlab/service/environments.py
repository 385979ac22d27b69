"""The lab's environment on its clusters: brought there, and taken away when nothing uses it any more."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from physlab.errors import ConfigurationError, ResourceError
from physlab.lab import Lab
from physlab.model.job import ENDED
from physlab.service.sites import reached
from physlab.sites.environment import Choice, Installed, Progress, Reach, environments, install, pack, prune
from physlab.sites.slurm.gate import Gate
from physlab.sites.slurm.listing import list_jobs


def install_environment(
    lab: Lab, name: str, choice: Choice | None = None, *, python: str | None = None, dry_run: bool = False,
    progress: Progress | None = None,
) -> Installed:  # fmt: skip
    """Bring the environment that runs here to a cluster.

    Args:
        lab: The lab.
        name: The cluster.
        choice: What goes along beside the usual packages, and what stays here.
        python: A Python there; None for the one on its PATH.
        dry_run: Only say what would travel.
        progress: Told how far it is.

    Raises:
        ValidationError: There is no such cluster, or no such package here.
        ConfigurationError: No Python there fits; or its settings name one that has physlab already.
        ResourceError: It cannot be reached, or there is no room.
    """
    name, settings = lab.cluster(name)
    if settings.python is not None:
        raise ConfigurationError(
            f"sites.slurm.{name}.python is {settings.python}, so an environment from here would not be used.",
            hint=f"Take that line out of physlab.toml; if it is to carry the environment: --python {settings.python}.",
        )
    with _open(lab, name) as (_, _, reach):
        return install(reach, pack(choice), python=python, dry_run=dry_run, progress=progress)


def prune_environments(lab: Lab, name: str) -> dict[str, Any]:
    """Remove the environments of a cluster that no pilot uses, but for the newest.

    Returns:
        `removed`, `kept` and `used`, digests (`used` are of jobs in the queue and processes on the login node), and
        `freed`, their size [bytes].

    Raises:
        ResourceError: It is not known which jobs there are.
    """
    with _open(lab, name) as (run, known, reach):
        if not known:
            return {"removed": [], "kept": [], "used": [], "freed": 0}
        used = [digest for digest in known if digest in _comments(run)]
        told = prune(reach, [*known[:1], *used])
        used = sorted({*used, *told["used"]})
        return {**told, "used": used, "kept": [digest for digest in known if digest not in told["removed"]]}


def _comments(gate: Gate) -> str:
    """Return the comments of the jobs in the queue as it is now, which name their environments."""
    try:
        return "\n".join(job.comment for job in list_jobs(gate, time.time()) if job.state not in ENDED)
    except ResourceError as error:
        raise ResourceError(
            f"squeue does not say which jobs there are: {error.message}",
            hint="Nothing was removed. Try again when the scheduler answers.",
        ) from error


@contextlib.contextmanager
def _open(lab: Lab, name: str) -> Iterator[tuple[Gate, list[str], Reach]]:
    name, settings = lab.cluster(name)
    with reached(settings) as run:
        folder = lab.site_folder(name)
        known = [str(about["digest"]) for about in environments(run, folder)]
        yield run, known, Reach(name, settings, folder, run.ssh, next(iter(known), None))
