"""What an attacker of the served lab tries; the numbers are those of the security goals."""

from __future__ import annotations

import json
import re
import statistics
import time
from typing import Any

import pytest

from physlab.collab import schema
from physlab.collab.audit.verification import rows_of, verify_log
from physlab.collab.database import MICRO, written
from physlab.collab.people.visits import LONGEST_S
from physlab.notebook import Draft, write
from physlab.portal.app import API
from tests.unit.portal.stage import ORIGIN, OTHER, PASSWORD, SESSION, Stage, run

SECRET = re.compile(rb"(pll_|plt_)[A-Za-z0-9_-]{20,}")


def status(response: Any) -> int:
    return int(response.status_code)


def test_s2_a_visit_by_a_link_ends_with_the_link(stage: Stage) -> None:
    guest = stage.guest("viewer")
    assert status(guest("GET", f"sessions/{SESSION}/runs")) == 200
    stage.commons.links.revoke(stage.who("owner"), stage.links["viewer"])
    assert status(guest("GET", f"sessions/{SESSION}/runs")) == 404


def test_s2_a_link_is_refused_at_its_end_to_the_second(stage: Stage) -> None:
    end = stage.clock.now() + 100 * MICRO
    _, token = stage.commons.links.make(stage.who("owner"), SESSION, "viewer", end)
    asking = stage.stranger()
    opened = asking("POST", "links/open", {"token": token})
    assert status(opened) == 200
    assert status(asking("GET", f"sessions/{SESSION}/runs")) == 200
    stage.clock.forward(100)
    assert status(asking("GET", f"sessions/{SESSION}/runs")) in (401, 404)
    assert status(stage.stranger()("POST", "links/open", {"token": token})) == 404


def test_s2_a_lower_role_and_a_disabled_person_count_at_once(stage: Stage) -> None:
    editor = stage.signed_in("editor")
    body = {"title": "Another"}
    assert status(editor("POST", f"sessions/{SESSION}/notebook", body)) == 201
    stage.commons.sessions.admit(stage.who("owner"), SESSION, stage.ids["editor"], "viewer")
    assert status(editor("POST", f"sessions/{SESSION}/notebook", body)) == 403
    stage.people.accounts.disable(stage.ids["editor"])
    assert status(editor("GET", f"sessions/{SESSION}/runs")) == 401


def test_s2_a_changed_password_ends_all_visits(stage: Stage) -> None:
    here, there = stage.signed_in("viewer"), stage.signed_in("viewer")
    assert status(here("POST", "password", {"old": PASSWORD, "new": "another horse battery staple"})) == 200
    for asking in (here, there):
        assert status(asking("GET", f"sessions/{SESSION}/runs")) == 401


def test_s2_a_visit_ends_after_a_week(stage: Stage) -> None:
    asking = stage.signed_in("viewer")
    for _ in range(LONGEST_S // (6 * 3600)):
        assert status(asking("GET", "me")) == 200
        stage.clock.forward(6 * 3600)
    assert status(asking("GET", "me")) == 401


def test_s6_no_token_is_logged_or_answered_again(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    owner = stage.signed_in("owner")
    made = owner("POST", f"sessions/{SESSION}/share", {"access": "read"}).json()
    token = made["share_url"].rpartition("/")[2]
    assert "#/join/" in made["share_url"], "what stands behind the # is not sent to a server"
    secret = stage.signed_in("viewer")("POST", "tokens", {"label": "script"}).json()["token"]
    guest = stage.stranger()
    opened = guest("POST", "links/open", {"token": token})
    answers = [owner("GET", f"sessions/{SESSION}/links"), owner("GET", f"sessions/{SESSION}/audit"),
               owner("GET", f"sessions/{SESSION}/members"), opened,
               stage.stranger()("POST", "links/open", {"token": token + "x"}),
               stage.signed_in("viewer")("GET", "tokens")]  # fmt: skip
    seen = b"".join(answer.content for answer in answers) + caplog.text.encode()
    assert not SECRET.search(seen)
    assert secret.encode() not in seen
    assert opened.headers["referrer-policy"] == "no-referrer"
    lines = json.dumps(stage.commons.trail.read(limit=1000)).encode()
    assert token.encode() not in lines and secret.encode() not in lines


def test_s5_a_link_is_listed_with_its_end_and_uses_and_is_taken_back(stage: Stage) -> None:
    owner = stage.signed_in("owner")
    path, said = f"sessions/{SESSION}/share", {"access": "read", "label": "for the seminar"}
    for bad in ({"expires_in_hours": 8761}, {"expires_in_hours": 0}, {"expires": "2999-01-01T00:00:00Z"},
                {"expires": "never"}):  # fmt: skip
        assert status(owner("POST", path, said | bad)) == 422, bad
    made = owner("POST", path, said).json()
    assert made["expires_at"] is not None, "whoever names no end gets the lab's"
    token = made["share_url"].rpartition("/")[2]
    for _ in range(2):
        assert status(stage.stranger()("POST", "links/open", {"token": token})) == 200
    [listed] = [one for one in owner("GET", f"sessions/{SESSION}/links").json()["links"] if one["uses"]]
    assert (listed["link_id"], listed["label"], listed["uses"]) == (made["link_id"], "for the seminar", 2)
    assert listed["expires_at"] == made["expires_at"] and listed["last_used"] is not None
    assert status(owner("DELETE", f"links/{made['link_id']}")) == 200
    gone = stage.stranger()("POST", "links/open", {"token": token})
    never = stage.stranger()("POST", "links/open", {"token": "pll_" + "A" * 43})
    cut = stage.stranger()("POST", "links/open", {"token": token[:-1]})
    assert {(one.status_code, one.content) for one in (gone, never, cut)} == {(404, never.content)}


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"origin": ""}, {"x-csrf-token": ""},
     {"x-csrf-token": "0" * 64}, {"origin": f"{ORIGIN}.evil.example"}, {"origin": ORIGIN.replace("http", "https")}],
    ids=str,
)  # fmt: skip
def test_s7_a_page_of_another_site_changes_nothing(stage: Stage, headers: dict[str, str]) -> None:
    owner = stage.signed_in("owner")
    for method, path, body in (
        ("POST", "links/join", {"token": stage.tokens["viewer"]}), ("POST", f"sessions/{SESSION}/close", {}),
        ("POST", f"sessions/{SESSION}/share", {}), ("DELETE", f"links/{stage.links['viewer']}", None),
    ):  # fmt: skip
        answer = owner(method, path, body, headers=headers)
        assert status(answer) == 403, answer.text
    assert status(owner("GET", f"sessions/{SESSION}/runs")) == 200


