"""Nodes in pilots on a real Slurm: the same results, and every way in which a pilot can be lost."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from physlab import service
from physlab.lab import Lab
from physlab.model import NodeRecord, RunRecord, RunRequest
from physlab.service.efficiency import efficiency
from physlab.settings import load_settings
from physlab.sites.slurm.site import SlurmSite
from physlab.testing import sshd
from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_parts
from tests.architecture.source import ROOT
from tests.system.commandline import CommandLine
from tests.unit.tools.test_checkpoint import COUNT

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")
PILOT = {"cpus": 2, "memory_gb": 0.5, "max_pilots": 2, "interface": "lo", "walltime_s": 600, "idle_s": 20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with SlurmCluster.start(ClusterPlan(nodes=3)) as cluster:
        yield cluster


@pytest.fixture
def near(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """The cluster, with its commands at hand as on a login node."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    monkeypatch.setenv("PATH", cluster.environment["PATH"])
    yield cluster
    cluster.reset()


class Bench:
    """A lab beside the cluster."""

    def __init__(self, folder: Path, cluster: SlurmCluster, /, **changes: Any) -> None:
        self.folder, self.cluster = folder, cluster
        folder.mkdir(exist_ok=True)
        site = {f"sites.slurm.hpc.{name}": value for name, value in {**PILOT, **changes}.items()}
        home = {"home": str(folder / "home"), "results": str(folder / "results")}
        self.lab = Lab(load_settings(folder, overrides={**home, **site}, environ={}))

    def run(self, nodes: list[dict[str, Any]], **wishes: Any) -> RunRecord:
        graph = {"metadata": {"title": "test"}, "nodes": nodes}
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

    def running(self, marker: str) -> dict[str, int]:
        """Return the job and the worker that runs a program."""
        for process in psutil.process_iter(["cmdline"]):
            if marker in " ".join(process.info["cmdline"] or ()) and "sleep" in (process.info["cmdline"] or [""])[0]:
                above = process.parents()
                pilot = next((one for one in above if "dask" in " ".join(one.cmdline())), None)
                job = next((int(seen["SLURM_JOB_ID"]) for one in above if "SLURM_JOB_ID" in (seen := one.environ())), 0)
                if pilot is not None and job:
                    return {"job": job, "pid": pilot.pid}
        return {}


