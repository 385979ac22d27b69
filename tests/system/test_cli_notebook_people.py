"""The notebook at a shell of somebody who has an account: records tell their id, people read their name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.system.commandline import CommandLine

PASS = "correct horse"  # noqa: S105 - it opens nothing


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    (tmp_path / "pass").write_text(PASS)
    (tmp_path / "pass").chmod(0o600)
    names = {"PHYSLAB_SERVER__MODE": "none", "PHYSLAB_COLLABORATION__PERSON": "ada"}
    return CommandLine(tmp_path, {**names, "PHYSLAB_COLLABORATION__PASSPHRASE_FILE": str(tmp_path / "pass")})


def person(cli: CommandLine, name: str) -> CommandLine:
    return replace(cli, variables={**cli.variables, "PHYSLAB_COLLABORATION__PERSON": name})


def ledger(cli: CommandLine) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((cli.home / "store" / "journal").iterdir()))


def test_s40_who_is_erased_is_named_nowhere_in_what_they_wrote_at_the_command_line(cli: CommandLine) -> None:
    cli.run("people", "add", "root", "--name", "Root", "--administrator")
    made = cli.json("people", "add", "ada", "--name", "Ada Lovelace", "--mail", "ada@example.org", "--json")
    cli.run("sign", "init")
    entry = cli.json("notebook", "add", "Engine", "--text", "x", "--sign", "--json")
    assert (entry["author"], entry["signed_by"], entry["state"]) == (made["id"], [made["id"]], "signed")
    cli.run("notebook", "comment", entry["entry_id"], "It turns.")
    person(cli, "bob").run("notebook", "review", entry["entry_id"], "--approve")
    error = cli.run("notebook", "review", entry["entry_id"], "--approve", code=1).stderr
    assert "ada wrote this entry" in error and made["id"] not in error
    shown = cli.run("notebook", "show", entry["entry_id"]).stdout
    assert "by Ada Lovelace" in shown and "Ada Lovelace says" in shown and "✓ signed by Ada Lovelace as author" in shown
    assert made["id"] not in shown and "bob approves" in shown
    told = cli.json("notebook", "show", entry["entry_id"], "--json")
    assert (told["author"], told["names"]) == (made["id"], {made["id"]: "Ada Lovelace"})
    listed = cli.run("notebook", "list", "--author", "ada").stdout
    assert "Ada Lovelace" in listed and made["id"] not in listed
    assert "Ada Lovelace" in cli.run("notebook", "search", "author:ada").stdout
    assert "Ada Lovelace" in cli.run("notebook", "contents").stdout
    page = Path(cli.json("notebook", "print", entry["entry_id"], "--format", "html", "--json")["path"]).read_text()
    assert "revision 1, Ada Lovelace, " in page and "<li>Ada Lovelace as author" in page
    log = cli.run("audit", "log").stdout
    assert "Ada Lovelace" in log and made["id"][:16] not in log
    assert b"Ada Lovelace" not in ledger(cli) and b'"ada"' not in ledger(cli) and made["id"].encode() in ledger(cli)
    cli.run("people", "erase", "ada", "--yes")
    gone = f"erased person {made['id'][:4]}…"
    shown = cli.run("notebook", "show", entry["entry_id"]).stdout
    assert f"by {gone}" in shown and "Ada" not in shown and "✓ signed by" in shown
    assert cli.json("notebook", "verify", "--json")["ok"]
    assert not [path for path in (cli.home / "keys" / "people").iterdir() if "ada" in path.name]


def test_what_was_written_before_the_account_stays_readable_and_is_still_theirs(cli: CommandLine) -> None:
    cli.run("sign", "init")
    old = cli.json("notebook", "add", "Before", "--text", "x", "--sign", "--json")
    late = cli.json("notebook", "add", "Unsigned", "--text", "x", "--json")
    assert old["author"] == late["author"] == "ada"
    made = cli.json("people", "add", "ada", "--name", "Ada Lovelace", "--json")
    refused = cli.json("notebook", "review", old["entry_id"], "--approve", "--json", code=1)["error"]["message"]
    assert refused == "ada wrote this entry and cannot review it."
    assert cli.json("notebook", "sign", late["entry_id"], "--json")["meaning"] == "author"
    waits = cli.run("notebook", "add", "After", "--text", "x", "--sign")
    assert "awaits Ada Lovelace" in waits.stdout and made["id"] not in waits.stdout + waits.stderr
    assert "ada has an account now" in waits.stderr and "physlab sign init --person ada" in waits.stderr
    entry = cli.json("notebook", "list", "--json")["entries"][0]["entry_id"]
    cli.run("sign", "init", "--person", "ada")
    assert "✓ ada signed" in cli.run("notebook", "sign", entry, "--person", "ada").stdout
    assert cli.json("notebook", "show", entry, "--json")["signed_by"] == [made["id"]]
    keys = cli.json("sign", "show", "--person", "ada", "--json")["keys"]
    assert {key["person"] for key in keys} == {"ada", made["id"]}
    assert made["id"] not in cli.run("sign", "show").stdout
    found = cli.json("notebook", "verify", "--json")
    assert found["ok"] and found["signatures"] == 3 and found["warnings"] == []


def test_who_signed_before_they_shared_goes_on_with_the_same_key(cli: CommandLine) -> None:
    cli.run("sign", "init")
    cli.run("session", "share", "--label", "x")
    entry = cli.json("notebook", "add", "After", "--text", "x", "--sign", "--json")
    assert entry["author"] == "ada" and entry["state"] == "signed"
    assert cli.json("notebook", "show", entry["entry_id"], "--json")["signed_by"] == ["ada"]


def test_a_session_is_handed_over_to_who_is_in_it_and_messages_name_people(cli: CommandLine) -> None:
    cli.run("session", "share", "--label", "x")
    made = cli.json("people", "add", "bob", "--name", "Bob B.", "--json")
    for word, said in (("nobody", "The lab knows no 'nobody'"), ("bob", "bob is not in the session lab.")):
        refused = cli.run("session", "transfer", word, code=1)
        assert said in refused.stderr and "Go on?" not in refused.stdout + refused.stderr
        assert made["id"] not in refused.stderr
    assert "Roles:" not in cli.run("session", "role", "bob", "reed", code=1).stderr
    for words in (("session", "share"), ("session", "role"), ("bundle", "share")):
        assert "1 to 8760 hours." in " ".join(cli.run(*words, "--help").stdout.replace("│", " ").split())
    error = cli.json("bundle", "make", "nothing", "-o", "x.bundle", "--json", code=1)["error"]
    assert error["message"] == "There is no graph 'nothing'."


def test_a_bundle_names_who_made_it_where_they_are_known(cli: CommandLine) -> None:
    node = {"id": "table", "tool": "data", "method": "export_csv", "params": {"columns": {"x": [1, 2]}, "name": "t"}}
    (cli.folder / "spring.json").write_text(json.dumps({"nodes": [node]}))
    cli.run("run", "spring.json")
    made = cli.json("people", "add", "ada", "--name", "Ada Lovelace", "--json")
    cli.run("notebook", "add", "Energy", "--text", "x", "--run", "latest")
    cli.run("bundle", "make", "latest", "-o", "spring.bundle")
    shown = cli.run("bundle", "show", "spring.bundle").stdout
    assert "by Ada Lovelace in lab" in shown and shown.count("Ada Lovelace") == 2 and made["id"] not in shown
    told = cli.json("bundle", "show", "spring.bundle", "--json")
    assert told["made_by"] == told["entries"][0]["author"] == made["id"]
    elsewhere = replace(cli, folder=cli.folder / "elsewhere")
    elsewhere.folder.mkdir()
    shown = elsewhere.run("bundle", "show", "../spring.bundle").stdout
    assert made["id"] in shown and not (elsewhere.home / "collab").exists(), "looking makes no database"
