"""A wheel in a clean environment, an editable install, a raw checkout: each runs its own flows, wherever it stands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from physlab.engine.locator import checkout
from physlab.engine.server import ServerInfo, ensure_server, environment, stop_server
from physlab.settings import child_environment, load_settings
from tests.empty_base import furnish

DEPENDENCIES = sysconfig.get_path("purelib")
SHIPPED = ("physlab", "flows", "blocks", "deployments", "pyproject.toml", "README.md", "LICENSE")
WHERE = '''"""One flow for this test."""
from pathlib import Path

from prefect import flow

import physlab


@flow(name="where")
def where(answer: str) -> None:
    """Say which physlab and which flow file this is."""
    Path(answer).write_text(f"{physlab.__file__}\\n{__file__}\\n")
'''
DEPLOYED = """
  - name: lab
    entrypoint: flows/where.py:where
    work_pool: *pool
"""
LOAD = """
import json
from physlab.engine.locator import flow_names, load_flow, root, set_root
assert set_root() == {"directory": str(root())}
print(json.dumps([str(root()), {name: load_flow(name).name for name in flow_names()}]))
"""


@dataclass
class Way:
    """One way to have physlab: an interpreter, the variables it needs, and the root that must be found."""

    python: Path
    root: Path
    variables: Mapping[str, str]

    def run(self, *arguments: str, cwd: Path, server: ServerInfo | None = None) -> str:
        given = environment(server) if server else {}
        done = subprocess.run(
            [self.python, *arguments],
            cwd=cwd,
            env=child_environment({"PYTHONPATH": "", **given, **self.variables}, drop_prefix="PREFECT_"),
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of its own, with one flow more."""
    repository = checkout()
    assert repository is not None
    copy = tmp_path_factory.mktemp("ways") / "source"
    copy.mkdir()
    for name in SHIPPED:
        if (repository / name).is_dir():
            shutil.copytree(repository / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(repository / name, copy)
    (copy / "flows" / "where.py").write_text(WHERE)
    with (copy / "deployments" / "prefect.yaml").open("a") as stream:
        stream.write(DEPLOYED)
    return copy


@pytest.fixture(scope="module")
def elsewhere(source: Path) -> Path:
    """Another checkout, to stand in: its physlab must never be taken for ours."""
    return Path(shutil.copytree(source, source.with_name("elsewhere")))


def clean_environment(folder: Path, *, with_pip: bool) -> tuple[Path, Path]:
    """Make an environment that sees this one's dependencies, but not its physlab; return its Python and packages."""
    venv.create(folder, with_pip=with_pip)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (packages / "dependencies.pth").write_text(f"{DEPENDENCIES}\n")
    return folder / "bin" / "python", packages


@pytest.fixture(scope="module")
def wheel(source: Path) -> Way:
    folder = source.parent
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", source],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    python, packages = clean_environment(folder / "clean", with_pip=True)
    [built] = (folder / "dist").glob("*.whl")
    subprocess.run(
        [python, "-m", "pip", "install", "--no-deps", "--no-index", "--ignore-installed", built],
        check=True,
        capture_output=True,
    )
    return Way(python, packages / "physlab" / "_bundled", {})


@pytest.fixture(scope="module")
def editable(source: Path) -> Way:
    """What `pip install -e` leaves: a path to the checkout, and a copy of the flows that soon is stale."""
    python, packages = clean_environment(source.parent / "editable", with_pip=False)
    (packages / "_editable_impl_physlab.pth").write_text(f"{source}\n")
    stale = packages / "physlab" / "_bundled"
    for name in ("flows", "blocks", "deployments"):
        (stale / name).mkdir(parents=True)
    (stale / "flows" / "where.py").write_text("raise RuntimeError('stale')")
    return Way(python, source, {})


@pytest.fixture(scope="module")
def raw(source: Path) -> Way:
    python, _ = clean_environment(source.parent / "bare", with_pip=False)
    return Way(python, source, {"PYTHONPATH": str(source)})


@pytest.fixture(params=["wheel", "editable", "raw"])
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.getfixturevalue(request.param)
    return found


def test_each_way_finds_and_loads_its_own_flows(way: Way, elsewhere: Path) -> None:
    root, flows = json.loads(way.run("-P", "-c", LOAD, cwd=elsewhere))
    assert Path(root) == way.root.resolve()
    assert flows["where"] == "where"
    assert all(name.replace("_", "-") == flow for name, flow in flows.items())
    assert {"define_dag", "validate_dag", "run_dag", "publish_report"} <= set(flows)


def test_a_checkout_runs_from_its_own_folder_without_installation(raw: Way, source: Path) -> None:
    bare = Way(raw.python, source, {})
    assert Path(json.loads(bare.run("-c", LOAD, cwd=source))[0]) == source.resolve()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, prefect_base: Path, source: Path, raw: Way
) -> Iterator[ServerInfo]:
    """A lab server to which the checkout's deployments were deployed."""
    base = tmp_path_factory.mktemp("lab")
    furnish(base / "home", prefect_base)
    settings = load_settings(base, {"home": base / "home"}, environ={"HOME": str(base)})
    info = ensure_server(settings)
    raw.run("-m", "prefect", "work-pool", "create", "lab", "--type", "process", cwd=source, server=info)
    deploy = ("-m", "prefect", "--no-prompt", "deploy", "-n", "*/lab", "--prefect-file", "deployments/prefect.yaml")
    raw.run(*deploy, cwd=source, server=info)
    yield info
    stop_server(settings)


def test_each_way_works_on_what_was_deployed(way: Way, server: ServerInfo, elsewhere: Path, tmp_path: Path) -> None:
    """The worker stands in another checkout, and `-m` puts that first on its path: the run must not care."""
    answer = tmp_path / "answer"
    way.run("-m", "prefect", "deployment", "run", "where/lab", "-p", f"answer={answer}", cwd=tmp_path, server=server)
    way.run("-m", "prefect", "worker", "start", "--pool", "lab", "--run-once", cwd=elsewhere, server=server)
    package, flow = map(Path, answer.read_text().split())
    expected = way.root if (way.root / "physlab").is_dir() else way.root.parent.parent
    assert package == (expected / "physlab" / "__init__.py").resolve()
    assert flow.resolve() == (way.root / "flows" / "where.py").resolve()
