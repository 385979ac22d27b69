"""Which site a node runs on, and what is said about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from physlab.errors import ConfigurationError
from physlab.lab import Lab, NamedDag
from physlab.model import Node, Resources, RunRequest
from physlab.model.record import OffloadPolicy
from physlab.planning.placement import place
from physlab.settings import load_settings
from physlab.sites import Affinity, Capacity, Site

NODE = Node(id="n", tool="t")


class Stub:
    def __init__(self, name: str, score: float, wait_s: float = 0.0, *accelerators: str) -> None:
        self.name, self.score, self.wait, self.accelerators = name, score, wait_s, accelerators

    def affinity(self, node: Node) -> Affinity:
        return Affinity(self.score, f"{self.name} fits {self.score}")

    def wait_s(self, node: Node) -> float:
        return self.wait

    def capacity(self) -> Capacity:
        return Capacity(1, None, self.accelerators)


def among(*stubs: Stub) -> list[Site]:
    return cast(list[Any], stubs)


def sites(*scores: float) -> list[Site]:
    return among(*(Stub(f"s{i}", score) for i, score in enumerate(scores)))


@pytest.mark.parametrize(
    ("policy", "scores", "name", "reason"),
    [
        ("auto", (0.9,), "s0", "s0 fits 0.9"),
        ("remote_first", (0.9,), "s0", "s0 fits 0.9; no other site is configured"),
        ("auto", (0.9, 0.5), "s0", "s0 fits 0.9"),
        ("auto", (0.5, 0.6, 0.7), "s2", "s2 fits 0.7"),
        ("auto", (0.5, 0.5), "s0", "s0 fits 0.5"),
        ("local_first", (0.5, 0.9), "s0", "local_first: s0 fits 0.5"),
        ("local_first", (0.1, 0.9), "s1", "s1 fits 0.9"),
        ("remote_first", (0.9, 0.2, 0.3), "s2", "remote_first: s2 fits 0.3"),
        ("remote_first", (0.9, 0.0), "s0", "s0 fits 0.9"),
    ],
)
def test_places(policy: OffloadPolicy, scores: tuple[float, ...], name: str, reason: str) -> None:
    site, said = place(NODE, sites(*scores), policy)
    assert (site.name, said) == (name, reason)


@pytest.mark.parametrize(
    ("expected_s", "policy", "name", "reason"),
    [
        (None, "auto", "s0", "s0 fits 0.9"),
        (59.0, "auto", "s0", "s0 fits 0.9"),
        (61.0, "auto", "s1", "it took 61 s before: s1 spares this machine that"),
        (7200.0, "auto", "s1", "it took 120 min before: s1 spares this machine that"),
        (7200.0, "local_first", "s0", "local_first: s0 fits 0.9"),
    ],
)
def test_what_takes_long_goes_away(expected_s: float | None, policy: OffloadPolicy, name: str, reason: str) -> None:
    site, said = place(NODE, sites(0.9, 0.3), policy, expected_s)
    assert (site.name, said) == (name, reason)
    assert place(NODE, sites(0.9, 0.0), policy, expected_s)[0].name == "s0", "where it cannot go it stays"


def test_what_would_wait_for_longer_than_it_takes_stays() -> None:
    for wait_s, name, said in [
        (500.0, "s1", "it took 10 min before: s1 spares this machine that"),
        (700.0, "s0", "it took 10 min before, but on s1 it would wait for 12 min"),
    ]:
        site, reason = place(NODE, among(Stub("s0", 0.9), Stub("s1", 0.3, wait_s)), "auto", 600.0)
        assert (site.name, reason) == (name, said)


GPU = "it can use cuda, which s1 has and this machine has not"


@pytest.mark.parametrize(
    ("device", "able", "here", "policy", "name", "reason"),
    [
        ("auto", ["cuda"], (), "auto", "s1", GPU),
        ("auto", ["cuda"], ("cuda",), "auto", "s0", "s0 fits 0.9"),
        ("auto", ["hip"], (), "auto", "s0", "s0 fits 0.9"),
        ("auto", [], (), "auto", "s0", "s0 fits 0.9"),
        ("cpu", ["cuda"], (), "auto", "s0", "s0 fits 0.9"),
        ("auto", ["cuda"], (), "local_first", "s0", "local_first: s0 fits 0.9"),
        ("gpu", ["cuda"], (), "local_first", "s1", GPU),
    ],
)
def test_what_can_use_an_accelerator_goes_where_one_is(
    device: Any, able: list[str], here: tuple[str, ...], policy: OffloadPolicy, name: str, reason: str
) -> None:
    both = among(Stub("s0", 0.9, 0.0, *here), Stub("s1", 0.3, 0.0, "cuda"))
    assert [place(NODE.model_copy(update={"device": device}), both, policy, None, able)[part] for part in (0, 1)] == [
        both[int(name[1])], reason
    ]  # fmt: skip


@pytest.mark.parametrize("policy", ["local_first", "remote_first", "auto"])
def test_a_node_goes_where_it_asks_to(policy: OffloadPolicy) -> None:
    def asks(name: str) -> Node:
        return Node(id="n", tool="t", resources=Resources(site=name))

    for name in ("s0", "s1", "s2"):
        assert place(asks(name), sites(0.9, 0.3, 0.1), policy, 7200.0)[0].name == name
    assert place(asks("s2"), sites(0.9, 0.0), "local_first")[0].name == "s0", "the run is kept from there"


def test_a_site_that_is_asked_for_must_be_there_and_fit(tmp_path: Path) -> None:
    given = {"home": str(tmp_path / "home"), "sites.slurm.hpc.cpus": 2, "sites.kubernetes.pods.store": "/exchange"}

    def graph(**resources: Any) -> NamedDag:
        node = {"id": "c", "tool": "constants_get", "params": {"name": "c"}, "resources": resources}
        return lab.read({"nodes": [node]}, tmp_path)

    with Lab(load_settings(tmp_path, overrides=given, environ={})) as lab:
        for request, resources, said in [
            (None, {"site": "hcp"}, "asks for the site 'hcp', which this lab does not have"),
            (None, {"site": "pods", "nodes": 2}, "asks for 2 machines, a pod of pods has one"),
        ]:
            checked = lab.check(graph(**resources))
            assert bool(checked.warnings) == (resources["site"] == "hcp") and not checked.errors
            with pytest.raises(ConfigurationError, match=said):
                lab.plan(checked, request=request)
            assert lab.plan(checked, request=RunRequest(site="local")).nodes["c"].state == "miss"
        lab.prepare(None)
        with pytest.raises(ConfigurationError, match="started through a Prefect server"):
            lab.plan(lab.check(graph(site="pods")))
