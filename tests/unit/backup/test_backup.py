"""Backups with real restic: what is sent, how it is found damaged, and that a restore is all or nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from physlab.backup import check_repository, choose_engine, points_of, restore_lab
from physlab.backup.checking import next_part, proof_of
from physlab.backup.ledger import BEGUN, DONE, records_of
from physlab.backup.place import place_of
from physlab.errors import ConfigurationError, ResourceError, StoreError, ValidationError
from physlab.settings import child_environment
from physlab.store import open_store, schema
from tests.unit import postgres
from tests.unit.backup.conftest import bring_back
from tests.unit.backuplab import (
    BackupLab,
    Days,
    backup_lab,
    missing_parts,
    node_record,
    plant,
    state_of,
    take_away,
)

needs_restic = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


def test_what_is_restored_is_what_was_there(saved: BackupLab) -> None:
    home = bring_back(saved)
    assert state_of(home / "store" / "objects") == state_of(saved.store.root / "objects")
    ours = (saved.store.root / "journal" / "000001.jsonl").read_bytes()
    theirs = (home / "store" / "journal" / "000001.jsonl").read_bytes()
    assert theirs and ours.startswith(theirs)
    with open_store(home / "store") as store:
        assert list(store.verify()) == []
        assert len(store.index.rows(schema.records.select())) == 13
    assert not (home / "backup").exists() and not (home / "keys" / "backup.password").exists()
    assert json.loads((home / "backup.json").read_text())["journal"]["seq"] == 13


def test_a_restore_over_something_is_refused(saved: BackupLab) -> None:
    target = saved.folder / "taken"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(ValidationError, match="not empty"):
        bring_back(saved, "taken")
    assert state_of(target) == {"mine.txt": b"mine"}
    with pytest.raises(ValidationError, match="no snapshot 'abcdef'"):
        bring_back(saved, "elsewhere", "abcdef")
    assert not (saved.folder / "elsewhere").exists()


def test_every_record_in_a_backup_has_its_blobs_while_others_write(lab: BackupLab) -> None:
    """A writer goes on all the time; each backup restores whole, and ends where its record says."""
    lab.fill(5)
    lab.save()
    done = threading.Event()
    written: list[str] = []

    def write() -> None:
        with open_store(lab.store.root) as store:
            number = 0
            while not done.is_set():
                digest, _ = store.blobs.put(f"{number}".encode() * 500)
                store.append("node", node_record(digest, number))
                written.append(digest)
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = lab.save()
    finally:
        done.set()
        writer.join()
    assert made.record["complete"] and len(written) > 10
    home = bring_back(lab)
    with open_store(home / "store") as store:
        assert list(store.verify()) == []
        last = list(store.journal.replay())[-1]
        assert last.seq == made.record["journal"]["seq"]
        assert store.index.position(last.digest) == last.position


def test_only_what_changed_is_sent(lab: BackupLab) -> None:
    lab.fill(200, size=20_000)
    first = lab.save().record
    lab.fill(2, size=20_000, seed=1)
    second = lab.save().record
    assert first["added"] > 4_000_000
    assert second["added"] < 0.2 * first["added"]
    assert second["files"] == first["files"] + 2


def test_a_change_of_a_hundredth_moves_two_hundredths_at_most(lab: BackupLab) -> None:
    lab.fill(99, size=400_000)
    first = lab.save().record
    lab.fill(1, size=400_000, seed=1)
    second = lab.save().record
    assert first["added"] > 39_000_000 and second["added"] < 0.02 * second["size"], second
    assert lab.save().record["added"] < 0.01 * second["size"]


@pytest.mark.parametrize("folder", ["data", "index", "snapshots", "keys", "config"])
def test_s38_a_bit_that_fell_is_found_and_named(restic_base: Path, folder: str) -> None:
    """One bit in each kind of file of the repository; `key` files too, which restic itself takes as they are."""
    with backup_lab(restic_base) as lab:
        lab.fill(6)
        lab.save()
        top = lab.repository / folder
        files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        chosen = random.Random(folder).choice(files)
        data = bytearray(chosen.read_bytes())
        data[random.Random(f"{folder}bit").randrange(len(data))] ^= 1
        chosen.chmod(0o600)
        chosen.write_bytes(data)
        found: list[str] = []
        try:
            found = check_repository(lab.store, lab.settings, lab.engine).problems
        except (ConfigurationError, ResourceError) as error:
            found = [str(error)]
        assert found, f"a flipped bit in {chosen} was not found"
        name = (
            chosen.name if folder in ("data", "index", "keys") else "config" if folder == "config" else chosen.name[:8]
        )
        assert any(name[:8] in words or "password" in words for words in found), found


def test_s38_shares_take_turns(saved: BackupLab) -> None:
    assert next_part([], 30) == 1
    done = [{"part": 30, "of": 30}, {"part": 1, "of": 1}]
    assert next_part(done, 30) == 1 and next_part([{"part": 7, "of": 30}], 30) == 8
    first = check_repository(saved.store, saved.settings, saved.engine, 2)
    second = check_repository(saved.store, saved.settings, saved.engine, 2)
    assert [first.record["part"], second.record["part"]] == [1, 2]
    assert first.problems == second.problems == []
    repository = first.record["repository_id"]
    checks = [record for record in records_of(saved.store, "backup_check") if record["repository_id"] == repository]
    proof = proof_of(checks)
    assert proof["all"] is None and proof["share"] == "2/2" and proof["parts"] == 2


def test_s37_fakes_with_forged_times_change_nothing(base: Path) -> None:
    """A client with the password plants snapshots of 1990 to 2099; retention and `latest` follow our list alone."""
    clock = Days()
    with backup_lab(base, **{"backup.keep": "2 days"}) as lab:
        lab.fill(2)
        made = [lab.save(clock).record["snapshot"]]
        for when in ("1990-01-01 00:00:00", "2026-10-02 03:30:01", "2099-12-31 23:59:59"):
            plant(lab, when)
        for day in range(4):
            clock.pass_by(400 if day == 1 else -200 if day == 2 else 1)  # forward by a year, then back
            saved = lab.save(clock)
            made.append(saved.record["snapshot"])
            assert any("3 snapshots" in words and "not on this lab's list" in words for words in saved.warnings)
        there = {item.id for item in lab.engine.snapshots()}
        kept = [point.snapshot for point in points_of(lab.store)]
        assert kept == [name for name in made if name in there] and len(there) == len(kept) + 3
        assert kept == made[-4:]  # ages 3, 2, 1 (the jump is a day), 1 (back is nothing), 0: only the first is older
        home = bring_back(lab)
        assert json.loads((home / "backup.json").read_text())["token"] == saved.record["token"]


@pytest.mark.drill
def test_s37_daily_points_survive_a_month_of_jumps(base: Path, drill_seed: int, pytestconfig: pytest.Config) -> None:
    """Each day a backup, unless it is missed; the clock jumps by years, fakes come with forged times: none is lost."""
    days, keep = (45, 30) if pytestconfig.getoption("seeds") > 2 else (7, 4)
    choose, clock, made = random.Random(drill_seed), Days(), []
    with backup_lab(base, **{"backup.keep": f"{keep} days"}) as lab:
        for day in range(days):
            clock.pass_by(1 + choose.choice((0, 0, 0, 0, 700, -700, 3, -3)))
            if choose.random() < 0.15:
                continue
            lab.fill(1, seed=1000 + day)
            made.append(lab.save(clock).record["snapshot"])
            if choose.random() < 0.3:
                forged = f"{choose.randrange(1990, 2099)}-{choose.randrange(1, 13):02d}-11 00:00:00"
                plant(lab, forged)
        there = {item.id for item in lab.engine.snapshots()}
        assert set(made[-keep:]) <= there and made[-1] in there
        assert check_repository(lab.store, lab.settings, lab.engine).problems == []
        bring_back(lab)


def test_what_cannot_be_read_is_named(base: Path) -> None:
    """A file that gives an error when it is read: one of the kernel's, which even root cannot read."""
    folder = Path(f"/proc/{os.getpid()}/attr")
    try:
        (folder / "current").read_bytes()
    except OSError:
        pass
    else:
        pytest.skip("no file here refuses to be read by root")
    with backup_lab(base, **{"backup.also": [folder]}) as lab:
        lab.fill(1)
        made = lab.save()
        assert not made.record["complete"] and any("current" in words for words in made.warnings), made
        assert [point.complete for point in points_of(lab.store)] == [False]


