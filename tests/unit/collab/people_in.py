"""Persons of a test's database, put there without any proof of who they are."""

from physlab.collab import schema
from physlab.collab.access import Who
from physlab.collab.database import Database


def person(database: Database, login: str, state: str = "active") -> Who:
    """Put somebody there; they have just shown a second factor."""
    now, _ = database.clock.now(), database.key  # the key is there before anybody is
    with database.writing() as connection:
        connection.execute(schema.persons.insert().values(
            id=f"{login:0>32}", login=login, state=state, administrator=False, created_at=now, changed_at=now,
        ))  # fmt: skip
    return Who(f"{login:0>32}", proved_at=now)


def again(database: Database, who: Who) -> Who:
    """Return the same person who showed a second factor now."""
    return Who(who.person, who.link, who.administrator, who.reads_only, database.clock.now(), who.local)
