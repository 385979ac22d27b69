"""The notebook over HTTP: written, printed, found, signed."""

from __future__ import annotations

from physlab.collab.people.erasure import erase
from physlab.notebook import Draft, open_book, write
from physlab.versioning.labels import label, read_label
from tests.unit.portal.stage import SESSION, Stage

PATH = f"sessions/{SESSION}/notebook"
PASSPHRASE = "a passphrase of many words"  # noqa: S105 - of the test


def test_an_entry_is_written_revised_and_found(stage: Stage) -> None:
    editor, viewer = stage.signed_in("editor"), stage.signed_in("viewer")
    body = {"title": "Fall", "content": "It fell $h = \\frac12 g t^2$.", "tags": ["gravity"], "runs": [stage.run]}
    made = editor("POST", PATH, body).json()
    assert (made["author"], made["revision"], made["sources"][0]["run_id"]) == (stage.ids["editor"], 1, stage.run)
    again = {**body, "content": "It fell for two seconds.", "reason": "clearer", "revises": made["record"]}
    revised = editor("POST", f"{PATH}/{made['entry_id']}/revisions", again)
    assert (revised.status_code, revised.json()["revision"]) == (201, 2)
    late = editor("POST", f"{PATH}/{made['entry_id']}/revisions", again)
    assert (late.status_code, late.json()["error"]["message"]) == (422, "The entry has revision 2 meanwhile.")
    [found] = viewer("GET", f"sessions/{SESSION}/search", params={"q": "seconds tag:gravity"}).json()["entries"]
    assert found["entry_id"] == made["entry_id"]
    html = viewer("GET", f"{PATH}/{made['entry_id']}@1/html").json()["html"]
    assert "data:image/svg+xml" in html and "<script" not in html


def test_an_entry_is_printed(stage: Stage) -> None:
    answer = stage.guest("viewer")("GET", f"{PATH}/{stage.entry}/pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-") and b"LabSeal" in answer.content


def test_s16_an_author_signs_with_a_key_and_a_second_factor(stage: Stage) -> None:
    editor = stage.signed_in("editor")
    made = editor("POST", PATH, {"title": "Signed"}).json()
    path = f"{PATH}/{made['entry_id']}/signatures"
    body = {"meaning": "author", "passphrase": PASSPHRASE}
    assert editor("POST", path, body).json()["error"]["message"] == "You have no key to sign with."
    key = editor("POST", "keys", {"passphrase": PASSPHRASE})
    assert key.status_code == 201, key.text
    wrong = editor("POST", path, {**body, "passphrase": "another one of words"})
    assert wrong.status_code == 422 and "passphrase" in wrong.json()["error"]["message"]
    stage.clock.forward(15 * 60)
    assert editor("POST", path, body).json()["error"]["kind"] == "StepUpError"
    signed = stage.signed_in("editor")("POST", path, body)
    assert (signed.status_code, signed.json()["signer"]) == (201, stage.ids["editor"])
    assert signed.json()["key"] == key.json()["key"]
    shown = stage.signed_in("viewer")("GET", f"{PATH}/{made['entry_id']}").json()
    assert (shown["state"], len(shown["signatures"])) == ("signed", 1)
    other = stage.signed_in("admin")
    other("POST", "keys", {"passphrase": PASSPHRASE})
    refused = other("POST", path, body)
    assert refused.status_code == 422 and "cannot sign as author" in refused.json()["error"]["message"]


def test_a_review_by_somebody_else(stage: Stage) -> None:
    editor, admin = stage.signed_in("editor"), stage.signed_in("admin")
    made = editor("POST", PATH, {"title": "To review"}).json()
    path = f"{PATH}/{made['entry_id']}/remarks"
    own = editor("POST", path, {"word": "approve"})
    assert own.status_code == 422 and "cannot review" in own.json()["error"]["message"]
    assert admin("POST", path, {"word": "request_changes", "text": "Units?"}).status_code == 201
    assert admin("GET", f"{PATH}/{made['entry_id']}").json()["state"] == "changes requested"
    guest = stage.guest("commenter")
    assert guest("POST", path, {"text": "Nice."}).status_code == 201
    assert guest("POST", path, {"word": "approve"}).status_code == 403


