"""Passkeys, with a device of the tests' own: what an honest one does is taken, everything else refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from physlab.collab.people import People, Person, RelyingParty, Visit
from physlab.collab.people.passkeys import Passkeys
from physlab.errors import SignInError, StepUpError, ValidationError
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people.authenticator import PRESENT, VERIFIED, Device, coded, decoded
from tests.unit.collab.people.conftest import PASSWORD

PARTY = RelyingParty("lab.example.org", "The Lab", ("https://lab.example.org",))


@pytest.fixture
def passkeys(people: People) -> Passkeys:
    return people.passkeys(PARTY)


@pytest.fixture
def visit(people: People, anna: Person) -> Visit:
    return people.door.sign_in("anna", PASSWORD).visit


@pytest.fixture
def device(passkeys: Passkeys, visit: Visit) -> Device:
    """That has a passkey of Anna's."""
    made = Device()
    passkeys.add(visit, made.create(passkeys.adding(visit)), "my key")
    return made


def test_s15_a_passkey_alone_lets_in(people: People, passkeys: Passkeys, device: Device, anna: Person) -> None:
    assert people.accounts.get(anna.id).has_factor
    for _ in range(2):
        options, binding = passkeys.asking()
        asked = json.loads(options)
        assert (asked["userVerification"], asked["rpId"]) == ("required", PARTY.id)
        assert not asked.get("allowCredentials")  # a stranger learns of none
        came = passkeys.sign_in(device.get(options), binding, agent="browser")
        visit = people.visits.visit_of_cookie(came.cookie)
        assert visit.person == anna.id and not visit.is_half
        people.visits.require_fresh(visit)


def test_a_passkey_is_the_second_step(people: People, passkeys: Passkeys, device: Device) -> None:
    came = people.door.sign_in("anna", PASSWORD)
    assert came.visit.is_half
    passkeys.prove(came.visit, device.get(passkeys.proving(came.visit)))
    people.visits.require_fresh(people.visits.visit_of_cookie(came.cookie))


def test_adding_needs_a_fresh_proof(
    people: People, passkeys: Passkeys, visit: Visit, device: Device, clock: StillClock
) -> None:
    half = people.door.sign_in("anna", PASSWORD).visit
    with pytest.raises(StepUpError):
        passkeys.adding(half)
    clock.forward(15 * 60 + 1)
    late = people.visits.half_visit(people.door.sign_in("anna", PASSWORD).cookie)
    with pytest.raises(StepUpError):
        passkeys.adding(late)


def test_one_device_is_not_added_twice(passkeys: Passkeys, people: People, visit: Visit, device: Device) -> None:
    [fresh] = people.visits.list(visit.person or "")
    asked = json.loads(passkeys.adding(fresh))
    assert [decoded(known["id"]) for known in asked["excludeCredentials"]] == list(device.keys)
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert decoded(asked["user"]["id"]).hex() == visit.person


DISHONEST: dict[str, Callable[[Device], object]] = {
    "wrong origin": lambda device: setattr(device, "origin", "https://lab.example.org.evil.example"),
    "another port": lambda device: setattr(device, "origin", "https://lab.example.org:8443"),
    "wrong party": lambda device: setattr(device, "party", "evil.example"),
    "nobody verified": lambda device: setattr(device, "flags", PRESENT),
    "nobody present": lambda device: setattr(device, "flags", VERIFIED),
}


@pytest.mark.parametrize("lie", DISHONEST)
def test_s15_a_dishonest_device_is_refused(passkeys: Passkeys, device: Device, people: People, lie: str) -> None:
    DISHONEST[lie](device)
    options, binding = passkeys.asking()
    with pytest.raises(SignInError):
        passkeys.sign_in(device.get(options), binding)
    half = people.door.sign_in("anna", PASSWORD).visit
    with pytest.raises(SignInError):
        passkeys.prove(half, device.get(passkeys.proving(half)))


@pytest.mark.parametrize("lie", DISHONEST)
def test_s15_a_dishonest_device_is_not_added(passkeys: Passkeys, visit: Visit, people: People, lie: str) -> None:
    device = Device()
    DISHONEST[lie](device)
    with pytest.raises(SignInError):
        passkeys.add(visit, device.create(passkeys.adding(visit)), "my key")
    assert people.factors.list(visit.person or "") == []


@pytest.mark.parametrize("step", [0, -1])
def test_s15_a_counter_that_does_not_grow_is_a_copys(passkeys: Passkeys, device: Device, step: int) -> None:
    device.step = step
    options, binding = passkeys.asking()
    with pytest.raises(SignInError):
        passkeys.sign_in(device.get(options), binding)


def test_a_device_without_a_counter_is_taken(passkeys: Passkeys, visit: Visit) -> None:
    device = Device(step=0)
    passkeys.add(visit, device.create(passkeys.adding(visit)), "synced")
    for _ in range(2):
        options, binding = passkeys.asking()
        assert passkeys.sign_in(device.get(options), binding)


