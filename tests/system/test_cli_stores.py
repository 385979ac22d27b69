"""The commands on stores and keys, as a person types them."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.system.commandline import CommandLine

GRAPH = """
metadata: {title: Curve}
nodes:
  - {id: hbar, tool: constants_get, params: {name: hbar}}
"""
SETTINGS = """
[stores.nas]
url = "nas"
[stores.vault]
url = "vault"
sealed = true
"""


@pytest.fixture
def lab(tmp_path: Path) -> CommandLine:
    (tmp_path / "physlab.toml").write_text(SETTINGS)
    (tmp_path / "curve.yaml").write_text(GRAPH)
    return CommandLine(tmp_path, {"PHYSLAB_SERVER__MODE": "none"})


def test_a_run_goes_to_another_lab_and_is_shown_there(lab: CommandLine, tmp_path: Path) -> None:
    lab.run("run", "curve.yaml")
    would = lab.json("store", "push", "nas", "--dry-run", "--json")
    assert (would["records"], would["dry_run"]) == (3, True) and not (tmp_path / "nas").exists()
    assert lab.json("store", "push", "nas", "curve", "--json")["records"] == 3
    other = CommandLine(tmp_path, {"PHYSLAB_SERVER__MODE": "none", "PHYSLAB_HOME": str(tmp_path / "other")})
    said = other.run("store", "pull", "nas", "--limit", "5MB/s").stdout
    assert "3 records travelled" in said and "physlab runs" in said
    assert other.json("show", "curve", "--json")["status"] == "completed"


def test_what_nothing_needs_goes_from_a_store(lab: CommandLine, tmp_path: Path) -> None:
    lab.run("run", "curve.yaml")
    lab.run("store", "push", "nas")
    useless = tmp_path / "nas" / "blobs" / "ab" / ("c" * 62)
    useless.parent.mkdir(parents=True, exist_ok=True)
    useless.write_text("nobody names it")
    assert "next      physlab store gc nas --delete --grace 0" in lab.run("store", "gc", "nas", "--grace", "0").stdout
    assert useless.exists()
    found = lab.json("store", "gc", "nas", "--grace", "0", "--delete", "--json")
    assert (found["files"], found["bytes"], found["deleted"]) == (1, 15, True) and not useless.exists()
    said = lab.run("store", "gc", "nas").stdout
    assert said.startswith("0 files, 0 B would go; 2 files stay.")


def test_a_locked_lab_says_what_it_is_and_how_it_opens(lab: CommandLine, tmp_path: Path) -> None:
    from physlab.sealing import age

    recovery = age.make_identity()
    (tmp_path / "recovery.txt").write_text(f"{recovery}\n")
    (tmp_path / "recovery.txt").chmod(0o600)
    assert "were made" in lab.run("keys", "init").stdout
    assert "nothing was made" in lab.run("keys", "init").stdout
    assert "opens them now too" in lab.run("keys", "init", "--recovery", age.recipient_of(recovery)).stdout
    (lab.home / "keys" / "backup.password").write_text("secret")
    (lab.home / "note").write_text("kept")
    said = lab.run("store", "lock").stderr
    assert "The server key lies beside" in said and "backup.password" in said
    assert "The lab is locked" in lab.run("doctor").stdout
    (lab.home / "keys" / "server.key").unlink()
    error = lab.json("store", "unlock", "--json", code=1)["error"]
    assert "physlab keys recover --identity recovery.txt" in error["hint"]
    lab.run("keys", "recover", "--identity", "recovery.txt")
    assert lab.json("store", "unlock", "--json")["lost"] == {} and (lab.home / "note").read_text() == "kept"


def test_a_locked_lab_with_a_damaged_ledger_opens_and_says_what_comes_first(lab: CommandLine) -> None:
    from physlab.sealing import Keyring

    lab.run("run", "curve.yaml")
    lab.run("store", "lock")
    name = Keyring(lab.home / "keys").project().name_of("store/journal/000001.jsonl")
    path = lab.home / "vault" / "sealed" / name
    path.write_bytes(path.read_bytes()[:-2])
    assert "--salvage" in lab.json("store", "unlock", "--json", code=1)["error"]["hint"]
    said = lab.run("store", "unlock", "--salvage", code=1).stdout
    assert "store/journal/000001.jsonl" in said and "physlab backup list" in said
    assert (lab.home / "damaged" / "store" / "journal" / "000001.jsonl.age").exists()
    assert lab.json("runs", "--json")["runs"] == []


def test_what_stays_by_its_label_is_not_counted_as_a_copy(lab: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "physlab.toml").write_text('[stores.mirror]\nurl = "mirror"\nreplica = true\n')
    (tmp_path / "secret.csv").write_text("1,2\n")
    (tmp_path / "open.csv").write_text("3,4\n")
    lab.run("version", "add", "secret.csv", "open.csv")
    lab.run("version", "label", "secret.csv", "private")
    lab.run("store", "repair")
    said = [line.split() for line in lab.run("store", "replicas").stdout.splitlines()]
    [mirror] = [words for words in said if words[:1] == ["mirror"]]
    [total] = [words for words in said if words[:1] == ["✓"]]
    assert mirror[2:] == ["0", "1"] and total[1] == mirror[1] and "once" in total
    assert "1 file may not leave the lab" in lab.run("store", "replicas").stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("store", "push", "nass"), "Did you mean 'nas'?"),
        (("store", "push", "nas", "--limit", "fast"), "'fast' is no rate"),
        (("store", "pull", "nas"), "physlab store push nas --all"),
        (("store", "push", "vault"), "physlab keys init. For what another lab"),
        (("store", "scrub", "--share", "2/1"), "'2/1' is no share."),
        (("store", "gc", "nas"), "There is no store in"),
        (("store", "gc", "nas", "--older-than", "9"), "physlab store gc nas --let-go"),
        (("store", "gc", "--let-go"), "physlab store gc STORE --let-go"),
        (("store", "serve", "--host", "0.0.0.0"), "--insecure-lan"),  # noqa: S104
    ],
)
def test_what_cannot_be_done_says_what_to_do(lab: CommandLine, words: tuple[str, ...], told: str) -> None:
    error = lab.json(*words, "--json", code=1)["error"]
    assert told in f"{error['message']} {error['hint']}"


@pytest.mark.skipif(shutil.which("age-keygen") is None, reason="age is not installed: apt-get install age")
def test_keys_are_made_turned_and_recovered(lab: CommandLine, tmp_path: Path) -> None:
    made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    recovery = tmp_path / "recovery.txt"
    recovery.write_text(made)
    recovery.chmod(0o600)
    recipient = made.split("public key: ")[1].split()[0]
    said = lab.run("keys", "init", "--recovery", recipient)
    assert recipient in said.stdout and "AGE-SECRET-KEY" not in said.stdout + said.stderr
    lab.run("store", "push", "vault")
    before = json.loads(lab.run("keys", "list", "--json").stdout)["keys"]
    lab.run("keys", "rotate")
    after = json.loads(lab.run("keys", "list", "--json").stdout)["keys"]
    assert before[0]["recipient"] == after[0]["recipient"] and before[0]["wrapped_for"] != after[0]["wrapped_for"]
    other = CommandLine(tmp_path, {"PHYSLAB_SERVER__MODE": "none", "PHYSLAB_HOME": str(tmp_path / "other")})
    other.run("keys", "recover", "--from", "vault", "--identity", "recovery.txt")
    assert other.json("store", "pull", "vault", "--json")["store"] == "vault"


def test_it_serves_until_it_is_stopped(lab: CommandLine) -> None:
    process = lab.start("store", "serve", "--port", "0", "--json")
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert httpx.get(f"{told['url']}/blobs/{'0' * 64}").status_code == 404
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM and "Traceback" not in errors
