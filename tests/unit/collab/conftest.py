"""A database of people and sessions: in a file, with a clock that stands until it is set."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from physlab.collab.audit import Trail
from physlab.collab.database import MICRO, Clock, Database
from physlab.collab.links import Links
from physlab.collab.sessions import Sessions


class StillClock(Clock):
    """Stands at a moment."""

    def __init__(self, moment: int = 1_800_000_000) -> None:
        self.moment = moment * MICRO

    def now(self) -> int:
        return self.moment

    def forward(self, seconds: float) -> None:
        """Go on by so many seconds."""
        self.moment += int(seconds * MICRO)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def database(tmp_path: Path, clock: StillClock) -> Iterator[Database]:
    made = Database(tmp_path / "collab", clock=clock)
    yield made
    made.close()


@pytest.fixture
def trail(database: Database) -> Trail:
    return Trail(database)


@pytest.fixture
def sessions(database: Database, trail: Trail) -> Sessions:
    return Sessions(database, trail)


@pytest.fixture
def links(database: Database, trail: Trail, sessions: Sessions) -> Links:
    return Links(database, trail, sessions)
