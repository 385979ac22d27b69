"""This machine: cores, limits, deaths, and nothing left behind."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import __main__
from physlab.errors import CancelledError
from physlab.model import Node, Resources, Visuals, Work
from physlab.sites import LocalSite
from physlab.sites.local import usable_cores
from physlab.store import open_store
from tests.processes import descendants
from tests.unit.conftest import Bench, open_lab

USER = Path(__file__).parent / "user_code.py"
TWO_CORES = pytest.mark.skipif(len(usable_cores()) < 2, reason="this machine has one core")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_lab(tmp_path, **{"sites.local.workers": 2}) as lab:
        yield Bench(lab, tmp_path)


def python(name: str, function: str, /, resources: Any = None, **arguments: Any) -> dict[str, Any]:
    params = {"module": str(USER), "function": function, "arguments": arguments}
    return {"id": name, "tool": "python", "params": params, "resources": resources or {}}


def workers() -> list[psutil.Process]:
    return descendants("spawn_main")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    with open_store(tmp_path / "store") as store:
        yield store.root


def python_work(site: LocalSite, function: str) -> Work:
    params = {"module": str(USER), "function": function}
    return Work(key="k", label=function, tool="python", method=None, params=params, visuals=Visuals(), seed=0,
                device="cpu", time_limit_s=600, resources=Resources(), store=str(site.store))  # fmt: skip


@TWO_CORES
def test_nodes_get_cores_of_their_own(bench: Bench) -> None:
    names = ("a", "b")
    nodes = [python(name, "meet", folder=str(bench.folder), name=name, others=names) for name in names]
    nodes.append(python("both", "look", {"cpu": 2}))
    nodes.append(python("more", "look", {"cpu": 64}))
    outcome = bench.run(nodes, parallelism=4)
    a, b, both, more = (outcome.fields(name) for name in ("a", "b", "both", "more"))
    assert len(a["cores"]) == len(b["cores"]) == 1 and a["cores"] != b["cores"]
    assert (a["threads"], b["threads"], both["threads"], more["threads"]) == (1, 1, 2, 2)
    assert both["cores"] == more["cores"] == sorted({*a["cores"], *b["cores"]}) == usable_cores()[:2]
    assert {item["parent"] for item in (a, b, both, more)} == {os.getpid()}


@TWO_CORES
def test_what_does_not_fit_waits_and_waiting_is_not_counted(bench: Bench) -> None:
    long = python("long", "overlap", {"cpu": 2}, folder=str(bench.folder), name="long", until=2.5)
    short = [python(f"s{i}", "overlap", {"walltime_s": 2, "cpu": 2}, folder=str(bench.folder), name=f"s{i}", until=0.1)
             for i in range(3)]  # fmt: skip
    outcome = bench.run([long, *short], parallelism=4)
    assert set(outcome.statuses.values()) == {"completed"}
    log = (bench.folder / "log").read_text().split()
    assert all(end == begin.replace("+", "-") for begin, end in zip(log[::2], log[1::2], strict=True)), "one by one"


def test_limits_and_deaths_end_one_node_each(bench: Bench) -> None:
    nodes = [
        python("stuck", "stuck_in_c", {"walltime_s": 1}),
        python("parent", "stuck_with_child", {"walltime_s": 1}, folder=str(bench.folder)),
        python("killed", "die"),
        python("gone", "leave"),
        python("hog", "hog", {"memory_gb": 1}),
        {"id": "sleeper", "tool": "shell", "params": {"command": ["sleep", "1000"]}, "resources": {"walltime_s": 1}},
        python("well", "look"),
        python("behind", "look", {"cpu": 1}) | {"dependencies": ["stuck"]},
    ]
    outcome = bench.run(nodes, parallelism=4)

    def error(name: str) -> dict[str, Any]:
        assert outcome[name].status == "failed"
        return outcome[name].error or {}

    for name in ("stuck", "parent", "sleeper"):
        assert error(name)["code"] == "RESOURCE_ERROR"
        assert "limit of 1 s" in error(name)["message"] and "walltime_s" in error(name)["hint"]
    assert "worker process died (exit code -9)" in error("killed")["message"]
    assert "worker process died (exit code 3)" in error("gone")["message"]
    assert error("hog")["code"] == "RESOURCE_ERROR" and "out of memory" in error("hog")["message"]
    assert outcome["well"].status == "completed" and outcome["behind"].status == "skipped"
    bench.lab.close()
    child = int((bench.folder / "child").read_text())
    mine = [one for one in psutil.process_iter() if one.pid == child or (one.name() == "sleep" and _is_mine(one))]
    assert psutil.wait_procs(mine, timeout=30)[1] == []


def _is_mine(process: psutil.Process) -> bool:
    return psutil.Process().pid in [parent.pid for parent in process.parents()]


def test_stopping_kills_what_runs_and_frees_who_waits(store: Path) -> None:
    site = LocalSite(store, cores=1)
    running = site.submit(python_work(site, "stuck_in_c"))
    waited: list[BaseException] = []

    def wait() -> None:
        try:
            site.submit(python_work(site, "look"))
        except CancelledError as error:
            waited.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert workers()
    site.close()
    waiter.join()
    assert len(waited) == 1
    assert isinstance(running.exception(), CancelledError)
    assert not workers()
    with pytest.raises(CancelledError):
        site.submit(python_work(site, "look"))


def test_one_piece_of_work_can_be_stopped(store: Path) -> None:
    site = LocalSite(store, cores=1)
    try:
        running = site.submit(python_work(site, "stuck_in_c"))
        site.cancel(running)
        assert isinstance(running.exception(timeout=60), CancelledError)
        assert site.submit(python_work(site, "look")).result(timeout=120).fields["threads"] == 1
        site.cancel(running)
    finally:
        site.close()


def test_the_main_module_stays_out_of_workers(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text("MARK_OF_THE_MAIN_MODULE = open('ran', 'a')\n")
    monkeypatch.setattr(__main__, "__file__", str(main), raising=False)
    monkeypatch.setattr(__main__, "__spec__", None)
    assert bench.run([python("a", "look")]).fields("a")["main"] is False
    assert sys.modules["__main__"] is __main__


def test_no_more_workers_than_nodes_at_once(store: Path) -> None:
    site = LocalSite(store, cores=8, at_once=1)
    try:
        site.submit(python_work(site, "look")).result(timeout=120)
        assert len(workers()) == 1
    finally:
        site.close()


def test_a_site_says_what_it_can_and_what_it_would_do(tmp_path: Path) -> None:
    site = LocalSite(tmp_path, cores=2)
    assert site.capacity().cpu == 2 and (site.capacity().memory_gb or 0) > 0

    def score(**asked: Any) -> float:
        return site.affinity(Node(id="n", tool="t", resources=Resources(**asked) if asked else None)).score

    assert score() == 1.0
    assert score(cpu=2) == 0.9
    assert score(cpu=3) == score(nodes=2) == score(memory_gb=1e6) == 0.1
    script = site.script(python_work(site, "look"))
    assert script.startswith("physlab call - <<'JSON'\n") and '"function": "look"' in script
    site.close()


def test_working_copies_of_the_dead_are_swept(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    gone = next(pid for pid in range(4_000_000, 1, -1) if not psutil.pid_exists(pid))
    kept = {f"{os.getpid()}-{socket.gethostname()}-aa", f"{gone}-another-host-bb", "notes"}
    for name in (*kept, f"{gone}-{socket.gethostname()}-cc"):
        (scratch / name).mkdir(parents=True)
    LocalSite(tmp_path).close()
    assert {path.name for path in scratch.iterdir()} == kept


def test_light_tools_run_here(bench: Bench) -> None:
    bench.run([{"id": "c", "tool": "constants_get", "params": {"name": "c"}}])
    assert not workers()


def test_a_lab_keeps_its_workers_from_run_to_run(bench: Bench) -> None:
    [site] = bench.lab.sites(1)
    used = []
    for expr in ("x**2", "x**3"):
        node = {"id": "d", "tool": "cas", "method": "diff", "params": {"expr": expr, "symbol": "x"}}
        assert bench.run([node], parallelism=1).statuses == {"d": "completed"}
        used.append({one.pid for one in workers()})
    assert used[0] == used[1] != set() and bench.lab.sites(1) == [site]
    site.close()
    assert workers() == [] and bench.lab.sites(1) != [site]
