"""The walk: what fails stops only what needs it, what finished is kept, what is stopped ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from physlab import device, service
from physlab.errors import CancelledError, ComputationError, StoreError, ValidationError, WorkerLostError
from physlab.model import Work, WorkResult
from physlab.run import inputs as inputs_module
from physlab.sites import LocalSite
from physlab.store import open_store
from physlab.submitter import PlainSubmitter, Step, is_retryable
from tests.unit.conftest import Bench, node, open_lab

FAILING = {"counter": "", "fail_times": 99}


def failing(name: str, folder: Path, times: int = 99, needs: tuple[str, ...] = (), **extra: Any) -> Any:
    return node(name, "count", needs, extra, counter=str(folder / name), fail_times=times)


def test_a_failure_stops_only_what_needs_it(bench: Bench) -> None:
    nodes = [
        failing("bad", bench.folder),
        node("behind", "give", value="from:bad.calls"),
        node("further", "give", needs=("behind",)),
        node("mixed", "give", value=["from:good.value", "from:behind.value"]),
        node("good", "give", value=1),
        node("after", "give", value="from:good.value"),
    ]
    outcome = bench.run(nodes)
    assert outcome.statuses == {
        "bad": "failed", "behind": "skipped", "further": "skipped", "mixed": "skipped", "good": "completed",
        "after": "completed",
    }  # fmt: skip
    assert {outcome[name].why for name in ("behind", "further", "mixed")} == {"bad failed"}
    assert outcome["bad"].error == {
        "code": "COMPUTATION_ERROR", "message": "call 1 fails", "hint": "Try again.", "details": {},
    }  # fmt: skip
    assert outcome.record.status == "failed"
    error = service.failure(outcome.record)
    assert isinstance(error, ComputationError) and "1 of 6 nodes failed (3 skipped" in error.message
    assert bench.states(nodes)["after"] == "hit"


def test_fail_fast_starts_nothing_more(bench: Bench) -> None:
    chain = [node(f"n{i}", "give", value=[i, f"from:n{i - 1}"] if i else i) for i in range(50)]
    outcome = bench.run([failing("bad", bench.folder), *chain], fail_fast=True, parallelism=1)
    counts = list(outcome.statuses.values())
    assert outcome["bad"].status == "failed"
    assert counts.count("cancelled") + counts.count("skipped") >= 49
    assert outcome.record.status == "failed"


def test_a_node_is_tried_again_as_often_as_it_says(bench: Bench) -> None:
    outcome = bench.run([failing("flaky", bench.folder, 2, retries=2, retry_delay_s=0.01)])
    assert (outcome["flaky"].status, outcome["flaky"].attempts) == ("completed", 3)
    assert outcome.fields("flaky")["calls"] == 3
    assert bench.run([failing("worse", bench.folder, 2, retries=1)])["worse"].status == "failed"
    assert (bench.folder / "worse").stat().st_size == 2


def test_what_trying_again_cannot_help_is_not_tried_again(bench: Bench) -> None:
    assert not is_retryable(ValidationError("wrong")) and not is_retryable(CancelledError("stopped"))
    assert not is_retryable(KeyError("fault")) and is_retryable(WorkerLostError("gone"))
    calls = []
    with pytest.raises(ValidationError):
        PlainSubmitter().submit(Step("n", retries=5), lambda attempt: calls.append(attempt) or _wrong())
    assert calls == [1]


def _wrong() -> None:
    raise ValidationError("wrong")


def test_a_field_that_turns_out_missing_is_said(bench: Bench) -> None:
    nodes = [node("a", "give", value={"x": [1, 2]}), node("b", "give", value="from:a.value.y"),
             node("c", "give", value="from:a.value.x.2"), node("d", "give", value="from:a.value.x.-1")]  # fmt: skip
    outcome = bench.run(nodes)
    assert "there is no 'y'" in str(outcome["b"].error) and "Known: x" in str(outcome["b"].error)
    assert "0 to 1" in str(outcome["c"].error)
    assert outcome.fields("d") == {"value": 2}


def test_every_kind_of_reference_arrives(bench: Bench) -> None:
    nodes = [
        node("a", "array", n=1000),
        node("one", "give", value="from:a.array.7"),
        node("all", "give", value={"whole": ["from:a"], "device": "from:a.meta.device"}),
        node("sum", "array", n=1, numbers="from:a.array"),
    ]
    outcome = bench.run(nodes)
    assert outcome.fields("one") == {"value": 7.0}
    assert outcome.fields("all")["value"]["device"] == "cpu"
    assert outcome.fields("all")["value"]["whole"][0]["total"] == 0.0
    assert outcome.fields("sum")["total"] == 999 * 1000 / 2


def test_a_declared_output_that_is_not_written_fails_the_node(bench: Bench) -> None:
    declared = {"visual_outputs": {"static": True, "series": True}}
    outcome = bench.run([node("a", "draw", extra=declared, write=["static"])])
    assert "was to write a series output" in str(outcome["a"].error)
    assert bench.run([node("a", "draw", extra=declared, write=["static", "series"])])["a"].status == "completed"


def test_a_file_that_vanishes_or_changes_meanwhile_is_said(bench: Bench) -> None:
    path = bench.folder / "x.txt"
    nodes = [node("first", "give", value=1), node("a", "read", needs=("first",), file=str(path))]
    for change, said in ((path.unlink, "is gone"), (lambda: path.write_text("other"), "changed while")):
        path.write_text("text")
        outcome = bench.run(nodes, watch=lambda event, act=change: event.node_id == "first" and _once(act, path))
        assert said in str(outcome["a"].error)
        nodes[0] = node("first", "give", value=2)


def _once(change: Callable[[], Any], path: Path) -> None:
    if path.exists() and path.read_text() == "text":
        change()


def test_many_inputs_are_handed_out_to_many_threads(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs_module, "KEEP", 2)
    sources = [node(f"s{i}", "give", value=i) for i in range(20)]
    bench.run(sources)
    readers = [node(f"r{i}", "give", value=[i, *(f"from:s{(i + j) % 20}.value" for j in range(7))]) for i in range(60)]
    outcome = bench.run([*sources, *readers], parallelism=16)
    assert outcome.record.status == "completed"
    assert outcome.fields("r5")["value"] == [5, 5, 6, 7, 8, 9, 10, 11]


def test_the_record_tells_all(bench: Bench) -> None:
    outcome = bench.run([node("a", "give", value=1), node("b", "add", extra={"device": "gpu", "seed": 3},
                                                          a="from:a.value")], parallelism=3)  # fmt: skip
    stored = bench.lab.store.record(str(outcome["b"].record))
    assert stored["sources"] == {"a": "from:a.value"}
    assert stored["parents"] == [outcome["a"].record]
    assert (stored["seed"], stored["device"], stored["device_requested"]) == (3, "cpu", "gpu")
    assert "on the CPU only" in stored["fallback"]
    assert outcome.record.meta["fallbacks"] == {"b": stored["fallback"]}
    assert outcome.record.meta["device_mix"] == ["cpu"]
    assert outcome.record.request.parallelism == 3
    assert bench.lab.find_run(outcome.record.run_id) == outcome.record


class StubSite(LocalSite):
    """Runs work when it is told to."""

    def __init__(self, store: Path, run: Callable[[Work], WorkResult]) -> None:
        super().__init__(store, 1)
        self.run = run
        self.stopped = threading.Event()

    def submit(self, work: Work) -> Future[WorkResult]:
        future: Future[WorkResult] = Future()
        try:
            future.set_result(self.run(work))
        except Exception as error:  # noqa: BLE001 - handed on
            future.set_exception(error)
        return future

    def close(self) -> None:
        self.stopped.set()
        super().close()


def with_site(bench: Bench, monkeypatch: pytest.MonkeyPatch, run: Callable[[Work], WorkResult]) -> StubSite:
    site = StubSite(bench.lab.store.root, run)
    monkeypatch.setattr(bench.lab, "sites", lambda at_once=None: [site])
    return site


def test_a_fault_of_ours_ends_the_node_not_the_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(work: Work) -> WorkResult:
        raise KeyError("surprise")

    with_site(bench, monkeypatch, broken)
    outcome = bench.run([node("a", "give")])
    assert "KeyError: 'surprise'" in str(outcome["a"].error)
    assert outcome.record.status == "failed"


def test_a_store_that_is_full_ends_the_node(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(work: Work) -> WorkResult:
        raise StoreError("No space left on device.", hint="Free disk space.")

    with_site(bench, monkeypatch, full)
    assert bench.run([node("a", "give")])["a"].error["code"] == "RESOURCE_ERROR"  # type: ignore[index]


def test_an_interrupt_stops_what_runs_and_writes_the_record(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def block(work: Work) -> WorkResult:
        if work.label != "stuck":
            return WorkResult(fields={"value": 1})
        site.stopped.wait(60)
        raise CancelledError("stopped")

    def interrupt(event: Any) -> None:
        if event.status == "cached":  # told in the walk's own thread, like a signal
            raise KeyboardInterrupt

    site = with_site(bench, monkeypatch, block)
    bench.run([node("known", "give", value="k")])
    nodes = [
        node("done", "give", value="d"),
        node("stuck", "give", value="s"),
        node("never", "give", value="from:stuck.value"),
        node("late", "give", value={"k": "from:done.value"}),
        {**node("again", "give", value="x"), "retries": 3, "retry_delay_s": 3600},
    ]

    def run(work: Work) -> WorkResult:
        if work.label == "again":
            raise ComputationError("not yet")
        return block(work)

    site.run = run
    twin = {**nodes[0], "id": "twin"}  # gets the result of `done` in the walk's own thread
    with pytest.raises(KeyboardInterrupt):
        bench.run([*nodes, twin], watch=interrupt, parallelism=4)
    record = bench.lab.find_run("latest")
    assert record.status == "cancelled"
    found = {item.id: item.status for item in record.nodes}
    assert found["done"] == "completed" and found["never"] == "cancelled" and found["again"] == "cancelled"
    assert bench.states(nodes)["done"] == "hit"
    assert list(bench.lab.store.leases.folder.glob("[!.]*")) == []


def test_two_labs_compute_each_key_once(bench: Bench, tmp_path: Path) -> None:
    nodes = [node(f"n{i}", "count", counter=str(tmp_path / f"c{i}"), x=i) for i in range(12)]
    nodes += [node(f"m{i}", "count", counter=str(tmp_path / f"d{i}"), x=f"from:n{i}.x") for i in range(12)]
    outcomes: list[Any] = []
    both_planned = threading.Barrier(2)

    def work() -> None:
        with open_lab(tmp_path) as lab:
            own = Bench(lab, tmp_path)
            planned = lab.plan

            def plan(*given: Any) -> Any:
                made = planned(*given)
                both_planned.wait(30)
                return made

            lab.plan = plan  # type: ignore[method-assign]
            outcomes.append(own.run(nodes, parallelism=3))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.record.status for outcome in outcomes] == ["completed"] * 2
    assert {path.name: path.stat().st_size for path in tmp_path.glob("[cd][0-9]*")} == {
        **{f"c{i}": 1 for i in range(12)}, **{f"d{i}": 1 for i in range(12)},
    }  # fmt: skip
    with open_store(tmp_path / "home" / "store") as store:
        assert list(store.verify()) == []


def test_what_fell_back_is_kept_under_the_device_that_it_ran_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [node("a", "drop", value=3), node("twin", "drop", value=3), node("b", "give", value="from:a.value")]
    monkeypatch.setattr(device, "accelerators", lambda: ("cuda",))
    fallen = bench.run(nodes)
    assert {name: fallen[name].status for name in ("a", "twin", "b")} == dict.fromkeys(("a", "b"), "completed") | {
        "twin": "cached"
    }
    monkeypatch.setattr(device, "accelerators", lambda: ())
    assert bench.states(nodes) == {"a": "hit", "twin": "hit", "b": "hit"}, "it was computed on the CPU"
    monkeypatch.setattr(device, "accelerators", lambda: ("cuda",))
    assert bench.states(nodes)["a"] == "miss", "nothing was computed on the accelerator"
