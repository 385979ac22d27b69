"""The notebook at a shell, as people and programs use it."""

from __future__ import annotations

import shutil
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
