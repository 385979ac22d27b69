"""The audit log: whatever is changed, left out, put in or cut off is found, and named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event, Trail
from physlab.collab.audit.checkpoints import Checkpoint, kept_checkpoints, lab_key, make_checkpoint, read_checkpoint
from physlab.collab.audit.export import ENTRIES, export_log, verify_export
from physlab.collab.audit.trail import BEGIN, chain
from physlab.collab.audit.verification import rows_of, verify_log
from physlab.collab.audit.witness import countersign, prove
from physlab.collab.database import Database
from physlab.errors import ValidationError
from physlab.keys import canonical
from physlab.signing import make_secret, read_signature, verify


def fill(trail: Trail, count: int) -> None:
    trail.note(*(Event(f"p{number % 3}", "artifact.read", "hydrogen", f"{number:064x}") for number in range(count)))


def checkpoints(database: Database) -> list[Checkpoint]:
    public = lab_key(database).public
    return [read_checkpoint(path.read_text(), public) for path in kept_checkpoints(database)]


@pytest.fixture
def log(database: Database, trail: Trail) -> Database:
    fill(trail, 30)
    make_checkpoint(database)
    fill(trail, 12)
    make_checkpoint(database)
    return database


def test_what_was_written_holds(log: Database) -> None:
    checked = verify_log(rows_of(log), checkpoints(log))
    assert (checked.size, checked.checkpoints) == (42, 2)


def test_s29_every_change_is_found_and_named(log: Database) -> None:
    rows, signed = list(rows_of(log)), checkpoints(log)
    for place in range(len(rows)):
        line, head = rows[place]
        changed = [*rows[:place], (line.replace(b"artifact.read", b"artifact.miss"), head), *rows[place + 1 :]]
        left_out = rows[:place] + rows[place + 1 :]
        put_in = [*rows[:place], rows[place], *rows[place:]]
        for forged in (changed, put_in):
            with pytest.raises(ValidationError, match=rf"Entry {place + 1 + (forged is put_in)} "):
                verify_log(forged, signed)
        with pytest.raises(ValidationError, match=rf"Entry {place + 1} |has 41 entries"):
            verify_log(left_out, signed)
        if place:
            moved = [*rows[: place - 1], rows[place], rows[place - 1], *rows[place + 1 :]]
            with pytest.raises(ValidationError, match=rf"Entry {place} "):
                verify_log(moved, signed)


def test_s29_a_log_that_is_cut_or_written_anew_does_not_fit_its_checkpoints(log: Database) -> None:
    rows, signed = list(rows_of(log)), checkpoints(log)
    for size in range(42):
        with pytest.raises(ValidationError, match=rf"has {size} entries; a checkpoint of .* has (30|42)"):
            verify_log(rows[:size], signed)
    head, anew = BEGIN, []
    for number, (line, _) in enumerate(rows):
        line = line.replace(b"p1", b"p2") if number == 10 else line
        head = chain(head, line)
        anew.append((line, head))
    assert verify_log(anew, []).size == 42, "the chain alone does not tell"
    with pytest.raises(ValidationError, match="its first 30 entries differ"):
        verify_log(anew, signed)


def test_a_number_that_is_used_twice(log: Database) -> None:
    rows = list(rows_of(log))
    line = canonical({"seq": 42, "at": 0, "who": "p", "action": "a", "session": None, "object": None, "told": {}})
    with pytest.raises(ValidationError, match="Entry 43 of the audit log does not hold: its number"):
        verify_log([*rows, (line, chain(rows[-1][1], line))], [])


@pytest.mark.parametrize("column", ["who", "action", "session", "object", "at"])
def test_s29_a_column_that_says_something_else(log: Database, column: str) -> None:
    with log.writing() as connection:
        table = schema.audit
        value = 5 if column == "at" else "other"
        connection.execute(table.update().where(table.c.seq == 7).values({column: value}))
    with pytest.raises(ValidationError, match="Entry 7 of the audit log: a column"):
        verify_log(rows_of(log), [])


def test_a_change_and_its_entry_are_one(database: Database, trail: Trail) -> None:
    class Halt(Exception):  # noqa: N818 - not an error of the library
        pass

    def fail() -> None:
        with database.writing() as connection:
            trail.add(connection, Event("p", "session.begin", "s"))
            raise Halt

    with pytest.raises(Halt):
        fail()
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.audit)).scalar_one() == 0


def test_an_export_is_verified_without_the_lab(log: Database, tmp_path: Path) -> None:
    public = lab_key(log).public
    export_log(log, tmp_path / "export")
    assert verify_export(tmp_path / "export", public).size == 42
    with pytest.raises(ValidationError, match="is there already"):
        export_log(log, tmp_path / "export")
    with pytest.raises(ValidationError, match="signed, not"):
        verify_export(tmp_path / "export", make_secret().public)


def test_s29_an_export_that_is_changed_anywhere_is_refused(log: Database, tmp_path: Path) -> None:
    public, chosen = lab_key(log).public, random.Random(7)
    export_log(log, tmp_path / "export")
    path = tmp_path / "export" / ENTRIES
    whole = path.read_bytes()
    for _ in range(300):
        place, bit = chosen.randrange(len(whole)), 1 << chosen.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        with pytest.raises(ValidationError, match=r"Entry \d+ |does not hold"):
            verify_export(tmp_path / "export", public)
    path.write_bytes(whole)
    assert verify_export(tmp_path / "export", public).size == 42


def test_entries_after_the_last_checkpoint_are_told(log: Database, trail: Trail, tmp_path: Path) -> None:
    export_log(log, tmp_path / "one")
    fill(trail, 1)
    export_log(log, tmp_path / "two")
    (tmp_path / "one" / ENTRIES).write_bytes((tmp_path / "two" / ENTRIES).read_bytes())
    with pytest.raises(ValidationError, match="Entries 43 to 43 are covered by no checkpoint"):
        verify_export(tmp_path / "one", lab_key(log).public)


def test_s30_a_forked_log_gets_no_second_countersignature(log: Database, trail: Trail, tmp_path: Path) -> None:
    witness, [old, new] = make_secret(), checkpoints(log)
    countersign(witness, None, old, [])
    signature = countersign(witness, old, new, prove(log, old, new))
    verify(witness.public, (new.text.partition("\n\n")[0] + "\n").encode(), read_signature(signature))
    with log.writing() as connection:  # whoever has the database and the lab's key writes the log anew
        table = schema.audit
        connection.execute(table.delete())
        connection.execute(schema.audit_state.delete())
    fill(trail, 50)
    with log.writing() as connection:
        trail.add(connection, Event("p1", "artifact.delete", "hydrogen"))
    forged = make_checkpoint(log)
    with pytest.raises(ValidationError, match="does not extend the one of 42"):
        countersign(witness, new, forged, prove(log, new, forged))
    with pytest.raises(ValidationError, match="does not extend"):
        countersign(witness, new, old, [])


def test_s29_what_was_signed_is_not_signed_otherwise(log: Database) -> None:
    public, text = lab_key(log).public, kept_checkpoints(log)[0].read_text()
    for place in range(len(text)):
        forged = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        try:
            read_checkpoint(forged, public)
        except ValidationError:
            continue
        assert forged.split("\n")[4] != text.split("\n")[4], "only the untrusted comment may differ"
