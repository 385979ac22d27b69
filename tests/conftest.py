"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from physlab.plugins import all_tools
from tests.unit import toys


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
