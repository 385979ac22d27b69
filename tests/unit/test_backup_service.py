"""Backups as the faces ask for them: the policy, lateness, who hears of a failure; and repositories far away."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from physlab.backup import points_of
from physlab.backup.clock import Moment
from physlab.backup.place import place_of
from physlab.errors import ConfigurationError, PhyslabError, ValidationError
from physlab.lab import Lab
from physlab.notify import notify
from physlab.service.backup import (
    auto_backup,
    backup_status,
    list_backups,
    preview_backup,
    report_if_late,
    run_backup,
    verify_backup,
)
from physlab.service.drills import drill_backup
from physlab.settings import load_settings, read_days, read_rate, read_schedule, read_share
from physlab.testing.sshd import SshServer
from physlab.testing.sshd import missing_parts as ssh_lacks
from tests.unit.backuplab import Days, backup_lab, missing_parts, repository_of, use_template
from tests.unit.conftest import Bench, node

needs_restic = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


def open_lab(folder: Path, **overrides: Any) -> Lab:
    given = {"home": folder / "home", **repository_of(folder), **overrides}
    return Lab(load_settings(folder, given, environ={"HOME": str(folder)}))


@contextmanager
def listener(code: int = 200, location: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook on this machine that answers with a code."""
    heard: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(code)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook/secret-token", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("text", "days"), [("30 days", 30), ("30_days", 30), ("30d", 30), ("30", 30), ("2 weeks", 14), ("1 year", 365)]
)
def test_times_to_keep_are_read(text: str, days: int) -> None:
    assert read_days(text) == days


def test_what_is_no_time_rate_share_or_schedule_is_refused() -> None:
    assert (read_rate("5MB/s"), read_rate("1 MiB/s"), read_share("1/30")) == (5_000_000, 1 << 20, 30)
    assert read_schedule("daily") == "30 3 * * *" and read_schedule("daily at 4:05") == "5 4 * * *"
    assert read_schedule("0 */6 * * MON") == "0 */6 * * MON"
    wrong = [(read_days, "0 days"), (read_days, "soon"), (read_rate, "5"), (read_rate, "10 B/s")]
    wrong += [(read_share, "2/30"), (read_share, "1/999"), (read_schedule, "hourly"), (read_schedule, "25:00")]
    for read, text in wrong:
        with pytest.raises(ValueError, match="say"):
            read(text)


def test_a_policy_is_kept_in_the_ledger_and_followed(tmp_path: Path) -> None:
    with open_lab(tmp_path) as lab:
        found = auto_backup(lab, "daily at 04:00", "14_days")["backup"]
        assert found["cron"] == "0 4 * * *" and found["retention"] == "14 days" and found["next_run"] is None
        assert found["how"].startswith("0 4 * * * cd ")
        told = auto_backup(lab, activate=lambda settings, cron, zone: {"deployment": "d", "next_run": "n", "how": "h"})
        assert (told["backup"]["deployment"], told["backup"]["next_run"]) == ("d", "n")
        status = backup_status(lab)
        assert (status["keep"], status["schedule"]) == ("30 days", "daily")
        with pytest.raises(ValidationError, match="soon"):
            auto_backup(lab, retention="soon")
    with open_lab(tmp_path, **{"backup.keep": "60 days"}) as lab:
        assert backup_status(lab)["keep"] == "60 days"  # a setting that is said outranks the policy
    with open_lab(tmp_path / "none", **{"backup.repository": None}) as lab, pytest.raises(ConfigurationError):
        auto_backup(lab)


def test_lateness_is_seen_whatever_the_clock_says(template: Path, tmp_path: Path) -> None:
    clock = Days()
    with open_lab(use_template(template, tmp_path)) as lab:
        assert backup_status(lab, clock)["reason"] == "there is no backup"
        for command in preview_backup(lab, "5MB/s")["commands"]:
            assert command[command.index("--limit-upload") + 1] == "4882" and "--force" in command
        run_backup(lab, clock=clock)
        assert not backup_status(lab, clock)["late"]
        clock.pass_by(1.6)
        late = backup_status(lab, clock)
        assert late["late"] and "38.4 h old" in late["reason"]
        clock.pass_by(-5)
        assert "the clock stands before" in backup_status(lab, clock)["reason"]
        received = points_of(lab.store)[-1].received
        up = Moment(received.wall + timedelta(days=300), received.boot, received.up_s)
        assert backup_status(lab, lambda: up)["late"]  # no start of the machine is known here: the clock alone counts


