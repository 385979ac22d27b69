"""What a repository, a password and an address tell to others: nothing."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest

from physlab.backup.place import place_of
from physlab.collab.signers import OwnedKeys, Register
from physlab.errors import ConfigurationError, ResourceError
from physlab.settings import child_environment
from physlab.signing import make_secret
from tests.unit.backup.conftest import bring_back
from tests.unit.backuplab import (
    BackupLab,
    backup_lab,
    missing_parts,
    state_of,
)

needs_restic = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


@needs_restic
def test_s36_the_password_that_is_made_is_private(tmp_path: Path) -> None:
    """S36: it is given by a file of mode 600, and neither the backup nor any record or text holds it."""
    with backup_lab(tmp_path) as lab:
        lab.fill(1)
        made = lab.save()
        path = place_of(lab.settings).password
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        secret = path.read_text().strip()
        assert len(secret) > 40 and made.new_password == str(path)
        for file, content in state_of(lab.folder).items():
            assert secret.encode() not in content or file == "home/keys/backup.password", file
        home = bring_back(lab)
        assert not any(secret.encode() in content for content in state_of(home).values())
        os.chmod(path, 0o644)
        with pytest.raises(ConfigurationError, match="may be read by others"):
            lab.save()


@needs_restic
def test_s36_a_password_in_an_address_is_shown_nowhere(tmp_path: Path) -> None:
    address = "rest:http://lab:hunter2secret@127.0.0.1:9/lab"
    with backup_lab(tmp_path, **{"backup.repository": address, "backup.password": "other-secret"}) as lab:
        engine = lab.engine
        assert "hunter2secret" not in engine.shown
        with pytest.raises((ConfigurationError, ResourceError)) as caught:
            lab.save()
        assert "hunter2secret" not in str(caught.value) and "other-secret" not in str(caught.value)
        assert not any(b"hunter2secret" in content for content in state_of(lab.folder).values())


def test_s34_a_repository_holds_no_plain_text(base: Path) -> None:
    """20 markers: in blobs, records, keys, configuration, databases, a folder and a git repository."""
    markers = [f"MARKER-{number:02d}-{random.Random(number).randbytes(6).hex()}" for number in range(20)]
    notes = base / "notes"
    notes.mkdir()
    (notes / f"{markers[0]}.txt").write_text(markers[1])
    git = base / "paper"
    quiet = {"env": child_environment({"GIT_CONFIG_GLOBAL": "/dev/null"}), "check": True, "capture_output": True}
    subprocess.run(["git", "init", "-q", git], **quiet)
    (git / "paper.tex").write_text(markers[2])
    subprocess.run(["git", "-C", git, "add", "."], **quiet)
    author = ["-c", f"user.name={markers[3]}", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", git, *author, "commit", "-qm", markers[4]], **quiet)
    (base / "physlab.toml").write_text(f'[report]\nlab = "{markers[5]}"\n')
    with backup_lab(base, **{"backup.also": [notes, git]}) as lab:
        (lab.settings.home / "server").mkdir()
        database = sqlite3.connect(lab.settings.home / "server" / "prefect.db")
        database.execute("CREATE TABLE run (name TEXT)")
        database.execute("INSERT INTO run VALUES (?)", (markers[6],))
        database.commit()
        database.close()
        for marker in markers[7:14]:
            lab.store.blobs.put(marker.encode() * 40)
        for marker in markers[14:]:
            lab.store.append("note", {"text": marker})
        made = lab.save()
        assert made.record["complete"] and not made.warnings
        stored = b"\n".join(state_of(lab.repository).values()) + "\n".join(state_of(lab.repository)).encode()
        assert [marker for marker in markers if marker.encode() in stored] == []
        back = bring_back(lab)
        restored = b"\n".join(state_of(back).values()) + "\n".join(state_of(back)).encode()
        bundled = {markers[2], markers[3], markers[4]}  # compressed by git
        assert [marker for marker in markers if marker.encode() not in restored and marker not in bundled] == []
        subprocess.run(["git", "clone", "-q", back / "also" / "paper.bundle", base / "again"], **quiet)
        assert (base / "again" / "paper.tex").read_text() == markers[2]


def test_only_wrapped_keys_are_saved(restic_lab: BackupLab) -> None:
    lab = restic_lab
    keys = lab.settings.home / "keys"
    project = keys / "projects" / "lab"
    project.mkdir(parents=True)
    (keys / "server.key").write_text("AGE-SECRET-KEY-1BARE")
    (project / "0123.age").write_bytes(b"age-encryption.org/v1\n-> X25519 abc\n")
    (project / "key.json").write_text('{"recipient": "age1public"}')
    (project / "loose.txt").write_text("AGE-SECRET-KEY-1LOOSE")
    lab.fill(1)
    made = lab.save()
    assert any("server.key" in words and "loose.txt" in words for words in made.warnings)
    home = bring_back(lab)
    assert sorted(state_of(home / "keys")) == ["projects/lab/0123.age", "projects/lab/key.json"]
    assert not any(b"AGE-SECRET-KEY-" in content for content in state_of(home).values())


@needs_restic
def test_keys_of_people_come_back_as_far_as_a_passphrase_guards_them(restic_lab: BackupLab) -> None:
    lab = restic_lab
    keys = OwnedKeys(Register(lab.settings.home / "keys" / "people"))
    key = keys.init("ada", "correct horse")
    keys.register.trust("bob", make_secret().public)
    (keys.folder / "eve-0.key").write_text("untrusted comment: minisign secret key\nRWQAAEIy\n")
    lab.fill(1)
    lab.save()
    back = OwnedKeys(Register(bring_back(lab) / "keys" / "people"))
    assert back.register.known() == keys.register.known() and back.unlock("ada", "correct horse").public == key.public
    assert not (back.folder / "eve-0.key").exists(), "a key in the clear lies in no backup"
