"""What travels between a lab and its pods: by content, complete or absent, and work in packs of one shape."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from physlab.engine.kubernetes.endings import ended_by
from physlab.errors import ConfigurationError, PhyslabError, StoreError, WorkerLostError
from physlab.model import Resources, Visuals, Work
from physlab.settings.model import KubernetesSiteSettings
from physlab.sites.kubernetes.dispatch import Dispatcher
from physlab.sites.kubernetes.exchange import Exchange, reply_name
from physlab.sites.kubernetes.inside import perform
from physlab.sites.kubernetes.launching import Ended, PodOrder
from physlab.sites.kubernetes.shapes import shape_for
from physlab.sites.kubernetes.variables import added_to, job_variables
from physlab.store import open_store
from physlab.store.blobs import Blobs
from tests.unit.tools.test_checkpoint import COUNT


def store(folder: Path) -> Blobs:
    blobs = Blobs(folder)
    blobs.create()
    return blobs


def test_a_damaged_file_is_refused_and_brought_again(tmp_path: Path) -> None:
    mine, theirs = store(tmp_path / "mine"), store(tmp_path / "theirs")
    exchange = Exchange(str(tmp_path / "exchange"))
    digest, size = mine.put(b"numbers")
    assert (exchange.put(mine, digest), exchange.put(mine, digest)) == (size, 0)
    [there] = [path for path in (tmp_path / "exchange" / "objects").rglob("*") if path.is_file()]
    there.write_bytes(b"nonsense")
    assert not exchange.get(theirs, digest) and not there.exists()
    exchange.put(mine, digest, again=True)
    assert exchange.get(theirs, digest) and theirs.read(digest) == b"numbers"
    with pytest.raises(StoreError, match="is not in"):
        exchange.order("0" * 64)
    with pytest.raises(ConfigurationError, match="is no place"):
        Exchange("folder")


class Pods:
    """Stands where Prefect starts pods: they run here when told to."""

    def __init__(self) -> None:
        self.started: list[tuple[PodOrder, Ended]] = []
        self.stopped: list[str] = []
        self.came = threading.Semaphore(0)

    def here(self) -> None:
        return None

    def start(self, order: PodOrder, ended: Ended) -> None:
        self.started.append((order, ended))
        self.came.release()

    def stop(self, token: str) -> None:
        self.stopped.append(token)

    def close(self) -> None:
        self.stopped += ["all"]


def constant(name: str, **asked: float) -> Work:
    return Work(
        key=name, label=name, tool="constants_get", method=None, params={"name": name}, visuals=Visuals(), seed=0,
        device="cpu", time_limit_s=60, resources=Resources(**asked), store="/secret/place",
    )  # fmt: skip


def test_only_the_attempt_that_is_waited_for_counts(tmp_path: Path) -> None:
    root = open_store(tmp_path / "store").root
    site = KubernetesSiteSettings(store=str(tmp_path / "exchange"))
    pods = Pods()
    dispatcher = Dispatcher("k8s", site, root, pods)
    exchange = Exchange(str(tmp_path / "exchange"))
    try:
        first = dispatcher.submit(constant("c"))
        assert pods.came.acquire(timeout=10)
        order, ended = pods.started[0]
        assert b"/secret/place" not in exchange.order(order.digest)
        late = order.digest, exchange.order(order.digest)
        ended(WorkerLostError("its pod was lost.", details={"ended": "preempted"}))
        with pytest.raises(WorkerLostError, match=r"c: its pod was lost\.") as lost:
            first.result(10)
        assert lost.value.details["ended"] == "preempted"
        exchange.put_order(late[1])
        perform(late[0], exchange, lambda words: None)  # the pod that was given up for lost answers all the same
        again: Future[object] = dispatcher.submit(constant("c"))  # type: ignore[assignment]
        assert pods.came.acquire(timeout=10)
        second, told = pods.started[1]
        ended(WorkerLostError("once more"))  # and its end is told twice
        assert second.token != order.token and not again.done() and exchange.read(reply_name(order.token))
        perform(second.digest, exchange, lambda words: None)
        told(PhyslabError("without a reply"))
        assert again.result(20).fields["value"] == 299792458.0  # type: ignore[attr-defined]
    finally:
        dispatcher.close()
    assert pods.stopped == ["all"]


def test_small_nodes_of_one_shape_share_a_pod(tmp_path: Path) -> None:
    site = KubernetesSiteSettings(store=str(tmp_path / "exchange"), pack_s=60, max_pods=2)
    pods = Pods()
    known = {("constants_get", None): 20e3}
    dispatcher = Dispatcher("k8s", site, open_store(tmp_path / "store").root, pods, known=known)
    try:
        for name in ("c", "h", "e", "k", "G"):
            dispatcher.submit(constant(name))
        assert pods.came.acquire(timeout=10) and pods.came.acquire(timeout=10)
        assert sorted(order.name for order, _ in pods.started) == ["c and 2 more", "k and 1 more"]
    finally:
        dispatcher.close()


class WantedBackError(BaseException):
    """What Prefect raises in a flow when its pod is told to end, is no Exception either."""


def test_a_pod_that_must_end_keeps_what_it_can(tmp_path: Path) -> None:
    """A finished node is not lost, a program saves where it is, and only the rest is run again from the start."""
    root = open_store(tmp_path / "store").root
    pods = Pods()
    place = str(tmp_path / "exchange")
    dispatcher = Dispatcher("k8s", KubernetesSiteSettings(store=place, cpus=3), root, pods)
    began = [tmp_path / name for name in ("count", "deaf")]

    def program(mark: Path, command: str, **params: Any) -> Work:
        given = {"command": f"touch {mark}; {command}", **params}
        return constant("c").model_copy(update={"tool": "shell", "params": given, "label": mark.name})

    def end_it() -> None:
        while not all(mark.exists() for mark in began):
            time.sleep(0.05)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGUSR2)

    def told(number: int, frame: object) -> None:
        raise WantedBackError

    before = signal.signal(signal.SIGUSR2, told)
    try:
        works = [constant("c"), program(began[0], COUNT, checkpoint=["state.txt"]), program(began[1], "sleep 100")]
        quick, count, deaf = [dispatcher.submit(work) for work in works]
        assert pods.came.acquire(timeout=10)
        [(order, ended)] = pods.started
        threading.Thread(target=end_it).start()
        with pytest.raises(WantedBackError):
            perform(order.digest, Exchange(place), lambda words: None)
        ended(WorkerLostError("its pod was evicted.", details={"ended": "preempted"}))
        assert quick.result(20).fields["value"] == 299792458.0
        saved, lost = count.exception(20), deaf.exception(20)
        assert isinstance(saved, PhyslabError) and saved.details["ended"] == "checkpoint"
        assert int(Blobs(root).read(saved.details["checkpoint"]["state.txt"])) > 0
        assert isinstance(lost, WorkerLostError) and lost.details["ended"] == "preempted"
    finally:
        signal.signal(signal.SIGUSR2, before)
        dispatcher.close()
    assert Exchange(place).read(reply_name(order.token)) is None, "it is removed when it was read"


def test_a_pod_is_asked_for_what_its_nodes_need() -> None:
    site = KubernetesSiteSettings(store="/exchange", volume_claim="exchange", gpu_resource="nvidia.com/gpu", cpus=2)
    plain = job_variables(site, shape_for(Resources(), 60, site))
    assert plain["resources"]["limits"] == {"cpu": "2", "memory": "2000M"}
    assert plain["env"] == {"PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": "relinquish"}
    mount = {"name": "physlab-store", "mountPath": "/exchange"}
    assert plain["volume_mounts"] == [mount]
    usual = {"volume_mounts": [{"name": "tmp", "mountPath": "/tmp"}], "env": {"HOME": "/scratch"}}  # noqa: S108
    beside = added_to(usual, plain)
    assert beside["volume_mounts"] == [*usual["volume_mounts"], mount]
    assert beside["env"] == {"HOME": "/scratch", "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": "relinquish"}
    large = shape_for(Resources(cpu=8, memory_gb=6.5, gpu=1), 5000, site)
    assert job_variables(site, large)["resources"]["requests"] == {
        "cpu": "8", "memory": "6500M", "nvidia.com/gpu": "1"}  # fmt: skip
    assert large.walltime_s == 7200 and large.at_once(0, 1) == 1


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("Flow run process exited with status code: -9", "out_of_memory"),
        ("Execution was aborted by a termination signal.", "preempted"),
        ("Unable to create Kubernetes job: Forbidden", "never"),
        ('Unable to create Kubernetes job: Not Found: namespaces "physlab" not found', "never"),
        ("Unable to create Kubernetes job: Too Many Requests: busy", "unsubmitted"),
        (
            'Unable to create Kubernetes job: Forbidden: jobs.batch "x" is forbidden: exceeded quota: jobs',
            "unsubmitted",
        ),
        ("Failed to submit flow run to infrastructure: ClientConnectorError: Cannot connect to host", "unsubmitted"),
        ("The node was low on resource: memory. Evicted", "preempted"),
        ("DeadlineExceeded: Job was active longer than specified deadline", "timeout"),
        ("ValueError: 137 is no number", ""),
    ],
)
def test_the_words_of_prefect_and_the_cluster_are_understood(text: str, ended: str) -> None:
    assert ended_by(text) == ended
