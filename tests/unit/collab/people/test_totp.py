"""Codes of authenticator apps and recovery codes: right, in time, once."""

from __future__ import annotations

import base64
import inspect
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.people import People, Person
from physlab.collab.people.door import Door
from physlab.collab.people.sealed import seal
from physlab.errors import SignInError, ValidationError
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people.authenticator import app_code
from tests.unit.collab.people.conftest import BOTH, PASSWORD

pytestmark = pytest.mark.parametrize("database", BOTH, indirect=True)


@pytest.fixture
def secret(people: People, anna: Person, clock: StillClock) -> str:
    """Of Anna's app."""
    made = people.totp.enrol(anna.id, anna.login, "my phone", by=anna.id)
    with people.database.writing() as connection:
        assert people.totp.confirm(connection, anna.id, made.factor, app_code(made.secret, clock))
    clock.forward(300)
    return made.secret


def take(people: People, person: Person, code: str) -> bool:
    with people.database.writing() as connection:
        return people.totp.take(connection, person.id, code)


@pytest.mark.parametrize(
    ("moment", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
     (2000000000, "69279037"), (20000000000, "65353130")],
)  # fmt: skip
def test_s14_the_vectors_of_rfc_6238(people: People, anna: Person, clock: StillClock, moment: int, code: str) -> None:
    """Appendix B, SHA-1; of its eight digits six are asked for, the last."""
    made = people.totp.enrol(anna.id, anna.login, "the RFC's", by=anna.id)
    known = base64.b32encode(b"12345678901234567890")
    with people.database.writing() as connection:
        sealed = seal(people.database.key, known, made.factor)
        connection.execute(schema.factors.update().values(secret=sealed, confirmed=True))
    clock.moment = moment * 1_000_000
    assert not take(people, anna, code[:6] if code[:6] != code[2:] else "000000")
    assert take(people, anna, code[2:])


def test_s14_a_step_is_taken_once_and_within_one_of_now(
    people: People, anna: Person, secret: str, clock: StillClock
) -> None:
    for steps, right in ((-2, False), (2, False), (-1, True), (0, True), (1, True)):
        code = app_code(secret, clock, steps)
        assert take(people, anna, code) is right
        assert not take(people, anna, code)
    clock.forward(60)
    assert not take(people, anna, app_code(secret, clock, -1))  # was taken a minute ago, as the next one
    assert take(people, anna, f"{app_code(secret, clock)[:3]} {app_code(secret, clock)[3:]}")
    with people.database.reading() as connection:
        assert people.factors.list(anna.id)[0].used_at == clock.now()
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.steps)).scalar() == 5


def test_s14_a_step_is_taken_once_in_parallel(people: People, anna: Person, secret: str, clock: StillClock) -> None:
    code = app_code(secret, clock)
    visits = [people.door.sign_in("anna", PASSWORD).visit for _ in range(8)]
    people.door.lockout.enter = lambda name, address: "open"  # type: ignore[assignment] # it would stop some first

    def prove(visit: object) -> bool:
        try:
            people.door.prove(visit, "code", code)  # type: ignore[arg-type]
        except SignInError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(prove, visits)) == [False] * 7 + [True]


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "12345\n6", "0" * 5000])
def test_what_is_no_code_is_refused(people: People, anna: Person, secret: str, code: str) -> None:
    assert not take(people, anna, code)


def test_s16_the_secret_never_comes_from_a_request(people: People, anna: Person, secret: str) -> None:
    """CVE-2026-28510 of another notebook: the second step took the secret from the form when the session had none."""
    for step in (Door.enrol_totp, Door.confirm_totp, Door.prove, people.totp.take, people.totp.confirm):
        assert not {"secret", "key", "uri"} & set(inspect.signature(step).parameters)
    with people.database.reading() as connection:
        row = connection.execute(sa.select(schema.factors)).one()
    assert secret.encode() not in row.secret and base64.b32decode(secret) not in row.secret
    other = people.accounts.create("berta", "Berta")
    stolen = people.totp.enrol(other.id, other.login, "phone", by=other.id)
    with people.database.writing() as connection:  # a sealed secret opens for its own row only
        connection.execute(
            schema.factors.update().where(schema.factors.c.id == stolen.factor).values(secret=row.secret)
        )
    with pytest.raises(OSError, match="cannot be opened"), people.database.writing() as connection:
        people.totp.confirm(connection, other.id, stolen.factor, "123456")