def test_a_repository_that_lets_nothing_be_removed_still_takes_backups(restic_base: Path) -> None:
    """As one that only lets itself be added to; what was to be forgotten is forgotten when that is allowed again."""
    clock = Days()
    with backup_lab(restic_base, **{"backup.keep": "1 day"}) as lab:
        lab.fill(1)
        made = [lab.save(clock).record["snapshot"]]
        clock.pass_by(1)
        made.append(lab.save(clock).record["snapshot"])
        program = restic_base / "restic-append-only"
        program.write_text(f'#!/bin/sh\n[ "$1" = forget ] && {{ echo "Fatal: 403 Forbidden"; exit 1; }}\n'
                           f'exec {shutil.which("restic")} "$@"\n')  # fmt: skip
        program.chmod(0o755)
        only = lab.settings.model_copy(
            update={"backup": lab.settings.backup.model_copy(update={"restic": str(program)})}
        )
        clock.pass_by(1)
        saved = BackupLab(restic_base, only, lab.store).save(clock)
        assert saved.record["complete"] and saved.forgotten == [] and "403 Forbidden" in saved.warnings[-1]
        saved = lab.save(clock)
        assert saved.forgotten == made[:1] and saved.warnings == []
        assert {item.id for item in lab.engine.snapshots()} == {point.snapshot for point in points_of(lab.store)}


