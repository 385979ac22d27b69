"""A cluster as jobs use it: its commands and its files, here or behind ssh, and what the lab's settings add."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydantic

from physlab.errors import ConfigurationError
from physlab.lab import Lab
from physlab.model.job import JobRequest, JobResources
from physlab.settings import SlurmSiteSettings
from physlab.sites.files import Files, SharedFiles
from physlab.sites.slurm import SlurmClient
from physlab.sites.slurm.gate import gate_here, gate_to
from physlab.sites.ssh import SshRun
from physlab.sites.sshfiles import SshFiles

AT_HAND = "slurm"
"""What `Lab.cluster` calls the cluster whose commands are at hand here, without any settings."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that is open for work.

    Attributes:
        name: What the lab calls it.
        settings: Its section of the settings.
        client: Its commands.
        files: Its files.
        root: The folder there that holds the folders of jobs.
        here: The folder of this machine that holds what is brought from there.
    """

    name: str
    settings: SlurmSiteSettings
    client: SlurmClient
    files: Files
    root: Path
    here: Path

    def mirror(self, folder: Path) -> Path:
        """Return where the files of a job's folder are on this machine."""
        if self.settings.host is None:
            return folder
        known = folder.is_relative_to(self.root)  # else the settings named another folder when it was submitted
        return self.here / (folder.relative_to(self.root) if known else Path(*folder.parts[-2:]))

    def complete(self, request: JobRequest) -> JobRequest:
        """Return a request with what this cluster's settings say where it says nothing itself.

        Raises:
            ConfigurationError: The settings hold what is no queue, account or feature.
        """
        given, asked = self.settings, request.resources
        partition = given.gpu_partition or given.partition if asked.gpus or asked.gres else given.partition
        offered = {"partition": partition, "account": given.account, "qos": given.qos, "constraint": given.constraint}
        added = {name: value for name, value in offered.items() if getattr(asked, name) is None}
        try:
            resources = JobResources.model_validate({**asked.model_dump(), **added})
        except pydantic.ValidationError as error:
            item = error.errors()[0]
            raise ConfigurationError(
                f"sites.slurm.{self.name}.{item['loc'][0]} = {item['input']!r} is no name that Slurm takes.",
                hint="Correct it in physlab.toml.",
            ) from error
        return request.model_copy(update={"resources": resources, "prologue": given.prologue})


def job_root(lab: Lab, settings: SlurmSiteSettings) -> Path:
    """Return the folder that holds the folders of jobs, where the cluster sees it."""
    return (settings.folder or lab.settings.home / "jobs").absolute()


@contextlib.contextmanager
def open_cluster(lab: Lab, name: str | None = None) -> Iterator[Cluster]:
    """Open a cluster of the lab; behind a host, all commands and files share one connection.

    Args:
        lab: The lab.
        name: Its name in the settings; the first one there, or the one at hand here, for None.

    Raises:
        ValidationError: There is none of that name.
    """
    with _opened(lab, *lab.cluster(name)) as cluster:
        yield cluster


@contextlib.contextmanager
def open_again(lab: Lab, site: str) -> Iterator[Cluster]:
    """Open the cluster that a job was submitted to; the one at hand then is the one at hand now.

    Raises:
        ValidationError: It is not in the settings any more.
    """
    at_hand = site in ("", AT_HAND) and site not in lab.settings.sites.slurm
    with _opened(lab, *((AT_HAND, SlurmSiteSettings()) if at_hand else lab.cluster(site))) as cluster:
        yield cluster


@contextlib.contextmanager
def _opened(lab: Lab, name: str, settings: SlurmSiteSettings) -> Iterator[Cluster]:
    root, here = job_root(lab, settings), (lab.settings.home / "jobs" / name).absolute()
    if settings.host is None:
        yield Cluster(name, settings, SlurmClient(gate_here()), SharedFiles(), root, here)
        return
    with SshRun(settings.host) as run:
        yield Cluster(name, settings, SlurmClient(gate_to(run)), SshFiles(run, root), root, here)
