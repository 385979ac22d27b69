"""Sealing: streams of any size, damage that is always noticed, keys that change while what they sealed stays."""

from __future__ import annotations

import io
import os
import random
import resource
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from physlab.errors import ConfigurationError, StoreError, ValidationError
from physlab.sealing import Keyring, ProjectKey, age

needs_age = pytest.mark.skipif(shutil.which("age") is None, reason="age is not installed: apt-get install age")


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    made = Keyring(tmp_path / "keys")
    made.init()
    return made


@pytest.fixture
def key(ring: Keyring) -> ProjectKey:
    return ring.project()


class Zeros(io.RawIOBase):
    """A stream of zeros that lies nowhere."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        given = self.left if size < 0 else min(size, self.left)
        self.left -= given
        return bytes(given)


class Counter:
    """A place that keeps nothing but how much came, and whether it was all zeros."""

    def __init__(self) -> None:
        self.size, self.zeros = 0, True

    def write(self, data: bytes) -> int:
        self.size, self.zeros = self.size + len(data), self.zeros and data.count(0) == len(data)
        return len(data)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 1 << 20])
def test_what_is_sealed_opens_again(key: ProjectKey, size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert key.open(key.seal(data), "it") == data
    sealed, opened = io.BytesIO(), io.BytesIO()
    key.seal_stream(io.BytesIO(data), sealed)
    sealed.seek(0)
    key.open_stream(sealed, opened, "it")
    assert opened.getvalue() == data


def test_a_stream_needs_little_memory(key: ProjectKey, tmp_path: Path) -> None:
    size, path, counted = 64 << 20, tmp_path / "sealed", Counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with path.open("wb") as stream:
        key.seal_stream(Zeros(size), stream)
    with path.open("rb") as stream:
        key.open_stream(stream, counted, "it")
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert counted.size == size and counted.zeros
    assert grown_mb < 20


def test_every_change_is_noticed(key: ProjectKey) -> None:
    sealed = key.seal(random.Random(1).randbytes(300))
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1 << (position % 8)
        with pytest.raises(StoreError, match=r"^The file abc "):
            key.open(bytes(changed), "The file abc")
    for end in range(0, len(sealed), 7):
        with pytest.raises(StoreError, match=r"^The file abc "):
            key.open(sealed[:end], "The file abc")


def test_a_stream_that_was_cut_or_changed_is_noticed(key: ProjectKey) -> None:
    sealed = key.seal(bytes(200_000))
    whole_pieces = sealed[: len(sealed) - (200_000 - 3 * 65536 + 16)]  # cut where a piece of age ends
    for bad in (sealed[:-1], whole_pieces, sealed[:70_000], sealed[:-3] + b"abc", sealed + b"x"):
        with pytest.raises(StoreError, match=r"^abc was changed or cut"):
            key.open_stream(io.BytesIO(bad), Counter(), "abc")


def test_another_key_is_named_as_the_reason(key: ProjectKey, tmp_path: Path) -> None:
    other = Keyring(tmp_path / "other")
    other.init()
    with pytest.raises(StoreError, match="abc is sealed for another key"):
        other.project().open(key.seal(b"hello"), "abc")


def test_a_full_disk_is_not_taken_for_damage(key: ProjectKey) -> None:
    class Full(Counter):
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left") as raised:
        key.open_stream(io.BytesIO(key.seal(bytes(100))), Full(), "abc")
    assert not isinstance(raised.value, StoreError)


def test_a_passphrase_is_never_asked_for(key: ProjectKey) -> None:
    strange = b"age-encryption.org/v1\n-> scrypt c2FsdHNhbHRzYWx0c2FsdA 23\nAAAA\n--- AAAA\n" + bytes(100)
    with pytest.raises(StoreError, match="passphrase"):
        key.open(strange, "abc")
    with pytest.raises(StoreError, match="passphrase"):
        key.open_stream(io.BytesIO(strange), Counter(), "abc")


def test_names_tell_nothing_and_stay(ring: Keyring, tmp_path: Path) -> None:
    name = ring.project().name_of("a" * 64)
    assert len(name) == 64 and name == ring.project().name_of("a" * 64) != ring.project().name_of("b" * 64)
    other = Keyring(tmp_path / "other")
    other.init()
    assert other.project().name_of("a" * 64) != name


def test_secrets_are_their_owners_alone_and_not_shown(ring: Keyring) -> None:
    for path in (ring.folder, *filter(Path.is_file, ring.folder.rglob("*"))):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert "AGE-SECRET" not in repr(ring.project())
    (ring.folder / "server.key").chmod(0o640)
    with pytest.raises(ConfigurationError, match="may be read by others") as raised:
        ring.project()
    assert "chmod 600" in raised.value.hint


def test_s32_rotation_wraps_keys_again_and_touches_no_data(ring: Keyring) -> None:
    ring.init("survey")
    before, old = ring.project(), ring.server()
    sealed = before.seal(b"hello")  # in the middle of a session: `before` is open while the key changes
    ring.rotate()
    assert ring.server() != old
    assert ring.project().open(sealed, "it") == b"hello"
    assert before.open(ring.project().seal(b"more"), "it") == b"more"
    assert ring.project().recipient == before.recipient
    assert ring.project().name_of("x") == before.name_of("x")
    assert ring.project("survey").recipient != before.recipient
    for wrapped in ring.folder.rglob("*.age"):
        with pytest.raises(StoreError):
            age.unseal(wrapped.read_bytes(), old, "it")  # the old key opens nothing any more


@pytest.mark.parametrize("limit", range(8))
def test_s32_rotation_may_be_killed_at_any_point(ring: Keyring, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Whatever happens between two changes of the disk, what stands there opens everything."""
    ring.init("survey")
    sealed = {name: ring.project(name).seal(name.encode()) for name in ("lab", "survey")}
    replace, unlink, left = os.replace, Path.unlink, [limit]

    def count() -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *a: (count(), replace(*a)))
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: (count(), unlink(self, missing_ok)))
        if limit < 5:  # two keys wrapped, the server key replaced, two old wraps removed
            with pytest.raises(KeyboardInterrupt):
                ring.rotate()
        else:
            ring.rotate()
    again = Keyring(ring.folder)
    assert {name: again.project(name).open(data, "it").decode() for name, data in sealed.items()} == {
        name: name for name in sealed
    }


