"""What all tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from physlab.plugins import all_tools
from tests.unit import toys

OWN_CACHE = pytest.StashKey[tempfile.TemporaryDirectory[str]]()
CACHES = {"PIP_CACHE_DIR": "pip", "UV_CACHE_DIR": "uv", "MPLCONFIGDIR": "matplotlib"}


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
    parser.addoption("--seeds", type=int, default=2, help="How many seeds each drill runs with.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "drill_seed" in metafunc.fixturenames:
        metafunc.parametrize("drill_seed", range(metafunc.config.getoption("seeds")))


@pytest.fixture
def toy_tools() -> Iterator[None]:
    """The tool `toy` in the registry of this process."""
    registry = all_tools()
    toys.register(registry)
    yield
    del registry.tools["toy"], registry.aliases["toy_add"]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup repository that is cheap to open, to be copied."""
    from tests.unit.backuplab import make_template

    return make_template(tmp_path_factory.mktemp("template"))
