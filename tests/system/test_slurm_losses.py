"""Every way in which a pilot of a real Slurm can be lost, and a run on it be stopped."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_parts
from physlab.tools.execute import execute
from tests.system.commandline import CommandLine
from tests.system.pilots import NAP, PILOT, Bench, asleep, one, shell
from tests.unit.test_parts import film_work

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with SlurmCluster.start(ClusterPlan(nodes=3)) as cluster:
        yield cluster


def lose(lab: Bench, how: Callable[[dict[str, int]], None], **node: Any) -> tuple[Any, float]:
    """Let a node run, do something to its pilot, and return what became of the node, and after how long [s]."""
    lost: list[float] = []

    def strike() -> None:
        while str((found := lab.running()).get("job")) not in lab.pilots():  # not the end of an earlier test's
            time.sleep(0.05)
        lost.append(time.monotonic())
        how(found)

    first = f"if [ ! -e {lab.folder}/begun ]; then touch {lab.folder}/begun; sleep {NAP}; fi"
    striker = threading.Thread(target=strike, daemon=True)
    striker.start()
    record = lab.run([shell("node", first, **node)])
    striker.join(10)
    return one(record, "node"), time.monotonic() - lost[0]


FILM: dict[str, Any] = {
    "id": "film", "tool": "plot", "method": "animation",
    "visual_outputs": {"static": False, "series": False, "animation": True},
    "params": {"frame_expr": "sin(x - t)*cos(y)", "t_range": [0, 9, 240], "renderer": "contour", "dpi": 50},
}  # fmt: skip


def test_a_film_is_drawn_on_two_pilots_of_which_one_is_lost(tmp_path: Path, bench: Callable[..., Bench]) -> None:
    lab = bench(cpus=1, share_store=False)

    def strike() -> None:
        """Kill the pilot that brings the first part, before it can be without another one."""
        folder = lab.lab.store.parts.folder
        pilots: list[psutil.Process] = []
        while not (kept := list(folder.iterdir())):
            if len(pilots) < 2:  # found beforehand: looking through all processes may take as long as a part
                all_there = psutil.process_iter(["cmdline"])
                pilots = [process for process in all_there if "dask" in " ".join(process.info["cmdline"] or ())]
            time.sleep(0.02)
        lost.append(json.loads(kept[0].read_text())["meta"]["pilot"])
        known = [process for process in pilots if lost[0] in process.info["cmdline"]]
        for process in known or psutil.process_iter(["cmdline"]):
            if lost[0] in (process.info["cmdline"] or ()):
                process.kill()

    lost: list[str] = []
    striker = threading.Thread(target=strike, daemon=True)
    striker.start()
    away = lab.made(lab.run([FILM], split_s=0.5), "film")
    striker.join(10)
    told = away.meta["parts"]
    assert len(told) == 6 and {one["site"] for one in told} == {"hpc"}
    assert lost[0] in {one["pilot"] for one in told} and len({one["pilot"] for one in told}) > 1
    failed = [one["failed"] for one in told if "failed" in one]
    assert 1 <= len(failed) < 6 and "its pilot ended as" in failed[0][0], "only what it had in hand is drawn again"
    whole = execute(film_work(tmp_path / "here", "plot", "animation", FILM["params"]))
    assert (whole.fields, whole.artifacts) == (away.fields, away.artifacts)


LOSSES: dict[str, tuple[Callable[[Bench, dict[str, int]], None], str]] = {
    "scancel": (lambda lab, found: lab.cluster.run("scancel", str(found["job"])) and None, "cancelled"),
    "worker killed": (lambda lab, found: os.kill(found["pid"], signal.SIGKILL), "failed"),
    "its time is over": (
        lambda lab, found: lab.cluster.run("scontrol", "update", f"jobid={found['job']}", "TimeLimit=0") and None,
        "timeout",
    ),
    "machine taken down": (
        lambda lab, found: lab.cluster.run("scontrol", "update", f"nodename={lab.pilots()[str(found['job'])]}",
                                           "state=down", "reason=test") and None,
        "node_fail",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LOSSES)
def test_a_lost_pilot_costs_the_node_an_attempt_but_no_retry(bench: Callable[..., Bench], what: str) -> None:
    how, word = LOSSES[what]
    lab = bench()
    node, took = lose(lab, lambda found: how(lab, found))
    print(f"{what}: {node.status} {took:.1f} s after it; {node.history}")
    assert (node.status, node.attempts) == ("completed", 2), node.error
    assert word in node.history[0] and "hpc, job" in node.history[0]


def test_a_machine_that_dies_is_left_alone(bench: Callable[..., Bench]) -> None:
    lab, dead = bench(), []

    def kill(found: dict[str, int]) -> None:
        dead.append(lab.pilots()[str(found["job"])])
        lab.cluster.kill_node(dead[0])

    try:
        node, took = lose(lab, kill)
        print(f"machine killed: {node.status} {took:.1f} s after it; {node.history}")
        assert (node.status, node.attempts) == ("completed", 2), node.error
        assert "node_fail" in node.history[0] and dead[0] in node.history[0]
        assert took < 20, "a replacement comes in seconds"
        assert lab.site._dispatcher is not None
        assert dead[0] in lab.site._dispatcher.crew._excluded
    finally:
        lab.cluster.start_node(dead[0])


def test_a_machine_that_is_cut_off_is_not_listened_to(bench: Callable[..., Bench]) -> None:
    """Its daemon dies, its jobs go on: Slurm gives the job up, so its pilot must not be heard any more."""
    lab, cut = bench(), []

    def cut_off(found: dict[str, int]) -> None:
        cut.append(lab.pilots()[str(found["job"])])
        lab.cluster.kill_daemon(f"slurmd-{cut[0]}")

    try:
        node, took = lose(lab, cut_off)
        print(f"machine cut off: {node.status} {took:.1f} s after it; {node.history}")
        assert (node.status, node.attempts) == ("completed", 2), node.error
        assert "node_fail" in node.history[0] and cut[0] in node.history[0]
    finally:
        lab.cluster.start_daemon(f"slurmd-{cut[0]}")


def test_a_foreman_that_is_killed_is_replaced(bench: Callable[..., Bench]) -> None:
    lab = bench()

    def kill(found: dict[str, int]) -> None:
        assert lab.site._dispatcher is not None
        assert lab.site._dispatcher.crew._link is not None
        os.kill(lab.site._dispatcher.crew._link.pid, signal.SIGKILL)

    node, took = lose(lab, kill)
    print(f"foreman killed: {node.status} {took:.1f} s after it; {node.history}")
    assert (node.status, node.attempts) == ("completed", 2), node.error
    lab.lab.close()
    lab.cluster.wait("an empty queue", lambda: not lab.cluster.queue(), 20)


def test_a_node_that_is_lost_again_and_again_is_given_up(bench: Callable[..., Bench]) -> None:
    lab = bench()
    suicide = (
        "p=$$; until ps -o args= -p $p | grep -q [d]ask.worker; do p=$(ps -o ppid= -p $p | tr -d ' '); done; kill -9 $p"
    )
    record = lab.run([shell("deadly", suicide)])
    node = one(record, "deadly")
    assert node.status == "failed" and node.attempts == 4, (node.attempts, node.history)
    assert len(node.history) == 4 and all("its pilot ended" in line for line in node.history)


def test_a_refused_pilot_is_told_in_slurms_words(bench: Callable[..., Bench]) -> None:
    begun = time.monotonic()
    record = bench(partition="nosuch").run([shell("node", "true")])
    assert "invalid partition specified: nosuch" in str(one(record, "node").error)
    assert time.monotonic() - begun < 20


def test_a_pilot_that_cannot_begin_is_told_with_its_last_words(bench: Callable[..., Bench]) -> None:
    lab = bench(prologue=("echo the module is missing >&2", "exit 3"))
    record = lab.run([shell("node", "true")])
    assert "Pilots end before they begin" in str(one(record, "node").error)
    assert "the module is missing" in str(one(record, "node").error)


def test_memory_is_raised_until_it_suffices(bench: Callable[..., Bench]) -> None:
    lab = bench(most_memory_gb=3)
    code = "def fill():\n    return {'n': len(bytearray(900_000_000))}\n"
    (lab.folder / "fill.py").write_text(code)
    nodes = [{"id": "hungry", "tool": "python", "params": {"module": "fill.py", "function": "fill"},
              "resources": {"memory_gb": 0.3}}]  # fmt: skip
    node = one(lab.run(nodes), "hungry")
    assert (node.status, node.attempts) == ("completed", 3), node
    assert "Tried again with 0.6 GB" in node.history[0] and "Tried again with 1.2 GB" in node.history[1]


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGKILL"])
def test_a_run_that_is_stopped_leaves_no_job_and_goes_on_later(
    near: SlurmCluster, tmp_path: Path, signal_name: str
) -> None:
    cli = CommandLine(tmp_path)
    site = "".join(f"{name} = {value!r}\n" for name, value in PILOT.items())
    (tmp_path / "physlab.toml").write_text(f'[server]\nmode = "none"\n[sites.slurm.hpc]\n{site}')
    nodes = [
        shell("quick", "echo done"),
        shell("slow", f"test -e {tmp_path}/go || sleep {NAP}", dependencies=["quick"]),
    ]
    (tmp_path / "graph.json").write_text(json.dumps({"metadata": {"title": "stopped"}, "nodes": nodes}))
    run = cli.start(
        "run",
        "graph.json",
        "--site",
        "hpc",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    near.wait("the slow node", lambda: bool(asleep()), 40)
    os.kill(run.pid, getattr(signal, signal_name))
    took = near.wait("an empty queue", lambda: not near.queue(), 30)
    near.wait("no program left", lambda: not asleep(), 20)
    run.communicate()
    print(f"{signal_name}: no job {took:.1f} s after it")
    (tmp_path / "go").touch()
    reply = cli.json("run", "graph.json", "--site", "hpc", "--json")
    assert {node["id"]: node["status"] for node in reply["nodes"]} == {"quick": "cached", "slow": "completed"}
    near.wait("an empty queue", lambda: not near.queue(), 30)
