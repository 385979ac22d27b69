"""What the commands say of sites: those that are there, and those that only stand in the settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from physlab.lab import Lab
from physlab.service.environments import install_environment, prune_environments
from physlab.service.sites import check_site
from physlab.settings import load_settings
from physlab.sites.environment import Choice
from physlab.testing import sshd
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


OWN = '''
from physlab.tools import Port, registry
from physlab.tools.types import Params

registry.tool("planets", summary="Planets.")


class Mass(Params):
    times: float = 1.0


@registry.method("planets", "mass", params=Mass, returns=(Port("mass", "number", "kg"), Port("where", "text")))
def mass(params, context):
    """Return the mass of a planet, and where it was computed."""
    import physlab
    return {"mass": FACTOR * params.times, "where": physlab.__file__}


FACTOR = 2
'''
# Enough for pilots and these two tools; all that is installed would take a minute.
LEFT_HERE = (
    "torch", "onnxruntime", "pyoperon", "prefect", "dvc", "scikit-image", "weasyprint", "astropy", "scipy", "sympy",
    "h5py", "uproot", "imageio-ffmpeg", "matplotlib", "nbconvert", "ipython", "psycopg", "trimesh", "sqlalchemy",
    "alembic", "pillow", "pywavelets", "pybtex", "nbformat", "httpx", "typer", "rich", "fastapi", "pint", "ruamel-yaml",
    "networkx", "uncertainties", "fsspec",
)  # fmt: skip


def own_package(folder: Path, factor: int) -> None:
    """Install a package with a tool, as a package manager would that keeps no list of its files."""
    (folder / "planets").mkdir(parents=True, exist_ok=True)
    (folder / "planets" / "__init__.py").write_text("NAME = 'from the own package'\n")
    (folder / "planets" / "tools.py").write_text(OWN.replace("FACTOR = 2", f"FACTOR = {factor}"))
    info = folder / "planets-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[physlab.tools]\nplanets = planets.tools\n")


@slurm
@pytest.mark.skipif(bool(sshd.missing_parts()), reason=sshd.missing_parts() or "all there")
def test_a_cluster_with_nothing_but_a_python(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare, far, site = tmp_path / "bare", tmp_path / "far", tmp_path / "site"
    bare.mkdir()
    (bare / "python3").symlink_to(Path(sys.executable).resolve())
    monkeypatch.delenv("PYTHONPATH", raising=False)  # by which whoever runs the tests may have named a checkout
    assert subprocess.run([bare / "python3", "-c", "import physlab"], cwd=bare, capture_output=True).returncode
    own_package(site, 2)
    (tmp_path / "fit.py").write_text(
        "import part, planets\ndef tell(**known):\n    return {**known, 'name': planets.NAME + part.MARK}\n"
    )
    (tmp_path / "part.py").write_text("MARK = '!'\n")
    known = {"mass": "from:mass.mass", "where": "from:mass.where"}
    params = {"module": "fit.py", "function": "tell", "packages": ["part.py"], "arguments": known}
    nodes = [
        {"id": "mass", "tool": "planets", "method": "mass", "params": {"times": 3}},
        {"id": "all", "tool": "python", "params": params},
    ]
    (tmp_path / "graph.json").write_text(json.dumps({"metadata": {"title": "planets"}, "nodes": nodes}))
    given = {"SLURM_CONF": str(cluster.conf), "PATH": f"{bare}:/usr/sbin:/usr/bin:/bin"}
    with sshd.SshServer(given) as server:
        monkeypatch.setenv("PATH", f"{server.commands}:/usr/bin:/bin")
        monkeypatch.setenv("PYTHONPATH", str(site))
        far_site = (
            f'host = "login"\nfolder = "{far}"\nshare_store = false\nprologue = ["PATH={bare}:$PATH", "echo hello"]'
        )
        cli = lab(tmp_path, f'{far_site}\n[server]\nmode = "none"\n')
        install = ("site", "install", "hpc", *(word for name in LEFT_HERE for word in ("--without", name)), "--json")
        done = cli.json(*install)
        assert "planets" in done["sent_packages"] and 0 < done["wire"] < done["sent_size"] / 2
        cli.json("run", "graph.json", "--site", "hpc", "--json")
        found = cli.json("show", "latest", "all", "--json")["fields"]
        assert found["mass"] == 6 and found["name"] == "from the own package!"
        assert found["where"].startswith(done["folder"])

        monkeypatch.syspath_prepend(str(site))
        with Lab(load_settings(tmp_path, {"home": tmp_path / "home"}, environ={})) as far_lab:
            choice = Choice(leave_out=LEFT_HERE)
            assert install_environment(far_lab, "hpc", choice).was_there, "a second time nothing travels"
            good = next(look for look in check_site(far_lab, "hpc") if look.name == "python")
            assert good.ok and f"environment {done['digest']}" in good.found
            own_package(site, 5)
            stale = list(check_site(far_lab, "hpc"))[-1]
            assert stale.name == "python" and "planets has changed" in stale.found
            assert "physlab site install hpc --without torch" in stale.do
            again = install_environment(far_lab, "hpc", choice)
            assert (again.sent_packages, again.sent_files) == (("planets",), 1)
            assert next(look for look in check_site(far_lab, "hpc") if look.name == "python").ok
            comment = f"--comment=physlab environment {done['digest']}"
            job = cluster.run("sbatch", "--parsable", comment, "--output=/dev/null", "--wrap", "sleep 300").strip()
            assert prune_environments(far_lab, "hpc")["used"] == [done["digest"]], "a job in the queue holds it"
            cluster.run("scancel", job)
            cluster.wait("an empty queue", lambda: not cluster.queue(), 30)
            pruned = prune_environments(far_lab, "hpc")
            assert (pruned["removed"], pruned["kept"]) == ([done["digest"]], [again.digest])
    cluster.wait("an empty queue", lambda: not cluster.queue(), 30)
