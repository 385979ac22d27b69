"""Secrets of a served lab: their files, their cookies, and what the log says of hostile requests."""

from __future__ import annotations

import logging
import stat
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from physlab.backup.view import View
from physlab.collab.audit.checkpoints import make_checkpoint
from physlab.notebook.paper.certificate import lab_certificate
from physlab.portal import problems
from physlab.portal.app import make_app
from physlab.sealing import Keyring
from tests.unit.portal.stage import PASSWORD, Asking, Stage

PASSPHRASE = "a passphrase of many words"  # noqa: S105 - of the test


def secrets_of(stage: Stage) -> set[str]:
    """Make everything that a served lab keeps secret; return the files that hold a secret in the clear."""
    home = stage.lab.settings.home
    assert stage.signed_in("editor")("POST", "keys", {"passphrase": PASSPHRASE}).status_code == 201
    lab_certificate(home / "keys", "lab")
    make_checkpoint(stage.commons.database)
    Keyring(home / "keys").init()
    return {"collab/collab.key", "collab/lab.key", "keys/paper.pem", "keys/server.key"}


def test_s34_files_of_secrets_are_for_their_owner_alone(stage: Stage) -> None:
    home = stage.lab.settings.home
    bare = secrets_of(stage)
    wrapped = {path.relative_to(home).as_posix() for path in (home / "keys").rglob("*.key")} - bare
    assert wrapped and all(name.startswith("keys/people/") for name in wrapped)
    for name in bare | wrapped:
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name
    for name in ("collab", "keys", "keys/people"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o700, name
    assert {f"keys/{name}" for name in Keyring(home / "keys").in_clear()} == {name for name in bare if "keys/" in name}
    marks = [bytes.fromhex((home / "collab/collab.key").read_text().strip()), b"PRIVATE KEY-----", b"AGE-SECRET-KEY"]
    marks += [(home / "collab/collab.key").read_bytes().strip(), (home / "collab/lab.key").read_bytes().strip()]
    for path in home.rglob("*"):
        if path.is_file() and path.relative_to(home).as_posix() not in bare:
            data = path.read_bytes()
            assert not [mark for mark in marks if mark in data], path


def test_s34_no_key_in_the_clear_is_laid_beside_what_it_opens(stage: Stage, tmp_path: Path) -> None:
    from physlab.backup.view import _lay_keys

    secrets_of(stage)
    view = View()
    _lay_keys(view, stage.lab.settings.home / "keys", tmp_path / "laid")
    laid = {path.name for path in (tmp_path / "laid").rglob("*") if path.is_file()}
    assert laid and not laid & {"server.key", "paper.pem"}
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in (tmp_path / "laid").rglob("*.key"))
    assert "paper.pem" in " ".join(view.left_out), "what is not there is told"


def test_s35_every_cookie_over_tls_is_of_this_host_alone(stage: Stage) -> None:
    origin = "https://lab.example.org"
    portal = stage.lab.settings.portal.model_copy(update={"url": origin, "behind_proxy": True})
    app = make_app(stage.lab.settings.model_copy(update={"portal": portal}), stage.commons, stage.people)
    asking = Asking(TestClient(app, base_url=origin))
    own = {"origin": origin}
    answers = [
        asking("POST", "sign-in", {"login": "viewer", "password": PASSWORD}, headers=own),
        asking("GET", "sign-in/passkey", headers=own),
        asking("POST", "links/open", {"token": stage.tokens["viewer"]}, headers=own),
    ]
    cookies = [line for answer in answers for line in answer.headers.get_list("set-cookie")]
    assert [line.partition("=")[0] for line in cookies] == [
        "__Host-physlab", "__Host-physlab-passkey", "__Host-physlab"
    ]  # fmt: skip
    for line in cookies:
        parts = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"secure", "httponly", "path=/"} <= parts and {"samesite=lax", "samesite=strict"} & parts
        assert not any(part.startswith("domain") for part in parts)
    assert all(answer.headers["strict-transport-security"].startswith("max-age=31536000") for answer in answers)
    app.state.desk.notes.close()


def test_s27_no_path_forges_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/{name}")
    def fail(name: str) -> None:
        raise RuntimeError("a fault")

    client = TestClient(app, raise_server_exceptions=False)
    with caplog.at_level(logging.ERROR):
        answer = client.get("/" + quote("x\r\nERROR forged\x1b[2J\u202e", safe=""))
    assert answer.status_code == 500 and "a fault" not in answer.text
    [line] = [record.getMessage() for record in caplog.records if record.name == "physlab.portal"]
    assert "forged" in line and line.isprintable() and line.isascii()
