"""One database for the index of the ledger and for people."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from physlab.collab.audit import Trail
from physlab.collab.database import Database
from physlab.collab.people import People
from physlab.store.index import Index


def test_index_and_people_share_a_database(tmp_path: Path, postgres: str) -> None:
    index, made = Index(postgres), Database(tmp_path / "collab", postgres)
    index.create()
    again = Database(tmp_path / "collab", postgres)
    index.create()
    assert People(again, Trail(again)).accounts.list() == []
    with made.writing() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    for each in (again, made):
        each.close()
    index.engine.dispose()
