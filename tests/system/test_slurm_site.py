"""Nodes in pilots on a real Slurm: the results of this machine, files by content, nothing said or left behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from physlab import service
from physlab.lab import Lab
from physlab.model import Node, RunRequest
from physlab.service.efficiency import efficiency
from physlab.testing import sshd
from physlab.testing.slurm import SlurmCluster, missing_parts
from tests.architecture.source import ROOT
from tests.processes import descendants
from tests.system.commandline import CommandLine
from tests.system.pilots import PILOT, Bench, one, shell
from tests.unit.tools.test_checkpoint import COUNT

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


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
    assert [job["state"] for job in found["jobs"]] == ["released"] and found["jobs"][0]["cores"] == 2
    assert (found["jobs"][0]["gpus"], found["jobs"][0]["gpu_percent"]) == (0, None)
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
    assert [job["state"] for job in efficiency(lab.lab, "latest")["jobs"]] == ["idle"]
    assert lab.run([shell("other", "echo")]).status == "completed", "they come back when there is work"


def test_closing_leaves_no_job_and_no_process(bench: Callable[..., Bench]) -> None:
    lab = bench()
    lab.run([shell("node", "true")])
    lab.lab.close()
    assert lab.cluster.wait("an empty queue", lambda: not lab.cluster.queue(), 20) < 20
    assert not descendants("foreman")


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


def test_what_can_use_an_accelerator_goes_to_its_partition(bench: Callable[..., Bench], tmp_path: Path) -> None:
    driver = tmp_path / "drivers" / "nvidia-smi"
    driver.parent.mkdir()
    driver.touch(mode=0o755)
    prologue = f'[ "$CUDA_VISIBLE_DEVICES" != 0 ] || export PATH={driver.parent}:$PATH'
    lab = bench(gpu_partition="gpu", prologue=(prologue,))
    nodes = [{"id": "caps", "tool": "accel_caps"}, {"id": "light", "tool": "constants_get", "params": {"name": "c"}}]
    record = lab.run(nodes, offload_policy="auto")
    caps = one(record, "caps")
    assert (caps.site, caps.placement) == ("hpc", "it can use cuda, which hpc has and this machine has not")
    made = lab.made(record, "caps")
    assert made.fields["accelerators"] == ["cuda"] and made.device == "cuda"
    assert one(record, "light").site == "local"
    job = str(next(iter(record.meta["jobs"]["hpc"])))
    asked = lab.cluster.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%P|%b")
    assert asked.startswith("gpu|") and asked.strip().endswith("gpu:1")


def test_a_partition_without_accelerators_is_found_out_once(bench: Callable[..., Bench]) -> None:
    lab = bench(gpu_partition="gpu")
    nodes = [{"id": "caps", "tool": "accel_caps"}]
    assert lab.run(nodes, offload_policy="auto").nodes[0].site == "hpc"
    assert lab.site.capacity().accelerators == ()
    second = lab.run(nodes, offload_policy="auto").nodes[0]
    assert second.site == "local"


def test_the_queue_says_how_long_a_node_would_wait(bench: Callable[..., Bench]) -> None:
    lab = bench(constraint="fast")
    node = Node(id="n", tool="shell")
    assert lab.site.wait_s(node) < 5
    lab.cluster.run("sbatch", "-C", "fast", "-n4", "-t", "5", "-o", "/dev/null", "--wrap", "sleep 60")
    lab.cluster.wait("a busy machine", lambda: bool(lab.pilots()), 10)
    busy = bench("busy", constraint="fast")
    assert 250 < busy.site.wait_s(node) <= 300
