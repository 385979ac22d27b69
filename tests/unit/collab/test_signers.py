"""Keys of people: made, vouched for, rotated, revoked; what was signed before stays valid, what follows does not."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from physlab.collab.signers import OwnedKeys, Register
from physlab.collab.signers.passphrase import read_passphrase
from physlab.errors import ConfigurationError, StoreError, ValidationError
from physlab.notebook import Draft, open_book, sign_entry, write
from physlab.notebook.export import export, verify_export
from physlab.notebook.verification import check_records
from physlab.signing import Known, KnownKey, make_secret, secretkey
from physlab.store import Store, open_store

PASS = "correct horse"  # noqa: S105 - it opens nothing


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a guess cost little: here nobody guesses."""
    monkeypatch.setattr(secretkey, "OPERATIONS", 1 << 15)
    monkeypatch.setattr(secretkey, "MEMORY", 1 << 24)


@pytest.fixture
def keys(tmp_path: Path) -> OwnedKeys:
    return OwnedKeys(Register(tmp_path / "keys" / "people"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


def verified(store: Store, keys: OwnedKeys) -> str:
    book = open_book(store, "lab")
    return check_records([book.texts[name] for name in book.records], book.heads, keys.register.trusted()).problem


def test_a_key_is_a_file_for_its_owner_alone(keys: OwnedKeys) -> None:
    key = keys.init("ada", PASS)
    assert stat.S_IMODE(keys.path(key).stat().st_mode) == 0o600
    assert keys.unlock("ada", PASS).public == key.public and keys.register.find("ada") == key
    assert [one.public.id for one in keys.register.known()] == [key.public.id]
    with pytest.raises(ValidationError, match="passphrase does not open"):
        keys.unlock("ada", "wrong horse")
    with pytest.raises(ValidationError, match="ada has the key"):
        keys.init("ada", PASS)
    with pytest.raises(ConfigurationError, match="bob has no key here") as caught:
        keys.unlock("bob", PASS)
    assert caught.value.hint.endswith("physlab sign init --person bob")
    keys.path(key).chmod(0o644)
    with pytest.raises(ConfigurationError, match="may be read by others"):
        keys.unlock("ada", PASS)


@pytest.mark.parametrize("name", ["", "a b", "../up", "-x", "a/b", "x" * 129])
def test_a_name_stays_a_name(keys: OwnedKeys, name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be the name"):
        keys.init(name, PASS)
    with pytest.raises(ValidationError, match="cannot be the name"):
        keys.register.trust(name, make_secret().public)
    assert not keys.folder.exists() or not list(keys.folder.glob("*.*"))


def test_a_short_passphrase_makes_no_key(keys: OwnedKeys) -> None:
    with pytest.raises(ValidationError, match="8 letters"):
        keys.init("ada", "short")
    assert keys.register.known() == []


def test_a_key_has_one_owner(keys: OwnedKeys) -> None:
    public = make_secret().public
    keys.register.trust("bob", public)
    keys.register.trust("bob", public, until="2030-01-01T00:00:00+00:00")
    with pytest.raises(ValidationError, match=f"Key {public.id} is that of bob"):
        keys.register.trust("eve", public)
    with pytest.raises(ValidationError, match="would end"):
        keys.register.trust("carl", make_secret().public, "2030-01-01T00:00:00+00:00", "2029-01-01T00:00:00+00:00")
    keys.register.revoke(keys.register.find("bob"), "lost")
    with pytest.raises(ValidationError, match="was revoked"):
        keys.register.trust("bob", public)


def test_a_damaged_file_is_named(keys: OwnedKeys) -> None:
    key = keys.init("ada", PASS)
    [path] = keys.folder.glob("*.json")
    said = json.loads(path.read_text())
    for text in ("", "{", json.dumps({**said, "key": "RWQ"}), json.dumps({**said, "until": "soon"}), "[]"):
        path.write_text(text)
        with pytest.raises(StoreError, match=str(path)):
            keys.register.known()
    path.write_text(json.dumps(said))
    assert keys.register.known() == [key]


def test_s32_a_rotated_key_keeps_what_it_signed_and_signs_nothing_more(keys: OwnedKeys, store: Store) -> None:
    old = keys.init("ada", PASS)
    stolen = keys.unlock("ada", PASS)
    first = write(store, "lab", Draft("Before", "ada"))
    sign_entry(store, first, "ada", stolen, "author")
    before, after = keys.rotate("ada", PASS, "another horse")
    assert (before.public, after.public) == (old.public, keys.unlock("ada", "another horse").public)
    assert not keys.path(before).exists() and before.until == after.since
    second = write(store, "lab", Draft("After", "ada"))
    sign_entry(store, second, "ada", keys.unlock("ada", "another horse"), "author")
    assert verified(store, keys) == ""
    third = write(store, "lab", Draft("Too late", "ada"))
    sign_entry(store, third, "ada", stolen, "author")
    assert f"'Too late'): key {old.public.id} of ada was replaced at" in verified(store, keys)


def test_s32_a_revoked_key_invalidates_what_follows_alone(keys: OwnedKeys, store: Store, tmp_path: Path) -> None:
    key = keys.init("ada", PASS)
    stolen = keys.unlock("ada", PASS)
    sign_entry(store, write(store, "lab", Draft("Before", "ada")), "ada", stolen, "author")
    export(store, open_book(store, "lab"), tmp_path / "before", stolen, "ada")
    valid = datetime.now(UTC)
    revoked = keys.revoke(key, "laptop stolen")
    assert not keys.path(key).exists() and revoked.reason == "laptop stolen"
    assert verified(store, keys) == "" and verify_export(tmp_path / "before", keys.register.trusted()).problem == ""
    with pytest.raises(ConfigurationError, match=f"key {key.public.id} was revoked"):
        keys.current("ada")
    export(store, open_book(store, "lab"), tmp_path / "after", stolen, "ada")
    assert "was revoked at" in verify_export(tmp_path / "after", keys.register.trusted()).problem
    forged = write(store, "lab", Draft("Forged", "ada"))
    sign_entry(store, forged, "ada", stolen, "author", lambda: valid)
    problem = verified(store, keys)
    assert "'Forged'): key" in problem and "after a record of" in problem, "a back-dated one follows a later record"
    keys.init("ada", PASS)
    assert len(keys.register.of("ada")) == 2 and "'Forged'" in verified(store, keys)


def test_a_key_can_be_lost_since_earlier_but_not_since_later(keys: OwnedKeys) -> None:
    key = keys.init("ada", PASS)
    now = datetime.now(UTC)
    with pytest.raises(ValidationError, match="lies ahead"):
        keys.revoke(key, "", (now + timedelta(days=1)).isoformat())
    keys.revoke(key, "", (now - timedelta(days=1)).isoformat())
    with pytest.raises(ValidationError, match="was revoked at"):
        keys.revoke(key, "", now.isoformat())
    earlier = keys.revoke(key, "", (now - timedelta(days=2)).isoformat())
    assert earlier.refusal((now - timedelta(days=1.5)).isoformat()) != ""
    assert Known([KnownKey("ada", key.public, until=now.isoformat())]).refusal(key.public, "ada", now.isoformat()) == ""


def test_who_is_known_has_no_other_keys(store: Store) -> None:
    """A stranger who signs as ada is refused where ada's key is known, and told of where nobody vouches for her."""
    ada, eve = make_secret(), make_secret()
    sign_entry(store, write(store, "lab", Draft("Mine", "ada")), "ada", eve, "author")
    book = open_book(store, "lab")
    lines = [book.texts[name] for name in book.records]
    wrong = check_records(lines, None, Known([KnownKey("ada", ada.public)]))
    assert f"key {eve.public.id} is not one of the keys that ada is known to have" in wrong.problem
    assert check_records(lines, None, Known()).unknown == [eve.public.id]
    other = check_records(lines, None, Known([KnownKey("eve", eve.public)]))
    assert f"key {eve.public.id} is that of eve, not of ada" in other.problem
    early = KnownKey("ada", eve.public, since="2999-01-01T00:00:00+00:00")
    assert "is valid from 2999" in check_records(lines, None, Known([early])).problem


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
def test_s31_minisign_signs_with_a_key_of_the_lab(keys: OwnedKeys, tmp_path: Path) -> None:
    key, data = keys.init("ada", PASS), tmp_path / "data"
    data.write_text("hydrogen")
    (tmp_path / "ada.pub").write_text(key.public.text())
    signs = ["minisign", "-S", "-s", str(keys.path(key)), "-m", str(data)]
    done = subprocess.run(signs, input=f"{PASS}\n", text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    subprocess.run(["minisign", "-V", "-p", tmp_path / "ada.pub", "-m", data], check=True, capture_output=True)
    other = make_secret()
    taken = keys.init("bob", PASS, secretkey.unlock(other.lock("its own passphrase"), "its own passphrase"))
    assert taken.public == other.public and keys.unlock("bob", PASS).seed == other.seed


def test_a_passphrase_file_is_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "pass"
    path.write_text("größe und maß\nmore\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="may be read by others"):
        read_passphrase(path)
    path.chmod(0o600)
    assert read_passphrase(path) == "größe und maß"
    path.write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        read_passphrase(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_passphrase(tmp_path / "nowhere")
