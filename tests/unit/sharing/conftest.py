"""A lab with people, under a clock that stands until it is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from physlab.collab.access import Who
from physlab.collab.commons import Commons, open_commons
from physlab.lab import Lab
from physlab.service.sharing.share import share_session
from physlab.spelling import read_call
from physlab.tools.call import check_params
from tests.unit.collab.conftest import StillClock
from tests.unit.conftest import open_lab

NOW = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> StillClock:
    return StillClock(int(NOW.timestamp()))


@pytest.fixture
def lab(tmp_path: Path, toy_tools: None) -> Iterator[Lab]:
    with open_lab(tmp_path) as opened:
        yield opened


@pytest.fixture
def commons(lab: Lab, clock: StillClock) -> Iterator[Commons]:
    made = open_commons(lab.settings.home, lab.store, clock=clock)
    yield made
    made.close()


@pytest.fixture
def ada(commons: Commons) -> Who:
    """Who has the lab's files."""
    return commons.local("ada")


@pytest.fixture
def answer(lab: Lab, commons: Commons, ada: Who) -> Callable[..., dict[str, Any]]:
    """Answer a payload as it is spelled, for somebody; by default for who has the lab's files."""

    def answered(payload: dict[str, Any], who: Who = ada) -> dict[str, Any]:
        call = read_call(payload, lab.vocabulary)
        assert (call.tool, call.method) == ("distributed_collaboration", "session_share")
        checked = check_params(lab.registry.find(call.tool, call.method), call.params)
        return share_session(commons, lab.settings, who, checked.model_dump(exclude_none=True))

    return answered
