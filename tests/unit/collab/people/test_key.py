"""The lab's key: one for all who open the database, and never a second one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from physlab.collab.audit import Trail
from physlab.collab.database import KEY, Database
from physlab.collab.people import People, Person
from physlab.errors import ConfigurationError


def test_all_who_begin_at_once_have_one_key(database: Database) -> None:
    several = [Database(database.folder, clock=database.clock) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda each: each.key, several))
    for each in several:
        each.close()
    assert len(keys) == 1 and len(next(iter(keys))) == 32
    assert [path.name for path in database.folder.glob("*.key")] == [KEY]
    assert (database.folder / KEY).stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_gone_is_not_made_again(people: People, anna: Person, database: Database) -> None:
    (database.folder / KEY).unlink()
    again = Database(database.folder, clock=database.clock)
    with pytest.raises(ConfigurationError, match="is gone"):
        People(again, Trail(again)).accounts.get(anna.id)
    again.close()
    assert not (database.folder / KEY).exists()
