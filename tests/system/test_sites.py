"""What the commands say of sites: those that are there, and those that only stand in the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from physlab.testing.slurm import SlurmCluster, missing_parts
from tests.architecture.source import ROOT
from tests.system.commandline import CommandLine

slurm = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")
SITE = 'cpus = 2\nmemory_gb = 0.5\nmax_pilots = 2\ninterface = "lo"\nwalltime_s = 600\n'


def lab(folder: Path, site: str = "") -> CommandLine:
    (folder / "physlab.toml").write_text(f"[sites.slurm.hpc]\n{SITE}{site}")
    return CommandLine(folder)


def test_a_lab_without_clusters_has_this_machine(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path)
    [site] = cli.json("sites", "--json")["sites"]
    assert (site["name"], site["kind"]) == ("local", "local") and site["cores"] >= 1
    assert "No cluster is described" in cli.run("sites").stderr
    assert "There is no cluster 'hpc'" in cli.run("site", "check", "hpc", code=1).stderr
    experiment = str(ROOT / "examples" / "hydrogen_2p.yaml")
    assert "There is no cluster 'nope'" in cli.run("run", experiment, "--site", "nope", code=1).stderr


def test_a_cluster_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin/nothing-here:/bin/nothing-here")
    reply = lab(tmp_path).json("site", "check", "hpc", "--json", code=1)
    assert [check["ok"] for check in reply["checks"]] == [False]
    assert "sbatch" in reply["checks"][0]["found"] and "host" in reply["checks"][0]["do"]


@slurm
def test_a_cluster_that_works(cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    monkeypatch.setenv("PATH", cluster.environment["PATH"])
    cli = lab(tmp_path)
    reply = cli.json("site", "check", "hpc", "--json")
    looks = ["commands", "policy", "partitions", "folder", "python", "round trip"]
    assert [check["name"] for check in reply["checks"]] == looks
    assert reply["ok"] and "it reads the lab's store" in reply["checks"][-1]["found"]
    cluster.wait("an empty queue", lambda: not cluster.queue())
    wrong = lab(tmp_path, 'partition = "nosuch"\n').json("site", "check", "hpc", "--json", code=1)
    assert wrong["checks"][-1] == {
        "name": "partitions", "ok": False, "found": "there is no 'nosuch'", "do": "There are: main, gpu.",
    }  # fmt: skip
    wrong = lab(tmp_path, 'python = "/bin/false"\n').json("site", "check", "hpc", "--json", code=1)
    assert wrong["checks"][-1]["name"] == "python" and "pip install physlab" in wrong["checks"][-1]["do"]