def test_a_server_key_that_is_kept_elsewhere(tmp_path: Path) -> None:
    kept = [age.make_identity()]
    ring = Keyring(tmp_path / "keys", lambda: f"# made today\n{kept[0]}\n")
    ring.init()
    sealed = ring.project().seal(b"hello")
    assert not (ring.folder / "server.key").exists()
    with pytest.raises(ValidationError, match="kept elsewhere"):
        ring.rotate()
    new = age.make_identity()
    ring.rotate(new)
    assert ring.project().open(sealed, "it") == b"hello"  # until the new one is put in its place
    kept[0] = new
    assert ring.project().open(sealed, "it") == b"hello"
    kept[0] = age.make_identity()
    with pytest.raises(ConfigurationError, match="does not open the data key") as raised:
        ring.project()
    assert "physlab keys recover" in raised.value.hint


def test_recovery_without_anything_of_the_lab_but_the_wrapped_key(ring: Keyring, tmp_path: Path) -> None:
    secret = age.make_identity()
    ring.init(recovery=age.recipient_of(secret))
    sealed, wrapped = ring.project().seal(b"hello"), ring.recovery_file("lab")
    fresh = Keyring(tmp_path / "fresh")
    known = fresh.recover(secret, wrapped=wrapped)
    assert known.recovery == age.recipient_of(secret)
    assert fresh.project().open(sealed, "it") == b"hello"
    with pytest.raises(StoreError, match="another key"):
        Keyring(tmp_path / "third").recover(age.make_identity(), wrapped=wrapped)
    other = Keyring(tmp_path / "other")
    other.init()
    with pytest.raises(ValidationError, match="another data key"):
        other.recover(secret, wrapped=wrapped)


def test_without_its_server_key_the_recovery_key_is_named_and_none_is_made(tmp_path: Path) -> None:
    recovery = age.make_identity()
    ring = Keyring(tmp_path / "keys")
    sealed = ring.init().recipient
    (tmp_path / "keys" / "server.key").rename(tmp_path / "kept.key")
    with pytest.raises(ConfigurationError, match="no recovery key was named"):
        ring.project()
    (tmp_path / "kept.key").rename(tmp_path / "keys" / "server.key")
    ring.init(recovery=age.recipient_of(recovery))
    (tmp_path / "keys" / "server.key").unlink()
    for ask in (ring.project, ring.init, lambda: ring.init("other")):
        with pytest.raises(ConfigurationError, match=r"keys recover --identity recovery\.txt"):
            ask()
    assert not (tmp_path / "keys" / "server.key").exists()
    ring.recover(recovery)
    assert ring.project().recipient == sealed


def test_s34_every_secret_in_the_clear_is_listed(ring: Keyring) -> None:
    (ring.folder / "backup.password").write_text("secret")
    (ring.folder / "links.key").write_text("00")
    assert ring.in_clear() == ["backup.password", "links.key", "server.key"]


def test_bad_keys_are_named_and_not_shown(ring: Keyring) -> None:
    for text, word in (("", "0 age secret keys"), ("AGE-SECRET-KEY-1BAD", "not an age secret key")):
        with pytest.raises(ValidationError, match=word) as raised:
            ring.rotate(text or " ")
        assert "1BAD" not in str(raised.value)
    with pytest.raises(ValidationError, match="'ssh-ed25519 AAAA' is not an age public key"):
        ring.init(recovery="ssh-ed25519 AAAA")
    with pytest.raises(ValidationError, match="no name for a project"):
        ring.project("../up")
    with pytest.raises(ConfigurationError, match="Known: lab"):
        ring.project("labb")


@needs_age
def test_the_program_age_and_we_read_each_other(ring: Keyring, tmp_path: Path) -> None:
    secret = tmp_path / "recovery.txt"
    subprocess.run(["age-keygen", "-o", secret], check=True, capture_output=True)
    recipient = subprocess.run(["age-keygen", "-y", secret], check=True, capture_output=True, text=True).stdout.strip()
    ring.init(recovery=recipient)
    data = random.Random(2).randbytes(200_000)
    (tmp_path / "sealed").write_bytes(ring.project().seal(data))
    wrapped = ring.folder / "projects" / "lab" / "recovery.age"
    key = subprocess.run(["age", "-d", "-i", secret, wrapped], check=True, capture_output=True).stdout
    (tmp_path / "data.key").write_bytes(key)
    opened = subprocess.run(["age", "-d", "-i", tmp_path / "data.key", tmp_path / "sealed"], capture_output=True)
    assert opened.stdout == data
    theirs = subprocess.run(["age", "-r", ring.project().recipient], input=data, capture_output=True, check=True)
    assert ring.project().open(theirs.stdout, "it") == data