@pytest.fixture
def bench(near: SlurmCluster, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(name: str = "lab", **changes: Any) -> Bench:
        made.append(Bench(tmp_path / name, near, **changes))
        return made[-1]

    yield make
    for one in made:
        one.lab.close()


def shell(name: str, command: str, **extra: Any) -> dict[str, Any]:
    params = {"command": command, **extra.pop("params", {})}
    return {"id": name, "tool": "shell", "params": params, **extra}


def one(record: RunRecord, name: str) -> Any:
    return next(node for node in record.nodes if node.id == name)


def test_the_cluster_gives_what_this_machine_gives(bench: Callable[..., Bench]) -> None:
    here, there = bench("here"), bench("there")
    file = str(ROOT / "examples" / "hydrogen_2p.yaml")
    for lab, site in ((here, "local"), (there, "hpc")):
        request = RunRequest(site=site, offload_policy="remote_first", parallelism=2)
        assert service.run_dag(lab.lab, file, request).error is None
    local, away = here.lab.find_run("latest"), there.lab.find_run("latest")
    assert {node.site for node in local.nodes} == {"local"} and {node.site for node in away.nodes} == {"hpc"}
    for node in local.nodes:
        mine, theirs = here.made(local, node.id), there.made(away, node.id)
        assert mine.field_digests == theirs.field_digests
        assert [item.sha256 for item in mine.artifacts] == [item.sha256 for item in theirs.artifacts]
        assert mine.key == theirs.key
    again = service.run_dag(there.lab, file, RunRequest(site="local", parallelism=2))
    assert {node["status"] for node in again.body["nodes"]} == {"cached"}, "a result is the same wherever it was made"


def test_what_asks_for_much_goes_there_and_the_rest_stays(bench: Callable[..., Bench]) -> None:
    lab = bench()
    nodes = [
        {"id": "light", "tool": "constants_get", "params": {"name": "c"}},
        shell("heavy", "echo $OMP_NUM_THREADS > n.txt", params={"outputs": ["n.txt"]},
              resources={"cpu": 64, "memory_gb": 0.1}),
        {"id": "after", "tool": "cas", "method": "evaluate", "params": {"expr": "2*x", "vars": {"x": 4}},
         "dependencies": ["heavy"]},
    ]  # fmt: skip
    record = lab.run(nodes, offload_policy="auto")  # no machine of the cluster has so many cores: sbatch says so
    assert "More processors requested than permitted" in str(one(record, "heavy").error)
    nodes[1]["resources"]["cpu"] = 4
    record = lab.run(nodes, offload_policy="auto")
    assert {node.id: node.site for node in record.nodes if node.status == "completed"} == {
        "heavy": "hpc",
        "after": "local",
    }
    assert "hpc gives 1 × 4 cores" in one(record, "heavy").placement


def test_files_travel_by_content_where_nothing_is_shared(bench: Callable[..., Bench]) -> None:
    lab = bench()
    lab.site.share = False
    (lab.folder / "given.txt").write_text("from the laptop")
    size = 9_000_001
    nodes = [
        shell("big", f"head -c {size} /dev/zero > big.bin; tr a-z A-Z < given.txt > small.txt; : > empty.txt",
              params={"inputs": ["given.txt"], "outputs": ["big.bin", "small.txt", "empty.txt"]}),
        shell("count", "wc -c < big.bin > n.txt; cat small.txt >> n.txt",
              params={"inputs": {"big.bin": "from:big.big", "small.txt": "from:big.small"},
                      "outputs": ["n.txt"]}),
    ]  # fmt: skip
    record = lab.run(nodes)
    assert record.status == "completed", [node.error for node in record.nodes]
    [text] = [item for item in lab.made(record, "count").artifacts if item.name.endswith("n.txt")]
    assert lab.lab.store.blobs.read(text.sha256).decode().split("\n")[0].strip() == str(size)
    assert b"FROM THE LAPTOP" in lab.lab.store.blobs.read(text.sha256)
    assert (lab.folder / "home" / "sites" / "hpc" / "store" / "objects").is_dir()


def test_a_checkpoint_travels_to_the_next_pilot(bench: Callable[..., Bench]) -> None:
    lab = bench(share_store=False)
    params = {"checkpoint": ["state.txt"], "outputs": ["out.txt"]}
    record = lab.run([shell("count", COUNT, params=params, resources={"walltime_s": 2})])
    node = one(record, "count")
    assert node.status == "completed" and node.attempts >= 2, node.error
    [made] = [item for item in lab.made(record, "count").artifacts if item.name.endswith("out.txt")]
    assert lab.lab.store.blobs.read(made.sha256) == b"30 0\n"


def test_a_pilot_knows_nothing_of_the_lab(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "secret-of-mine")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    lab = bench()
    record = lab.run(
        [shell("look", "cat /proc/$PPID/environ | tr '\\0' '\\n' > env.txt", params={"outputs": ["env.txt"]})]
    )
    assert record.status == "completed", record.nodes[0].error
    [item] = [item for item in lab.made(record, "look").artifacts if item.name.endswith("env.txt")]
    seen = lab.lab.store.blobs.read(item.sha256).decode()
    assert "SLURM_JOB_ID" in seen and "secret-of-mine" not in seen and "PREFECT_API_URL" not in seen
    for path in lab.folder.rglob("*"):
        assert not path.is_file() or b"PRIVATE KEY" not in path.read_bytes(), path


def test_only_who_has_the_key_reaches_the_pilots(bench: Callable[..., Bench]) -> None:
    from distributed import Client, Security

    lab = bench()
    lab.run([shell("first", "true")])
    assert lab.site._dispatcher is not None
    [pool] = lab.site._dispatcher.crew._pools.values()
    address = pool.client.scheduler.address
    assert address.startswith("tls://")
    for stranger in (Security.temporary(), None):
        with pytest.raises((OSError, ValueError, TypeError)):
            Client(address if stranger else address.replace("tls", "tcp"), security=stranger, timeout=2)


def lose(lab: Bench, how: Callable[[dict[str, int]], None], **node: Any) -> tuple[Any, float]:
    """Let a node run, do something to its pilot, and return what became of the node, and after how long [s]."""
    lost: list[float] = []

    def strike() -> None:
        while not (found := lab.running("987")):
            time.sleep(0.05)
        lost.append(time.monotonic())
        how(found)

    first = f"if [ ! -e {lab.folder}/begun ]; then touch {lab.folder}/begun; sleep 987; fi"
    striker = threading.Thread(target=strike, daemon=True)
    striker.start()
    record = lab.run([shell("node", first, **node)])
    striker.join(10)
    return one(record, "node"), time.monotonic() - lost[0]


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


def test_what_was_asked_for_is_held_against_what_was_used(bench: Callable[..., Bench]) -> None:
    lab = bench()
    (lab.folder / "busy.py").write_text(
        "import time\ndef busy(s):\n    t = time.process_time()\n    x = bytearray(150_000_000)\n"
        "    while time.process_time() - t < s: pass\n    return {'n': len(x)}\n"
    )
    params = {"module": "busy.py", "function": "busy", "arguments": {"s": 2.0}}
    node = {"id": "busy", "tool": "python", "params": params, "resources": {"cpu": 2, "memory_gb": 0.4}}
    assert lab.run([node]).status == "completed"
    lab.lab.close()
    lab.cluster.wait("an empty queue", lambda: not lab.cluster.queue(), 20)
    with Lab(lab.lab.settings) as again:
        found = efficiency(again, "latest")
    [used] = found["nodes"]
    assert 2.0 <= used["cpu_s"] < 4 and 150 < used["peak_mb"] < 400 and used["asked"]["cpu"] == 2
    assert found["resources"] == {"busy": {"cpu": 1, "memory_gb": pytest.approx(0.25, abs=0.15), "walltime_s": 60}}
    assert [job["state"] for job in found["jobs"]] == ["cancelled"] and found["jobs"][0]["cores"] == 2
    assert found["core_hours"]["reserved"] > found["core_hours"]["used"] > 0


@pytest.mark.parametrize("share", [True, False])
def test_the_labs_own_tools_go_along(near: SlurmCluster, tmp_path: Path, share: bool) -> None:
    cli = CommandLine(tmp_path)
    (tmp_path / "optics.py").write_text(
        "from physlab import tool\n\n\n@tool('lens.image')\ndef image(f: float, g: float) -> float:\n"
        '    """Return where a thin lens draws its image.\n\n    Args:\n        f: Focal length [m].\n'
        '        g: Object distance [m].\n\n    Returns:\n        b: Image distance [m].\n    """\n'
        "    return 1 / (1 / f - 1 / g)\n"
    )
    site = "".join(f"{name} = {value!r}\n" for name, value in {**PILOT, "share_store": share}.items())
    site = site.replace("True", "true").replace("False", "false")
    (tmp_path / "physlab.toml").write_text(f'tools = ["optics.py"]\n[server]\nmode = "none"\n[sites.slurm.hpc]\n{site}')
    nodes = [{"id": "image", "tool": "lens", "method": "image", "params": {"f": 0.1, "g": 0.3}}]
    (tmp_path / "graph.json").write_text(json.dumps({"metadata": {"title": "lens"}, "nodes": nodes}))
    cli.json("run", "graph.json", "--site", "hpc", "--json")
    shown = cli.json("show", "latest", "--json")
    assert "hpc" in json.dumps(shown)
    near.wait("an empty queue", lambda: not near.queue(), 30)


def test_pilots_without_work_end(bench: Callable[..., Bench]) -> None:
    lab = bench(idle_s=1)
    lab.run([shell("node", "true")])
    assert lab.cluster.wait("no pilots", lambda: not lab.cluster.queue(), 20) < 20
    assert lab.run([shell("other", "echo")]).status == "completed", "they come back when there is work"


def test_closing_leaves_no_job_and_no_process(bench: Callable[..., Bench]) -> None:
    lab = bench()
    lab.run([shell("node", "true")])
    lab.lab.close()
    assert lab.cluster.wait("an empty queue", lambda: not lab.cluster.queue(), 20) < 20
    assert not [one for one in psutil.Process().children(recursive=True) if "foreman" in " ".join(one.cmdline())]


@pytest.mark.skipif(bool(sshd.missing_parts()), reason=sshd.missing_parts() or "all there")
@pytest.mark.parametrize("scheduler", ["here", "job"])
def test_nodes_go_to_a_cluster_behind_ssh(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheduler: str
) -> None:
    lab = bench(host="login", folder=str(tmp_path / "far"), python=sys.executable, scheduler=scheduler)
    given = {"SLURM_CONF": str(lab.cluster.conf), "PATH": lab.cluster.environment["PATH"]}
    with sshd.SshServer(given) as server:
        monkeypatch.delenv("SLURM_CONF")
        monkeypatch.setenv("PATH", f"{server.commands}:/usr/bin:/bin")
        lab.site.share = False
        (lab.folder / "given.txt").write_text("from the laptop")
        node = shell("away", "tr a-z A-Z <given.txt >out.txt",
                     params={"inputs": ["given.txt"], "outputs": ["out.txt"]})  # fmt: skip
        try:
            record = lab.run([node])
            assert record.status == "completed", record.nodes[0].error
            [item] = [item for item in lab.made(record, "away").artifacts if item.name.endswith("out.txt")]
            assert b"FROM THE LAPTOP" in lab.lab.store.blobs.read(item.sha256)
            assert (tmp_path / "far" / "store" / "objects").is_dir()
        finally:
            lab.lab.close()
        lab.cluster.wait("an empty queue", lambda: not lab.cluster.queue(), 20)


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGKILL"])
def test_a_run_that_is_stopped_leaves_no_job_and_goes_on_later(
    near: SlurmCluster, tmp_path: Path, signal_name: str
) -> None:
    cli = CommandLine(tmp_path)
    site = "".join(f"{name} = {value!r}\n" for name, value in PILOT.items())
    (tmp_path / "physlab.toml").write_text(f'[server]\nmode = "none"\n[sites.slurm.hpc]\n{site}')
    nodes = [shell("quick", "echo done"), shell("slow", f"test -e {tmp_path}/go || sleep 987", dependencies=["quick"])]
    (tmp_path / "graph.json").write_text(json.dumps({"metadata": {"title": "stopped"}, "nodes": nodes}))
    run = cli.start(
        "run",
        "graph.json",
        "--site",
        "hpc",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    near.wait("the slow node", lambda: bool(asleep("987")), 40)
    os.kill(run.pid, getattr(signal, signal_name))
    took = near.wait("an empty queue", lambda: not near.queue(), 30)
    near.wait("no program left", lambda: not asleep("987"), 20)
    run.communicate()
    print(f"{signal_name}: no job {took:.1f} s after it")
    (tmp_path / "go").touch()
    reply = cli.json("run", "graph.json", "--site", "hpc", "--json")
    assert {node["id"]: node["status"] for node in reply["nodes"]} == {"quick": "cached", "slow": "completed"}
    near.wait("an empty queue", lambda: not near.queue(), 30)


def asleep(marker: str) -> list[int]:
    found = psutil.process_iter(["cmdline"])
    return [one.pid for one in found if (one.info["cmdline"] or [])[:2] == ["sleep", marker]]
