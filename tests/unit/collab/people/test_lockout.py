"""Guessing is slow, per account and per address, also in parallel; and success forgives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from physlab.collab.people import People, Person
from physlab.collab.people.lockout import place_of
from physlab.errors import SignInError
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people.conftest import BOTH, PASSWORD

pytestmark = pytest.mark.parametrize("database", BOTH, indirect=True)


def fail(people: People, login: str, times: int = 1, address: str | None = None) -> None:
    for _ in range(times):
        with pytest.raises(SignInError):
            people.door.sign_in(login, "wrong", address=address)


def test_s14_five_failures_lock_an_account_each_time_twice_as_long(
    people: People, anna: Person, clock: StillClock
) -> None:
    fail(people, "anna", 4)
    assert people.door.sign_in("anna", PASSWORD)  # forgives
    fail(people, "anna", 5)
    for locked_s in (60, 120, 240, 480, 960, 1920, 3600, 3600):
        clock.forward(locked_s - 1)
        with pytest.raises(SignInError):
            people.door.sign_in("anna@example.org", PASSWORD)  # the right password, by the other name
        clock.forward(1)
        fail(people, "anna")
    clock.forward(3600)
    assert people.door.sign_in("anna", PASSWORD)
    fail(people, "anna", 4)
    assert people.door.sign_in("anna", PASSWORD)


def test_s14_five_failures_lock_an_address(people: People, anna: Person, clock: StillClock) -> None:
    for number in range(5):
        fail(people, f"guess{number}", address="192.0.2.7")
    with pytest.raises(SignInError):
        people.door.sign_in("anna", PASSWORD, address="192.0.2.7")
    assert people.door.sign_in("anna", PASSWORD, address="192.0.2.8")
    clock.forward(60)
    assert people.door.sign_in("anna", PASSWORD, address="192.0.2.7")


def test_an_own_account_does_not_help_to_guess_at_others(people: People, anna: Person) -> None:
    for number in range(4):
        fail(people, f"guess{number}", address="192.0.2.7")
        assert people.door.sign_in("anna", PASSWORD, address="192.0.2.7")
    fail(people, "guess5", address="192.0.2.7")
    with pytest.raises(SignInError):
        people.door.sign_in("anna", PASSWORD, address="192.0.2.7")


def test_success_forgives_ones_own_failures_at_an_address(people: People, anna: Person) -> None:
    for _ in range(3):  # a whole institute behind one address mistypes
        fail(people, "anna", 4, address="192.0.2.7")
        assert people.door.sign_in("anna", PASSWORD, address="192.0.2.7")


def test_failures_are_forgotten_after_a_day(people: People, anna: Person, clock: StillClock) -> None:
    fail(people, "anna", 4)
    clock.forward(24 * 3600)
    fail(people, "anna", 4)
    assert people.door.sign_in("anna", PASSWORD)


def test_s14_guesses_in_parallel_are_no_more_than_five(people: People, anna: Person) -> None:
    judged: list[bool] = []
    verify = people.passwords.verify

    def listen(person: Person | None, password: str) -> bool:
        judged.append(person is not None)  # a locked account is compared with nobody
        return verify(person, password)

    people.passwords.verify = listen  # type: ignore[method-assign]

    def guess(number: int) -> bool:
        try:
            people.door.sign_in("anna", f"guess number {number}")
        except SignInError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(guess, range(24)))
    assert judged.count(True) == 5 and len(judged) == 24


def test_a_whole_course_signs_in_at_once_from_one_address(people: People) -> None:
    made = [people.accounts.create(f"student{number}", "Student") for number in range(16)]
    for person in made:
        people.passwords.set_by_code(people.passwords.make_code(person.id), PASSWORD)

    def come(person: Person) -> str | None:
        return people.door.sign_in(person.login, PASSWORD, address="192.0.2.7").visit.person

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(come, made)) == [person.id for person in made]


def test_s14_no_answer_is_given_once_an_address_is_locked(people: People, anna: Person) -> None:
    """Also to what was under way already: a right guess among many at once looks like all others."""
    verify = people.passwords.verify

    def slow(person: Person | None, password: str) -> bool:
        right = verify(person, password)
        if right:  # meanwhile five others fail
            for number in range(5):
                people.door.lockout.fail(f"guess{number}", "192.0.2.7")
        return right

    people.passwords.verify = slow  # type: ignore[method-assign]
    with pytest.raises(SignInError):
        people.door.sign_in("anna", PASSWORD, address="192.0.2.7")
    assert people.visits.list(anna.id) == []


def test_the_log_tells_what_was_refused_and_nobodys_name(people: People, anna: Person) -> None:
    from tests.unit.collab.people.test_accounts import lines

    fail(people, "anna")
    fail(people, "stranger")
    known, unknown = lines(people.database)[-2:]
    assert known["action"] == unknown["action"] == "signin.refuse"
    assert (known["object"], unknown["object"]) == (anna.id, None)
    assert known["told"] == unknown["told"] == {"how": "password"}
    fail(people, "anna", 20)
    assert len([line for line in lines(people.database) if line["object"] == anna.id]) == 3 + 5  # not 3 + 21


def test_one_customer_is_one_address(people: People, anna: Person) -> None:
    for number in range(5):
        fail(people, f"guess{number}", address=f"2001:db8:1:2::{number}")
    with pytest.raises(SignInError):
        people.door.sign_in("anna", PASSWORD, address="2001:db8:1:2:ffff::1")
    assert people.door.sign_in("anna", PASSWORD, address="2001:db8:1:3::1")
    assert place_of("::ffff:192.0.2.7") == place_of("192.0.2.7") and place_of("testclient") == "testclient"
