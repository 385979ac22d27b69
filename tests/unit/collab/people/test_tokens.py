"""Tokens of programs, and that nothing in the database opens anything."""

from __future__ import annotations

import base64
import string

import pytest

from physlab.collab.people import People, Person
from physlab.errors import SignInError, ValidationError
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people.authenticator import app_code, decoded
from tests.unit.collab.people.conftest import BOTH, PASSWORD
from tests.unit.collab.people.test_accounts import dump, files

pytestmark = pytest.mark.parametrize("database", BOTH, indirect=True)


def test_a_token_stands_for_its_owner_until_it_ends(people: People, anna: Person, clock: StillClock) -> None:
    token, kept = people.tokens.add(anna.id, "my script", 30, reads_only=True)
    assert token.startswith("plt_") and len(decoded(token[4:])) == 32
    bearer = people.tokens.person_of_token(token)
    assert (bearer.person, bearer.token, bearer.reads_only) == (anna.id, kept.id, True)
    clock.forward(30 * 86400 - 1)
    people.tokens.person_of_token(token)
    clock.forward(1)
    with pytest.raises(SignInError):
        people.tokens.person_of_token(token)


def test_a_token_is_revoked(people: People, anna: Person) -> None:
    token, kept = people.tokens.add(anna.id, "my script", 30)
    other = people.accounts.create("berta", "Berta")
    with pytest.raises(ValidationError, match="no token"):
        people.tokens.revoke(other.id, kept.id, by=other.id)
    people.tokens.revoke(anna.id, kept.id, by=anna.id)
    people.tokens.revoke(anna.id, kept.id, by=anna.id)
    with pytest.raises(SignInError):
        people.tokens.person_of_token(token)
    assert people.tokens.list(anna.id)[0].revoked_at is not None


@pytest.mark.parametrize("days", [0, -1, 365.1, float("inf"), float("nan")])
def test_every_token_ends_within_a_year(people: People, anna: Person, days: float) -> None:
    with pytest.raises(ValidationError, match="cannot work for"):
        people.tokens.add(anna.id, "for ever", days)


def test_uses_are_counted_and_written_once_a_minute(people: People, anna: Person, clock: StillClock) -> None:
    token, _ = people.tokens.add(anna.id, "my script", 30)
    written = []
    write = people.database.writing
    people.database.writing = lambda: written.append(1) or write()  # type: ignore[method-assign]
    for _ in range(3):
        for _ in range(40):
            people.tokens.person_of_token(token)
            clock.forward(1)
        clock.forward(60)
    assert len(written) == 3
    [kept] = people.tokens.list(anna.id)
    assert kept.uses == 120
    people.tokens.person_of_token(token)
    people.close()
    again = People(people.database, people.trail)
    assert again.tokens.list(anna.id)[0].uses == 121


def test_s1_a_token_with_anything_changed_is_unknown(people: People, anna: Person) -> None:
    token, _ = people.tokens.add(anna.id, "my script", 30)
    raw = decoded(token[4:])
    wrong = {token[:end] for end in range(len(token))} | {token + more for more in ("=", "A", " ", "\n", "\0")}
    for place, letter in enumerate(token):  # every letter of the alphabet at every place holds all flips of bits
        for other in string.ascii_letters + string.digits + "-_" if place % 8 == 0 or place > 40 else ("A", "_"):
            wrong |= {token[:place] + other + token[place + 1 :]} if other != letter else set()
        wrong.add(token[:place] + chr(ord(letter) ^ 1) + token[place + 1 :])
    for bit in range(256):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        wrong.add("plt_" + base64.urlsafe_b64encode(changed).rstrip(b"=").decode())
    wrong |= {"plt_" + base64.b64encode(raw).decode(), "plt_" + raw.hex(), token[4:], token.upper(), token.lower()}
    wrong |= {"plt_" + base64.b32encode(raw).decode(), f" {token}", f"Bearer {token}", "\ud800", token * 2}
    wrong -= {token}
    assert len(wrong) > 1000
    with pytest.raises(SignInError) as unknown:
        people.tokens.person_of_token("plt_" + "A" * 43)
    for each in sorted(wrong):
        with pytest.raises(SignInError) as refused:
            people.tokens.person_of_token(each)
        assert refused.value.as_reply() == unknown.value.as_reply()
    assert people.tokens.person_of_token(token).person == anna.id


def test_s3_a_dump_of_the_database_opens_nothing(people: People, anna: Person, clock: StillClock) -> None:
    came = people.door.sign_in("anna", PASSWORD)
    made = people.door.enrol_totp(came.visit, "my phone")
    people.door.confirm_totp(came.visit, made.factor, app_code(made.secret, clock))
    codes = people.door.make_recovery(people.visits.visit_of_cookie(came.cookie))
    token, _ = people.tokens.add(anna.id, "my script", 30)
    reset = people.passwords.make_code(anna.id)
    secrets = [PASSWORD, came.cookie, made.secret, token, token[4:], reset, reset.replace("-", ""), *codes]
    secrets += [code.replace("-", "") for code in codes]
    everything = dump(people.database) + (files(people.database) if people.database.is_file else b"")
    assert came.visit.key.encode() in everything  # the check can see something
    for secret in secrets:
        assert secret.encode() not in everything
    for raw in (decoded(came.cookie), decoded(token[4:]), base64.b32decode(made.secret), people.database.key):
        assert raw not in everything and raw.hex().encode() not in everything
