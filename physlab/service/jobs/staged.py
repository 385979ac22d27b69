"""The files of jobs on Kubernetes: through a store that lab and pods both reach, by content."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physlab.errors import ComputationError, ConfigurationError, ResourceError
from physlab.service.jobs.ledger import KnownJob
from physlab.sites.files import Brought
from physlab.sites.kubernetes.exchange import Exchange
from physlab.sites.kubernetes.manifest import SCRIPT
from physlab.sites.kubernetes.stage import inputs_name, made_name
from physlab.store.blobs import Blobs

NO_STORE = "Set store under [sites.kubernetes.{name}] in physlab.toml: s3://bucket/prefix, or a folder of a claim."


@dataclass(frozen=True)
class StagedFiles:
    """What jobs of a cluster are given, and what they made.

    Attributes:
        name: What the lab calls the cluster.
        exchange: The store; None where there is none.
        blobs: The lab's files.
    """

    name: str
    exchange: Exchange | None
    blobs: Blobs

    def stage(self, job: KnownJob, files: Sequence[Path]) -> None:
        """Bring inputs to the store, and last of all the list of them.

        Raises:
            ConfigurationError: There are files, and no store.
        """
        exchange = self.exchange
        if exchange is None:
            if files or job.request.makes or job.request.takes or job.wanted != ".":
                what = "inputs" if files else "files to keep"
                raise ConfigurationError(
                    f"The job has {what}, and the cluster '{self.name}' has no store.",
                    hint=NO_STORE.format(name=self.name),
                )
            return
        listed: dict[str, dict[str, Any]] = {}
        made = {name: Path(path) for name, path in job.request.takes.items()}  # brought here by now
        for name, path in {**{path.name: path for path in files}, **made}.items():
            digest, _ = self.blobs.put(path)
            listed[name] = {"sha256": digest, "executable": os.access(path, os.X_OK)}
        if job.request.script is not None:
            script = job.request.script.replace("\r\n", "\n")
            digest, _ = self.blobs.put((script if script.startswith("#!") else f"#!/bin/sh\n{script}").encode())
            listed[SCRIPT] = {"sha256": digest, "executable": True}
        for item in listed.values():
            exchange.put(self.blobs, item["sha256"], again=True)
        exchange.write(inputs_name(job.token), json.dumps(listed).encode())

    def made(self, job: KnownJob) -> dict[str, Any] | None:
        """Return what a job made (`files`), and what went wrong over it (`error`); None as long as it is not known."""
        exchange, nodes = self.exchange, job.request.resources.nodes
        if exchange is None:
            return None
        found, files = dict[str, Any](), dict[str, Any]()
        for index in range(nodes) if nodes > 1 else [None]:
            text = exchange.read(made_name(_job_name(job), index))
            if text is None:
                return None
            record = json.loads(text)
            found |= {"error": record["error"]} if "error" in record else {}
            files |= {name if index is None else f"{index}/{name}": item for name, item in record["files"].items()}
        return {**found, "files": files}

    def bring(self, job: KnownJob) -> Brought:
        """Bring what a job made, each file checked against its SHA-256.

        Raises:
            ResourceError: Something is not there.
        """
        exchange = self.exchange
        if exchange is None:
            return {}
        made = self.made(job)
        if made is None:
            raise ResourceError(
                f"The list of what job {job.job_id} made is not in {exchange.url}.",
                hint="Did somebody empty it?",
            )
        brought = {}
        for name, item in made["files"].items():
            if not exchange.get(self.blobs, item["sha256"]):
                raise ResourceError(f"'{name}' of job {job.job_id} is not in {exchange.url}.", hint="Run it again.")
            target = job.folder / name
            if not target.resolve().is_relative_to(job.folder.resolve()):
                raise ResourceError(f"'{name}' of job {job.job_id} leads out of its folder.", hint="Rename it there.")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.blobs.path(item["sha256"]), target)
            brought[name] = target
        if "error" in made:
            return ComputationError(made["error"]["message"], hint=f"What it made instead is in {job.folder}.")
        return brought

    def forget(self, job: KnownJob) -> None:
        """Remove a job's lists from the store; the files stay, named by their content, for whoever needs them next."""
        exchange, nodes = self.exchange, job.request.resources.nodes
        if exchange is None:
            return
        exchange.remove(inputs_name(job.token))
        for index in range(nodes) if nodes > 1 else [None]:
            exchange.remove(made_name(_job_name(job), index))


def _job_name(job: KnownJob) -> str:
    return job.job_id.rpartition("/")[2] or job.token
