"""A lab beside a test cluster, whose nodes run in small pilots."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil

from physlab import service
from physlab.lab import Lab
from physlab.model import NodeRecord, RunRecord, RunRequest
from physlab.settings import load_settings
from physlab.sites.slurm.site import SlurmSite
from physlab.testing.slurm import SlurmCluster

NAP = f"987.{os.getpid()}"
"""Seconds [s] that nothing else on this machine sleeps for: other workers of the suite have naps of their own."""

PILOT = {"cpus": 2, "memory_gb": 0.5, "max_pilots": 2, "interface": "lo", "walltime_s": 600, "idle_s": 20}


class Bench:
    """A lab beside the cluster."""

    def __init__(self, folder: Path, cluster: SlurmCluster, /, **changes: Any) -> None:
        self.folder, self.cluster = folder, cluster
        folder.mkdir(exist_ok=True)
        site = {f"sites.slurm.hpc.{name}": value for name, value in {**PILOT, **changes}.items()}
        home = {"home": str(folder / "home"), "results": str(folder / "results")}
        self.lab = Lab(load_settings(folder, overrides={**home, **site}, environ={}))

    def run(self, nodes: list[dict[str, Any]], title: str = "test", **wishes: Any) -> RunRecord:
        graph = {"metadata": {"title": title}, "nodes": nodes}
        request = RunRequest(**{"site": "hpc", "offload_policy": "remote_first", "parallelism": 4, **wishes})
        reply = service.run_dag(self.lab, graph, request, base_dir=self.folder)
        return self.lab.find_run(reply.body["run_id"])

    def made(self, record: RunRecord, node: str) -> NodeRecord:
        [found] = [item for item in record.nodes if item.id == node]
        return NodeRecord.model_validate(self.lab.store.record(str(found.record)))

    @property
    def site(self) -> SlurmSite:
        [site] = self.lab.clusters("hpc")
        assert isinstance(site, SlurmSite)
        return site

    def pilots(self) -> dict[str, str]:
        """Return the machine of each pilot that runs."""
        lines = self.cluster.run("squeue", "-h", "-t", "R", "-o", "%i %N").splitlines()
        return dict(line.split() for line in lines)

    def running(self) -> dict[str, int]:
        """Return the job and the worker that runs a program which takes a nap."""
        for pid in asleep():
            try:
                above = psutil.Process(pid).parents()
                pilot = next((one for one in above if "dask" in " ".join(one.cmdline())), None)
                job = next((int(seen["SLURM_JOB_ID"]) for one in above if "SLURM_JOB_ID" in (seen := one.environ())), 0)
            except psutil.NoSuchProcess:  # it ends just now
                continue
            if pilot is not None and job:
                return {"job": job, "pid": pilot.pid}
        return {}


def shell(name: str, command: str, **extra: Any) -> dict[str, Any]:
    params = {"command": command, **extra.pop("params", {})}
    return {"id": name, "tool": "shell", "params": params, **extra}


def one(record: RunRecord, name: str) -> Any:
    return next(node for node in record.nodes if node.id == name)


def asleep() -> list[int]:
    """Return the processes that take this test's nap."""
    found = psutil.process_iter(["cmdline"])
    return [one.pid for one in found if (one.info["cmdline"] or [])[:2] == ["sleep", NAP]]
