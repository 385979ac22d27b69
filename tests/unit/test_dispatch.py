"""What comes back from pilots and cannot be read ends its node: it hangs nothing, and is no lost pilot."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from physlab.errors import ComputationError, PhyslabError, WorkerLostError
from physlab.model import Resources, Visuals, Work, WorkResult
from physlab.model.job import JobResources
from physlab.settings import SlurmSiteSettings
from physlab.sites.slurm import crew
from physlab.sites.slurm.crew import Pool
from physlab.sites.slurm.dispatch import Dispatcher
from physlab.sites.slurm.packing import Errand, Pack
from physlab.store import open_store


class Client:
    """Gives what a test says, or throws it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def gather(self, futures: list[Any]) -> list[Any]:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return [self.answer for _ in futures]

    def run(self, *arguments: Any, **more: Any) -> Any:
        raise ValueError("unknown worker")


@pytest.fixture
def dispatcher(tmp_path: Path) -> Dispatcher:
    store = open_store(tmp_path / "store", None)
    return Dispatcher("hpc", SlurmSiteSettings(), store.root, tmp_path / "far")


def outcome(dispatcher: Dispatcher, answer: Any, status: str = "finished") -> WorkResult | BaseException | None:
    work = Work(
        key="k", label="n", tool="t", method=None, params={}, visuals=Visuals(), seed=0, device="cpu",
        time_limit_s=9, resources=Resources(), store=str(dispatcher.store),
    )  # fmt: skip
    future: Future[WorkResult] = Future()
    errand = Errand(work, Pool(1, JobResources(), Client(answer), ""), future)
    done = SimpleNamespace(status=status, release=lambda: None, exception=lambda timeout: answer)
    dispatcher._take([(Pack([errand]), done)])
    error = future.exception(10)
    return error if error is not None else future.result()


def reply(**more: Any) -> dict[str, Any]:
    return {"replies": [more], "worker": "tls://w", "pilot": "p", "store": "/far", "accelerators": []}


def test_a_result_is_taken(dispatcher: Dispatcher) -> None:
    given = WorkResult(fields={"x": 1}).model_dump_json()
    found = outcome(dispatcher, reply(result=given, ms=1.0, blobs={}, kept={}))
    assert isinstance(found, WorkResult) and found.fields == {"x": 1} and found.meta["pilot"] == "p"


@pytest.mark.parametrize("answer", [reply(nonsense=1), reply(result="{", ms=1.0, blobs={}, kept={}), reply(ms="x")])
def test_what_cannot_be_read_is_a_fault_of_ours(dispatcher: Dispatcher, answer: Any) -> None:
    found = outcome(dispatcher, answer)
    assert isinstance(found, ComputationError) and "report this fault" in found.hint


@pytest.mark.parametrize("thrown", [KeyError("gone"), OSError("closed"), RuntimeError("Dask's own")])
def test_whatever_gathering_throws_ends_the_work(dispatcher: Dispatcher, thrown: BaseException) -> None:
    assert isinstance(outcome(dispatcher, thrown), PhyslabError)


def test_a_pilot_that_leaves_during_a_transfer_is_a_lost_one(dispatcher: Dispatcher) -> None:
    sha256 = dispatcher_blob(dispatcher)
    found = outcome(dispatcher, reply(need=[sha256]))
    assert isinstance(found, WorkerLostError) and found.details["ended"] == "worker_lost"


def test_bytes_that_are_not_what_they_are_called_are_refused(dispatcher: Dispatcher) -> None:
    given = WorkResult(fields={}).model_dump_json()
    found = outcome(dispatcher, reply(result=given, ms=1.0, blobs={"0" * 64: b"else"}, kept={}))
    assert isinstance(found, PhyslabError) and "What came back as" in found.message


def test_the_foreman_may_speak_while_he_is_asked(dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """His answers and his news come over one line: who waits for an answer must not keep the news from being heard."""

    class Line:
        def __init__(self, command: Any, hello: Any, heard: Any, lost: Any, hint: str) -> None:
            self.heard = heard

        def ask(self, do: str, **given: Any) -> dict[str, Any]:
            news = threading.Thread(target=self.heard, args=({"event": "job", "job": "7", "cores": 2},), daemon=True)
            news.start()
            news.join(5)
            assert not news.is_alive(), "the answer would never be read"
            return {"address": "tls://w", "script": ""}

        def tell(self, do: str, **given: Any) -> None:
            pass

        def close(self) -> None:
            pass

    monkeypatch.setattr(crew, "Link", Line)
    monkeypatch.setattr(crew, "Client", lambda *_, **__: SimpleNamespace(close=lambda timeout: None))
    dispatcher.crew.pool(JobResources(cpus=2))
    assert dispatcher.crew.jobs() == {"7": 2}
    dispatcher.close()


def dispatcher_blob(dispatcher: Dispatcher) -> str:
    from physlab.store.blobs import Blobs

    return Blobs(dispatcher.store).put(b"input")[0]
