"""Signing in at an institute, with a real provider over HTTP; and everything that it might say wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.database import MICRO
from physlab.collab.people import People, Person
from physlab.collab.people.institute import Institute, Untrue
from physlab.collab.people.oidc import InstituteDoor
from physlab.errors import AccessError, ConfigurationError, ResourceError, SignInError
from physlab.settings import load_settings
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people.authenticator import app_code, coded, decoded
from tests.unit.collab.people.conftest import PASSWORD
from tests.unit.collab.people.test_accounts import dump, lines

pytest.importorskip("joserfc", reason="the extra 'oidc' is not installed")
from tests.unit.collab.people.provider import CLIENT, SECRET, ECKey, Provider, RSAKey, browse, serve

BACK = "https://lab.example.org/institutes/uni"


@pytest.fixture
def provider(clock: StillClock) -> Iterator[Provider]:
    with serve(lambda: clock.now() / MICRO) as made:
        made.person = {"sub": "123", "email": "Emmy@Uni.example", "email_verified": True, "name": "Emmy Noether"}
        yield made


@pytest.fixture
def door(people: People, provider: Provider) -> InstituteDoor:
    return InstituteDoor(people.door, Institute(provider.issuer, CLIENT, SECRET, ("uni.example",)))


def come(door: InstituteDoor) -> Any:
    begun = door.begin(BACK)
    return door.finish(browse(begun.url), begun.binding, agent="browser")


def test_a_newcomer_gets_an_account_and_comes_again(people: People, door: InstituteDoor, provider: Provider) -> None:
    first = people.visits.visit_of_cookie(come(door).cookie)
    person = people.accounts.get(first.person or "")
    assert (person.login, person.name, person.mail) == ("emmy", "Emmy Noether", "emmy@uni.example")
    assert not person.administrator and not person.has_password and first.proved_at is None
    provider.person |= {"email": "another@elsewhere.example", "name": "Emmy N."}
    assert come(door).visit.person == person.id  # the subject counts, not the address
    assert len(people.accounts.list()) == 1
    actions = [line["action"] for line in lines(people.database)]
    assert actions == ["person.create", "identity.add", "visit.open", "visit.open"]


def test_who_has_an_account_keeps_it_and_its_second_factor(
    people: People, door: InstituteDoor, clock: StillClock
) -> None:
    made = people.accounts.create("emmy.n", "Emmy", "emmy@uni.example")
    enrolled = people.totp.enrol(made.id, made.login, "phone", by=made.id)
    with people.database.writing() as connection:
        assert people.totp.confirm(connection, made.id, enrolled.factor, app_code(enrolled.secret, clock))
    came = come(door)
    assert came.visit.person == made.id and came.visit.is_half
    clock.forward(60)
    people.door.prove(came.visit, "code", app_code(enrolled.secret, clock))
    people.accounts.disable(made.id)
    with pytest.raises(SignInError):
        come(door)


@pytest.mark.parametrize(
    "person",
    [
        {"email": "emmy@elsewhere.example"}, {"email_verified": False}, {"email_verified": None}, {"email": None},
        {"email_verified": "true"}, {"email": "emmy@uni.example.evil.example"}, {"email": "x@sub.uni.example"},
    ],
)  # fmt: skip
def test_whom_the_institute_does_not_vouch_for_stays_out(
    people: People, door: InstituteDoor, provider: Provider, person: dict[str, Any]
) -> None:
    provider.person = {name: value for name, value in (provider.person | person).items() if value is not None}
    people.accounts.create("emmy", "Emmy", "emmy@elsewhere.example")
    with pytest.raises(AccessError, match="does not let"):
        come(door)
    assert len(people.accounts.list()) == 1


LIES: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "another audience": {"aud": "another lab"},
    "two audiences, for the other": {"aud": [CLIENT, "another lab"], "azp": "another lab"},
    "two audiences, for nobody": {"aud": [CLIENT, "another lab"]},
    "one audience, for another": {"azp": "another lab"},
    "another sign-in": {"nonce": "x" * 43},
    "no nonce": {"nonce": None},
    "ended": {"exp": 1_799_999_000},
    "no end": {"exp": None},
    "an end that is no number": {"exp": "never"},
    "not begun": {"iat": 1_800_001_000, "exp": 1_800_009_000},
    "nobody": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is no text": {"sub": 7},
    "no issuer": {"iss": None},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_says_anything_else_is_refused(
    people: People, door: InstituteDoor, provider: Provider, lie: str
) -> None:
    provider.claims = LIES[lie]
    with pytest.raises(SignInError):
        come(door)
    assert provider.redeemed == 1 and people.accounts.list() == []


def _unsigned(token: str) -> str:
    return f"{coded(json.dumps({'alg': 'none'}).encode())}.{token.split('.')[1]}."


def _relabelled(token: str) -> str:
    """Sign with what everybody knows, the public key, as a shared secret."""
    import hashlib
    import hmac

    head = coded(json.dumps({"alg": "HS256", "kid": "first"}).encode())
    body = f"{head}.{token.split('.')[1]}"
    return f"{body}.{coded(hmac.new(b'public', body.encode(), hashlib.sha256).digest())}"


def _other_body(token: str) -> str:
    head, body, signature = token.split(".")
    said = json.loads(decoded(body)) | {"sub": "124"}
    return f"{head}.{coded(json.dumps(said).encode())}.{signature}"


SPOILED: dict[str, Callable[[str], str]] = {
    "unsigned": _unsigned, "relabelled": _relabelled, "another body": _other_body, "empty": lambda token: "",
    "cut": lambda token: token[:-4], "no token": lambda token: "a.b.c", "more": lambda token: token + ".x",
}  # fmt: skip


@pytest.mark.parametrize("way", SPOILED)
def test_s1_a_token_with_anything_changed_is_refused(
    people: People, door: InstituteDoor, provider: Provider, way: str
) -> None:
    provider.spoil = SPOILED[way]
    with pytest.raises(SignInError):
        come(door)
    assert people.accounts.list() == []


def test_s1_every_part_of_a_token_is_signed(door: InstituteDoor, provider: Provider, people: People) -> None:
    told = provider.jwks()
    begun = door.begin(BACK)
    answer = browse(begun.url)
    kept: list[str] = []
    provider.spoil = lambda token: kept.append(token) or token  # type: ignore[func-returns-value]
    door.finish(answer, begun.binding)
    [token] = kept
    assert door.provider._signed(token, told)["sub"] == "123"
    for place in range(0, len(token), 7):
        for other in "AQgw":
            changed = token[:place] + other + token[place + 1 :]
            if changed != token and decoded(changed.split(".")[-1]) != decoded(token.split(".")[-1]):
                with pytest.raises(Untrue, match="signature does not hold"):
                    door.provider._signed(changed, told)


def test_another_key_is_not_the_institutes(door: InstituteDoor, provider: Provider) -> None:
    provider.published = [RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}, private=True)]
    with pytest.raises(SignInError):
        come(door)
    provider.published = []
    provider.key, provider.algorithm = ECKey.generate_key("P-256", {"kid": "second"}, private=True), "ES256"
    assert come(door).visit.person  # a new key of the institute's is taken at once


def test_a_sign_in_is_finished_once_in_time_by_the_same_browser(
    people: People, door: InstituteDoor, provider: Provider, clock: StillClock
) -> None:
    begun, other = door.begin(BACK), door.begin(BACK)
    answer = browse(begun.url)
    with pytest.raises(SignInError):
        door.finish(answer, other.binding)
    assert door.finish(answer, begun.binding).visit.person
    with pytest.raises(SignInError):
        door.finish(answer, begun.binding)
    swapped = browse(other.url) | {"code": browse(door.begin(BACK).url)["code"]}
    with pytest.raises(SignInError):  # a code of another sign-in: PKCE
        door.finish(swapped, other.binding)
    for change in (
        {"iss": "https://evil.example"},
        {"code": "made-up"},
        {"state": "made-up"},
        {"state": None},
        {"code": None},
    ):
        begun = door.begin(BACK)
        said = {name: value for name, value in (browse(begun.url) | change).items() if value is not None}
        with pytest.raises(SignInError):
            door.finish(said, begun.binding)
    late = door.begin(BACK)
    answer = browse(late.url)
    clock.forward(600)
    with pytest.raises(SignInError):
        door.finish(answer, late.binding)


def test_s3_what_a_sign_in_waits_for_is_not_in_the_database(people: People, door: InstituteDoor) -> None:
    begun = door.begin(BACK)
    asked = dict(part.split("=") for part in begun.url.partition("?")[2].split("&"))
    everything = dump(people.database)
    for word in (begun.binding, asked["state"], asked["nonce"], SECRET):
        assert word.encode() not in everything
    with people.database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.challenges)).scalar() == 1


def test_an_institute_that_is_another_or_silent_is_told(
    people: People, door: InstituteDoor, provider: Provider
) -> None:
    provider.described = {"issuer": "https://another.example"}
    with pytest.raises(ConfigurationError, match="says that it is"):
        door.begin(BACK)
    for place in ("http://login.example.org/token", "ftp://x", ""):
        provider.described = {"token_endpoint": place}
        with pytest.raises(ConfigurationError, match="no https:// address"):
            door.begin(BACK)
    provider.described = {"padding": "x" * (2 << 20)}
    with pytest.raises(ResourceError, match="more than"):
        door.begin(BACK)
    gone = InstituteDoor(people.door, Institute("http://127.0.0.1:1", CLIENT))
    with pytest.raises(ResourceError, match="does not sign in"):
        gone.begin(BACK)
    clear = InstituteDoor(people.door, Institute("http://login.example.org", CLIENT))
    with pytest.raises(ConfigurationError, match="no https:// address"):
        clear.begin(BACK)


def test_the_secret_of_the_client_is_asked_for(people: People, provider: Provider) -> None:
    with pytest.raises(SignInError):
        come(InstituteDoor(people.door, Institute(provider.issuer, CLIENT, "wrong", ("uni.example",))))


def test_institutes_are_settings(people: People, anna: Person) -> None:
    given = {"ISSUER": "https://login.uni.example", "CLIENT_ID": "lab", "CLIENT_SECRET": PASSWORD,
             "MAIL_DOMAINS": "uni.example, physik.uni.example"}  # fmt: skip
    given = {f"PHYSLAB_INSTITUTES__UNI__{key}": text for key, text in given.items()}
    [(name, door)] = people.institutes(load_settings(environ=given)).items()
    assert name == "uni" and PASSWORD not in repr(door.institute)
    wanted = Institute("https://login.uni.example", "lab", PASSWORD, ("uni.example", "physik.uni.example"))
    assert door.institute == wanted