def test_s4_who_came_by_a_bundle_sees_only_its_runs(stage: Stage) -> None:
    from tests.unit.portal.stage import run

    other = run(stage, SESSION, "series")
    end = stage.clock.now() + 3_600_000_000
    made, _ = stage.commons.links.make(stage.who("owner"), SESSION, "viewer", end, bundle={"runs": [other.run_id]})
    stage.links["bundle"] = made
    guest = stage.guest("bundle")
    told = guest("GET", f"sessions/{SESSION}/runs").json()["runs"]
    assert [one["run_id"] for one in told] == [other.run_id]
    assert guest("GET", f"sessions/{SESSION}/runs/{stage.run}").status_code == 404
    assert guest("GET", f"{PATH}/{stage.entry}").status_code == 404
    files = guest("GET", f"sessions/{SESSION}/artifacts").json()["artifacts"]
    assert files and {one["run_id"] for one in files} == {other.run_id}
    paged, place = [], ""
    while True:
        told = guest("GET", f"sessions/{SESSION}/artifacts?limit=1{place}").json()
        paged += told["artifacts"]
        if told["next"] is None:
            break
        assert other.run_id in told["next"], "where the list goes on names nothing else either"
        place = f"&after={told['next']}"
    assert paged == files


def test_s40_who_is_erased_is_named_nowhere(stage: Stage) -> None:
    editor = stage.signed_in("editor")
    made = editor("POST", PATH, {"title": "Mine"}).json()
    assert made["names"] == {stage.ids["editor"]: "Editor Person"}
    erase(stage.people.accounts, stage.ids["editor"])
    shown = stage.signed_in("viewer")("GET", f"{PATH}/{made['entry_id']}").json()
    assert shown["author"] == stage.ids["editor"]
    assert shown["names"] == {stage.ids["editor"]: f"erased person {stage.ids['editor'][:4]}…"}
    stage.lab.store.flush()
    bytes_ = b"".join(path.read_bytes() for path in (stage.lab.store.root / "journal").iterdir())
    assert stage.ids["editor"].encode() in bytes_
    assert b"Editor Person" not in bytes_ and b"editor@example.org" not in bytes_
    assert [page.record for page in open_book(stage.lab.store, SESSION).pages()], "the chain is read and verified"


def test_the_files_of_an_entry_are_seen_as_one_picture(stage: Stage) -> None:
    import io

    from PIL import Image

    viewer, path = stage.signed_in("viewer"), f"{PATH}/{stage.entry}/sheet"
    answer = viewer("GET", path)
    with Image.open(io.BytesIO(answer.content)) as sheet:
        assert (answer.headers["content-type"], sheet.format) == ("image/png", "PNG")
        assert sheet.size == (2 * 12 + 256, 2 * 12 + 192 + 34)
    same = viewer("GET", path, headers={"if-none-match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    bare = stage.signed_in("editor")("POST", PATH, {"title": "Words alone"}).json()
    none = viewer("GET", f"{PATH}/{bare['entry_id']}/sheet")
    assert (none.status_code, none.json()["error"]["message"]) == (422, "The entry has no files to show.")
    label(stage.lab.store, [stage.file], read_label("private"), "me")
    assert viewer("GET", path, headers={"if-none-match": answer.headers["etag"]}).status_code == 403


def test_who_wrote_and_signed_is_named_in_what_people_read(stage: Stage) -> None:
    editor = stage.signed_in("editor")
    made = editor("POST", PATH, {"title": "Named"}).json()
    editor("POST", "keys", {"passphrase": PASSPHRASE})
    signed = {"meaning": "author", "passphrase": PASSPHRASE}
    first = editor("POST", f"{PATH}/{made['entry_id']}/signatures", signed).json()
    assert editor("POST", f"{PATH}/{made['entry_id']}/signatures", signed).json() == first, "signed once"
    html = stage.signed_in("viewer")("GET", f"{PATH}/{made['entry_id']}/html").json()["html"]
    assert "<li>Editor Person as author" in html and stage.ids["editor"] not in html
    draft = Draft("Waits", stage.ids["editor"], sign_as=stage.ids["editor"])
    waits = write(stage.lab.store, SESSION, draft)
    told = editor("GET", f"{PATH}/{waits.entry.entry_id}").json()
    assert told["state"] == "awaits Editor Person" and told["sign_as"] == stage.ids["editor"]
    assert "awaits Editor Person" in {one["state"] for one in editor("GET", PATH).json()["entries"]}