def test_a_failure_is_told_and_its_secret_is_not(template: Path, tmp_path: Path) -> None:
    events: list[str] = []
    with listener() as (url, heard):
        asked = {"backup.also": [tmp_path / "nowhere"], "notify.webhook": url}
        with open_lab(use_template(template, tmp_path), **asked) as lab:
            with pytest.raises(ConfigurationError, match="nowhere"):
                run_backup(lab, report=lambda event, message, details: events.append(event))
            assert report_if_late(lab) == []  # none was made yet: there is nothing that could be late
    assert events == [heard[0]["event"]] == ["physlab.backup.failed"] and "nowhere" in heard[0]["message"]


@needs_restic
def test_a_wrong_address_is_no_new_repository(restic_template: Path, tmp_path: Path) -> None:
    events: list[str] = []

    def report(event: str, message: str, details: dict[str, Any]) -> None:
        events.append(event)

    with open_lab(use_template(restic_template, tmp_path)) as lab:
        known = run_backup(lab)["repository"]
    for place, words in (("nowhere/lab", "there is no folder"), ("repositroy", f"are at {known}")):
        wrong = {"backup.repository": str(tmp_path / place)}
        with open_lab(tmp_path, **wrong) as lab, pytest.raises(ConfigurationError, match=words) as caught:
            run_backup(lab, report=report)
        assert place in caught.value.message and not (tmp_path / place).exists()
    assert events == ["physlab.backup.failed"] * 2 and "--new-repository" in caught.value.hint
    with open_lab(tmp_path, **wrong) as lab:
        assert run_backup(lab, new_repository=True)["complete"] and (tmp_path / place).is_dir()
        assert run_backup(lab)["complete"], "it is known now"
    shutil.move(tmp_path / "repository", tmp_path / "moved")
    with open_lab(tmp_path, **{"backup.repository": str(tmp_path / "moved")}) as lab:
        assert run_backup(lab)["complete"], "the same repository under another name is no new one"


@needs_restic
def test_a_late_backup_is_an_event_and_a_notification(template: Path, tmp_path: Path) -> None:
    clock, events = Days(), list[tuple[str, str]]()
    with listener() as (url, heard), open_lab(use_template(template, tmp_path), **{"notify.webhook": url}) as lab:
        run_backup(lab, clock=clock)
        heard.clear()

        def report(event: str, message: str, details: dict[str, Any]) -> None:
            events.append((event, details["reason"]))

        assert report_if_late(lab, report, clock) == [] and events == heard == []
        clock.pass_by(2)
        assert report_if_late(lab, report, clock) == []
    reason = "the newest backup is 48.0 h old, more than 36 h"
    assert events == [("physlab.backup.late", reason)] and [said["event"] for said in heard] == ["physlab.backup.late"]
    assert reason in heard[0]["message"]


def test_s26_a_webhook_is_not_followed_elsewhere(tmp_path: Path) -> None:
    with listener() as (inner, reached), listener(307, inner) as (url, heard):
        settings = load_settings(tmp_path, {"notify.webhook": url}, environ={"HOME": str(tmp_path)})
        problems = notify(settings, "physlab.test", "A test.")
    assert problems == ["notify.webhook answered 307"] and len(heard) == 1 and reached == []
    problems = notify(settings, "physlab.test", "Nobody is there.")
    assert problems and "secret-token" not in " ".join(problems)
    for bad in ("http://169.254.169.254/latest", "ftp://host/x", "https://user:pw@host/x", "http://localhost.evil/x"):
        with pytest.raises(ConfigurationError) as caught:
            load_settings(tmp_path, {"notify.webhook": bad}, environ={"HOME": str(tmp_path)})
        assert bad not in str(caught.value)


def test_a_command_is_told(tmp_path: Path) -> None:
    program = tmp_path / "tell"
    program.write_text(f'#!/bin/sh\ncat > {tmp_path}/heard\necho "$PHYSLAB_EVENT"\nexit 3\n')
    program.chmod(0o755)
    settings = load_settings(tmp_path, {"notify.command": [str(program)]}, environ={"HOME": str(tmp_path)})
    assert notify(settings, "physlab.test", "A test.") == ["notify.command ended with exit code 3: physlab.test"]
    assert json.loads((tmp_path / "heard").read_text())["message"] == "A test."


def test_a_wrong_password_is_said_and_not_shown(template: Path, tmp_path: Path) -> None:
    with open_lab(use_template(template, tmp_path), **{"backup.password": "not-the-one"}) as lab:
        with pytest.raises(ConfigurationError, match="does not open the repository") as caught:
            run_backup(lab)
        assert "PHYSLAB_BACKUP__PASSWORD" in str(caught.value) and "not-the-one" not in json.dumps(
            caught.value.as_reply()
        )


