"""`collaborate_share`: a graph as one bundle, links that show it and nothing else, and who gets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.bundle import check_bundle
from physlab.collab.access import Who, scope_of
from physlab.collab.audit.checkpoints import lab_key
from physlab.collab.commons import Commons
from physlab.errors import AccessError, StoreError, UnseenError, ValidationError
from physlab.lab import Lab
from physlab.model import Call, RunRecord
from physlab.service.sharing.bundles import fetch_bundle
from physlab.service.sharing.collaborate import share_bundle
from physlab.service.sharing.opened import take_bundle, trust, trusted_keys
from physlab.tools.call import check_params
from physlab.versioning.history import find
from physlab.versioning.labels import label, read_label
from tests.unit.bundle.conftest import run
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people_in import person
from tests.unit.conftest import Bench, node, open_lab


def params(lab: Lab, **given: Any) -> dict[str, Any]:
    method = lab.registry.find("experiment_orchestrator", "collaborate_share")
    return check_params(method, given).model_dump(exclude_none=True)


@pytest.fixture
def record(lab: Lab, tmp_path: Path) -> RunRecord:
    return run(lab, tmp_path)


def share(lab: Lab, commons: Commons, who: Who, record: RunRecord, **given: Any) -> dict[str, Any]:
    asked = {"dag_id": record.dag_id, "access": "read", "participants": ["x@y.org"], "report": False, **given}
    return share_bundle(lab, commons, who, params(lab, **asked))


def token(reply: dict[str, Any]) -> str:
    return str(reply["share_url"].rpartition("/")[2])


def test_the_contract(lab: Lab, commons: Commons, ada: Who, record: RunRecord) -> None:
    reply = share(lab, commons, ada, record, expires_in_hours=2)
    assert reply["expires_at"] == "2024-06-01T14:00:00Z" and reply["share_url"]
    assert [(one["email"], one["role"], one["state"]) for one in reply["participants"]] == [
        ("x@y.org", "viewer", "invited")
    ]
    told = reply["bundle"]
    checked = check_bundle(Path(told["path"]))
    assert checked.size == told["size"] and checked.signer == lab_key(commons.database).public
    assert told["runs"] == [record.run_id] and told["left_out"] == {} and told["missing"] == []
    version = find(lab.store, told["name"], Path()).version
    assert (version.content.sha256, version.session) == (told["sha256"], "lab")
    link = commons.links.open(token(reply))
    assert link.bundle is not None and link.bundle["sha256"] == told["sha256"]
    assert (link.bundle["dag_id"], link.bundle["runs"]) == (record.dag_id, [record.run_id])


@pytest.mark.parametrize("missing", ["dag_id", "access", "participants"])
def test_all_that_is_required(lab: Lab, missing: str) -> None:
    given = {"dag_id": "x", "access": "read", "participants": ["x@y.org"]}
    del given[missing]
    with pytest.raises(ValidationError, match=missing):
        params(lab, **given)


def test_at_least_one_participant(lab: Lab) -> None:
    with pytest.raises(ValidationError, match="participants"):
        params(lab, dag_id="x", access="read", participants=[])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"access": "admin"}, "cannot be shared as 'admin'"),
        ({"participants": [{"email": "x@y.org", "role": "owner"}]}, "cannot be shared as 'owner'"),
        ({"access": "execute"}, "'execute' is no role"),
        ({"expires": "2024-01-01T00:00:00Z"}, "is over"),
        ({"dag_id": "nothing"}, "There is no graph 'nothing'"),
        ({"run_id": "20200101-000000-abcdef"}, "has no finished run"),
        ({"session_id": "other"}, "no finished run in the session 'other'"),
    ],
)
def test_what_is_refused_makes_nothing(
    lab: Lab, commons: Commons, ada: Who, record: RunRecord, given: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValidationError, match=match):
        share(lab, commons, ada, record, **given)
    assert lab.store.records_of("version") == [] and commons.sessions.of(ada) == {}


def test_a_dry_run_makes_nothing(lab: Lab, commons: Commons, ada: Who, record: RunRecord) -> None:
    reply = share(lab, commons, ada, record, dry_run=True)
    assert reply["bundle"]["runs"] == [record.run_id] and reply["bundle"]["sha256"] is None
    assert lab.store.records_of("version") == [] and commons.sessions.of(ada) == {}


def test_what_may_not_leave_is_not_shared(lab: Lab, commons: Commons, ada: Who, record: RunRecord) -> None:
    artifact = lab.store.record(str(record.nodes[2].record))["artifacts"][0]["sha256"]
    label(lab.store, [artifact], read_label("private"), "me")
    with pytest.raises(StoreError, match="Nothing of it may leave"):
        share(lab, commons, ada, record)


def test_s36_a_graph_that_holds_a_secret_is_not_shared_and_a_file_that_does_stays(
    lab: Lab, commons: Commons, ada: Who, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "gh" + "p_" + "aB3" * 12
    spilled = Bench(lab, tmp_path).run([node("value", "give", value=secret)]).record
    with pytest.raises(ValidationError, match="holds a token of GitHub") as caught:
        share(lab, commons, ada, spilled)
    assert secret not in str(caught.value.as_reply())
    record = run(lab, tmp_path)
    artifact = lab.store.record(str(record.nodes[2].record))["artifacts"][0]["sha256"]
    place = lab.store.blobs.path(artifact)
    place.chmod(0o644)
    place.write_bytes(f"key = {secret}\n".encode())
    with pytest.raises(StoreError, match="Nothing of it may leave") as held:
        share(lab, commons, ada, record)
    assert "line 1 holds a token of GitHub" in str(held.value.as_reply())


def test_a_link_to_a_bundle_fetches_it_and_no_other(
    lab: Lab, commons: Commons, ada: Who, record: RunRecord, clock: StillClock
) -> None:
    first = share(lab, commons, ada, record)
    clock.forward(60)
    second = share(lab, commons, ada, record, expires_in_hours=1)
    assert first["bundle"]["sha256"] != second["bundle"]["sha256"], "it says when it was made"
    guest = Who(link=commons.links.open(token(first)).id)
    fetched = fetch_bundle(commons, lab.store, guest, "lab")
    assert (fetched.sha256, fetched.size) == (first["bundle"]["sha256"], first["bundle"]["size"])
    assert check_bundle(fetched.path).manifest.dag_id == record.dag_id
    with pytest.raises(UnseenError):
        fetch_bundle(commons, lab.store, guest, "lab", second["bundle"]["sha256"])
    entry = commons.trail.read(action="bundle.fetch")[0]
    assert (entry["who"], entry["object"], entry["session"]) == (guest.name, fetched.sha256, "lab")
    over = Who(link=commons.links.open(token(second)).id)
    clock.forward(3600)
    with pytest.raises(UnseenError):
        fetch_bundle(commons, lab.store, over, "lab")


def test_fetching_serves_bundles_alone(lab: Lab, commons: Commons, ada: Who, record: RunRecord) -> None:
    reply = share(lab, commons, ada, record)
    other = lab.store.record(str(record.nodes[2].record))["artifacts"][0]["sha256"]
    assert fetch_bundle(commons, lab.store, ada, "lab", reply["bundle"]["sha256"]).size == reply["bundle"]["size"]
    for digest in (other, "0" * 64, None):
        with pytest.raises(UnseenError):
            fetch_bundle(commons, lab.store, ada, "lab", digest)
    with pytest.raises(UnseenError):
        fetch_bundle(commons, lab.store, person(commons.database, "eve"), "lab", reply["bundle"]["sha256"])


def test_what_was_made_private_since_is_not_fetched(lab: Lab, commons: Commons, ada: Who, record: RunRecord) -> None:
    guest = Who(link=commons.links.open(token(share(lab, commons, ada, record))).id)
    artifact = lab.store.record(str(record.nodes[2].record))["artifacts"][0]["sha256"]
    label(lab.store, [artifact], read_label("private"), "me")
    with pytest.raises(AccessError, match="may not leave the lab any more"):
        fetch_bundle(commons, lab.store, guest, "lab")


def test_people_of_the_lab_get_the_bundle_and_not_the_session(
    lab: Lab, commons: Commons, ada: Who, record: RunRecord
) -> None:
    bob = person(commons.database, "bob")
    reply = share(lab, commons, ada, record, participants=["bob"], access="write")
    assert reply["participants"][0]["state"] == "invited" and commons.sessions.of(bob) == {}


def test_who_joined_by_a_bundle_sees_and_shares_no_more(
    lab: Lab, commons: Commons, ada: Who, record: RunRecord
) -> None:
    bob = person(commons.database, "bob")
    commons.own(ada, "lab")
    shown = {"sha256": "a", "runs": [record.run_id]}
    _, narrow = commons.links.make(ada, "lab", "editor", commons.now + 3_600_000_000, bundle=shown)
    commons.links.join(bob, narrow)
    with commons.database.reading() as connection:
        assert scope_of(connection, bob, "lab") == shown
    _, theirs = commons.links.make(bob, "lab", "viewer", commons.now + 60_000_000)
    assert commons.links.open(theirs).bundle == shown, "a link of theirs shows no more"
    _, whole = commons.links.make(ada, "lab", "viewer", commons.now + 60_000_000)
    commons.links.join(bob, whole)
    with commons.database.reading() as connection:
        assert scope_of(connection, bob, "lab") is None, "who is let in to all of it is not bound any more"
    commons.links.join(bob, narrow)
    with commons.database.reading() as connection:
        assert scope_of(connection, bob, "lab") is None, "a link takes nothing away"


def test_who_may_not_share_makes_nothing(lab: Lab, commons: Commons, ada: Who, record: RunRecord) -> None:
    bob, eve = person(commons.database, "bob"), person(commons.database, "eve")
    commons.own(ada, "lab")
    commons.sessions.admit(ada, "lab", str(bob.person), "viewer")
    with pytest.raises(AccessError, match=r"does not allow link\.make"):
        share(lab, commons, bob, record)
    with pytest.raises(UnseenError):
        share(lab, commons, eve, record)
    assert lab.store.records_of("version") == []
    commons.sessions.admit(ada, "lab", str(bob.person), "editor")
    reply = share(lab, commons, bob, record)
    assert reply["share_url"] and reply["bundle"]["path"] is None, "a path of this machine is nobody's elsewhere"


def test_a_call_and_a_node_share_alike(lab: Lab, record: RunRecord, tmp_path: Path) -> None:
    given = {"dag_id": record.dag_id, "access": "read", "participants": ["x@y.org"], "report": False}
    body = service.answer(lab, Call(tool="experiment_orchestrator", method="collaborate_share", params=given), tmp_path)
    assert body.body["bundle"]["runs"] == [record.run_id] and body.body["meta"]["duration_ms"] > 0
    node = {"id": "send", "tool": "experiment_orchestrator", "method": "collaborate_share", "params": given}
    made = service.carry_out(
        lab, lab.read([node], tmp_path), service.run_request(lab), service.Conductor()
    ).nodes[0]  # fmt: skip
    assert made.status == "completed", made.error
    fields = lab.store.record(str(made.record))["fields"]
    assert fields["bundle"]["runs"] == [record.run_id] and fields["expires_at"]


def test_another_lab_takes_it_once_it_trusts_its_maker(
    lab: Lab, commons: Commons, ada: Who, record: RunRecord, tmp_path: Path
) -> None:
    path = Path(share(lab, commons, ada, record)["bundle"]["path"])
    key = lab_key(commons.database).public
    (tmp_path / "two").mkdir()
    with open_lab(tmp_path / "two") as two:
        with pytest.raises(ValidationError, match="does not know"):
            take_bundle(two, path)
        assert trusted_keys(two.store) == {}
        take_bundle(two, path, trusting=key, dry_run=True)
        assert trusted_keys(two.store) == {} and two.runs() == [], "a dry run trusts nobody"
        take_bundle(two, path, trusting=key)
        assert list(trusted_keys(two.store)) == [key.line]
        assert take_bundle(two, path).records == 0, "it is known now"
        assert service.reproduce_run(two, record.run_id).verdict == "identical"
        from physlab.service.sharing.commons import commons_of

        with commons_of(two) as theirs:
            trust(two, theirs, key, trusted=False)
        with pytest.raises(ValidationError, match="does not know"):
            take_bundle(two, path)
        with commons_of(two) as theirs, pytest.raises(ValidationError, match=r"is signed by .*, not by"):
            take_bundle(two, path, trusting=lab_key(theirs.database).public)
    assert take_bundle(lab, path).files == 0, "its own it knows"
