"""The notebook at a shell, as people and programs use it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.system.commandline import CommandLine

PASS = "correct horse"  # noqa: S105 - it opens nothing


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    (tmp_path / "pass").write_text(PASS)
    (tmp_path / "pass").chmod(0o600)
    names = {"COLUMNS": "80", "PHYSLAB_SERVER__MODE": "none", "PHYSLAB_COLLABORATION__PERSON": "ada"}
    return CommandLine(tmp_path, {**names, "EDITOR": "sed -i s/eV/joule/"})


def test_a_notebook_from_the_first_entry_to_the_verified_export(cli: CommandLine) -> None:
    (cli.folder / "levels.csv").write_text("n,E\n")
    (cli.folder / "notes.md").write_text("# Levels\n\nIn eV: $E_n$.\n")
    add = ("notebook", "add", "Levels of hydrogen, with a title that is longer than a narrow terminal has room for")
    told = cli.json(*add, "--file", "notes.md", "--attach", "levels.csv", "--dry-run", "--json")
    assert told["dry_run"] and told["attachments"][0]["name"] == "levels.csv"
    assert cli.run("notebook", "list").stdout.startswith("The notebook lab is empty.")
    made = cli.json(*add, "--file", "notes.md", "--attach", "levels.csv", "--sign", "--json")
    assert made["state"] == "awaits ada" and "physlab sign init --person ada" in made["warnings"][0]
    entry = made["entry_id"]
    key = cli.json("sign", "init", "--passphrase-file", "pass", "--json")
    twice = cli.json("sign", "init", "--passphrase-file", "pass", "--json", code=1)["error"]
    assert key["id"] in twice["message"] and twice["hint"].endswith("physlab sign rotate --person ada")
    told = cli.run(
        "notebook", "revise", entry, "--reason", "SI", "--edit", "--sign", "--passphrase-file", "pass"
    ).stdout
    assert "Revision 2" in told and "signed" in told
    lines = cli.run("notebook", "list").stdout.splitlines()
    assert max(map(len, lines)) <= 80 and any(line.startswith(f"{entry}@2 ") and "…" in line for line in lines)
    shown = cli.run("notebook", "show", entry).stdout
    assert "In joule" in shown and f"✓ signed by ada as author, {shown.split('as author, ')[1][:16]}, key" in shown
    sent = cli.json("notebook", "export", "out.zip", "--passphrase-file", "pass", "--json")
    assert sent["signer"] == "ada" and sent["records"] == 3
    cli.json("notebook", "export", "bare.zip", "--json")
    bare = cli.json("notebook", "verify", "bare.zip", "--key", f"ada={key['key']}", "--json")
    assert bare["ok"] and "entries may be missing at its end" in bare["warnings"][-1]
    shutil.rmtree(cli.home)
    found = cli.json("notebook", "verify", "out.zip", "--key", f"ada={key['key']}", "--json")
    assert found["ok"] and found["vouches"] == "ada" and not cli.home.exists(), "no lab is made for that"
    data = (cli.folder / "out.zip").read_bytes()
    (cli.folder / "out.zip").write_bytes(data[:-200] + bytes(200))
    assert "no whole ZIP file" in cli.json("notebook", "verify", "out.zip", "--json", code=1)["error"]["message"]


def test_what_cannot_be_is_said_with_what_to_do(cli: CommandLine) -> None:
    cli.run("notebook", "add", "One", "--text", "x")
    for words, said in (
        (("add", "Two", "--attach", "a.png", "--attach", "b.png"), "a.png, "),
        (("show", "ffff"), "has no entry 'ffff'"),
        (("review", "ffff"), "--approve, or --request-changes"),
        (("verify", "nowhere"), "There is no 'nowhere'"),
        (("verify", "nowhere", "--key", "ada"), "is not PERSON=KEY"),
    ):
        error = cli.json("notebook", *words, "--json", code=1)["error"]
        assert said in f"{error['message']} {error['hint']}"


def test_a_wrong_passphrase_writes_nothing(cli: CommandLine) -> None:
    (cli.folder / "other").write_text("wrong horse")
    (cli.folder / "other").chmod(0o600)
    cli.run("sign", "init", "--passphrase-file", "pass")
    entry = cli.json("notebook", "add", "One", "--text", "x", "--json")["entry_id"]
    before = cli.json("notebook", "heads", "--json")
    for words in (("add", "Two"), ("revise", entry, "--reason", "better")):
        error = cli.json(
            "notebook", *words, "--text", "y", "--sign", "--passphrase-file", "other", "--json", code=1
        )["error"]  # fmt: skip
        assert "The passphrase does not open this key." in error["message"] and "nothing was changed" in error["hint"]
    assert cli.json("notebook", "heads", "--json") == before
    locked = cli.json("notebook", "revise", entry, "--reason", "better", "--text", "y", "--sign", "--json")
    assert locked["state"] == "awaits ada", "a key that nobody can open now does not lose what was written"
    as_bob = replace(cli, variables={**cli.variables, "PHYSLAB_COLLABORATION__PERSON": "bob"})
    as_bob.run("notebook", "review", entry, "--approve")
    assert "approved, awaits ada" in cli.run("notebook", "list").stdout
    for state in ("approved", "awaits"):
        assert len(cli.json("notebook", "list", "--state", state, "--json")["entries"]) == 1
    shown = cli.run("notebook", "show", entry).stdout
    assert "approved, awaits ada" in shown and f"physlab notebook sign {entry}" in shown
    cli.run("notebook", "sign", entry, "--passphrase-file", "pass")
    assert cli.json("notebook", "show", entry, "--json")["state"] == "approved"


def test_all_that_is_wrong_with_an_entry_is_said_at_once(cli: CommandLine) -> None:
    (cli.folder / "sub").mkdir()
    wish = ("--attach", "a.png", "--attach", "b.png", "--attach", "sub", "--run", "nope", "--run", "latest")
    for words in (("add", "Two"), ("add", "Two", "--dry-run")):
        error = cli.json("notebook", *words, *wish, "--json", code=1)["error"]
        for said in ("a.png, ", "b.png are not there.", "sub: not a file.", "run 'nope'", "run 'latest'"):
            assert said in error["message"]
    assert cli.json("notebook", "list", "--json")["entries"] == []


def test_an_entry_goes_where_its_run_belongs_and_is_found_there(cli: CommandLine) -> None:
    node = {"id": "table", "tool": "data", "method": "export_csv", "params": {"columns": {"x": [1, 2]}, "name": "t"}}
    (cli.folder / "spring.json").write_text(json.dumps({"nodes": [node]}))
    springs = replace(cli, variables={**cli.variables, "PHYSLAB_COLLABORATION__SESSION": "springs"})
    run = springs.json("run", "spring.json", "--json")["run_id"]
    note = "The run is of the session springs, so the entry goes into its notebook"
    told = cli.run("notebook", "add", "Energy", "--text", "x", "--run", run, "--dry-run")
    assert "into the notebook springs." in told.stdout and note in told.stderr
    added = cli.run("notebook", "add", "Energy", "--text", "x", "--run", run)
    assert "is in the notebook springs." in added.stdout and note in added.stderr
    entry = added.stdout.split()[2]
    plain = cli.json("notebook", "add", "Here", "--text", "x", "--run", run, "--notebook", "lab", "--json")
    assert (plain["notebook"], plain["note"]) == ("lab", "")
    for words in (("show", entry), ("comment", entry, "Yes."), ("diff", entry), ("print", entry)):
        error = cli.json("notebook", *words, "--json", code=1)["error"]
        assert error["message"] == f"The notebook lab has no entry '{entry}': it is in the notebook springs."
        assert error["hint"].endswith(f"physlab notebook show {entry} --notebook springs")
    assert cli.json("notebook", "show", entry, "--session", "springs", "--json")["title"] == "Energy"
    assert "has no entry 'ffff'." in cli.json("notebook", "show", "ffff", "--json", code=1)["error"]["message"]


def test_what_is_signed_or_taken_in_already_is_said_and_not_done_again(cli: CommandLine) -> None:
    cli.run("sign", "init", "--passphrase-file", "pass")
    (cli.folder / "a.csv").write_text("x\n")
    made = cli.json("notebook", "add", "One", "--attach", "a.csv", "--sign", "--passphrase-file", "pass", "--json")
    before = cli.json("notebook", "heads", "--json")
    again = cli.run("notebook", "sign", made["entry_id"], "--passphrase-file", "pass").stdout
    assert f"ada signed {made['entry_id']}@1 as author already, " in again and "nothing was changed" in again
    assert cli.json("notebook", "sign", made["entry_id"], "--passphrase-file", "pass", "--json")["already"]
    assert cli.json("notebook", "heads", "--json") == before
    cli.run("notebook", "export", "out.eln", "--passphrase-file", "pass")
    take = ("notebook", "import", "out.eln", "--notebook", "theirs")
    assert "1 entry would be taken in." in cli.run(*take, "--dry-run").stdout
    assert cli.json("notebook", "list", "--notebook", "theirs", "--json")["entries"] == []
    assert "1 entry taken in." in cli.run(*take).stdout
    [entry] = cli.json("notebook", "list", "--notebook", "theirs", "--json")["entries"]
    assert entry["attachments"] == 1
    twice = cli.run(*take)
    assert "All of it was taken in before" in twice.stdout
    assert f"One was taken in before: {entry['entry_id']}" in twice.stderr
    assert len(cli.json("notebook", "list", "--notebook", "theirs", "--json")["entries"]) == 1