def test_an_app_counts_when_it_was_confirmed(people: People, anna: Person, clock: StillClock) -> None:
    lost = people.totp.enrol(anna.id, anna.login, "lost", by=anna.id)
    made = people.totp.enrol(anna.id, anna.login, "my phone", by=anna.id)
    assert [factor.label for factor in people.factors.list(anna.id)] == ["my phone"]
    assert not people.accounts.get(anna.id).has_factor
    assert not take(people, anna, app_code(made.secret, clock))
    visit = people.door.sign_in("anna", PASSWORD).visit
    assert not visit.is_half
    for factor, secret in ((lost.factor, lost.secret), (made.factor, lost.secret)):
        with pytest.raises(SignInError):
            people.door.confirm_totp(visit, factor, app_code(secret, clock))
    people.door.confirm_totp(visit, made.factor, app_code(made.secret, clock))
    assert people.accounts.get(anna.id).has_factor
    assert people.door.sign_in("anna", PASSWORD).visit.is_half
    people.factors.remove(anna.id, made.factor, by="lab")
    assert not people.door.sign_in("anna", PASSWORD).visit.is_half
    with pytest.raises(ValidationError, match="no second factor"):
        people.factors.remove(anna.id, made.factor, by="lab")


def test_the_qr_code_says_what_an_app_needs(people: People, anna: Person) -> None:
    made = people.totp.enrol(anna.id, anna.login, "my phone", by=anna.id)
    parts = urlsplit(made.uri)
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/physlab:anna")
    assert parse_qs(parts.query) == {"secret": [made.secret], "issuer": ["physlab"]}
    assert len(base64.b32decode(made.secret)) == 20
    picture = ET.fromstring(made.svg())  # noqa: S314 - our own
    assert picture.tag == "{http://www.w3.org/2000/svg}svg" and made.secret not in made.svg()


def test_there_is_an_end_to_apps(people: People, anna: Person, clock: StillClock) -> None:
    for number in range(5):
        made = people.totp.enrol(anna.id, anna.login, f"phone {number}", by=anna.id)
        with people.database.writing() as connection:
            assert people.totp.confirm(connection, anna.id, made.factor, app_code(made.secret, clock))
    with pytest.raises(ValidationError, match="5 authenticator apps"):
        people.totp.enrol(anna.id, anna.login, "one more", by=anna.id)


def test_s16_a_recovery_code_works_once(people: People, anna: Person, secret: str, clock: StillClock) -> None:
    codes = people.recovery.make(anna.id, by=anna.id)
    assert len(set(codes)) == 10 and people.recovery.left(anna.id) == 10
    for number, code in enumerate(codes):
        came = people.door.sign_in("anna", PASSWORD)
        people.door.prove(came.visit, "recovery", code.lower() if number % 2 else code.replace("-", ""))
        people.visits.require_fresh(people.visits.visit_of_cookie(came.cookie))
        with pytest.raises(SignInError):
            people.door.prove(people.door.sign_in("anna", PASSWORD).visit, "recovery", code)
        clock.forward(1)
    assert people.recovery.left(anna.id) == 0


def test_recovery_codes_are_of_one_person_and_end_with_new_ones(people: People, anna: Person, secret: str) -> None:
    old = people.recovery.make(anna.id, by=anna.id)
    new = people.recovery.make(anna.id, by=anna.id)
    other = people.accounts.create("berta", "Berta")
    with people.database.writing() as connection:
        assert not people.recovery.take(connection, anna.id, old[0])
        assert not people.recovery.take(connection, other.id, new[0])
        assert people.recovery.take(connection, anna.id, new[0])
    with pytest.raises(ValidationError, match="there is none yet"):
        people.recovery.make(other.id, by=other.id)
    people.factors.remove(anna.id, people.factors.list(anna.id)[0].id, by=anna.id)
    assert people.recovery.left(anna.id) == 0


def test_s16_a_recovery_code_works_once_in_parallel(people: People, anna: Person, secret: str) -> None:
    [code, *_] = people.recovery.make(anna.id, by=anna.id)

    def take_code(_: int) -> bool:
        with people.database.writing() as connection:
            return people.recovery.take(connection, anna.id, code)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(take_code, range(8))) == [False] * 7 + [True]