def test_s7_forms_and_requests_without_origin_are_refused(stage: Stage) -> None:
    owner = stage.signed_in("owner")
    bare = {"x-csrf-token": owner.csrf}
    path = f"{API}/links/join"
    assert status(owner.http.post(path, json={"token": stage.tokens["viewer"]}, headers=bare)) == 403
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        answer = owner.http.post(
            path, content=json.dumps({"token": stage.tokens["viewer"]}),
            headers={**bare, "origin": ORIGIN, "content-type": kind},
        )  # fmt: skip
        assert status(answer) == 422, (kind, answer.text)
    assert status(stage.stranger().http.post(f"{API}/links/open", json={"token": stage.tokens["viewer"]})) == 403


def test_s11_what_is_not_there_and_what_is_hidden_are_answered_alike(stage: Stage) -> None:
    other = run(stage, OTHER, "series")
    stage.commons.contents.catch_up()
    [hidden, *_] = [
        one for one in stage.commons.contents.listed(OTHER) if stage.commons.contents.holds(SESSION, one.sha256) is None
    ]
    viewer, foreign = stage.signed_in("viewer"), stage.signed_in("foreign")
    pairs = [
        (f"sessions/{OTHER}", "sessions/no-such-session"),
        (f"sessions/{OTHER}/runs", "sessions/no-such-session/runs"),
        (f"sessions/{SESSION}/runs/{other.run_id}", f"sessions/{SESSION}/runs/no-such-run"),
        (f"sessions/{SESSION}/artifacts/{hidden.sha256}", f"sessions/{SESSION}/artifacts/{'0' * 64}"),
        (f"sessions/{SESSION}/runs/{other.run_id}/nodes/curve", f"sessions/{SESSION}/runs/x/nodes/curve"),
    ]
    for there, nowhere in pairs:
        one, two = viewer("GET", there), viewer("GET", nowhere)
        assert (one.status_code, one.content) == (two.status_code, two.content), there
        assert status(one) == 404
        assert set(one.headers) == set(two.headers)
    assert status(foreign("GET", f"sessions/{OTHER}/artifacts/{hidden.sha256}")) == 200
    one, two = (foreign("DELETE", f"links/{link}") for link in (stage.links["viewer"], "0" * 32))
    assert status(one) == status(two) == 404
    assert one.text.replace(stage.links["viewer"], "0" * 32) == two.text


def test_s11_how_long_it_takes_tells_nothing(stage: Stage) -> None:
    viewer = stage.signed_in("viewer")
    times: dict[str, list[float]] = {OTHER: [], "no-such-session": []}
    for _ in range(60):
        for name, taken in times.items():
            begun = time.perf_counter()
            viewer("GET", f"sessions/{name}/runs")
            taken.append(time.perf_counter() - begun)
    one, two = (statistics.median(taken) for taken in times.values())
    assert 0.5 < one / two < 2, (one, two)


