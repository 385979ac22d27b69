"""Blobs, journal and store: what is damaged is found, what was acknowledged is there."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from physlab.errors import ConfigurationError, StoreError, ValidationError
from physlab.keys import digest, digest_bytes
from physlab.store import Store, open_store, schema
from physlab.store import journal as journals
from physlab.store.journal import GENESIS, Journal
from tests.unit.test_index import node_record


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path)
    journal.create()
    return journal


def add(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        journal.append([("toy", {"n": number})])


def numbers(journal: Journal) -> list[int]:
    return [line.record["n"] for line in journal.replay()]


# --- blobs ---------------------------------------------------------------------------------------------------------


def test_blobs_come_back_by_their_digest(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    for source, data in ((b"hello", b"hello"), (b"", b""), (tmp_path / "file", b"x" * 3_000_000)):
        name, size = store.blobs.put(source)
        assert (name, size) == (digest_bytes(data), len(data))
        assert store.blobs.read(name) == store.blobs.read(f"sha256:{name}") == data
        assert store.blobs.put(source) == (name, size)
        assert store.blobs.path(name).stat().st_mode & 0o777 == 0o444
    assert len(list(store.blobs.all())) == 3
    assert list(store.blobs.incoming.iterdir()) == []


def test_damaged_and_missing_blobs_are_told_apart(store: Store) -> None:
    name, _ = store.blobs.put(b"hello")
    path = store.blobs.path(name)
    path.chmod(0o644)
    path.write_bytes(b"hellO")
    assert not store.blobs.intact(name)
    with pytest.raises(StoreError, match="damaged"):
        store.blobs.read(name)
    assert store.check_blobs([name]) == set()
    assert not path.exists(), "so that it is made anew"
    with pytest.raises(StoreError, match="lacks"):
        store.blobs.read(name)
    with pytest.raises(StoreError, match="lacks"):
        store.blobs.export(name, path.parent.parent / "copy")
    with pytest.raises(ValidationError, match="SHA-256"):
        store.blobs.path("../../etc/passwd")


def test_what_was_checked_is_remembered_once_it_is_old_enough(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _ = store.blobs.put(b"hello")
    path = store.blobs.path(name)
    os.utime(path, (1e9, 1e9))
    assert store.check_blobs([name]) == {name}
    monkeypatch.setattr(store.blobs, "intact", lambda digest: pytest.fail("read again"))
    assert store.check_blobs([name]) == {name}


def test_export_replaces_a_file_and_says_why_it_cannot(store: Store, tmp_path: Path) -> None:
    name, _ = store.blobs.put(b"hello")
    target = tmp_path / "results" / "x.txt"
    for _ in range(2):
        store.blobs.export(name, target)
        assert target.read_bytes() == b"hello"
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        store.blobs.export(name, tmp_path / "file" / "x.txt")


def test_half_written_files_are_swept_when_they_are_old(store: Store) -> None:
    old, new = store.blobs.incoming / "old", store.blobs.incoming / "new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    with open_store(store.root):
        assert [path.name for path in store.blobs.incoming.iterdir()] == ["new"]


def test_files_are_read_again_only_when_they_may_have_changed(store: Store, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "data.csv"
    path.write_text("1,2,3")
    first = store.digest_files([path])[path]
    assert first == digest_bytes(b"1,2,3")
    kept = path.stat()
    path.write_text("1,2,4")
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert store.digest_files([path])[path] == digest_bytes(b"1,2,4"), "same size, same modification time"
    monkeypatch.setattr("physlab.store.store.SETTLED_NS", -(10**18))
    store.digest_files([path])
    monkeypatch.setattr("physlab.store.store.digest_stream", lambda stream: pytest.fail("read again"))
    assert store.digest_files([path])[path] == digest_bytes(b"1,2,4")
    with pytest.raises(ValidationError, match="cannot be read"):
        store.digest_files([tmp_path / "none"])


# --- journal -------------------------------------------------------------------------------------------------------


def test_lines_are_a_chain(journal: Journal) -> None:
    add(journal, 1, 2, 3)
    texts = journal.file(1).read_bytes().splitlines(keepends=True)
    prev = GENESIS
    for number, text in enumerate(texts, 1):
        line = json.loads(text)
        assert (line["seq"], line["prev"], line["digest"]) == (number, prev, digest({"n": number}))
        prev = digest_bytes(text)
    assert list(journal.verify()) == []
    assert journal.read(next(iter(journal.replay())).position) == {"n": 1}


def test_several_writers_share_one_chain(tmp_path: Path, journal: Journal) -> None:
    writers = [journal, Journal(tmp_path), Journal(tmp_path)]
    threads = [threading.Thread(target=add, args=(writer, *range(30))) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(journal.verify()) == []
    assert sorted(numbers(journal)) == sorted([*range(30)] * 3)


def test_others_tell_who_wrote(tmp_path: Path, journal: Journal) -> None:
    other = Journal(tmp_path)
    add(other, 1)
    before = journal.others()
    add(journal, 2, 3)
    assert journal.others() == before
    add(other, 4)
    assert journal.others() != before


def test_a_line_that_is_being_written_is_left_for_the_next_reader(tmp_path: Path, journal: Journal) -> None:
    add(journal, *range(1500))
    content = journal.file(1).read_bytes()
    journal.file(1).write_bytes(b"")

    def write_in_pieces() -> None:
        with journal.file(1).open("ab", buffering=0) as stream:
            for start in range(0, len(content), 100):
                stream.write(content[start : start + 100])

    writer = threading.Thread(target=write_in_pieces)
    writer.start()
    offset, seen = 0, []
    while len(seen) < 1500:
        assert list(journal.verify()) == []
        for line in journal.replay(1, offset):
            seen.append(line.record["n"])
            offset = line.position.offset + line.position.length
    writer.join()
    assert seen == [*range(1500)]


def test_no_write_of_our_own_looks_like_one_of_others(store: Store) -> None:
    before = store.others()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.append("toy", {"n": 1})

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    found = {store.others() for _ in range(2000)}
    stop.set()
    for writer in writers:
        writer.join()
    assert found == {before}


@pytest.mark.parametrize("torn", [b'{"digest":"', b"x" * 200_000])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, journal: Journal, torn: bytes) -> None:
    add(journal, 1, 2)
    with journal.file(1).open("ab") as stream:
        stream.write(torn)
    fresh = Journal(tmp_path)
    assert numbers(fresh) == [1, 2]
    assert list(fresh.verify()) == []
    add(fresh, 3)
    add(journal, 4)
    assert numbers(fresh) == [1, 2, 3, 4]
    assert list(fresh.verify()) == []


def test_a_journal_goes_on_in_the_next_file(tmp_path: Path, journal: Journal, monkeypatch: Any) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 400)
    add(journal, *range(10))
    add(Journal(tmp_path), 10)
    assert len(journal.segments()) > 2
    assert numbers(journal) == [*range(11)]
    assert list(journal.verify()) == []
    (journal.file(journal.segments()[-1] + 1)).touch()  # a process died between opening and writing it
    add(Journal(tmp_path), 11)
    assert numbers(journal) == [*range(12)]
    assert list(journal.verify()) == []


def test_long_lines_are_read_from_the_end(tmp_path: Path, journal: Journal) -> None:
    journal.append([("toy", {"n": 1, "text": "x" * 300_000})])
    add(Journal(tmp_path), 2)
    journal.append([("toy", {"n": 3, "text": "y" * 900_000})])
    assert Journal(tmp_path).end() == journal.end()
    add(Journal(tmp_path), 4)
    assert numbers(journal) == [1, 2, 3, 4]
    assert list(journal.verify()) == []


TAMPERED = {
    "changed": (lambda lines: [lines[0], lines[1].replace(b'"n":2', b'"n":7'), *lines[2:]], "line 2: the record was"),
    "changed with its digest": (
        lambda lines: [
            lines[0],
            lines[1].replace(b'"n":2', b'"n":7').replace(digest({"n": 2}).encode(), digest({"n": 7}).encode()),
            *lines[2:],
        ],
        "line 3: the chain is broken",
    ),
    "removed": (lambda lines: [lines[0], *lines[2:]], "line 2: the chain is broken"),
    "first removed": (lambda lines: lines[1:], "line 1: the chain is broken"),
    "inserted": (lambda lines: [*lines[:2], lines[0], *lines[2:]], "line 3: the chain is broken"),
    "reordered": (lambda lines: [lines[0], lines[2], lines[1], lines[3]], "line 2: the chain is broken"),
    "garbage": (lambda lines: [*lines[:2], b"garbage\n", *lines[2:]], "line 3: not a journal line"),
    "last removed": (lambda lines: lines[:-1], "lines after byte"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found_and_located(tmp_path: Path, name: str) -> None:
    change, said = TAMPERED[name]
    with open_store(tmp_path / "s") as store:
        for number in (1, 2, 3, 4):
            store.append("toy", {"n": number})
        store.flush()
        assert list(store.verify()) == []
        path = store.journal.file(1)
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))  # type: ignore[operator]
        assert said in "\n".join(store.verify())


# --- the store -----------------------------------------------------------------------------------------------------


def test_a_record_is_there_for_every_process_at_once(store: Store) -> None:
    name = store.append("toy", {"n": 1})
    with open_store(store.root) as other:
        assert other.record(name) == other.record(f"sha256:{name}") == {"n": 1}
        seen = other.append("toy", {"n": 2})
        assert store.record(seen) == {"n": 2}
    with pytest.raises(StoreError, match="no record"):
        store.record("0" * 64)


def test_a_damaged_record_is_not_given_out(store: Store) -> None:
    name = store.append("toy", {"n": 1})
    store.flush()
    path = store.journal.file(1)
    path.write_bytes(path.read_bytes().replace(b'"n":1', b'"n":2'))
    with pytest.raises(StoreError, match="damaged"):
        store.record(name)
    path.unlink()
    with pytest.raises(StoreError, match="journal lacks"):
        store.record(name)


def test_an_older_journal_is_indexed_anew(store: Store) -> None:
    path = store.journal.file(1)
    first = store.append("toy", {"n": 1})
    store.flush()
    kept = path.read_bytes()
    lost = store.append("toy", {"n": 2, "text": "x" * 500})
    store.flush()
    path.write_bytes(kept)  # somebody restored a backup
    with open_store(store.root) as again:
        new = again.append("toy", {"n": 3})
        assert again.record(first) and again.record(new)
        with pytest.raises(StoreError, match="no record"):
            again.record(lost)
        assert list(again.verify()) == []


def test_an_index_that_lacks_something_is_found(store: Store) -> None:
    store.append("toy", {"n": 1})
    store.flush()
    with store.index.engine.begin() as connection:
        connection.execute(schema.records.delete())
    assert "the index lacks 1 records" in "\n".join(store.verify())
    assert store.reindex() == 1
    assert list(store.verify()) == []


def test_verify_finds_damaged_and_missing_blobs(store: Store) -> None:
    kept, _ = store.blobs.put(b"kept")
    gone, _ = store.blobs.put(b"gone")
    store.append("node", node_record("k", blobs=(kept, gone)))
    assert list(store.verify()) == []
    store.blobs.remove(gone)
    store.blobs.path(kept).chmod(0o644)
    store.blobs.path(kept).write_bytes(b"other")
    text = "\n".join(store.verify())
    assert f"sha256:{gone} is missing" in text and f"not those of sha256:{kept}" in text


def test_a_store_of_a_newer_format_is_refused(store: Store) -> None:
    (store.root / "store.json").write_text('{"format": 99}')
    with pytest.raises(ConfigurationError, match="newer physlab"):
        open_store(store.root)
    (store.root / "store.json").write_text("nonsense")
    with pytest.raises(ConfigurationError, match="damaged"):
        open_store(store.root)


def test_an_index_of_a_newer_version_is_refused(store: Store) -> None:
    with store.index.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer physlab"):
        open_store(store.root)


def test_what_is_no_index_says_what_to_do(store: Store) -> None:
    store.close()
    (store.root / "index.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="cannot be used") as raised:
        open_store(store.root)
    assert "reindex" in raised.value.hint
    with pytest.raises(ConfigurationError, match="cannot be used"):
        open_store(store.root, "nosuch://x")


def test_many_threads_append_read_and_flush(store: Store) -> None:
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for number in range(20):
                made = store.append("toy", {"thread": name, "n": number})
                if number % 5 == 0:
                    store.flush()
                assert store.record(made) == {"thread": name, "n": number}
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(store.verify()) == []
    assert store.reindex() == 120
