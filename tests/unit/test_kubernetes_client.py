"""The client of a Kubernetes cluster against an API that holds what it is given: no sockets, no cluster."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from physlab.errors import ResourceError
from physlab.model.job import JobRequest, JobStatus, PodWishes
from physlab.service.jobs.kubernetes import KubernetesJobs
from physlab.service.jobs.ledger import KnownJob
from physlab.service.jobs.staged import StagedFiles
from physlab.settings import KubernetesSiteSettings
from physlab.sites.kubernetes import client as clients
from physlab.sites.kubernetes import listener, logs
from physlab.sites.kubernetes.client import KubernetesClient
from physlab.sites.kubernetes.exchange import Exchange
from physlab.sites.kubernetes.manifest import LABEL
from physlab.sites.kubernetes.stage import made_name
from physlab.store.blobs import Blobs

Object = dict[str, Any]
T = TypeVar("T")
PENDING_S = 100.0


class HeldApi:
    """An API that holds objects of each kind, and tells of those changes that it is told."""

    namespace = "lab"

    def __init__(self, **held: list[Object]) -> None:
        self.held = {"jobs": [], "pods": [], "cronjobs": [], "events": [], **held}
        self.deleted: list[str] = []
        self.changes: dict[str, list[Object]] = {}
        self.logs: dict[str, bytes] = {}
        self.broken = False

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
        if path.endswith("/log"):
            name = path.split("/")[2]
            if self.broken:
                raise ResourceError("its machine does not answer")
            if "follow" in query or name not in self.logs:
                await asyncio.sleep(3600)
            yield self.logs[name]
            return
        while True:
            for change in self.changes.pop(path.partition("/")[0], []):
                yield json.dumps(change).encode()
            await asyncio.sleep(0.01)

    def tell(self, kind: str, change: str, item: Object) -> None:
        """Let the watch of a kind say that an object has changed."""
        item["metadata"]["resourceVersion"] = "2"
        self.changes.setdefault(kind, []).append({"type": change, "object": item})

    async def close(self) -> None:
        pass


def held_client(api: HeldApi, scratch: Path, **settings: Any) -> KubernetesClient:
    client = KubernetesClient(KubernetesSiteSettings(pending_s=PENDING_S, **settings), scratch)
    client._api = api  # type: ignore[assignment]
    return client


def wait_for(look: Callable[[], T], good: Callable[[T], bool]) -> T:
    end = time.monotonic() + 5
    while not good(found := look()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def ago(seconds: float) -> str:
    return f"{datetime.now(UTC) - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def job(name: str = "j", *, made_s: float = 1000.0, label: str | None = None, **status: Any) -> Object:
    head = {"name": name, "uid": name, "labels": {LABEL: label or name}, "creationTimestamp": ago(made_s)}
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


@pytest.mark.parametrize(("let_in_s", "pods", "ends"), [
    (1000, [pod(job=IMAGE)], ("pending", "rejected")),
    (None, [], ("pending", "rejected")),
    (5, [pod(job=IMAGE)], ("pending", "pending")),
    (1000, [pod(fetch={"running": {}}, job={})], ("running", "running")),
    (1000, [pod(fetch=FETCHED, job={})], ("running", "running")),
    (1000, [pod(fetch=FETCHED, job=IMAGE)], ("pending", "rejected")),
], ids=["stuck", "no pod", "let in lately", "fetching", "fetched", "no image after that"])  # fmt: skip
def test_a_job_is_given_up_when_it_was_seen_to_wait_since_it_was_let_in(
    let_in_s: float | None, pods: list[Object], ends: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "time", clock := Clock())
    api = HeldApi(jobs=[job() if let_in_s is None else job(startTime=ago(let_in_s))], pods=pods)
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


# --- jobs that the lab knows ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def held_jobs(api: HeldApi, folder: Path) -> Iterator[KubernetesJobs]:
    """A cluster of a lab, with a store."""
    (folder / "scratch").mkdir(exist_ok=True)
    with held_client(api, folder / "scratch") as client:
        files = StagedFiles("k", Exchange(str(folder / "store")), Blobs(folder / "blobs"))
        yield KubernetesJobs("k", KubernetesSiteSettings(), client, files, folder / "here")


def known(token: str, folder: Path, job_id: str = "", *, schedule: str | None = None, ended: bool = False) -> KnownJob:
    request = JobRequest(command=("true",), token=token, pod=PodWishes(schedule=schedule))
    status = JobStatus(job_id=job_id, state="cancelled") if ended else None
    made = KnownJob(job_id, token, folder / "here" / token, "2026-01-01T00:00:00+00:00", request, status, site="k")
    return replace(made, backend="k8s")


def test_a_schedule_is_found_again_and_none_of_its_runs_is_taken_for_it(tmp_path: Path) -> None:
    runs = [job("nightly-1-29000000", label="nightly-1"), job("once-1")]
    api = HeldApi(jobs=runs, cronjobs=[job("nightly-1")])
    nightly, once = known("nightly-1", tmp_path, schedule="0 3 * * *"), known("once-1", tmp_path)
    gone, mistaken = known("gone-1", tmp_path, schedule="0 3 * * *"), known("nightly-1", tmp_path / "other")
    with held_jobs(api, tmp_path) as cluster:
        found = cluster.find([nightly, once, gone, mistaken], 60.0)
    assert found == {nightly.folder: "lab/nightly-1", once.folder: "lab/once-1"}


def test_a_schedule_that_is_over_and_still_there_is_removed(tmp_path: Path) -> None:
    api = HeldApi(jobs=[job("run-1", label="nightly-1")], cronjobs=[job("nightly-1")])
    with held_jobs(api, tmp_path) as cluster:
        cluster._tidy([
            known("nightly-1", tmp_path, "lab/nightly-1", schedule="0 3 * * *", ended=True),
            known("gone-1", tmp_path, "lab/gone-1", schedule="0 3 * * *", ended=True),
        ])  # fmt: skip
    assert api.deleted == ["nightly-1"]


@pytest.mark.parametrize(("made", "state"), [(True, "completed"), (False, "cancelled")])
def test_of_a_job_that_was_deleted_the_store_tells_whether_it_was_done(made: bool, state: str, tmp_path: Path) -> None:
    api = HeldApi(jobs=[job(startTime=ago(5))], pods=[pod(job={"running": {}})])
    with held_jobs(api, tmp_path) as cluster:
        mine = known("j", tmp_path, "lab/j")
        assert cluster.look([mine])["lab/j"].state == "running"
        api.tell("jobs", "DELETED", api.held["jobs"].pop())
        if made and cluster.files.exchange is not None:
            cluster.files.exchange.write(made_name("j", None), b'{"files": {}}')
        found = wait_for(lambda: cluster.look([mine])["lab/j"], lambda status: status.state != "running")
    assert (found.state, found.forgotten) == (state, False)


# --- logs -----------------------------------------------------------------------------------------------------------

RUNNING: Object = {"running": {}}
ENDED: Object = {"terminated": {"exitCode": 0}}
SAID = b"2026-01-01T00:00:00.000000001Z 42\n"
DONE = [{"type": "Complete", "status": "True"}]


def test_a_container_that_has_ended_waits_for_no_follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "STREAMS", 1)
    names = ("long", "short", "over")
    states = dict(zip(names, (RUNNING, RUNNING, ENDED), strict=True))
    api = HeldApi(jobs=[job(name) for name in names], pods=[pod(name, job=states[name]) for name in names])
    api.logs = {"short-pod": SAID, "over-pod": SAID}
    with held_client(api, tmp_path) as client:
        long, short, over = (client.log(f"lab/{name}") for name in names)
        assert wait_for(over.read_bytes, bool) == b"42\n"
        assert (long.read_bytes(), short.read_bytes()) == (b"", b"")
        api.tell("pods", "MODIFIED", pod("short", job=ENDED))
        assert wait_for(short.read_bytes, bool) == b"42\n"
        assert [client.has_heard(f"lab/{name}") for name in names] == [False, True, True]


@pytest.mark.parametrize("broken", [True, False], ids=["its machine does not answer", "it takes too long"])
def test_a_job_whose_log_cannot_be_read_is_left_to_the_next(
    broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "PAUSE_S", (0.0, 0.0))
    monkeypatch.setattr(clients, "GRACE_S", 5.0 if broken else 0.05)
    mine = known("j", tmp_path, "lab/j", ended=True)
    api = HeldApi(jobs=[job(conditions=DONE)], pods=[pod(job=ENDED)])
    api.broken = broken
    with held_jobs(api, tmp_path) as cluster:
        cluster.bring_logs([mine])
        cluster.settle([mine])
    assert api.deleted == []
    api.logs["j-pod"], api.broken = SAID, False
    with held_jobs(api, tmp_path) as cluster:
        cluster._tidy([mine])
    assert api.deleted == ["j"] and (mine.folder / "log.txt").read_bytes() == b"42\n"