def test_what_somebody_removed_is_told(lab: BackupLab) -> None:
    lab.fill(1)
    gone = lab.save().record["snapshot"]
    take_away(lab, gone)
    saved = lab.save()
    assert any("gone from the repository" in words for words in saved.warnings)
    found = check_repository(lab.store, lab.settings, lab.engine)
    assert found.problems == [f"snapshot {gone[:8]} of this lab's list is gone"]


def test_a_repository_that_is_gone_is_not_made_again(lab: BackupLab) -> None:
    lab.fill(1)
    lab.save()
    away = lab.repository.rename(lab.folder / "away")
    with pytest.raises(ConfigurationError, match="is gone"):
        lab.save()
    assert not lab.repository.exists()
    away.rename(lab.repository)
    assert lab.save().record["complete"]


def test_a_backup_whose_maker_was_killed_is_adopted(lab: BackupLab) -> None:
    """Sent and not noted: the next one finds it by the mark that was written before."""
    lab.fill(2)
    lab.save()
    journal = lab.store.root / "journal" / "000001.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert b'"kind":"backup"' in lines[-1]
    lab.store.close()
    journal.write_bytes(b"".join(lines[:-1]))
    with backup_lab(lab.folder) as again:
        saved = again.save()
        assert len(saved.adopted) == 1 and not any("not on this" in words for words in saved.warnings)
        assert [point.complete for point in points_of(again.store)] == [False, True]


