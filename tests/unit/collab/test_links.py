"""Links: they end, are taken back, never give more than their maker has, and nobody guesses one."""

from __future__ import annotations

import base64

import pytest
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.access import Who, role_of
from physlab.collab.database import MICRO, Database
from physlab.collab.links import LONGEST_S, PREFIX, Links
from physlab.collab.sessions import Sessions
from physlab.errors import AccessError, StepUpError, UnseenError, ValidationError
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people_in import again, person

HOUR = 3600 * MICRO


@pytest.fixture
def owner(database: Database, sessions: Sessions) -> Who:
    ada = person(database, "ada")
    sessions.begin(ada, "hydrogen", "The hydrogen atom")
    return ada


def role(database: Database, who: Who) -> str | None:
    with database.reading() as connection:
        return role_of(connection, who, "hydrogen", database.clock.now())


def opens(links: Links, token: str) -> bool:
    try:
        links.open(token)
    except UnseenError:
        return False
    return True


def test_a_link_is_opened_counted_and_listed(links: Links, owner: Who, database: Database, clock: StillClock) -> None:
    end = clock.now() + HOUR
    made, token = links.make(owner, "hydrogen", "viewer", end, "for the seminar")
    assert links.open(token).session == "hydrogen"
    clock.forward(60)
    assert links.open(token).role == "viewer"
    [listed] = links.listed(owner, "hydrogen")
    assert (listed.id, listed.label, listed.uses, listed.used_at, listed.expires_at) == (
        made, "for the seminar", 2, clock.now(), end,
    )  # fmt: skip
    assert role(database, Who(link=made)) == "viewer"


def test_s1_a_token_with_any_bit_changed_opens_nothing(links: Links, owner: Who, clock: StillClock) -> None:
    _, token = links.make(owner, "hydrogen", "viewer", clock.now() + HOUR)
    data = token.encode()
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            assert not opens(links, flipped.decode("latin-1"))
    padded = PREFIX + base64.b64encode(base64.urlsafe_b64decode(token[4:] + "=")).decode()
    others = [
        token[:-1], token + "A", token + "=", token.upper(), f" {token}", token + "\n", token[4:], "", PREFIX, padded,
        "\ud800" + token[1:],
    ]  # fmt: skip
    assert not any(opens(links, each) for each in others if each != token)
    refusals = set()
    for wrong in (token[:-1], "pll_" + "A" * 43, "never seen"):
        with pytest.raises(UnseenError) as refused:
            links.open(wrong)
        refusals.add(str(refused.value))
    clock.forward(3601)
    with pytest.raises(UnseenError) as refused:
        links.open(token)
    assert refusals == {str(refused.value)}, "how it is refused tells nothing"


def test_s2_a_link_ends_at_its_end_and_when_it_is_taken_back(
    links: Links, owner: Who, database: Database, clock: StillClock
) -> None:
    made, token = links.make(owner, "hydrogen", "viewer", clock.now() + HOUR)
    clock.forward(3600 - 1e-6)
    assert opens(links, token)
    clock.forward(1e-6)
    assert not opens(links, token)
    assert role(database, Who(link=made)) is None
    other, second = links.make(again(database, owner), "hydrogen", "viewer", clock.now() + HOUR)
    assert role(database, Who(link=other)) == "viewer"
    links.revoke(again(database, owner), other)
    assert not opens(links, second)
    assert role(database, Who(link=other)) is None


def test_s3_the_database_holds_no_token(links: Links, owner: Who, database: Database, clock: StillClock) -> None:
    tokens = [links.make(owner, "hydrogen", "viewer", clock.now() + HOUR, mail="bo@example.org")[1] for _ in range(5)]
    dump = b"".join(path.read_bytes() for path in database.folder.glob("collab.sqlite*")) if database.is_file else b""
    with database.reading() as connection:
        for table in schema.metadata.sorted_tables:
            dump += repr(connection.execute(sa.select(table)).all()).encode()
    assert b"hydrogen" in dump, "the dump is one"
    assert not any(token[4:].encode() in dump for token in tokens)
    assert b"bo@example.org" not in dump


