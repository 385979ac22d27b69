"""`session_share`: the payloads that are in the wild, the contract's fields and ranges, every operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from physlab.collab.access import Who, role_of
from physlab.collab.commons import Commons
from physlab.errors import AccessError, UnseenError, ValidationError
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people_in import person

Answer = Callable[..., dict[str, Any]]
SHARE = {
    "tool": "distributed_collaboration",
    "params": {
        "action": "session_share",
        "session_id": "physics_lab_2024",
        "participants": [
            {"email": "student@university.edu", "role": "read_write"},
            {"email": "professor@university.edu", "role": "admin"},
        ],
        "expires": "2024-12-31T23:59:59Z",
    },
}
LIVE = {
    "tool": "distributed_collaboration",
    "params": {
        "action": "session_share",
        "real_time": True,
        "features": {"live_cursor": True, "voice_chat": True, "screen_sharing": True},
    },
}


def inline(**fields: Any) -> dict[str, Any]:
    return {"tool": "distributed_collaboration", "method": "session_share", **fields}


def role(commons: Commons, who: Who, session: str) -> str | None:
    with commons.database.reading() as connection:
        return role_of(connection, who, session, commons.now)


def test_the_payload_of_the_documents(answer: Answer, commons: Commons, ada: Who) -> None:
    reply = answer(SHARE)
    assert {"share_url", "expires_at", "participants"} <= reply.keys()
    assert reply["expires_at"] == "2024-12-31T23:59:59Z" and reply["session_id"] == "physics_lab_2024"
    found = [(one["email"], one["role"], one["state"]) for one in reply["participants"]]
    assert found == [
        ("student@university.edu", "editor", "invited"), ("professor@university.edu", "admin", "invited"),
    ]  # fmt: skip
    for one in reply["participants"]:
        opened = commons.links.open(one["share_url"].rpartition("/")[2])
        assert (opened.session, opened.role, opened.mail) == ("physics_lab_2024", one["role"], one["email"])
    assert role(commons, ada, "physics_lab_2024") == "owner"


def test_the_payload_of_real_time_is_answered_honestly(answer: Answer) -> None:
    reply = answer(LIVE)
    assert reply["features"] == {"live_cursor": False, "voice_chat": False, "screen_sharing": False}
    [warning] = reply["meta"]["warnings"]
    assert "not part of this version" in warning
    assert reply["expires_at"] == "2024-06-04T12:00:00Z", "72 hours"


def test_the_payload_of_the_documents_is_over_when_its_time_is(answer: Answer, clock: StillClock) -> None:
    clock.forward(214 * 86_400)
    with pytest.raises(ValidationError, match="would end on 2024-12-31T23:59:59Z, which is over") as caught:
        answer(SHARE)
    assert "It is 2025-01-01T12:00:00Z now" in caught.value.hint


@pytest.mark.parametrize("hours", [1, 72, 8760])
def test_hours_in_the_contract(answer: Answer, hours: int) -> None:
    assert answer(inline(session_id="s", expires_in_hours=hours))["share_url"]


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"expires_in_hours": 0}, "expires_in_hours"),
        ({"expires_in_hours": 8761}, "expires_in_hours"),
        ({"expires_in_hours": 1, "expires": "2024-12-31"}, "both say when it ends"),
        ({"expires": "2025-06-02T12:00:00Z"}, "a year|8760"),
        ({"expires": "2024-06-01T12:00:00Z"}, "is over"),
        ({"expires": "2024-05-31"}, "is over"),
        ({"expires": "tomorrow"}, "the end of that day, in UTC"),
        ({"expires": "tomorrow"}, "'tomorrow' is no time"),
        ({"access": "execute"}, "'execute' is no role"),
        ({"access": "owner"}, "cannot give the role owner"),
        ({"access": "admin"}, "cannot give the role admin"),
        ({"participants": [{"email": "x@y.org", "role": "king"}]}, "'king' is no role"),
        ({"participants": ["nobody here"]}, "neither a mail address nor the login"),
        ({"participants": [{"mail": "x@y.org", "colour": "red"}]}, "colour"),
        ({"operation": "shred"}, "operation"),
        ({"operation": "role", "person": "ada"}, "role needs the new role"),
        ({"operation": "role", "role": "viewer"}, "needs a person"),
        ({"operation": "revoke"}, "needs a link's id or a person"),
        ({"operation": "join", "link": "http://127.0.0.1/#/join/xyz"}, "join needs the link's address"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_is_refused_shares_nothing(
    answer: Answer, commons: Commons, ada: Who, fields: dict[str, Any], match: str
) -> None:
    answer(inline(session_id="s"))
    before = [one.id for one in commons.links.listed(ada, "s")]
    with pytest.raises(ValidationError, match=match):
        answer(inline(session_id="s", **fields))
    assert [one.id for one in commons.links.listed(ada, "s")] == before


def test_a_time_without_a_zone_is_utc_and_one_with_a_zone_is_what_it_says(answer: Answer) -> None:
    assert answer(inline(expires="2024-06-02T00:00:00"))["expires_at"] == "2024-06-02T00:00:00Z"
    assert answer(inline(expires="2024-06-02T02:00:00+02:00"))["expires_at"] == "2024-06-02T00:00:00Z"


def test_a_link_for_whoever_has_it_and_its_life(answer: Answer, commons: Commons, clock: StillClock) -> None:
    reply = answer(inline(session_id="s", expires_in_hours=2, label="seminar"))
    token = reply["share_url"].rpartition("/")[2]
    assert commons.links.open(token).role == "viewer"
    [listed] = answer(inline(session_id="s", operation="list"))["links"]
    assert (listed["label"], listed["uses"], listed["now"]) == ("seminar", 1, "viewer")
    clock.forward(2 * 3600)
    with pytest.raises(UnseenError):
        commons.links.open(token)


def test_every_operation(answer: Answer, commons: Commons, ada: Who) -> None:
    database = commons.database
    bob, eve = person(database, "bob"), person(database, "eve")
    reply = answer(inline(session_id="s", participants=["bob"], access="write"))
    assert [one["state"] for one in reply["participants"]] == ["member"] and role(commons, bob, "s") == "editor"
    link = answer(inline(session_id="s"))
    joined = answer(inline(operation="join", link=link["share_url"]), eve)
    assert joined["members"] == [{"person": eve.person, "role": "viewer"}] and role(commons, eve, "s") == "viewer"
    answer(inline(session_id="s", operation="role", person="eve", role="commenter"))
    assert role(commons, eve, "s") == "commenter"
    answer(inline(session_id="s", operation="leave"), eve)
    assert role(commons, eve, "s") is None
    answer(inline(session_id="s", operation="revoke", link=link["link_id"]))
    with pytest.raises(UnseenError):
        answer(inline(operation="join", link=link["share_url"]), eve)
    answer(inline(session_id="s", operation="transfer", person="bob"))
    assert (role(commons, bob, "s"), role(commons, Who(ada.person), "s")) == ("owner", "admin")
    answer(inline(session_id="s", operation="role", person="eve", role="viewer", expires_in_hours=1))
    answer(inline(session_id="s", operation="revoke", person="eve"))
    listed = answer(inline(session_id="s", operation="list"))
    assert sorted(one["role"] for one in listed["members"]) == ["admin", "owner"]
    assert [one["revoked_at"] is not None for one in listed["links"]] == [True]


def test_an_editor_shares_what_they_have_and_admits_nobody(answer: Answer, commons: Commons) -> None:
    bob, eve = person(commons.database, "bob"), person(commons.database, "eve")
    answer(inline(session_id="s", participants=["bob"], access="write"))
    reply = answer(inline(session_id="s", participants=["eve"], access="write"), bob)
    [one] = reply["participants"]
    assert one["state"] == "invited" and role(commons, eve, "s") is None
    with pytest.raises(AccessError, match="cannot share as admin"):
        answer(inline(session_id="s", participants=[{"email": "x@y.org", "role": "admin"}]), bob)
    with pytest.raises(AccessError, match=r"does not allow member\.change"):
        answer(inline(session_id="s", operation="role", person="eve", role="viewer"), bob)
    commons.sessions.admit(commons.local("ada"), "s", str(eve.person), "viewer")
    with pytest.raises(AccessError, match=r"does not allow link\.make"):
        answer(inline(session_id="s"), eve)


def test_s11_for_strangers_there_is_no_session(answer: Answer, commons: Commons) -> None:
    eve = person(commons.database, "eve")
    answer(inline(session_id="s"))
    for operation in ("list", "leave", "transfer", "role", "revoke"):
        fields = {"person": "ada", "role": "viewer"} if operation in ("transfer", "role", "revoke") else {}
        with pytest.raises(UnseenError) as known:
            answer(inline(session_id="s", operation=operation, **fields), eve)
        with pytest.raises(UnseenError) as unknown:
            answer(inline(session_id="nowhere", operation=operation, **fields), eve)
        assert known.value.as_reply() == unknown.value.as_reply()


def test_a_dry_run_shares_nothing(answer: Answer, commons: Commons, ada: Who) -> None:
    person(commons.database, "bob")
    reply = answer(inline(session_id="s", participants=["bob", "x@y.org"], dry_run=True))
    assert [one["state"] for one in reply["participants"]] == ["would be member", "would be invited"]
    assert commons.sessions.of(ada) == {} and "link_id" not in str(reply)


@pytest.mark.parametrize(
    ("given", "ends"),
    [("2024-06-01", "2024-06-01T23:59:59Z"), ("2024-06-03", "2024-06-03T23:59:59Z"),
     ("2024-06-03T08:00", "2024-06-03T08:00:00Z"), ("2024-06-03T08:00+02:00", "2024-06-03T06:00:00Z")],
)  # fmt: skip
def test_a_day_ends_at_its_end(answer: Answer, given: str, ends: str) -> None:
    assert answer(inline(session_id="s", expires=given))["expires_at"] == ends


def test_who_cannot_own_a_session_is_said_before_anything_is_asked(answer: Answer, commons: Commons, ada: Who) -> None:
    answer(inline(session_id="s"))
    bob = commons.accounts.create("bob", "Bob")
    for word, said in (("nobody", "The lab knows no 'nobody'"), ("bob", "is not in the session s")):
        with pytest.raises(ValidationError, match=said):
            answer(inline(session_id="s", operation="transfer", person=word, dry_run=True))
    commons.sessions.admit(ada, "s", bob.id, "editor")
    answer(inline(session_id="s", operation="transfer", person="bob", dry_run=True))
    assert {one.person: one.role for one in commons.sessions.members(ada, "s")} == {
        ada.person: "owner",
        bob.id: "editor",
    }
