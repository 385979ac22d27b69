"""A lab that is served in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.portal.stage import Stage, set_stage


@pytest.fixture
def stage(tmp_path: Path, toy_tools: None) -> Iterator[Stage]:
    with set_stage(tmp_path) as made:
        yield made