@pytest.mark.parametrize(
    "suffix", ["/health", "/ready", "/api/v1/health", ";/health", "%2fhealth", "?x=/health", "#/health"]
)
def test_s12_no_suffix_of_a_path_lets_anybody_in(stage: Stage, suffix: str) -> None:
    for path in (f"{API}/sessions/{SESSION}/runs", f"{API}/people", f"{API}/metrics"):
        assert status(stage.stranger()("GET", path + suffix)) in (401, 404)


def test_s12_no_header_or_parameter_changes_method_or_person(stage: Stage) -> None:
    viewer = stage.signed_in("viewer")
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        path = f"sessions/{SESSION}"
        assert viewer("GET", path, headers={name: "DELETE"}).json()["role"] == "viewer"
    headers = {"X-Remote-User": "owner", "X-Forwarded-User": "owner", "Remote-User": "owner", "X-User": "owner",
               "X-Original-URL": f"{API}/health", "X-Rewrite-URL": f"{API}/health"}  # fmt: skip
    assert status(stage.stranger()("GET", f"sessions/{SESSION}/runs", headers=headers)) == 401
    assert status(stage.stranger()("GET", f"sessions/{SESSION}/runs?_method=GET&user=owner&access_token=x")) == 401


def test_s16_what_an_owner_does_needs_a_second_factor_shown_lately(stage: Stage) -> None:
    owner = stage.signed_in("owner")
    assert status(owner("POST", f"sessions/{SESSION}/share", {})) == 200
    stage.clock.forward(15 * 60)
    refused = owner("POST", f"sessions/{SESSION}/share", {})
    assert (status(refused), refused.json()["error"]["kind"]) == (403, "StepUpError")
    assert status(owner("POST", "prove", {"how": "password", "shown": "wrong"})) == 401
    assert status(owner("POST", "prove", {"how": "password", "shown": PASSWORD})) == 200
    assert status(owner("POST", f"sessions/{SESSION}/share", {})) == 200


def test_s16_a_half_open_visit_reads_nothing(stage: Stage) -> None:
    asking = stage.stranger()
    answer = asking("POST", "sign-in", {"login": "root", "password": PASSWORD})
    assert answer.json()["needs_second_factor"] is True
    asking.csrf = answer.json()["csrf"]
    for path in ("me", "people", f"sessions/{SESSION}/runs", "sessions"):
        refused = asking("GET", path)
        assert (status(refused), refused.json()["error"]["kind"]) == (403, "StepUpError")


@pytest.mark.parametrize(
    "digest",
    ["..%2f..%2f..%2fetc%2fpasswd", "A" * 64, "0" * 63, "0" * 65, "0" * 63 + "G", "%00" * 64, "0" * 60 + "%2f..%2f"],
)
def test_s22_files_are_named_by_64_digits_alone(stage: Stage, digest: str) -> None:
    assert status(stage.signed_in("owner")("GET", f"sessions/{SESSION}/artifacts/{digest}")) in (401, 404)


def test_s22_the_name_of_a_file_leads_nowhere(stage: Stage) -> None:
    owner = stage.signed_in("owner")
    table = schema.contents
    for number, name in enumerate(("..", ".", "", "../../../../tmp/x", "/etc/x", "a\\..\\b", "nul\0x", "é" * 300)):
        with stage.commons.database.writing() as connection:
            connection.execute(table.update().where(table.c.sha256 == stage.file).values(name=name))
        made = owner(
            "POST", f"sessions/{SESSION}/notebook", {"title": f"Entry {number}", "artifacts": [stage.file] * 2}
        )
        assert status(made) == 201, made.text
        for one in made.json()["attachments"]:
            assert one["sha256"] == stage.file and not set(one["name"]) & set("/\\\0") and one["name"].strip(". ")


def test_s21_every_file_is_a_download_that_no_browser_runs(stage: Stage) -> None:
    owner = stage.signed_in("owner")
    body = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    made = owner("POST", f"sessions/{SESSION}/artifacts?name=../../x%22%0d%0aSet-Cookie:a=b.svg", body)
    assert status(made) == 201, made.text
    answer = owner("GET", f"sessions/{SESSION}/artifacts/{made.json()['sha256']}")
    assert answer.content == body
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers
    assert "/" not in made.json()["name"] and '"' not in made.json()["name"]


def test_s27_what_is_searched_for_is_never_sql_nor_a_pattern(stage: Stage) -> None:
    owner = stage.signed_in("owner")
    for text in ("' OR 1=1 --", "%", "_", "\\", "artifact%", "a'; DROP TABLE audit; --."):
        answer = owner("GET", f"sessions/{SESSION}/audit", params={"action": text, "limit": 5})
        assert (status(answer), answer.json()["entries"]) == (200, []), text
    assert owner("GET", f"sessions/{SESSION}/audit", params={"action": "notebook."}).json()["entries"]


