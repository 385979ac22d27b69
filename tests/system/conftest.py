"""What the tests of batch jobs share: a real Slurm cluster, and a lab beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.lab import Lab
from physlab.settings import load_settings
from physlab.spelling import read_call
from physlab.testing.slurm import ClusterPlan, SlurmCluster
from tests.system.pilots import Bench


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with SlurmCluster.start(ClusterPlan(nodes=2)) as cluster:
        yield cluster


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    settings = {"home": str(tmp_path / "home"), "results": str(tmp_path / "results")}
    with Lab(load_settings(tmp_path, overrides=settings, environ={})) as lab:
        yield lab


@pytest.fixture
def near(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """The cluster, with its commands at hand as on a login node."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    monkeypatch.setenv("PATH", cluster.environment["PATH"])
    yield cluster
    cluster.reset()


@pytest.fixture
def bench(near: SlurmCluster, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(name: str = "lab", **changes: Any) -> Bench:
        made.append(Bench(tmp_path / name, near, **changes))
        return made[-1]

    yield make
    for one in made:
        one.lab.close()


def call(lab: Lab, folder: Path, **payload: Any) -> dict[str, Any]:
    reply = service.answer(lab, read_call(payload, lab.vocabulary), folder)
    assert reply.error is None, reply.error
    return reply.body