def test_a_repository_over_sftp(restic_template: Path, tmp_path: Path) -> None:
    if missing := ssh_lacks():
        pytest.skip(missing)
    use_template(restic_template, tmp_path)
    with SshServer() as server:
        command = f"{server.commands}/ssh {server.host} -s sftp"
        far = {
            "backup.repository": f"sftp:{server.host}:{tmp_path}/repository",
            "backup.options": [f"sftp.command={command}"],
        }
        with backup_lab(tmp_path, **far) as lab:
            lab.fill(3)
            assert lab.save().record["complete"]
        with open_lab(tmp_path, **far) as opened:
            assert len(list_backups(opened)["backups"]) == 1


@needs_restic
def test_a_repository_in_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.flows.podlab import KEYS, bucket

    for name, text in KEYS.items():
        monkeypatch.setenv(name, text)
    with bucket() as url, open_lab(tmp_path, **{"backup.repository": f"s3:{url}/lab/backups"}) as lab:
        lab.store.append("note", {"text": "kept far away"})
        made = run_backup(lab)
        assert made["complete"] and made["new_password"]
        assert verify_backup(lab)["ok"]


def test_a_drill_holds_every_hash_and_runs_again(template: Path, tmp_path: Path, toy_tools: None) -> None:
    use_template(template, tmp_path)
    nodes = [node("a", "array", n=400), node("b", "give", value="from:a.total")]
    with open_lab(tmp_path) as lab:
        Bench(lab, tmp_path).run(nodes)
        run_backup(lab)
        record = drill_backup(lab)
        assert record["ok"] and record["measured"]["cached"] == record["measured"]["nodes"] == 2
        assert record["measured"]["equal"] == record["measured"]["files"] > 0
        assert record["title"].startswith("Restore drill of") and "| of these equal" in record["text"]
        attached = json.loads(lab.store.blobs.read(record["attachments"][0]["sha256"]))
        assert attached["ok"] and attached["snapshot"] == record["snapshot"]
        assert backup_status(lab)["drill"] == record["title"]
        assert not place_of(lab.settings).drills.exists() and list(lab.store.verify()) == []


def test_a_drill_finds_what_differs(template: Path, tmp_path: Path) -> None:
    """A bit that fell in the lab after the backup is found by the drill, with its name; so is a changed journal."""
    with backup_lab(use_template(template, tmp_path)) as filled:
        [victim, *_] = filled.fill(3)
    with open_lab(tmp_path) as lab:
        run_backup(lab)
        path = lab.store.blobs.path(victim)
        data = bytearray(path.read_bytes())
        data[0] ^= 1
        path.chmod(0o600)
        path.write_bytes(data)
        journal = lab.store.journal.file(1)
        text = journal.read_bytes()
        journal.write_bytes(text.replace(b'"seq":1}', b'"seq":9}', 1))
        record = drill_backup(lab)
        journal.write_bytes(journal.read_bytes().replace(b'"seq":9}', b'"seq":1}', 1))
    assert not record["ok"] and "FAILED" in record["title"]
    assert any(victim in words and "the backup has it whole" in words for words in record["problems"])
    assert any("differs from the lab's journal" in words for words in record["problems"])


def test_a_new_machine_sees_what_is_there(template: Path, tmp_path: Path) -> None:
    with backup_lab(use_template(template, tmp_path)) as lab:
        lab.fill(1)
        made = lab.save().record["snapshot"]
        password = place_of(lab.settings).password
        (tmp_path / "new").mkdir()
        far = {**repository_of(tmp_path), "backup.password_file": password}
        with open_lab(tmp_path / "new", **far) as new:
            found = list_backups(new)
    assert found["backups"] == [] and [item["snapshot"] for item in found["strangers"]] == [made]
    with open_lab(tmp_path / "none") as none:
        assert list_backups(none)["strangers"] == []


def test_a_limit_that_is_none_is_refused(tmp_path: Path) -> None:
    with open_lab(tmp_path) as lab, pytest.raises(ValidationError, match="'soon' is no rate"):
        run_backup(lab, limit="soon")


def test_no_restic_is_said(tmp_path: Path) -> None:
    with open_lab(tmp_path, **{"backup.restic": "restic-that-is-not-there"}) as lab:
        with pytest.raises(PhyslabError, match="is not installed") as caught:
            run_backup(lab)
        assert "apt install restic" in str(caught.value) and 'repository = "store:NAME"' in str(caught.value)
