"""People on the command line: what the page about them does not show."""

from __future__ import annotations

from pathlib import Path

import pyotp
import pytest

from tests.system.commandline import CommandLine


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, {"PHYSLAB_SERVER__MODE": "none"})


def test_an_account_from_its_first_day_to_its_last(cli: CommandLine) -> None:
    made = cli.json("people", "add", "emmy", "--name", "Emmy", "--mail", "e@example.org", "--administrator", "--json")
    assert made["login"] == "emmy" and len(made["code"]) == 29
    enrolled = cli.json("people", "factor", "add-totp", "emmy", "--qr", "qr.svg", "--json")
    assert (cli.folder / "qr.svg").stat().st_mode & 0o777 == 0o600
    wrong = cli.json("people", "factor", "confirm", "emmy", "12345", "--json", code=1)["error"]
    assert wrong["code"] == "VALIDATION_ERROR" and "next code" in wrong["hint"]
    code = pyotp.TOTP(enrolled["secret"]).now()
    assert cli.json("people", "factor", "confirm", "emmy", code, "--json")["confirmed"]
    assert len(cli.json("people", "recovery", "emmy", "--json")["codes"]) == 10
    token = cli.json("people", "token", "add", "emmy", "--label", "script", "--json")
    assert cli.json("people", "token", "revoke", "emmy", token["id"], "--json")["revoked"]
    shown = cli.json("people", "show", "e@example.org", "--json")
    assert (len(shown["factors"]), len(shown["tokens"]), shown["recovery_codes"]) == (1, 1, 10)
    assert "last administrator" in cli.run("people", "erase", "emmy", "--yes", code=1).stderr
    cli.run("people", "add", "max", "--name", "Max", "--administrator")
    assert "Say --yes" in cli.run("people", "erase", "emmy", code=1).stderr
    assert cli.json("people", "erase", "emmy", "--yes", "--json")["state"] == "erased"
    found = cli.json("people", "list", "--json")["people"]
    assert [one["login"] for one in found] == ["max", ""]
    assert (cli.home / "collab").stat().st_mode & 0o777 == 0o700


def test_a_table_that_cannot_be_read_makes_nobody(cli: CommandLine) -> None:
    assert "cannot be read" in cli.run("people", "import", "no.csv", code=1).stderr
    (cli.folder / "latin.csv").write_bytes("name,mail\nGr\u00fc\u00df,g@example.org\n".encode("latin-1"))
    assert "not UTF-8" in cli.run("people", "import", "latin.csv", code=1).stderr
    (cli.folder / "good.csv").write_text("name,mail\nAnna,anna@example.org\n")
    assert "is there already" in cli.run("people", "import", "good.csv", "--codes", "latin.csv", code=1).stderr
    made = cli.json("people", "import", "good.csv", "--json")["people"]
    assert [one["login"] for one in made] == ["anna"]