def test_only_our_own_stale_lock_is_removed(restic_lab: BackupLab) -> None:
    lab = restic_lab
    lab.fill(1)
    lab.save()
    locks = lab.repository / "locks"
    child = subprocess.Popen(
        ["restic", "backup", "--stdin"],
        env=child_environment({"RESTIC_REPOSITORY": str(lab.repository), "RESTIC_CACHE_DIR": str(lab.folder / "cache"),
                               "RESTIC_PASSWORD_FILE": str(place_of(lab.settings).password)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not any(locks.iterdir()):
            assert child.poll() is None
        with pytest.raises(ConfigurationError, match=f"in use: .* process {child.pid}"):
            check_repository(lab.store, lab.settings, lab.engine)
        assert any(locks.iterdir())
    finally:
        child.kill()
        child.communicate()
    assert any(locks.iterdir())
    assert check_repository(lab.store, lab.settings, lab.engine).problems == []
    assert not any(locks.iterdir())


def test_one_at_a_time(lab: BackupLab) -> None:
    with place_of(lab.settings).alone(), pytest.raises(ResourceError, match="is at work"):
        lab.save()


def on_a_small_disk(lab: BackupLab, kib: int) -> BackupLab:
    """Return the lab with a restic whose files cannot grow beyond so much: what a full disk answers, without one."""
    program = lab.folder / "restic-on-a-small-disk"
    program.write_text(f'#!/bin/sh\ntrap "" XFSZ\nulimit -f {2 * kib}\nexec {shutil.which("restic")} "$@"\n')
    program.chmod(0o755)
    small = lab.settings.model_copy(update={"backup": lab.settings.backup.model_copy(update={"restic": str(program)})})
    return BackupLab(lab.folder, small, lab.store)


def test_a_full_disk_leaves_all_as_it_was(restic_lab: BackupLab) -> None:
    lab = restic_lab
    lab.fill(2)
    first = lab.save().record
    lab.fill(1, size=2_000_000, seed=5)
    small = on_a_small_disk(lab, 300)
    with pytest.raises(StoreError, match=r"(file too large|no space left)[\s\S]*Free disk space"):
        small.save()
    assert [point.snapshot for point in points_of(lab.store)] == [first["snapshot"]]
    assert check_repository(lab.store, lab.settings, lab.engine).problems == []
    assert lab.save().record["complete"]
    with pytest.raises(StoreError, match=r"(file too large|no space left)[\s\S]*Free disk space"):
        bring_back(small)
    assert [path.name for path in lab.folder.iterdir() if "back" in path.name] == []
    bring_back(lab)
    assert list(lab.store.verify()) == []


def test_a_latest_without_a_list_says_so(saved: BackupLab) -> None:
    found = restore_lab(None, saved.engine, "latest", saved.folder / "new", tell=lambda words: None, salvage=False)
    assert found.problems == [] and "no list of backups" in found.notes[0]


def test_a_folder_that_is_not_there_stops_it(base: Path) -> None:
    with backup_lab(base, **{"backup.also": [base / "nowhere"]}) as lab:
        lab.fill(1)
        with pytest.raises(ConfigurationError, match="nowhere"):
            lab.save()


def test_the_server_database_of_postgres_is_dumped(restic_base: Path) -> None:
    programs = postgres.find_server()
    if programs is None or shutil.which("pg_dump") is None:
        pytest.skip("PostgreSQL and its client are not installed")
    with postgres.run_server(programs) as url:
        import sqlalchemy as sa

        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE run (name TEXT)"))
            connection.execute(sa.text("INSERT INTO run VALUES ('kept in postgres')"))
        with backup_lab(restic_base, **{"server.database_url": url.replace("+psycopg", "+asyncpg")}) as lab:
            lab.fill(1)
            lab.save()
            home = bring_back(lab)
            dump = home / "server" / "prefect.pgdump"
            assert dump.read_bytes().startswith(b"PGDMP")
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE run"))
        target = sa.make_url(url)
        subprocess.run(
            ["pg_restore", f"--host={target.query['host']}", "--username=lab", "--dbname=postgres", dump],
            check=True, capture_output=True,
        )  # fmt: skip
        with engine.connect() as connection:
            assert connection.execute(sa.text("SELECT name FROM run")).scalar() == "kept in postgres"
        engine.dispose()


def test_a_record_is_written_before_and_after(saved: BackupLab) -> None:
    kinds = [record["kind"] for record in records_of(saved.store, BEGUN, DONE)]
    assert kinds == [BEGUN, DONE]
    [point] = points_of(saved.store)
    assert point.record["token"] and point.record["journal"]["head"] and point.record["size"] > 0
    assert point.received.wall.utcoffset() == timedelta(0)
    assert choose_engine(saved.settings).identity() == point.repository