def test_s15_a_challenge_is_taken_once_in_time_by_whom_it_was_given_to(
    people: People, passkeys: Passkeys, device: Device, clock: StillClock
) -> None:
    options, binding = passkeys.asking()
    _, other = passkeys.asking()
    answer = device.get(options)
    with pytest.raises(SignInError):
        passkeys.sign_in(answer, other)
    assert passkeys.sign_in(answer, binding)
    for again in (answer, device.get(options)):
        with pytest.raises(SignInError):
            passkeys.sign_in(again, binding)
    options, binding = passkeys.asking()
    clock.forward(300)
    with pytest.raises(SignInError):
        passkeys.sign_in(device.get(options), binding)
    first, second = (people.door.sign_in("anna", PASSWORD).visit for _ in range(2))
    answer = device.get(passkeys.proving(first))
    with pytest.raises(SignInError):
        passkeys.prove(second, answer)
    options, binding = passkeys.asking()
    with pytest.raises(SignInError):  # a challenge for one purpose is none for another
        passkeys.prove(first, device.get(options))
    made_up = json.dumps(json.loads(options) | {"challenge": coded(b"x" * 32)})
    with pytest.raises(SignInError):
        passkeys.sign_in(device.get(made_up), binding)


def test_a_failed_answer_uses_the_challenge_up(passkeys: Passkeys, device: Device) -> None:
    options, binding = passkeys.asking()
    device.flags = PRESENT
    with pytest.raises(SignInError):
        passkeys.sign_in(device.get(options), binding)
    device.flags = PRESENT | VERIFIED
    with pytest.raises(SignInError):
        passkeys.sign_in(device.get(options), binding)


def test_anothers_passkey_does_not_prove_ones_visit(people: People, passkeys: Passkeys, device: Device) -> None:
    berta = people.accounts.create("berta", "Berta")
    people.passwords.set_by_code(people.passwords.make_code(berta.id), PASSWORD)
    visit = people.door.sign_in("berta", PASSWORD).visit
    with pytest.raises(ValidationError, match="no passkey"):
        passkeys.proving(visit)
    own = Device()
    passkeys.add(visit, own.create(passkeys.adding(visit)), "hers")
    half = people.door.sign_in("berta", PASSWORD).visit
    with pytest.raises(SignInError):
        passkeys.prove(half, device.get(passkeys.proving(half)))
    options, binding = passkeys.asking()
    own.handle = device.handle  # says to be Anna
    with pytest.raises(SignInError):
        passkeys.sign_in(own.get(options), binding)
    people.accounts.disable(berta.id)
    own.handle = bytes.fromhex(berta.id)
    options, binding = passkeys.asking()
    with pytest.raises(SignInError):
        passkeys.sign_in(own.get(options), binding)


def _spoil(answer: str, chance: random.Random) -> str:
    """Return an answer with one of its parts changed in one byte, cut, or of another kind."""
    said = json.loads(answer)
    part = chance.choice([*said["response"], "id", "rawId", "type"])
    place = said["response"] if part in said["response"] else said
    data = bytearray(decoded(place[part]))
    way = chance.randrange(5)
    if way == 0:
        place[part] = chance.choice([None, 7, [], {}, "", "é", "=" * 9])
    elif way == 1 or not data:
        place.pop(part)
    elif way == 2:
        place[part] = coded(bytes(data[: chance.randrange(len(data))]))
    else:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        place[part] = coded(bytes(data))
    return json.dumps(said)


@pytest.mark.drill
def test_s15_spoiled_answers_are_refused_in_the_same_words(
    people: People, passkeys: Passkeys, visit: Visit, device: Device, drill_seed: int
) -> None:
    chance = random.Random(drill_seed)
    [fresh] = people.visits.list(visit.person or "")
    refused = set()
    for number in range(60):
        other = Device()
        if number % 2:
            options, binding = passkeys.asking()
            true = device.get(options)
            spoiled = _spoil(true, chance)
            use: Callable[[], object] = lambda: passkeys.sign_in(spoiled, binding)  # noqa: B023, E731
        else:
            true = other.create(passkeys.adding(fresh))
            spoiled = _spoil(true, chance)
            use = lambda: passkeys.add(fresh, spoiled, "spoiled")  # noqa: B023, E731
        try:
            made = use()
        except SignInError as error:
            refused.add(str(error))
        else:  # nothing signs what a device says when it makes a passkey; a spoiled one opens nothing
            assert number % 2 == 0, spoiled
            people.factors.remove(visit.person or "", str(made), by="lab")
    for text in ("", "{}", "[]", "null", "1", '"x"', "{" * 5000, "x" * 200_000, "\ud800"):
        with pytest.raises(SignInError):
            passkeys.sign_in(text, "binding")
    assert len(refused) == 1
