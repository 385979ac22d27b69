"""Backups into a sealed store, where restic cannot be had; what both engines promise is in `test_backup.py`."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.backup import check_repository, choose_engine, restore_lab
from physlab.backup.entries import Entry, dump, read
from physlab.backup.password import password_text
from physlab.backup.place import place_of
from physlab.errors import ConfigurationError, PhyslabError, StoreError, ValidationError
from physlab.sealing.passphrase import unwrap
from physlab.settings import load_settings
from physlab.transfer import RemoteStore
from physlab.transfer.collecting import collect
from physlab.transfer.places import open_place
from physlab.transfer.places.folder import FolderPlace
from tests.unit.backuplab import BackupLab, backup_lab, cheap_age, state_of, use_template
from tests.unit.transfer.test_faults import mount


@pytest.fixture
def base(store_template: Path, tmp_path: Path) -> Path:
    return use_template(store_template, tmp_path)


@pytest.fixture
def lab(base: Path) -> Iterator[BackupLab]:
    with backup_lab(base) as opened:
        yield opened


def silent(words: str) -> None:
    """Hear of progress and do nothing."""


def restored(lab: BackupLab, name: str = "back", **more: Any) -> Any:
    more = {"tell": silent, "salvage": False, **more}
    return restore_lab(lab.store, lab.engine, "latest", lab.folder / name, **more)


def test_s38_a_byte_that_fell_anywhere_is_found_and_named(lab: BackupLab) -> None:
    """One bit in each file of the repository in turn; the one engine keeps the cheap key open in between."""
    lab.fill(3)
    lab.fill(1, size=2_000_000, seed=7)
    lab.save()
    engine, found = lab.engine, {}
    for name, data in state_of(lab.repository).items():
        path, bit = lab.repository / name, random.Random(name).randrange(8 * len(data))
        spoiled = bytearray(data)
        spoiled[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoiled)
        try:
            words = check_repository(lab.store, lab.settings, choose_engine(lab.settings)).problems
        except PhyslabError as error:
            words = [str(error)]
        found[name] = any(name in line for line in words)
        path.write_bytes(data)
    assert found and all(found.values()), found
    assert {name.partition("/")[0] for name in found} == {
        "blobs", "files", "packs", "snapshots", "keys", "store.json",
    }  # fmt: skip
    assert check_repository(lab.store, lab.settings, engine).problems == []


@pytest.mark.parametrize("folder", ["blobs", "files", "packs", "snapshots"])
def test_s38_a_file_that_is_gone_is_named(lab: BackupLab, folder: str) -> None:
    lab.fill(2)
    lab.fill(1, size=2_000_000, seed=7)
    saved = lab.save().record
    gone = next(path for path in (lab.repository / folder).rglob("*") if path.is_file())
    gone.unlink()
    problems = check_repository(lab.store, lab.settings, lab.engine).problems
    assert problems and any(word in " ".join(problems) for word in (saved["snapshot"][:8], gone.name)), problems


def test_a_plain_store_is_refused_and_so_is_an_unknown_one(tmp_path: Path) -> None:
    plain = {"backup.repository": "store:nas", "stores.nas.url": str(tmp_path / "nas")}
    settings = load_settings(tmp_path, {"home": tmp_path / "home", **plain}, environ={"HOME": str(tmp_path)})
    with pytest.raises(ConfigurationError, match="'nas' is not sealed") as raised:
        choose_engine(settings)
    assert "stores.nas.sealed = true" in raised.value.hint
    settings = load_settings(tmp_path, {**plain, "backup.repository": "store:vaul"}, environ={"HOME": str(tmp_path)})
    with pytest.raises(ValidationError, match="no store 'vaul'"):
        choose_engine(settings)


def test_folders_links_rights_and_times_come_back(base: Path) -> None:
    also = base / "notes"
    (also / "deep" / "empty").mkdir(parents=True)
    (also / "deep" / "run.sh").write_text("#!/bin/sh\n")
    (also / "deep" / "run.sh").chmod(0o750)
    (also / "twin").write_text("#!/bin/sh\n")
    (also / "link").symlink_to("deep/run.sh")
    (also / "nowhere").symlink_to("/not/there")
    os.utime(also / "twin", ns=(10**18 + 7, 10**18 + 7))
    os.mkfifo(also / "pipe")
    with backup_lab(base, **{"backup.also": [also]}) as lab:
        lab.fill(1)
        assert lab.save().record["complete"]
        assert restored(lab).problems == []
        again = lab.save().record
    back = base / "back" / "also" / "notes"
    assert sorted(path.name for path in back.rglob("*")) == ["deep", "empty", "link", "nowhere", "run.sh", "twin"]
    assert stat.S_IMODE((back / "deep" / "run.sh").stat().st_mode) == 0o750
    assert (back / "twin").stat().st_mtime_ns == 10**18 + 7 and (back / "twin").read_text() == "#!/bin/sh\n"
    assert os.readlink(back / "link") == "deep/run.sh" and os.readlink(back / "nowhere") == "/not/there"
    assert again["complete"]


def test_a_list_that_leads_out_is_refused(tmp_path: Path) -> None:
    for path in ("/etc/passwd", "../out", "a/../../out", ""):
        with pytest.raises(StoreError, match="no list of files"):
            read(dump([Entry(path, 0o644, 1, 0, "0" * 64)], 1), "It")
    twice = dump([Entry("a", 0o644, 1, 0, "0" * 64)] * 2, 1)
    with pytest.raises(StoreError, match="names a path twice"):
        read(twice, "It")


def test_what_was_forgotten_is_freed_by_a_collection(lab: BackupLab) -> None:
    lab.fill(4, size=300_000)
    first = lab.save().record["snapshot"]
    thrown = lab.store.blobs.path(next(iter(lab.store.blobs.all())))
    thrown.unlink()  # so that only the first backup has it
    lab.fill(1, seed=1)
    lab.save()
    size = sum(map(len, state_of(lab.repository).values()))
    engine = lab.engine
    engine.forget([first], silent)
    with engine._open() as remote:  # type: ignore[attr-defined]
        freed = sum(collect(lab.store, remote, grace_s=0).ripe.values())
    assert freed > 300_000 and sum(map(len, state_of(lab.repository).values())) <= size - freed
    assert any("is gone" in words for words in check_repository(lab.store, lab.settings, lab.engine).problems), first
    with lab.engine._open() as remote:  # type: ignore[attr-defined]
        assert collect(lab.store, remote, grace_s=0).ripe == {}
    found = restored(lab)
    assert all(thrown.name in words for words in found.problems) and len(found.problems) == 1


def test_a_backup_that_stopped_goes_on_where_it_was(lab: BackupLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.fill(20, size=500_000)
    write, sent = FolderPlace.write, [0]

    def break_down(self: FolderPlace, name: str, data: bytes) -> None:
        sent[0] += len(data)
        if sent[0] > 6_000_000:
            raise OSError("the line is cut")
        write(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "write", break_down)
        with pytest.raises(StoreError, match="the line is cut"):
            lab.save()
    made = lab.save().record
    assert made["complete"] and made["added"] < 5_500_000 < made["size"]
    assert restored(lab).problems == []


def test_a_full_store_leaves_all_as_it_was(base: Path) -> None:
    repository, kept = base / "repository", base / "kept"
    repository.rename(kept)
    if not mount(repository, 8):
        pytest.skip("no right to mount a small disk")
    try:
        shutil.copytree(kept, repository, dirs_exist_ok=True)
        with backup_lab(base) as lab:
            lab.fill(2)
            first = lab.save().record
            lab.fill(20, size=900_000, seed=5)
            with pytest.raises(StoreError, match="No space left") as raised:
                lab.save()
            assert "What is whole stays" in raised.value.hint
            assert check_repository(lab.store, lab.settings, lab.engine).problems == []
            assert [item.id for item in lab.engine.snapshots()] == [first["snapshot"]]
    finally:
        subprocess.run(["umount", "-l", str(repository)], check=True)


def test_a_file_that_changes_while_it_is_read_is_read_again(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    also = base / "notes"
    also.mkdir()
    (also / "calm").write_text("calm")
    (also / "busy").write_text("0")
    from physlab.transfer.sending import Sender

    send, turns = Sender.send, [0]

    def busily(self: Sender, digests: Any, **more: Any) -> None:
        turns[0] += 1
        if turns[0] <= wanted[0]:
            (also / "busy").write_text(f"{turns[0]}")
        send(self, digests, **more)

    monkeypatch.setattr(Sender, "send", busily)
    with backup_lab(base, **{"backup.also": [also]}) as lab:
        wanted = [1]
        assert lab.save().record["complete"]
        (also / "busy").write_text("new")
        turns[0], wanted[0] = 1, 9
        made = lab.save()
        assert not made.record["complete"] and "it changes all the time" in made.record["unread"][0]
        assert restored(lab, name="two").problems == []
    assert (base / "two" / "also" / "notes" / "calm").read_text() == "calm"


def test_an_unreachable_store_is_no_damage(lab: BackupLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.fill(2)
    lab.save()
    read_, count = FolderPlace.read, [0]

    def break_down(self: FolderPlace, name: str) -> bytes | None:
        count[0] += name.startswith("blobs")
        if count[0] > 2:
            raise OSError("the line is cut")
        return read_(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "read", break_down)
        with pytest.raises(StoreError, match="the line is cut"):
            restored(lab, salvage=True)
    assert not (lab.folder / "back").exists()


@pytest.mark.parametrize("given", ["password", "password_file", "password_command"])
def test_s36_a_password_is_taken_from_where_it_is(tmp_path: Path, given: str) -> None:
    (tmp_path / "secret").write_text("correct horse\n")
    (tmp_path / "secret").chmod(0o600)
    values = {"password": "correct horse", "password_file": tmp_path / "secret"}
    said = values.get(given, f"cat {tmp_path}/secret")
    settings = load_settings(tmp_path, {f"backup.{given}": said}, environ={"HOME": str(tmp_path)})
    assert password_text(settings)[0] == "correct horse"
    for command in ("false", "/not/there"):
        settings = load_settings(tmp_path, {"backup.password_command": command}, environ={"HOME": str(tmp_path)})
        with pytest.raises(ConfigurationError, match="password_command"):
            password_text(settings)


def test_a_password_opens_what_it_wrapped_and_nothing_asks_for_too_much() -> None:
    data = cheap_age(b"secret", b"one")  # what `wrap` writes costs a second each time
    assert unwrap(data, "one", "it", "there") == b"secret"
    with pytest.raises(ConfigurationError, match="does not open it"):
        unwrap(data, "two", "it", "there")
    head, _, rest = data.partition(b"\n-> scrypt ")
    words = rest.split(b"\n", 1)
    greedy = head + b"\n-> scrypt " + words[0].split()[0] + b" 40\n" + words[1]
    for bad in (greedy, b"nothing", data[:10]):
        with pytest.raises(StoreError, match="asks for too much work"):
            unwrap(bad, "one", "it", "there")


def test_a_bucket_takes_backups(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.flows.podlab import KEYS, bucket

    for name, text in KEYS.items():
        monkeypatch.setenv(name, text)
    with bucket() as url:
        far = {
            "backup.repository": "store:far", "stores.far.url": "s3://lab/backups", "stores.far.endpoint": url,
            "stores.far.sealed": True,
        }  # fmt: skip
        place = open_place("s3://lab/backups", url)
        for name, data in state_of(base / "repository").items():
            place.write(name, data)
        with backup_lab(base, **far) as lab:
            lab.fill(3)
            lab.fill(1, size=2_000_000, seed=3)
            made = lab.save()
            assert made.record["complete"]
            shutil.copy(place_of(lab.settings).password, base / "kept")
            objects = state_of(lab.store.root / "objects")
        shutil.rmtree(base / "home")
        far["backup.password_file"] = str(base / "kept")
        with backup_lab(base, **far) as new:
            assert restore_lab(None, new.engine, "latest", base / "back", tell=silent, salvage=False).problems == []
        assert state_of(base / "back" / "store" / "objects") == objects


def test_the_limit_holds(lab: BackupLab, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float | None] = []
    open_: Callable[..., None] = RemoteStore.__init__

    def noted(
        self: RemoteStore, name: str, place: Any, folder: Path, key: Any, limit: float | None, *more: Any
    ) -> None:
        rates.append(limit)
        open_(self, name, place, folder, key, limit, *more)

    monkeypatch.setattr(RemoteStore, "__init__", noted)
    lab.fill(1)
    choose_engine(lab.settings, "5MB/s").snapshots()
    assert rates == [5_000_000]
