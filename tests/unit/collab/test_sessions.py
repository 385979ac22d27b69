"""Sessions: who is in, and that they always end in a legal state."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from physlab.collab import schema
from physlab.collab.access import Who, role_of
from physlab.collab.database import MICRO, Database
from physlab.collab.roles import ROLES
from physlab.collab.sessions import Sessions
from physlab.errors import AccessError, UnseenError, ValidationError
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people_in import again, person


@pytest.fixture
def owner(database: Database, sessions: Sessions) -> Who:
    ada = person(database, "ada")
    assert sessions.begin(ada, "hydrogen")
    assert not sessions.begin(ada, "hydrogen")
    return ada


def test_who_is_in(sessions: Sessions, owner: Who, database: Database, clock: StillClock) -> None:
    bo = person(database, "bo")
    sessions.admit(owner, "hydrogen", str(bo.person), "editor", clock.now() + 3600 * MICRO)
    told = {member.person: (member.role, member.now) for member in sessions.members(owner, "hydrogen")}
    assert told == {owner.person: ("owner", "owner"), bo.person: ("editor", "editor")}
    clock.forward(3600)
    told = {member.person: (member.role, member.now) for member in sessions.members(owner, "hydrogen")}
    assert told[str(bo.person)] == ("editor", None)
    assert (sessions.of(bo), sessions.of(owner)) == ({}, {"hydrogen": "owner"})


def test_s13_the_last_owner_stays(sessions: Sessions, owner: Who, database: Database) -> None:
    bo = person(database, "bo")
    with pytest.raises(ValidationError, match="last owner"):
        sessions.leave(owner, "hydrogen")
    sessions.admit(owner, "hydrogen", str(bo.person), "owner")
    sessions.leave(owner, "hydrogen")
    with pytest.raises(ValidationError, match="last owner"):
        sessions.leave(bo, "hydrogen")


def test_s13_nobody_raises_their_own_role(sessions: Sessions, owner: Who, database: Database) -> None:
    bo, cy = person(database, "bo"), person(database, "cy")
    sessions.admit(owner, "hydrogen", str(bo.person), "admin")
    with pytest.raises(ValidationError, match="their own role"):
        sessions.admit(bo, "hydrogen", str(bo.person), "owner")
    for role in ("admin", "owner"):
        with pytest.raises(AccessError, match=f"cannot give or take the role {role}"):
            sessions.admit(bo, "hydrogen", str(cy.person), role)
    with pytest.raises(AccessError, match="cannot give or take the role owner"):
        sessions.remove(bo, "hydrogen", str(owner.person))
    sessions.admit(bo, "hydrogen", str(cy.person), "editor")
    with pytest.raises(AccessError, match=r"does not allow member\.change"):
        sessions.admit(cy, "hydrogen", str(bo.person), "viewer")


def test_s13_two_owners_who_leave_at_once(sessions: Sessions, owner: Who, database: Database) -> None:
    bo = person(database, "bo")
    sessions.admit(owner, "hydrogen", str(bo.person), "owner")
    begin, left = threading.Barrier(2), []

    def leave(who: Who) -> None:
        begin.wait()
        try:
            sessions.leave(who, "hydrogen")
            left.append(who.person)
        except ValidationError:
            pass

    threads = [threading.Thread(target=leave, args=(who,)) for who in (owner, bo)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left) == 1


def test_handing_over(sessions: Sessions, owner: Who, database: Database) -> None:
    bo = person(database, "bo")
    with pytest.raises(ValidationError, match="not in the session"):
        sessions.transfer(owner, "hydrogen", str(bo.person))
    sessions.admit(owner, "hydrogen", str(bo.person), "viewer")
    sessions.transfer(owner, "hydrogen", str(bo.person))
    assert (sessions.of(bo), sessions.of(owner)) == ({"hydrogen": "owner"}, {"hydrogen": "admin"})


def test_a_closed_session_is_gone_for_its_members(sessions: Sessions, owner: Who, database: Database) -> None:
    sessions.close(owner, "hydrogen")
    assert sessions.of(owner) == {}
    with pytest.raises(UnseenError):
        sessions.members(owner, "hydrogen")


def test_a_disabled_person_has_no_role(sessions: Sessions, owner: Who, database: Database) -> None:
    bo = person(database, "bo")
    sessions.admit(owner, "hydrogen", str(bo.person), "editor")
    with database.writing() as connection:
        connection.execute(schema.persons.update().where(schema.persons.c.id == bo.person).values(state="disabled"))
    assert sessions.of(bo) == {}


def test_somebody_who_is_not_there(sessions: Sessions, owner: Who) -> None:
    with pytest.raises(UnseenError, match="There is no person"):
        sessions.admit(owner, "hydrogen", "nobody", "viewer")


NAMES = ("ada", "bo", "cy")
STEPS = st.lists(
    st.tuples(st.sampled_from(("admit", "remove", "leave", "transfer")), st.sampled_from(NAMES),
              st.sampled_from(NAMES), st.sampled_from(ROLES)), max_size=12,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_s13_whatever_is_done_there_is_an_owner(
    sessions: Sessions, database: Database, steps: list[tuple[str, ...]]
) -> None:
    with database.writing() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            connection.execute(table.delete())
    people = {name: person(database, name) for name in NAMES}
    sessions.begin(people["ada"], "hydrogen")
    for what, by, target, role in steps:
        who = again(database, people[by])
        other = str(people[target].person)
        with database.reading() as connection:
            before = {name: role_of(connection, Who(one.person), "hydrogen", 0) for name, one in people.items()}
        try:
            if what == "admit":
                sessions.admit(who, "hydrogen", other, role)
            elif what == "leave":
                sessions.leave(who, "hydrogen")
            else:
                getattr(sessions, what)(who, "hydrogen", other)
        except (ValidationError, AccessError):
            pass
        with database.reading() as connection:
            after = {name: role_of(connection, Who(one.person), "hydrogen", 0) for name, one in people.items()}
        assert "owner" in after.values()
        assert _rank(after[by]) <= _rank(before[by]), "nobody raises themselves"


def _rank(role: str | None) -> int:
    return -1 if role is None else ROLES.index(role)
