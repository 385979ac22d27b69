"""People on a database of one kind or of both, with passwords that are cheap to verify."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Trail
from physlab.collab.database import Database
from physlab.collab.people import People, Person
from physlab.collab.people.passwords import Passwords
from tests.unit.collab.conftest import StillClock
from tests.unit.postgres import find_server, run_server

PASSWORD = "correct horse battery staple"  # noqa: S105 - of the tests
BOTH = ["sqlite", "postgresql"]
"""For `pytest.mark.parametrize("database", BOTH, indirect=True)`; one is enough where the database does little."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    programs = find_server()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg")
    with run_server(programs) as url:
        yield url


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, to be copied: making them takes longer than most tests."""
    folder = tmp_path_factory.mktemp("empty")
    Database(folder).close()
    return folder / "collab.sqlite"


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path, clock: StillClock) -> Iterator[Database]:
    folder, url = tmp_path / "collab", None
    folder.mkdir(mode=0o700)
    if getattr(request, "param", "sqlite") == "sqlite":
        shutil.copy(request.getfixturevalue("empty"), folder)
    else:
        url = request.getfixturevalue("postgres")
    made = Database(folder, url, clock)
    yield made
    if url is not None:
        names = ", ".join(table.name for table in schema.metadata.sorted_tables)
        with made.writing() as connection:
            connection.execute(sa.text(f"TRUNCATE {names}"))
    made.close()


@pytest.fixture
def people(database: Database) -> People:
    made = People(database, Trail(database))
    made.passwords = made.door.passwords = Passwords(made.accounts, passes=1, memory_kib=64)
    return made


@pytest.fixture
def anna(people: People) -> Person:
    """A person with a password."""
    made = people.accounts.create("anna", "Anna Noether", "anna@example.org")
    people.passwords.set_by_code(people.passwords.make_code(made.id), PASSWORD)
    return people.accounts.get(made.id)
