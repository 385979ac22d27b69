"""Accounts: made, found, renamed, disabled, erased."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit.checkpoints import make_checkpoint
from physlab.collab.audit.merkle import leaf, root_of
from physlab.collab.audit.trail import BEGIN, chain
from physlab.collab.audit.verification import rows_of, verify_log
from physlab.collab.database import Database
from physlab.collab.people import People, Person
from physlab.collab.people.accounts import mail_hash
from physlab.collab.people.erasure import erase
from physlab.errors import SignInError, StoreError, ValidationError
from tests.unit.collab.people.conftest import BOTH, PASSWORD

pytestmark = pytest.mark.parametrize("database", BOTH, indirect=True)


def lines(database: Database) -> list[dict[str, object]]:
    with database.reading() as connection:
        rows = connection.execute(sa.select(schema.audit).order_by(schema.audit.c.seq)).all()
        state = connection.execute(sa.select(schema.audit_state)).one()
    head = BEGIN
    for row in rows:
        head = chain(head, row.line)
        assert row.head == head
    assert state.head == head and state.size == len(rows)
    assert root_of(leaf(row.line) for row in rows)
    return [json.loads(row.line) for row in rows]


def test_an_account_is_found_by_login_mail_and_id(people: People) -> None:
    made = people.accounts.create("Anna", "  Anna   Noether ", "Anna@Example.org", administrator=True)
    assert (made.login, made.name, made.mail) == ("anna", "Anna Noether", "anna@example.org")
    assert made.administrator and not made.has_password and not made.has_factor and made.seen_at is None
    for word in ("anna", "ANNA ", "anna@EXAMPLE.org", made.id):
        assert people.accounts.find(word) == made
    with pytest.raises(ValidationError, match="no person 'ana'") as error:
        people.accounts.find("ana")
    assert "Did you mean 'anna'?" in error.value.hint


@pytest.mark.parametrize(
    ("login", "name", "mail", "why"),
    [
        ("a", "A", None, "login"), ("1abc", "A", None, "login"), ("a b", "A", None, "login"),
        ("lab", "A", None, "login"), ("f" * 32, "A", None, "login"), ("erased-1", "A", None, "login"),
        ("x" * 64, "A", None, "login"), ("anna", " ", None, "name"), ("anna", "A\x1b[31m", None, "name"),
        ("anna", "x" * 201, None, "name"), ("anna", "A", "nobody", "mail"), ("anna", "A", "a@b", "mail"),
        ("anna", "A", "a b@example.org", "mail"), ("anna", "A", "a@example.org,b@example.org", "mail"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_account_is_refused(
    people: People, login: str, name: str, mail: str | None, why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        people.accounts.create(login, name, mail)
    assert people.accounts.list() == []


def test_one_person_one_account(people: People) -> None:
    people.accounts.create("anna", "Anna", "anna@example.org")
    with pytest.raises(ValidationError, match="login 'anna' is taken"):
        people.accounts.create("ANNA", "Another")
    with pytest.raises(ValidationError, match="belongs to another"):
        people.accounts.create("anna2", "Another", "ANNA@example.org")
    second = people.accounts.create("berta", "Berta")
    with pytest.raises(ValidationError, match="belongs to another"):
        people.accounts.rename(second.id, mail="anna@example.org")


def test_a_person_is_renamed(people: People, anna: Person) -> None:
    now = people.accounts.rename(anna.id, name="Anna Ny")
    assert (now.name, now.mail) == ("Anna Ny", anna.mail)
    now = people.accounts.rename(anna.id, mail="ny@example.org", by="someone")
    assert people.accounts.find("ny@example.org").name == "Anna Ny"
    assert people.accounts.search("anna@example.org") is None
    assert people.accounts.rename(anna.id, mail="").mail is None
    assert people.accounts.names_of([anna.id, "0" * 32]) == {anna.id: "Anna Ny", "0" * 32: "erased person 0000…"}


def test_the_last_administrator_stays(people: People) -> None:
    first = people.accounts.create("anna", "Anna", administrator=True)
    for change in (
        lambda: people.accounts.disable(first.id),
        lambda: people.accounts.set_administrator(first.id, False),
        lambda: erase(people.accounts, first.id),
    ):
        with pytest.raises(ValidationError, match="last administrator"):
            change()
    second = people.accounts.create("berta", "Berta")
    people.accounts.set_administrator(second.id, True)
    people.accounts.disable(first.id)
    assert people.accounts.get(first.id).state == "disabled" and people.accounts.enable(first.id).state == "active"


def test_one_login_is_given_once_in_parallel(people: People) -> None:
    def make(_: int) -> bool:
        try:
            people.accounts.create("anna", "Anna", "anna@example.org")
        except ValidationError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(make, range(8))) == [False] * 7 + [True]
    assert len(people.accounts.list()) == 1 and len(lines(people.database)) == 1


def test_administrators_that_disable_each_other_leave_one(people: People) -> None:
    made = [people.accounts.create(f"admin{number}", "Admin", administrator=True) for number in range(6)]

    def disable(person: Person) -> bool:
        try:
            people.accounts.disable(person.id)
        except ValidationError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(disable, made)) == [False] + [True] * 5
    assert [person.state for person in people.accounts.list()].count("active") == 1


def test_s2_who_is_disabled_is_out(people: People, anna: Person) -> None:
    cookie = people.door.sign_in("anna", PASSWORD).cookie
    token, _ = people.tokens.add(anna.id, "script", 30)
    people.accounts.disable(anna.id)
    for use in (
        lambda: people.visits.visit_of_cookie(cookie),
        lambda: people.tokens.person_of_token(token),
        lambda: people.door.sign_in("anna", PASSWORD),
    ):
        with pytest.raises(SignInError):
            use()
    people.accounts.enable(anna.id)
    assert people.tokens.person_of_token(token).person == anna.id
    with pytest.raises(SignInError):
        people.visits.visit_of_cookie(cookie)


def test_every_change_is_in_the_audit_log_by_id_only(people: People, anna: Person, database: Database) -> None:
    people.accounts.rename(anna.id, name="Anna Ny")
    people.accounts.set_administrator(anna.id, True, by=anna.id)
    said = lines(database)
    assert [line["action"] for line in said] == [
        "person.create", "password.code", "password.set", "person.rename", "person.administrator"
    ]  # fmt: skip
    assert all(line["object"] == anna.id for line in said)


def files(database: Database) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(database.folder.glob("collab.sqlite*")))


def dump(database: Database) -> bytes:
    """Return all that the tables hold."""
    with database.reading() as connection:
        rows = [tuple(row) for table in schema.metadata.sorted_tables for row in connection.execute(sa.select(table))]
    parts = [cell for row in rows for cell in row if cell is not None]
    return b"\n".join(part if isinstance(part, bytes) else str(part).encode() for part in parts)


def test_s40_nothing_is_left_of_who_is_erased(people: People, database: Database) -> None:
    marks = [b"zq-login", b"Zenobia Quax", b"zenobia", b"quax"]
    for number in range(60):  # pages split, merge and are used again
        people.accounts.create(f"other{number}", f"Somebody {number}", f"other{number}@example.org")
    made = people.accounts.create("zq-login", "Zenobia Quax", "zenobia@quax.example")
    people.passwords.set_by_code(people.passwords.make_code(made.id), PASSWORD)
    cookie = people.door.sign_in("zq-login", PASSWORD, agent="browser").cookie
    people.tokens.add(made.id, "zq-login's script", 30)
    people.totp.enrol(made.id, "zq-login", "zenobia's phone", by=made.id)
    before = lines(database)
    kept = people.accounts.get(made.id)
    signed = make_checkpoint(database)
    if database.is_file:
        assert b"zq-login" in files(database)  # the check can see something
    erase(people.accounts, made.id)
    everything = dump(database) + (files(database) if database.is_file else b"")
    for mark in marks:
        assert mark.lower() not in everything.lower(), mark
    with database.reading() as connection:
        row = connection.execute(sa.select(schema.persons).where(schema.persons.c.id == made.id)).one()
    assert (row.key, row.sealed, row.mail_hash, row.password, row.state) == (None, None, None, None, "erased")
    assert people.accounts.name_of(made.id) == f"erased person {made.id[:4]}…"
    after = lines(database)
    assert after[: len(before)] == before and after[-1]["action"] == "person.erase"
    assert verify_log(rows_of(database), [signed]).size == len(after), "the chain holds, from before the erasure on"
    assert kept.name == "Zenobia Quax" and not any(mark.decode() in json.dumps(after) for mark in marks)
    with pytest.raises(SignInError):
        people.visits.visit_of_cookie(cookie)
    erase(people.accounts, made.id)  # again: sweeps
    people.accounts.create("zq-login", "Another", "zenobia@quax.example")  # both are free again


def test_links_for_who_is_erased_are_revoked(people: People, database: Database, anna: Person) -> None:
    berta, now = people.accounts.create("berta", "Berta"), database.clock.now()
    with database.writing() as connection:
        connection.execute(schema.sessions.insert().values(name="lab", title="L", created_at=now, created_by=berta.id))
        for number, mail in enumerate(("Anna@example.org", "other@example.org")):
            row = {"id": f"{number:032}", "hash": f"{number:064}", "session": "lab", "role": "reader", "label": "x",
                   "maker": berta.id, "recipient": mail_hash(database, mail), "sealed": b"sealed", "created_at": now,
                   "expires_at": now + 1, "uses": 0}  # fmt: skip
            connection.execute(schema.links.insert().values(row))
    erase(people.accounts, anna.id)
    with database.reading() as connection:
        first, second = connection.execute(sa.select(schema.links).order_by(schema.links.c.id)).all()
    assert (first.sealed, first.revoked_at) == (None, now) and (second.sealed, second.revoked_at) == (b"sealed", None)


def test_an_erasure_that_cannot_sweep_says_so(people: People, database: Database, anna: Person) -> None:
    if not database.is_file:
        pytest.skip("PostgreSQL sweeps while others read what is left")
    import sqlite3

    other = sqlite3.connect(database.folder / "collab.sqlite")
    other.execute("BEGIN")
    other.execute("SELECT * FROM persons").fetchall()
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
    with pytest.raises(StoreError, match="still hold old bytes"):
        erase(people.accounts, anna.id)
    assert people.accounts.get(anna.id).state == "erased"
    other.close()
    erase(people.accounts, anna.id)
    assert b"anna" not in files(database)


def test_another_key_opens_nothing(people: People, anna: Person, database: Database) -> None:
    path = database.folder / "collab.key"
    path.write_text("00" * 32 + "\n")
    again = Database(database.folder, None if database.is_file else str(database.engine.url), database.clock)
    with pytest.raises(StoreError, match="cannot be opened"):
        People(again, people.trail).accounts.get(anna.id)
    again.close()


def test_a_copy_of_the_database_names_nobody(people: People, anna: Person, database: Database, tmp_path: Path) -> None:
    everything = dump(database)
    assert b"anna" in everything  # the login is not secret
    assert b"Noether" not in everything and b"example.org" not in everything