def test_s4_a_link_never_gives_more_than_its_maker_has_now(
    links: Links, sessions: Sessions, owner: Who, database: Database, clock: StillClock
) -> None:
    bo, cy = person(database, "bo"), person(database, "cy")
    sessions.admit(owner, "hydrogen", str(bo.person), "editor")
    with pytest.raises(AccessError, match="cannot share as admin"):
        links.make(bo, "hydrogen", "admin", clock.now() + HOUR, mail="x@example.org")
    made, token = links.make(bo, "hydrogen", "editor", clock.now() + HOUR)
    guest = Who(link=made)
    links.join(cy, token)
    assert (role(database, guest), role(database, cy)) == ("editor", "editor")
    sessions.admit(owner, "hydrogen", str(bo.person), "viewer")
    assert (role(database, guest), role(database, cy)) == (None, None), "who may not share gives nothing"
    sessions.admit(owner, "hydrogen", str(bo.person), "editor")
    assert role(database, guest) == "editor"
    sessions.remove(owner, "hydrogen", str(bo.person))
    assert (role(database, guest), opens(links, token)) == (None, False)


def test_links_that_rest_on_each_other_give_nothing(
    links: Links, sessions: Sessions, owner: Who, database: Database, clock: StillClock
) -> None:
    bo, cy = person(database, "bo"), person(database, "cy")
    sessions.admit(owner, "hydrogen", str(bo.person), "editor")
    _, first = links.make(bo, "hydrogen", "editor", clock.now() + HOUR)
    links.join(cy, first)
    _, second = links.make(cy, "hydrogen", "editor", clock.now() + HOUR)
    sessions.remove(owner, "hydrogen", str(bo.person))
    with pytest.raises(UnseenError):
        links.join(bo, second)
    assert (role(database, bo), role(database, cy)) == (None, None)


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_S + 1])
def test_s5_every_link_ends(links: Links, owner: Who, clock: StillClock, seconds: int) -> None:
    with pytest.raises(ValidationError, match=r"which is over|a year"):
        links.make(owner, "hydrogen", "viewer", clock.now() + seconds * MICRO)


def test_an_open_link_gives_no_administration(links: Links, owner: Who, clock: StillClock) -> None:
    for wanted in ("owner", "admin"):
        with pytest.raises(ValidationError, match=f"cannot give the role {wanted}"):
            links.make(owner, "hydrogen", wanted, clock.now() + HOUR)
    with pytest.raises(ValidationError, match="owner"):
        links.make(owner, "hydrogen", "owner", clock.now() + HOUR, mail="bo@example.org")


def test_a_personal_link_is_for_one_address(links: Links, owner: Who, database: Database, clock: StillClock) -> None:
    bo = person(database, "bo")
    _, token = links.make(owner, "hydrogen", "admin", clock.now() + HOUR, mail="Bo@Example.org")
    for mail in (None, "eve@example.org"):
        with pytest.raises(UnseenError):
            links.join(bo, token, mail)
    assert links.join(bo, token, "bo@example.org") == ("hydrogen", "admin")
    assert role(database, bo) == "admin"


def test_joining_takes_nothing_away(
    links: Links, sessions: Sessions, owner: Who, database: Database, clock: StillClock
) -> None:
    bo = person(database, "bo")
    sessions.admit(owner, "hydrogen", str(bo.person), "editor")
    _, token = links.make(owner, "hydrogen", "viewer", clock.now() + HOUR)
    assert links.join(bo, token) == ("hydrogen", "editor")
    clock.forward(7200)
    assert role(database, bo) == "editor"


def test_s16_an_owner_shares_with_a_second_factor(
    links: Links, owner: Who, database: Database, clock: StillClock
) -> None:
    clock.forward(15 * 60)
    with pytest.raises(StepUpError):
        links.make(owner, "hydrogen", "viewer", clock.now() + HOUR)
    links.make(again(database, owner), "hydrogen", "viewer", clock.now() + HOUR)


def test_s11_a_stranger_learns_nothing(links: Links, owner: Who, database: Database, clock: StillClock) -> None:
    eve = person(database, "eve")
    made, _ = links.make(owner, "hydrogen", "viewer", clock.now() + HOUR)
    for name in ("hydrogen", "nothing-of-that-name"):
        with pytest.raises(UnseenError, match="There is no such session, or you may not see it"):
            links.listed(eve, name)
    told = set()
    for link in (made, "0" * 32):
        with pytest.raises(UnseenError) as refused:
            links.revoke(eve, link)
        told.add(str(refused.value.as_reply()).replace(link, "LINK"))
    assert len(told) == 1, "whether the link is there"
