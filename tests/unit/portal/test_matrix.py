"""S8: every route, asked by everybody, is answered as routes.txt says; a route that is missing there fails."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from physlab.portal.app import API
from physlab.portal.turns import Turn
from tests.unit.portal.stage import PASSWORD, SESSION, Asking, Stage

_LINES = [line for line in (Path(__file__).parent / "routes.txt").read_text().splitlines() if line]
COLUMNS = next(line for line in _LINES if line.startswith("# method path")).split()[3:]
TABLE = {
    (words[0], words[1]): dict(zip(COLUMNS, words[2:], strict=True))
    for words in (line.split() for line in _LINES if not line.startswith("#"))
}
OK = {200, 201}


def body_of(method: str, path: str, stage: Stage) -> Any:
    """Return what a right request of a route brings."""
    entry = {"title": "Seen", "content": "$E = h \\nu$"}
    page = stage.record
    bodies: dict[str, Any] = {
        "POST sign-in": {"login": "viewer", "password": PASSWORD},
        "POST prove": {"how": "password", "shown": PASSWORD},
        "POST password": {"old": PASSWORD, "new": "another horse battery staple"},
        "POST password/first": {"code": stage.code, "password": "a third horse battery staple"},
        "POST factors/totp": {"label": "phone"},
        "POST factors/totp/{factor}": {"code": "000000"},
        "POST factors/passkey": {"credential": "{}"},
        "POST sign-in/passkey": {"credential": "{}"},
        "POST prove/passkey": {"credential": "{}"},
        "POST tokens": {"label": "script"},
        "POST sessions": {"session_id": "new-one"},
        "POST sessions/{session}/share": {"access": "read"},
        "PUT sessions/{session}/members/{person}": {"role": "viewer"},
        "POST sessions/{session}/transfer": {"person": stage.ids["editor"]},
        "POST links/open": {"token": stage.tokens["viewer"]},
        "POST links/join": {"token": stage.tokens["viewer"]},
        "POST sessions/{session}/artifacts": b"some bytes",
        "POST sessions/{session}/notebook": entry,
        "POST sessions/{session}/notebook/{entry}/revisions": {**entry, "reason": "a slip", "revises": page},
        "POST sessions/{session}/notebook/{entry}/remarks": {"text": "Fine."},
        "POST sessions/{session}/notebook/{entry}/signatures": {"meaning": "witness", "passphrase": "of no key"},
        "POST keys": {"passphrase": "a passphrase of many words"},
        "POST people/course": {"csv": "name,mail\nAda Student,ada@example.org\n"},
        "POST people": {"login": "newbie", "name": "New Person"},
    }
    return bodies.get(f"{method} {path.removeprefix('/api/v1/')}")


def address_of(path: str, stage: Stage, persona: str) -> str:
    """Return the path of a request."""
    parts = {
        "session": SESSION, "person": stage.ids["commenter" if persona != "commenter" else "viewer"],
        "link": stage.links["viewer"], "run": stage.run, "node": "curve", "digest": stage.file, "entry": stage.entry,
        "factor": "0" * 32, "institute": "nowhere", "token": "0" * 32,
    }  # fmt: skip
    query = {"artifacts": "?name=notes.txt", "search": "?q=light"}.get(path.rpartition("/")[2], "")
    return path.format(**parts) + query


def persona_of(stage: Stage, name: str) -> Asking:
    """Return somebody as the table calls them."""
    if name == "stranger":
        return stage.stranger()
    if name.startswith("guest_"):
        return stage.guest(name.removeprefix("guest_"))
    if name in ("reads", "writes"):
        return stage.program("editor", reads_only=name == "reads")
    if name == "root":
        return stage.signed_in("administrator")
    return stage.signed_in(name)


def test_s8_every_route_is_in_the_table(stage: Stage) -> None:
    routers = [route.original_router for route in stage.app.routes if hasattr(route, "original_router")]
    routes = [route for router in routers for route in router.routes]
    assert all(type(route) is Turn for route in routes), "a route of another kind"
    shown = {(method, route.path) for route in routes if not route.include_in_schema for method in route.methods}
    api = {(method, f"{API}{route.path}") for route in routes if route.include_in_schema for method in route.methods}
    known = shown | api
    assert {path for _, path in shown} == {"/", "/page.js", "/page.css", "/icon.svg"}
    assert known == set(TABLE)
    others = [route for route in stage.app.routes if not hasattr(route, "original_router")]
    assert [route.path for route in others] == [f"{API}/openapi.json"]
    told = stage.app.openapi()["paths"]
    assert {(method.upper(), path) for path, methods in told.items() for method in methods} == api


@pytest.mark.parametrize("persona", COLUMNS)
def test_s8_everybody_is_answered_as_the_table_says(
    stage: Stage, persona: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from physlab.portal.routes import notebook

    monkeypatch.setattr(notebook, "make_pdf", lambda *_: (b"%PDF-", []))  # seconds each; test_notebook.py prints
    wrong = []
    for (method, path), row in TABLE.items():
        with stage.kept() if method != "GET" else nullcontext():
            asking = persona_of(stage, persona)
            response = asking(method, address_of(path, stage, persona), body_of(method, path, stage))
        wanted, found = row[persona], response.status_code
        # what is allowed may still be refused as it is: no such factor, a wrong code
        fine = found in OK or _is_wish(response) if wanted == "ok" else found == int(wanted)
        if not fine:
            wrong.append(f"{method} {path}: {found} instead of {wanted}: {response.text[:160]}")
    assert not wrong, "\n".join(wrong)


def _is_wish(response: Any) -> bool:
    """Say whether somebody was let in and then told that what they gave does not exist or does not fit."""
    if response.status_code not in (401, 404, 422):
        return False
    path = response.request.url.path
    return path.startswith(("/api/v1/factors/", "/api/v1/tokens/", "/api/v1/prove")) or path.endswith("/signatures")
