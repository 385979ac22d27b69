"""Every command of the documentation is run for real, and prints what the text says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from physlab.testing.kubernetes import KubernetesCluster
from physlab.testing.kubernetes import missing_parts as kubernetes_lacks
from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_parts
from tests.empty_base import furnish
from tests.flows import podlab
from tests.system.transcript import play, read

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    page
    for page in (ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "howto").glob("*.md")))
    if list(read(page.read_text(encoding="utf-8")))
]
NEEDS = {"own-programs": "gfortran", "transfer": "age"}
CLUSTER = ("laptop-to-cluster", "slurm-jobs", "slurm-worker")
KUBERNETES = ("kubernetes-jobs",)
PODS = "laptop-to-kubernetes"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A lab of its own: no settings of this machine, and its server stopped in the end."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PHYSLAB_", "PREFECT_", "ACCEL_"))}
    own = {"PHYSLAB_HOME": str(tmp_path / "lab"), "XDG_CONFIG_HOME": str(tmp_path / "config"), "COLUMNS": "110"}
    program = Path(sys.executable).parent / "physlab"
    environment = {**kept, **own, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    yield environment
    subprocess.run([program, "server", "down"], env=environment, cwd=tmp_path, check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs(page: Path, environment: dict[str, str], tmp_path: Path, prefect_base: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    needed = NEEDS.get(page.stem)
    if needed and shutil.which(needed) is None:
        pytest.skip(f"{needed} is not installed")
    if page.stem in ("server", "slurm-worker"):
        copy_tree(folder)  # its deployments
    if page.stem in ("server", "slurm-worker", PODS):  # pods are started by the lab's own server
        furnish(tmp_path / "lab", prefect_base)
    else:  # each start costs seconds
        environment["PHYSLAB_SERVER__MODE"] = "none"
    with cluster_for(page, environment), pods_for(page, environment, tmp_path):
        play(page, folder, environment)


@contextmanager
def cluster_for(page: Path, environment: dict[str, str]) -> Iterator[None]:
    """Start a cluster for a page that is about one."""
    if page.stem in KUBERNETES:
        with kubernetes(environment):
            yield
        return
    if page.stem not in CLUSTER:
        yield
        return
    if missing := missing_parts():
        pytest.skip(missing)
    with SlurmCluster.start(ClusterPlan(nodes=2)) as cluster:
        found = cluster.environment
        environment |= {"SLURM_CONF": found["SLURM_CONF"], "PATH": f"{environment['PATH']}:{found['PATH']}"}
        environment |= {"PREFECT_WORKER_QUERY_SECONDS": "1"}
        yield


@contextmanager
def kubernetes(environment: dict[str, str]) -> Iterator[None]:
    if missing := kubernetes_lacks():
        pytest.skip(missing)
    with KubernetesCluster.start() as cluster:
        environment["KUBECONFIG"] = str(cluster.kubeconfig)
        yield


@contextmanager
def pods_for(page: Path, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """Start what the page on Kubernetes takes for granted: a cluster, a bucket, a worker beside the lab's server."""
    if page.stem != PODS:
        yield
        return
    if missing := podlab.missing_parts():
        pytest.skip(missing)
    with podlab.KubernetesCluster.start(podlab.plan()) as cluster, podlab.bucket() as url:
        podlab.keep_keys(cluster)
        said = subprocess.run(
            ["physlab", "server", "env"], env=environment, cwd=folder, capture_output=True, text=True, check=True
        ).stdout
        found = dict(re.findall(r"export (PREFECT_\w+)=['\"]?([^'\"\n]*)", said))
        environment |= {"KUBECONFIG": str(cluster.kubeconfig), **podlab.KEYS}
        environment |= {"PHYSLAB_SITES__KUBERNETES__K8S__STORE_ENDPOINT": url}
        with SyncPrefectClient(found["PREFECT_API_URL"], auth_string=found.get("PREFECT_API_AUTH_STRING")) as client:
            podlab.make_test_pool(client, cluster, "physlab-k8s")
        with podlab.worker(found, cluster, folder, "physlab-k8s"):
            yield


@pytest.mark.timeout(1200)
def test_the_readme_runs_on_a_fresh_copy(environment: dict[str, str], tmp_path: Path) -> None:
    """Set-up included: the copy makes its own environment."""
    copy_tree(tmp_path / "physlab")
    environment |= {"PATH": os.environ["PATH"], "UV_COMPILE_BYTECODE": "0"}  # 30 s of CPU for 12,700 modules
    skip = ["make test"]  # which is what runs this
    play(ROOT / "README.md", tmp_path / "physlab", environment, skip=skip, limit_s=1100)


@pytest.mark.timeout(600)
def test_dvc_reproduces_the_example(environment: dict[str, str], tmp_path: Path) -> None:
    copy = copy_tree(tmp_path / "physlab")
    environment["PHYSLAB_SERVER__MODE"] = "none"

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("git", "init", "--quiet")
    run("dvc", "repro")
    published = copy / "published" / "hydrogen_2p"
    assert (published / "report.pdf").read_bytes().startswith(b"%PDF")
    assert list((published / "animations").glob("*.mp4")) and list((published / "figures").glob("*.png"))
    assert "didn't change" in run("dvc", "repro")


def copy_tree(target: Path) -> Path:
    """Copy what the repository holds, and what is new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def test_the_generated_pages_are_current() -> None:
    subprocess.run([sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], check=True)


def test_links_lead_somewhere() -> None:
    import re

    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page} links to {target}, which is not there"


def test_the_tool_in_the_python_page_works(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    [module] = [part.partition("```")[0] for part in text.split("```python\n") if "registry.tool(" in part]
    (tmp_path / "pendulum.py").write_text(module)
    use = (
        "from pathlib import Path; from physlab.model import Visuals; from physlab.tools.call import call_method; "
        "from physlab.tools.context import Context; import pendulum; "
        "method = pendulum.registry.find('pendulum', 'period'); "
        "print(call_method(method, {'length': '100 cm'}, Context(Path(), Visuals()))['period'])"
    )
    done = subprocess.run([sys.executable, "-c", use], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(2.0060666807)  # 2π √(1 m / 9.81 m s⁻²)