def test_s39_large_bodies_and_many_requests_are_refused(stage: Stage) -> None:
    from starlette.testclient import TestClient

    from physlab.portal.app import make_app
    from tests.unit.portal.stage import Asking

    portal = stage.lab.settings.portal.model_copy(update={"body_mb": 0.001, "requests_per_minute": 10})
    settings = stage.lab.settings.model_copy(update={"portal": portal})
    app = make_app(settings, stage.commons, stage.people)
    asking = Asking(TestClient(app, base_url=ORIGIN))
    assert status(asking("POST", "sign-in", {"login": "x" * 2000, "password": "x"})) == 413
    found = [status(asking("GET", "health")) for _ in range(12)]
    assert found[:9] == [200] * 9 and 429 in found[9:]
    app.state.desk.notes.close()
    portal = stage.lab.settings.portal.model_copy(update={"requests_per_minute": 1000})
    app = make_app(stage.lab.settings.model_copy(update={"portal": portal}), stage.commons, stage.people)
    asking = Asking(TestClient(app, base_url=ORIGIN))
    said = {"login": "x" * 1_900_000, "password": "x"}
    assert [status(asking("POST", "sign-in", said)) for _ in range(7)] == [422] * 5 + [429] * 2
    assert status(asking("GET", "health")) == 200, "what is small is answered still"
    assert status(asking("POST", "sign-in", {**said, "password": "x" * 200_000})) == 413
    asking.http.cookies.update(stage.signed_in("owner").http.cookies)
    asking.csrf = asking("GET", "me").json()["csrf"]
    assert status(asking("POST", f"sessions/{SESSION}/artifacts?name=large", b"x" * 3_000_000)) == 201
    app.state.desk.notes.close()


def test_every_answer_carries_the_headers(stage: Stage) -> None:
    for answer in (
        stage.stranger()("GET", "health"),
        stage.stranger()("GET", "nothing"),
        stage.stranger()("GET", "/x"),
    ):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"


def test_who_read_which_file_when_is_told(stage: Stage) -> None:
    stage.signed_in("viewer")("GET", f"sessions/{SESSION}/artifacts/{stage.file}")
    stage.guest("viewer")("GET", f"sessions/{SESSION}/artifacts/{stage.file}")
    answer = stage.signed_in("owner")("GET", f"sessions/{SESSION}/audit", params={"thing": stage.file})
    told = [(one["who"], one["action"], one["at"]) for one in answer.json()["entries"]]
    now = stage.clock.now()
    assert told == [
        (f"link:{stage.links['viewer']}", "artifact.read", now),
        (stage.ids["viewer"], "artifact.read", now),
    ]


@pytest.mark.parametrize("name", ["lab", "xenon", "diary"])
def test_nobody_begins_a_session_that_the_lab_filled_already(stage: Stage, name: str) -> None:
    run(stage, "xenon", "series")
    write(stage.lab.store, "diary", Draft("Dear diary", "somebody"))
    foreign = stage.signed_in("foreign")
    assert status(foreign("POST", "sessions", {"session_id": name})) == 404
    assert status(foreign("GET", f"sessions/{name}/runs")) == 404
    assert status(foreign("POST", "sessions", {"session_id": "argon"})) == 201


def test_who_is_refused_is_told_in_words_for_people(stage: Stage) -> None:
    stranger = stage.stranger()
    for answer in (
        stranger("GET", f"sessions/{SESSION}/runs"), stranger("POST", "prove", {"how": "code", "shown": "123456"}),
        stranger("POST", "sign-in", {"login": "editor", "password": "wrong"}),
    ):  # fmt: skip
        error = answer.json()["error"]
        assert status(answer) == 401 and error["hint"]
        assert not re.search(r"/api/|POST|GET|physlab ", f"{error['message']} {error['hint']}")
    error = stranger("GET", f"sessions/{SESSION}/runs").json()["error"]
    assert error["details"]["sign_in"] == "POST /api/v1/sign-in", "programs find it here"


def test_the_log_tells_moments_as_all_else_does_and_holds_still(stage: Stage) -> None:
    told = stage.signed_in("owner")("GET", f"sessions/{SESSION}/audit").json()["entries"]
    assert told and all(one["at_iso"] == written(one["at"]) for one in told)
    kept = {one["seq"]: one for one in stage.commons.trail.read(session=SESSION, limit=1000)}
    assert all(one.items() >= kept[one["seq"]].items() for one in told)
    assert verify_log(rows_of(stage.commons.database), []).size >= len(told)
