"""The client of a Kubernetes cluster against an API that holds what it is told: no sockets, no cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from physlab.settings import KubernetesSiteSettings
from physlab.sites.kubernetes import client as clients
from physlab.sites.kubernetes.client import KubernetesClient
from physlab.sites.kubernetes.manifest import LABEL

Object = dict[str, Any]
PENDING_S = 100.0


class HeldApi:
    """An API that holds objects of each kind, and tells nothing more of them than the first list."""

    namespace = "lab"

    def __init__(self, **held: list[Object]) -> None:
        self.held = {"jobs": [], "pods": [], "cronjobs": [], "events": [], **held}
        self.deleted: list[str] = []

    def path(self, *words: str) -> str:
        return "/".join(words)

    async def list(
        self, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> tuple[list[Object], str]:
        return list(self.held[kind]), "1"

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return next((item for item in self.held[kind] if item["metadata"]["name"] == name), None)

    async def delete(self, kind: str, name: str, namespace: str | None = None, *, uid: str | None = None) -> bool:
        self.deleted.append(name)
        return True

    async def lines(self, path: str, query: dict[str, str], *, silence_s: float) -> AsyncIterator[bytes]:
        await asyncio.sleep(3600)
        yield b""

    async def close(self) -> None:
        pass


def held_client(api: HeldApi, scratch: Path, **settings: Any) -> KubernetesClient:
    client = KubernetesClient(KubernetesSiteSettings(pending_s=PENDING_S, **settings), scratch)
    client._api = api  # type: ignore[assignment]
    return client


def ago(seconds: float) -> str:
    return f"{datetime.now(UTC) - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def job(name: str = "j", *, made_s: float = 1000.0, token: str | None = None, **status: Any) -> Object:
    head = {"name": name, "uid": name, "labels": {LABEL: token or name}, "creationTimestamp": ago(made_s)}
    return {"metadata": head, "spec": {}, "status": status}


def pod(of: str = "j", name: str = "", **states: Object) -> Object:
    head = {"name": name or f"{of}-pod", "labels": {"job-name": of, LABEL: of}}
    own = [{"name": container, "state": state} for container, state in states.items()]
    return {"metadata": head, "spec": {}, "status": {"containerStatuses": own}}


# --- waiting to begin -----------------------------------------------------------------------------------------------

IMAGE: Object = {"waiting": {"reason": "ImagePullBackOff", "message": "gone"}}
FETCHED: Object = {"terminated": {"exitCode": 0}}


class Clock:
    """A clock that goes on when it is told; it stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(("there", "pods", "ends"), [
    (job(startTime=ago(1000)), [pod(job=IMAGE)], ("pending", "rejected")),
    (job(), [], ("pending", "rejected")),
    (job(startTime=ago(5)), [pod(job=IMAGE)], ("pending", "pending")),
    (job(startTime=ago(1000)), [pod(fetch={"running": {}}, job={})], ("running", "running")),
    (job(startTime=ago(1000)), [pod(fetch=FETCHED, job={})], ("running", "running")),
    (job(startTime=ago(1000)), [pod(fetch=FETCHED, job=IMAGE)], ("pending", "rejected")),
], ids=["stuck", "no pod", "let in lately", "fetching", "fetched", "no image after that"])  # fmt: skip
def test_a_job_is_given_up_when_it_was_seen_to_wait_since_it_was_let_in(
    there: Object, pods: list[Object], ends: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "time", clock := Clock())
    api = HeldApi(jobs=[there], pods=pods)
    with held_client(api, tmp_path) as client:
        first = client.poll(["lab/j"])["lab/j"].state
        clock.now += PENDING_S
        assert (first, client.poll(["lab/j"])["lab/j"].state) == ends
    assert api.deleted == (["j"] if ends[1] == "rejected" else [])


def test_time_in_which_a_job_is_held_back_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "time", clock := Clock())
    api = HeldApi(jobs=[there := job(startTime=ago(1000))])
    with held_client(api, tmp_path) as client:
        for held_back in (False, True, False):
            there["spec"]["suspend"] = held_back
            assert client.poll(["lab/j"])["lab/j"].state == "pending"
            clock.now += PENDING_S
        there["spec"]["suspend"] = False
        assert client.poll(["lab/j"])["lab/j"].state == "rejected"
