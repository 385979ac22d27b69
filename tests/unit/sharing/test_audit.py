"""The audit log at the command line's service: searched, verified, exported; a witness that is never gone behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.access import Who
from physlab.collab.audit import Event
from physlab.collab.audit.checkpoints import lab_key
from physlab.collab.commons import Commons, open_commons
from physlab.collab.database import MICRO
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.service.sharing.audit import (
    countersign_checkpoint,
    export_to,
    prove_growth,
    read_since,
    search_log,
    sign_checkpoint,
    verify_folder,
    verify_lab,
)
from physlab.signing import read_signature, verify
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people_in import person

FILE = "ab" * 32


@pytest.fixture
def read_by_two(commons: Commons, ada: Who, clock: StillClock) -> Who:
    """Ada and Bob read a file, Bob a day later."""
    bob = person(commons.database, "bob")
    commons.trail.note(Event(ada.name, "artifact.read", "s", FILE), Event(ada.name, "run.see", "s", "r1"))
    clock.forward(86_400)
    commons.trail.note(Event(bob.name, "artifact.read", "s", FILE), Event(bob.name, "artifact.read", "t", "cd" * 32))
    return bob


@pytest.fixture
def witness(lab: Lab, tmp_path: Path, clock: StillClock) -> Iterator[Commons]:
    made = open_commons(tmp_path / "witness", lab.store, clock=clock)
    yield made
    made.close()


def test_who_read_which_file_when(commons: Commons, ada: Who, read_by_two: Who) -> None:
    found = search_log(commons, what=f"sha256:{FILE}")
    assert [(one["who"], one["at"]) for one in found] == [
        (ada.name, "2024-06-01T12:00:00Z"), (read_by_two.name, "2024-06-02T12:00:00Z"),
    ]  # fmt: skip
    assert [one["object"] for one in search_log(commons, person="bob", session="s")] == [FILE]
    assert len(search_log(commons, action="artifact.")) == 3 and len(search_log(commons, action="run.see")) == 1
    assert [one["who"] for one in search_log(commons, since="23h")] == [read_by_two.name] * 2
    assert len(search_log(commons, limit=2)) == 2
    with pytest.raises(ValidationError, match="knows no 'nobody'"):
        search_log(commons, person="nobody")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("2h", 7200), ("7d", 604_800), ("1w", 604_800), ("2024-05-31T12:00", 86_400),
     ("2024-06-01T13:00+02:00", 3600)],
)  # fmt: skip
def test_since_when(clock: StillClock, text: str, seconds: int) -> None:
    assert clock.now() - read_since(text, clock.now()) == seconds * MICRO


def test_no_time(clock: StillClock) -> None:
    with pytest.raises(ValidationError, match="'yesterday' is no time"):
        read_since("yesterday", clock.now())


def test_verified_here_and_from_an_export(commons: Commons, read_by_two: Who, tmp_path: Path) -> None:
    checked, uncovered = verify_lab(commons)
    assert (checked.checkpoints, uncovered) == (0, checked.size)
    sign_checkpoint(commons)
    assert verify_lab(commons)[1] == 0
    folder = tmp_path / "export"
    export_to(commons, folder, None)
    key = lab_key(commons.database).public
    assert verify_folder(folder, key).head == verify_folder(folder, None).head == checked.head
    table = schema.audit
    with commons.database.writing() as connection:
        connection.execute(table.update().where(table.c.seq == 3).values(who="somebody else"))
    with pytest.raises(ValidationError, match="Entry 3 "):
        verify_lab(commons)


def test_s30_a_witness_countersigns_what_only_grew(
    commons: Commons, witness: Commons, ada: Who, read_by_two: Who, tmp_path: Path
) -> None:
    key = lab_key(commons.database).public
    files = []
    for number in range(3):
        path = tmp_path / f"{number}.txt"
        path.write_text(sign_checkpoint(commons).text)
        files.append(path)
        commons.trail.note(Event(ada.name, "run.see", "s", f"r{number}"))
    size, signature = countersign_checkpoint(witness, files[0], key, None)
    body = files[0].read_text().partition("\n\n")[0] + "\n"
    verify(lab_key(witness.database).public, body.encode(), read_signature(signature))
    with pytest.raises(ValidationError, match=f"countersigned {size} entries .* a proof"):
        countersign_checkpoint(witness, files[1], key, None)
    proof = tmp_path / "proof.json"
    proof.write_bytes(orjson.dumps(prove_growth(commons, files[0], files[2])))
    with pytest.raises(ValidationError, match="does not extend"):
        countersign_checkpoint(witness, files[1], key, proof)
    assert countersign_checkpoint(witness, files[2], key, proof)[0] == size + 2
    assert countersign_checkpoint(witness, files[2], key, None)[0] == size + 2, "the same once more"
    with pytest.raises(ValidationError, match=r"does not extend|a proof"):
        countersign_checkpoint(witness, files[0], key, proof)


def test_s30_a_log_that_was_written_anew_gets_no_second_signature(
    commons: Commons, witness: Commons, ada: Who, read_by_two: Who, tmp_path: Path
) -> None:
    key, path, other = lab_key(commons.database).public, tmp_path / "one.txt", tmp_path / "other.txt"
    path.write_text(sign_checkpoint(commons).text)
    countersign_checkpoint(witness, path, key, None)
    with commons.database.writing() as connection:
        for table in (schema.audit, schema.audit_state):
            connection.execute(sa.delete(table))
    commons.trail.note(*(Event(ada.name, "run.see", "s", f"r{number}") for number in range(20)))
    other.write_text(sign_checkpoint(commons).text)
    proof = tmp_path / "proof.json"
    proof.write_bytes(orjson.dumps(prove_growth(commons, path, other)))
    with pytest.raises(ValidationError, match="does not extend"):
        countersign_checkpoint(witness, other, key, proof)


@pytest.mark.parametrize("text", ["", "[]", '{"proof": "x"}', '{"proof": [1]}'])
def test_no_proof(commons: Commons, witness: Commons, ada: Who, tmp_path: Path, text: str) -> None:
    path, proof = tmp_path / "one.txt", tmp_path / "proof.json"
    path.write_text(sign_checkpoint(commons).text)
    proof.write_text(text)
    with pytest.raises(ValidationError, match="is no proof"):
        countersign_checkpoint(witness, path, lab_key(commons.database).public, proof)
