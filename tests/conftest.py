"""What all tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from physlab.plugins import all_tools
from tests import empty_base
from tests.unit import toys

OWN_CACHE = pytest.StashKey[tempfile.TemporaryDirectory[str]]()
CACHES = {"PIP_CACHE_DIR": "pip", "UV_CACHE_DIR": "uv", "MPLCONFIGDIR": "matplotlib"}

WAITING = ("tests/flows/", "tests/system/", "tests/contract/", "tests/architecture/test_ways_to_live.py")
LONGEST = [
    "tests/system/test_readme.py",
    "tests/flows/test_kubernetes_site.py",
    "tests/flows/test_slurm_worker.py",
    "tests/system/test_slurm_losses.py",
    "tests/flows/test_recorder.py",
    "tests/flows/test_server.py",
    "tests/system/test_slurm_site.py",
    "tests/system/test_cli_experiment.py",
    "tests/system/test_job_crash.py",
    "tests/architecture/test_ways_to_live.py",
]


def pytest_configure(config: pytest.Config) -> None:
    """Give each process of the tests a cache of its own: in it, labs agree on how often a cluster is asked."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if not hasattr(config, "workerinput"):  # its workers inherit these: others' downloads need not come twice
        for name, folder in CACHES.items():
            os.environ.setdefault(name, str(usual / folder))
    config.stash[OWN_CACHE] = tempfile.TemporaryDirectory(prefix="physlab-cache-", ignore_cleanup_errors=True)
    os.environ["XDG_CACHE_HOME"] = config.stash[OWN_CACHE].name


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[OWN_CACHE].cleanup()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=1, help="How many seeds each drill runs with.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "drill_seed" in metafunc.fixturenames:
        metafunc.parametrize("drill_seed", range(metafunc.config.getoption("seeds")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lay the modules that compute between those that mostly wait for clusters and servers, the longest of these first.

    Workers take modules in this order. So at no time all of them wait, or all of them compute, which makes the others'
    clusters late; and at the end no long module is left to one of them.
    """
    modules: dict[str, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.nodeid.partition("::")[0], []).append(item)
    waiting = [name for name in modules if name.startswith(WAITING)]
    waiting.sort(key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))
    computing = [name for name in modules if not name.startswith(WAITING)]
    each = len(computing) // (len(waiting) + 1) or 1
    order = []
    for number, name in enumerate(waiting):
        order += [name, *computing[number * each : (number + 1) * each]]
    order += computing[len(waiting) * each :]
    items[:] = [item for name in order for item in modules[name]]


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """A folder that all processes of the tests share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if hasattr(pytestconfig, "workerinput") else folder


@pytest.fixture(scope="session")
def prefect_base(shared_folder: Path) -> Path:
    """An empty database for servers of Prefect."""
    return empty_base.make(shared_folder / "prefect-base")


@pytest.fixture
def toy_tools() -> Iterator[None]:
    """The tool `toy` in the registry of this process."""
    registry = all_tools()
    toys.register(registry)
    yield
    del registry.tools["toy"], registry.aliases["toy_add"]


@pytest.fixture(scope="session")
def restic_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of restic that is cheap to open, to be copied."""
    from tests.unit.backuplab import make_template, missing_parts

    if missing_parts():
        pytest.skip(missing_parts())
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def store_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed store for backups that is cheap to open, to be copied."""
    from tests.unit.backuplab import make_store_template

    return make_store_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session", params=["restic", "store"])
def template(request: pytest.FixtureRequest) -> Path:
    """A repository of each engine: what a backup promises, each keeps."""
    return Path(request.getfixturevalue(f"{request.param}_template"))
