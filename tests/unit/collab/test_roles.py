"""The table of roles, held against the same rules in Cedar's language."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from physlab.collab.access import FRESH_S, Who, allowed
from physlab.collab.database import MICRO
from physlab.collab.roles import ACTIONS, FOR_GUESTS, MATRIX, PROVEN, READS, ROLES, lesser, may, read_role
from physlab.errors import AccessError, StepUpError, UnseenError, ValidationError

NOW = 1_800_000_000 * MICRO
GROUPS = {
    "reads": {"session.see", "run.see", "artifact.read", "notebook.read", "bundle.fetch"},
    "writes": {"notebook.write", "version.add"},
    "administers": {"member.change", "link.revoke"},
    "looks after": {"link.see", "audit.read"},
    "owns": {"session.transfer", "session.close"},
}


def asker(*, guest: bool, reads_only: bool, fresh: bool) -> Who:
    proved = NOW - 10 * MICRO if fresh else NOW - FRESH_S * MICRO
    return Who(None if guest else "p", "l" if guest else None, reads_only=reads_only, proved_at=proved)


@pytest.mark.parametrize("count", [100_000])
def test_s9_the_roles_agree_with_cedar(count: int) -> None:
    import cedarpy

    policies = (Path(__file__).parent / "roles.cedar").read_text()
    entities = [
        {"uid": {"type": "Action", "id": name}, "attrs": {},
         "parents": [{"type": "Action", "id": group} for group, names in GROUPS.items() if name in names]}
        for name in (*ACTIONS, *GROUPS)
    ]  # fmt: skip
    chosen = random.Random(20260101)
    asked: dict[tuple[object, ...], int] = {}
    for _ in range(count):
        role = chosen.choice([None, *ROLES])
        action = chosen.choice(ACTIONS)
        flags = tuple(chosen.random() < 0.3 for _ in range(3))
        asked[role, action, *flags] = asked.get((role, action, *flags), 0) + 1
    requests, ours = [], []
    for role, action, guest, reads_only, fresh in asked:
        who = asker(guest=bool(guest), reads_only=bool(reads_only), fresh=bool(fresh))
        ours.append(allowed(who, role, str(action), NOW) is None)  # type: ignore[arg-type]
        context = {"rank": 0 if role is None else ROLES.index(str(role)) + 1, "guest": guest,
                   "reads_only": reads_only, "fresh": fresh}  # fmt: skip
        requests.append({"principal": 'Person::"p"', "action": f'Action::"{action}"', "resource": 'Session::"s"',
                         "context": context})  # fmt: skip
    theirs = [answer.allowed for answer in cedarpy.is_authorized_batch(requests, policies, entities)]
    different = [key for key, one, other in zip(asked, ours, theirs, strict=True) if one != other]
    assert not different
    assert sum(asked.values()) == count
    assert len(asked) == len(ACTIONS) * 6 * 8, "not every request was made"
    assert 0 < sum(ours) < len(ours)


def test_a_higher_role_may_whatever_a_lower_one_may() -> None:
    for action in ACTIONS:
        marks = [may(role, action) for role in ROLES]
        assert marks == sorted(marks)
        assert marks[-1]


def test_reading_is_never_a_change() -> None:
    assert not READS & PROVEN
    assert set(MATRIX) >= READS | PROVEN | FOR_GUESTS


def test_what_is_refused_says_why() -> None:
    assert isinstance(allowed(Who("p"), None, "run.see", NOW), UnseenError)
    refused = allowed(Who("p"), "viewer", "notebook.write", NOW)
    assert isinstance(refused, AccessError)
    assert "editor" in str(refused)
    assert isinstance(allowed(Who("p"), "admin", "member.change", NOW), StepUpError)
    assert isinstance(allowed(Who("p", proved_at=NOW + 1), "admin", "member.change", NOW), StepUpError)
    assert allowed(Who("p", proved_at=NOW), "admin", "member.change", NOW) is None
    assert allowed(Who("p", local=True), "owner", "session.close", NOW) is None


@pytest.mark.parametrize(
    ("word", "role"), [("read", "viewer"), ("read_write", "editor"), ("read-write", "editor"), ("Admin", "admin")]
)
def test_words_for_roles(word: str, role: str) -> None:
    assert read_role(word) == role


def test_a_word_that_is_no_role() -> None:
    with pytest.raises(ValidationError, match="'god' is no role"):
        read_role("god")
    assert lesser("owner", "viewer") == "viewer"
