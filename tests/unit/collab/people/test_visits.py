"""Visits: opened, half open, fresh, idle, closed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.database import MICRO
from physlab.collab.people import People, Person
from physlab.errors import SignInError, StepUpError, ValidationError
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people.authenticator import app_code
from tests.unit.collab.people.conftest import BOTH, PASSWORD

pytestmark = pytest.mark.parametrize("database", BOTH, indirect=True)


def enrol(people: People, cookie: str) -> str:
    """Give the visitor an authenticator app; return its secret."""
    visit = people.visits.visit_of_cookie(cookie)
    made = people.door.enrol_totp(visit, "my phone")
    people.door.confirm_totp(visit, made.factor, app_code(made.secret, people.database.clock))
    return made.secret


def test_a_cookie_stands_for_who_signed_in(people: People, anna: Person, clock: StillClock) -> None:
    came = people.door.sign_in("anna", PASSWORD, agent="Mozilla\x1b 5")
    visit = people.visits.visit_of_cookie(came.cookie)
    assert (visit.person, visit.link, visit.is_half, visit.proved_at) == (anna.id, None, False, None)
    assert visit.agent == "Mozilla 5" and visit == came.visit
    assert len(came.cookie) == 43 and came.cookie != people.door.sign_in("anna", PASSWORD).cookie
    assert people.accounts.get(anna.id).seen_at == clock.now()
    assert len(people.visits.list(anna.id)) == 2
    people.visits.close(came.cookie)
    people.visits.close(came.cookie)
    with pytest.raises(SignInError):
        people.visits.visit_of_cookie(came.cookie)
    assert people.visits.close_all(anna.id, by=anna.id) == 1


def test_s2_a_visit_ends_when_idle_and_after_a_week(people: People, anna: Person, clock: StillClock) -> None:
    idle = people.door.sign_in("anna", PASSWORD).cookie
    used = people.door.sign_in("anna", PASSWORD).cookie
    clock.forward(8 * 3600 - 1)
    people.visits.visit_of_cookie(used)
    clock.forward(1)
    with pytest.raises(SignInError):
        people.visits.visit_of_cookie(idle)
    for _ in range(22):
        people.visits.visit_of_cookie(used)
        clock.forward(7 * 3600 + 16 * 60)
    people.visits.visit_of_cookie(used)
    clock.moment = people.visits.visit_of_cookie(used).expires_at - 1
    people.visits.visit_of_cookie(used)
    clock.moment += 1
    with pytest.raises(SignInError):
        people.visits.visit_of_cookie(used)


def test_asking_for_a_visit_is_one_read_and_writes_once_a_minute(
    people: People, anna: Person, clock: StillClock
) -> None:
    said: list[str] = []
    cookie = people.door.sign_in("anna", PASSWORD).cookie
    sa.event.listen(people.database.engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    for _ in range(5):
        people.visits.visit_of_cookie(cookie)
    assert len([words for words in said if words.startswith("SELECT")]) == 5
    assert not [words for words in said if words.startswith(("UPDATE", "INSERT", "DELETE"))]
    clock.forward(60)
    for _ in range(5):
        people.visits.visit_of_cookie(cookie)
    assert len([words for words in said if words.startswith("UPDATE")]) == 1
    if people.database.is_file:
        with people.database.reading() as connection:
            from physlab.collab.people.visits import _READ

            text = str(_READ.compile(dialect=connection.dialect))
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("x",)).all()
        assert not [row for row in plan if "SCAN" in row.detail], plan


def test_a_second_factor_is_asked_for_when_there_is_one(people: People, anna: Person, clock: StillClock) -> None:
    first, other = (people.door.sign_in("anna", PASSWORD).cookie for _ in range(2))
    secret = enrol(people, first)
    assert people.visits.visit_of_cookie(first).proved_at == clock.now()
    with pytest.raises(StepUpError):
        people.visits.visit_of_cookie(other)  # it has to be shown there too
    clock.forward(60)
    came = people.door.sign_in("anna", PASSWORD)
    assert came.visit.is_half
    with pytest.raises(StepUpError):
        people.visits.visit_of_cookie(came.cookie)
    for how, wrong in (("code", "000000"), ("recovery", "AAAAA-AAAAA"), ("password", PASSWORD), ("code", PASSWORD)):
        with pytest.raises(SignInError):
            people.door.prove(came.visit, how, wrong)
    with pytest.raises(StepUpError):
        people.door.enrol_totp(came.visit, "a thief's phone")
    with pytest.raises(StepUpError):
        people.door.change_password(came.visit, PASSWORD, "another good one")
    people.door.prove(came.visit, "code", app_code(secret, clock))
    visit = people.visits.visit_of_cookie(came.cookie)
    assert not visit.is_half and visit.expires_at == visit.created_at + 7 * 24 * 3600 * MICRO


def test_a_half_open_visit_ends_soon(people: People, anna: Person, clock: StillClock) -> None:
    secret = enrol(people, people.door.sign_in("anna", PASSWORD).cookie)
    came = people.door.sign_in("anna", PASSWORD)
    clock.forward(600)
    with pytest.raises(SignInError):
        people.visits.half_visit(came.cookie)
    with pytest.raises(SignInError):
        people.door.prove(came.visit, "code", app_code(secret, clock))


def test_s14_five_wrong_second_factors_lock(people: People, anna: Person, clock: StillClock) -> None:
    secret = enrol(people, people.door.sign_in("anna", PASSWORD).cookie)
    clock.forward(60)
    for _ in range(5):  # a right password between them forgives nothing of this
        came = people.door.sign_in("anna", PASSWORD)
        with pytest.raises(SignInError):
            people.door.prove(came.visit, "code", "123456")
    with pytest.raises(SignInError):
        people.door.prove(came.visit, "code", app_code(secret, clock))
    clock.forward(60)
    people.door.prove(came.visit, "code", app_code(secret, clock))


def test_s16_what_is_dangerous_needs_a_fresh_second_factor(people: People, anna: Person, clock: StillClock) -> None:
    cookie = people.door.sign_in("anna", PASSWORD).cookie
    people.visits.require_fresh(people.visits.visit_of_cookie(cookie))  # who has none shows none …
    people.accounts.create("root", "Root", administrator=True)
    people.accounts.set_administrator(anna.id, True)
    with pytest.raises(StepUpError, match="administrator needs"):  # … but an administrator must have one
        people.visits.require_fresh(people.visits.visit_of_cookie(cookie))
    secret = enrol(people, cookie)
    people.visits.require_fresh(people.visits.visit_of_cookie(cookie))
    clock.forward(15 * 60)
    people.visits.require_fresh(people.visits.visit_of_cookie(cookie))
    clock.forward(1)
    with pytest.raises(StepUpError, match="within the last minutes"):
        people.visits.require_fresh(people.visits.visit_of_cookie(cookie))
    with pytest.raises(StepUpError):
        people.door.make_recovery(people.visits.visit_of_cookie(cookie))
    with pytest.raises(SignInError):  # a password is no second factor
        people.door.prove(people.visits.visit_of_cookie(cookie), "password", PASSWORD)
    people.door.prove(people.visits.visit_of_cookie(cookie), "code", app_code(secret, clock))
    people.visits.require_fresh(people.visits.visit_of_cookie(cookie))


def test_an_old_visit_cannot_get_a_second_factor_without_the_password(
    people: People, anna: Person, clock: StillClock
) -> None:
    cookie = people.door.sign_in("anna", PASSWORD).cookie
    clock.forward(15 * 60 + 1)
    with pytest.raises(StepUpError, match="password"):
        people.door.enrol_totp(people.visits.visit_of_cookie(cookie), "a thief's phone")
    people.door.prove(people.visits.visit_of_cookie(cookie), "password", PASSWORD)
    assert people.door.enrol_totp(people.visits.visit_of_cookie(cookie), "my phone").secret


def test_an_unknown_proof_is_told(people: People, anna: Person) -> None:
    visit = people.door.sign_in("anna", PASSWORD).visit
    with pytest.raises(ValidationError, match="no proof 'cod'"):
        people.door.prove(visit, "cod", "123456")


def test_whoever_opened_a_link_has_a_visit_without_a_person(people: People, anna: Person, clock: StillClock) -> None:
    now = clock.now()
    with people.database.writing() as connection:
        connection.execute(schema.sessions.insert().values(name="lab", title="Lab", created_at=now, created_by=anna.id))
        row = {"id": "1" * 32, "hash": "2" * 64, "session": "lab", "role": "reader", "label": "x", "maker": anna.id,
               "created_at": now, "expires_at": now + MICRO, "uses": 0}  # fmt: skip
        connection.execute(schema.links.insert().values(row))
        cookie = people.visits.open_visit(connection, link="1" * 32, expires_at=now + 3600 * MICRO, how="link")
    visit = people.visits.visit_of_cookie(cookie)
    assert (visit.person, visit.link, visit.administrator, visit.has_factor) == (None, "1" * 32, False, False)
    for refused in (
        lambda: people.visits.require_fresh(visit),
        lambda: people.door.prove(visit, "password", PASSWORD),
        lambda: people.door.enrol_totp(visit, "phone"),
    ):
        with pytest.raises(SignInError):
            refused()
    clock.forward(3600)
    with pytest.raises(SignInError):
        people.visits.visit_of_cookie(cookie)


def test_s1_a_changed_cookie_stands_for_nothing(people: People, anna: Person) -> None:
    cookie = people.door.sign_in("anna", PASSWORD).cookie
    with pytest.raises(SignInError) as unknown:
        people.visits.visit_of_cookie("unknown")
    for wrong in (
        "",
        cookie[:-1],
        cookie + "=",
        cookie.lower(),
        cookie + "\0",
        "\ud800",
        people.visits.list(anna.id)[0].key,
    ):
        with pytest.raises(SignInError) as refused:
            people.visits.visit_of_cookie(wrong)
        assert refused.value.as_reply() == unknown.value.as_reply()
