"""Passwords: which are taken, how they are set and changed, and what guessing costs."""

from __future__ import annotations

import statistics
import time

import pytest
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.people import People, Person
from physlab.collab.people.passwords import Passwords, check
from physlab.errors import SignInError, ValidationError
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people.conftest import PASSWORD


@pytest.mark.parametrize(
    "password",
    [
        "short", "x" * 1025, "password1234", "P4$$w0rd2026!!", "Passwort12345", "qwertzuiop123", "123456789012",
        "0987654321098", "abcdefghijklm", "aaaaaaaaaaaaaaa", "abababababab1", "anna-anna-anna", "AnnaNoether1918",
        "anna@example.org", "4nn4@ex4mple.0rg", "letmeinletmein", "willkommen2026",
    ],
)  # fmt: skip
def test_a_password_that_is_guessed_first_is_refused(password: str) -> None:
    person = Person("1" * 32, "anna", "Anna Noether", "anna@example.org", "active", False, False, False, 0, 0, None)
    with pytest.raises(ValidationError, match=r"password has|made of your own|guessed first"):
        check(password, person)


@pytest.mark.parametrize(
    "password", [PASSWORD, "Hund, Katze, Maus", "anna likes quarks", "ÄÖÜ groß 山 river", "x7#kQ9!pLm2z"]
)
def test_a_good_password_is_taken(password: str) -> None:
    check(password, Person("1" * 32, "anna", "Anna Noether", None, "active", False, False, False, 0, 0, None))


def test_a_code_sets_a_password_once(people: People, clock: StillClock) -> None:
    person = people.accounts.create("anna", "Anna")
    first, second = people.passwords.make_code(person.id), people.passwords.make_code(person.id)
    with pytest.raises(SignInError):
        people.passwords.set_by_code(first, PASSWORD)  # the second ended it
    with pytest.raises(ValidationError, match="letters"):
        people.passwords.set_by_code(second, "short")
    assert people.passwords.set_by_code(f" {second.lower().replace('-', ' ')}", PASSWORD).id == person.id
    assert people.door.sign_in("anna", PASSWORD).visit.person == person.id
    with pytest.raises(SignInError):
        people.passwords.set_by_code(second, "another good password")
    third = people.passwords.make_code(person.id)
    clock.forward(7 * 24 * 3600)
    with pytest.raises(SignInError):
        people.passwords.set_by_code(third, "another good password")


def test_s2_a_changed_password_closes_every_visit(people: People, anna: Person, clock: StillClock) -> None:
    cookies = [people.door.sign_in("anna", PASSWORD).cookie for _ in range(3)]
    visit = people.visits.visit_of_cookie(cookies[0])
    with pytest.raises(SignInError):
        people.door.change_password(visit, "a wrong password", "another good one")
    with pytest.raises(ValidationError, match="is the old one"):
        people.door.change_password(visit, PASSWORD, PASSWORD)
    assert people.visits.visit_of_cookie(cookies[2]).person == anna.id
    clock.forward(1)
    people.door.change_password(visit, PASSWORD, "another good one")
    for cookie in cookies:
        with pytest.raises(SignInError):
            people.visits.visit_of_cookie(cookie)
    with pytest.raises(SignInError):
        people.door.sign_in("anna", PASSWORD)
    assert people.door.sign_in("anna@example.org", "another good one").visit.person == anna.id


def test_a_reset_closes_every_visit(people: People, anna: Person) -> None:
    cookie = people.door.sign_in("anna", PASSWORD).cookie
    people.passwords.set_by_code(people.passwords.make_code(anna.id), "another good one")
    with pytest.raises(SignInError):
        people.visits.visit_of_cookie(cookie)


def test_unicode_means_the_same_from_every_keyboard(people: People) -> None:
    person = people.accounts.create("anna", "Anna")
    people.passwords.set_by_code(people.passwords.make_code(person.id), "Übung macht die Meisterin")
    assert people.door.sign_in("anna", "U\u0308bung macht die Meisterin")


def test_a_hash_of_yesterday_is_replaced(people: People, anna: Person) -> None:
    def kept() -> str:
        with people.database.reading() as connection:
            return connection.execute(sa.select(schema.persons.c.password)).scalar_one()

    before = kept()
    assert before.startswith("$argon2id$v=19$m=64,t=1,")
    people.door.passwords = Passwords(people.accounts, passes=2, memory_kib=128)
    people.door.sign_in("anna", PASSWORD)
    assert kept().startswith("$argon2id$v=19$m=128,t=2,")
    people.door.sign_in("anna", PASSWORD)


def test_the_parameters_of_today(people: People) -> None:
    hasher = Passwords(people.accounts).hasher
    assert (hasher.memory_cost, hasher.time_cost, hasher.type.name) == (64 * 1024, 3, "ID")


class Counted:
    """Counts what a hasher verifies."""

    def __init__(self, passwords: Passwords) -> None:
        self.hasher, self.verified = passwords.hasher, 0
        self.check_needs_rehash, self.hash = self.hasher.check_needs_rehash, self.hasher.hash

    def verify(self, kept: str, password: str) -> bool:
        self.verified += 1
        return self.hasher.verify(kept, password)


def test_s33_every_attempt_costs_one_verification(people: People, anna: Person) -> None:
    """Known, unknown, without a password, disabled and locked: what takes the time is done once for each."""
    people.accounts.create("berta", "Berta")
    dora = people.accounts.create("dora", "Dora")
    people.passwords.set_by_code(people.passwords.make_code(dora.id), PASSWORD)
    people.accounts.disable(dora.id)
    counted = Counted(people.passwords)
    people.passwords.__dict__["hasher"] = counted
    said = set()
    for login in ("anna", "nobody", "nobody@example.org", "berta", "dora", *["anna"] * 6, *["nobody"] * 6):
        before = counted.verified
        with pytest.raises(SignInError) as refused:
            people.door.sign_in(login, PASSWORD if login == "dora" else "wrong")
        assert counted.verified == before + 1
        said.add(str(refused.value.as_reply()))
    assert len(said) == 1


@pytest.mark.drill
def test_s33_unknown_and_known_take_the_same_time(people: People, anna: Person, drill_seed: int) -> None:
    """Processor time, since the machine is shared; |t| > 6 would be one in 10⁸."""
    people.door.passwords = Passwords(people.accounts, passes=2, memory_kib=16384)
    people.door.passwords.set_by_code(people.passwords.make_code(anna.id), PASSWORD)
    people.door.lockout.enter = lambda name, address: "open"  # type: ignore[assignment] # guess on
    times: dict[str, list[float]] = {"anna": [], "nobody": []}
    for number in range(16):
        for login in sorted(times, reverse=number % 2 == 0):
            begun = time.process_time()
            with pytest.raises(SignInError):
                people.door.sign_in(login, "wrong")
            times[login].append(time.process_time() - begun)
    known, unknown = (sorted(values)[:12] for values in times.values())  # what disturbs only adds
    spread = (statistics.variance(known) / 12 + statistics.variance(unknown) / 12) ** 0.5
    distance = abs(statistics.mean(known) - statistics.mean(unknown))
    assert distance / spread < 6 or distance < 0.02 * statistics.mean(known)
