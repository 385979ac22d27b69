"""What every kind of store must do: what was pushed comes back, byte for byte, and tells the same story."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import StoreError
from physlab.lineage import lineage
from physlab.model import RunRecord
from physlab.transfer import open_remote, pull, push
from tests.unit.conftest import Bench
from tests.unit.transfer.conftest import Labs, content, graph, remote


def test_a_run_travels_into_an_empty_lab(labs: Labs) -> None:
    """Runs, lineage and results are known there, and nothing is computed again."""
    with labs.open() as one:
        record = labs.run(one)
        told = {node.id: lineage(one, record, node.id) for node in record.nodes}
        with remote(one) as there:
            pushed = push(one.store, there, record.run_id)
        blobs = set(one.store.blobs.all())
        assert pushed.files == len(blobs) and not pushed.missing and pushed.there == 0
    with labs.open("two") as two:
        with remote(two) as there:
            expected = pull(two.store, there, dry_run=True)
            assert not list(two.store.blobs.all())
            pulled = pull(two.store, there)
        assert (expected.files, expected.records) == (pulled.files, pulled.records) == (len(blobs), 6)
        assert set(two.store.blobs.all()) == blobs and list(two.store.verify()) == []
        again: RunRecord = two.find_run(record.run_id)
        assert {node.id: lineage(two, again, node.id) for node in again.nodes} == told
        assert set(Bench(two, labs.folder / "two").states(graph()).values()) == {"hit"}


def test_what_is_there_does_not_travel_again(labs: Labs) -> None:
    with labs.open() as one:
        labs.run(one)
        with remote(one) as there:
            push(one.store, there)
        before = content(one.store)
        with remote(one) as there:
            again = push(one.store, there)
            assert (again.files, again.records, there.tally.sent) == (0, 0, 0)
            back = pull(one.store, there)
            assert (back.files, back.records) == (0, 0)
        assert content(one.store) == before
        labs.run(one, numbers=200_100)
        with remote(one) as there:
            would = push(one.store, there, dry_run=True)
            more = push(one.store, there)
        assert (more.files, more.records) == (would.files, would.records) == (1, 3)
        assert more.size < 300_000, "of 1.6 MB only the end is new"
    for _ in range(2):
        with labs.open("two") as two, remote(two) as there:
            pull(two.store, there)
            lines = len(list(two.store.journal.replay()))
    assert lines == 6 + 3 + 1


def test_what_was_changed_in_the_store_is_noticed_and_nothing_is_taken(folder_labs: Labs) -> None:
    """Each file of the store is damaged in turn, at its beginning, middle or end."""
    labs = folder_labs
    with labs.open() as one:
        record = labs.run(one)
        with remote(one) as there:
            push(one.store, there)
            place = there.place
    names = [name for folder in ("blobs", "files", "packs", "journal") for name, _ in place.names(folder)]
    assert {name.split("/")[0] for name in names} == {"blobs", "files", "packs", "journal"}
    with labs.open("two") as two:
        before = content(two.store)
        for number, name in enumerate(sorted(names)):
            good = place.read(name)
            bad = bytearray(good)
            bad[(0, len(bad) // 2, len(bad) - 1)[number % 3]] ^= 1
            place.write(name, bytes(bad))
            with remote(two) as there, pytest.raises(StoreError) as raised:
                pull(two.store, there, record.run_id)
            digits = name.split("/")[1] + name.split("/")[2].split(".")[0]
            assert name in str(raised.value) or digits[:12] in str(raised.value)
            assert content(two.store) == before
            shutil.rmtree(
                two.settings.home / "transfer", ignore_errors=True
            )  # where what was whole waits for the next try
            place.write(name, good)
        with remote(two) as there:
            pull(two.store, there, record.run_id)
        assert list(two.store.verify()) == []


def test_a_machine_that_is_not_the_known_one_gets_nothing(
    tmp_path: Path, toy_tools: None, store_of: Callable[[str], dict[str, Any]]
) -> None:
    labs = Labs(tmp_path, store_of("sftp"))
    config = tmp_path / "user" / ".ssh" / "config"
    config.write_text(re.sub(r"UserKnownHostsFile .*", "UserKnownHostsFile /dev/null", config.read_text()))
    with labs.open() as one, pytest.raises(StoreError, match=r"Cannot reach sftp://login.*[Hh]ost key"):
        open_remote(one.settings, "nas")


def test_a_place_that_is_not_there_is_told(tmp_path: Path, toy_tools: None) -> None:
    (tmp_path / "file").write_text("no folder")
    labs = Labs(tmp_path, {"stores.nas.url": str(tmp_path / "file" / "nas")})
    with labs.open() as one:
        labs.run(one, numbers=1000)
        with remote(one) as there, pytest.raises(StoreError, match="Not a directory") as raised:
            push(one.store, there)
        assert "physlab config show" in raised.value.hint
