"""Entries and their files go with the lab: into stores and back, through collections of garbage, into the vault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.errors import StoreError
from physlab.keys import canonical, digest
from physlab.lab import Lab
from physlab.notebook import open_book, remark, sign_entry
from physlab.notebook.book import Page
from physlab.service.notebook.write import Wish, add_entry, revise_entry
from physlab.signing import make_secret
from physlab.transfer import keyring, open_remote
from physlab.transfer.records import own_records, read_line
from physlab.vault import lock, unlock
from tests.unit.conftest import Bench, node, open_lab

ADA = make_secret()


def fill(lab: Lab, folder: Path) -> Page:
    """Write an entry with a file and a run, revise it, and let others speak."""
    Bench(lab, folder).run([node("give", "give", value=3)])
    (folder / "levels.csv").write_text("n,E\n1,-13.6\n")
    first = add_entry(lab, Wish("Levels", files=["levels.csv"], runs=["latest"]), folder).page
    remark(lab.store, first, "bob", "Give the unit.", "request_changes")
    page = revise_entry(lab, first, {"content": "In eV."}, "the unit", folder).page
    sign_entry(lab.store, page, "ada", ADA, "witness")
    add_entry(lab, Wish("Another"), folder)
    return page


@pytest.fixture
def nas(tmp_path: Path) -> dict[str, Any]:
    return {"stores.nas.url": str(tmp_path / "nas")}


def labs(tmp_path: Path, name: str, **settings: Any) -> Lab:
    (tmp_path / name).mkdir(exist_ok=True)
    return open_lab(tmp_path / name, **settings)


def push(lab: Lab, name: str | None = None) -> Any:
    with open_remote(lab.settings, "nas") as there:
        return service.push_store(lab, there, name)


def pull(lab: Lab, name: str | None = None) -> Any:
    with open_remote(lab.settings, "nas") as there:
        return service.pull_store(lab, there, name)


def test_a_notebook_arrives_whole_in_a_fresh_lab(tmp_path: Path, toy_tools: None, nas: dict[str, Any]) -> None:
    with labs(tmp_path, "one", **nas) as one:
        page = fill(one, tmp_path / "one")
        heads = service.heads_of(one)
        push(one)
    with labs(tmp_path, "two", **nas) as two:
        pull(two)
        found = service.verify_notebook(two, heads=heads["heads"])
        assert found["ok"] and (found["entries"], found["signatures"], found["files"]) == (2, 1, 1), found
        assert service.heads_of(two)["heads"] == heads["heads"]
        told = service.show_entry(two, page.entry.entry_id)
        assert told["revision"] == 2 and told["attachments"][0]["name"] == "levels.csv"
        [run] = two.runs()
        assert told["sources"][0]["run_id"] == run["run_id"] and list(two.store.verify()) == []


def test_an_entry_goes_by_its_id_with_what_was_said_of_it(tmp_path: Path, toy_tools: None, nas: dict[str, Any]) -> None:
    with labs(tmp_path, "one", **nas) as one:
        page = fill(one, tmp_path / "one")
        add_entry(one, Wish("Elsewhere", notebook="other"), tmp_path)
        sent = push(one, page.entry.entry_id)
        assert (sent.files, sent.records) == (2, 7), "its file and the run's packages; not what was written afterwards"
    with labs(tmp_path, "two", **nas) as two:
        pull(two)
        assert service.verify_notebook(two)["ok"] and service.list_notebooks(two) == {"lab": 1}
        assert len(open_book(two.store, "lab").find(page.record).signatures) == 1
    with labs(tmp_path, "one", **nas) as one:
        push(one, "other")
    with labs(tmp_path, "three", **nas) as three:
        pull(three, "other")
        assert service.list_notebooks(three) == {"other": 1}


def test_two_labs_write_and_each_has_all(tmp_path: Path, toy_tools: None, nas: dict[str, Any]) -> None:
    """What both wrote at the same time stands beside each other, and what follows names both."""
    for name in ("one", "two"):
        with labs(tmp_path, name, **nas) as lab:
            add_entry(lab, Wish(f"Of {name}"), tmp_path)
            push(lab)
    for name, heads in (("one", 2), ("two", 1), ("one", 1)):
        with labs(tmp_path, name, **nas) as lab:
            pull(lab)
            assert len(open_book(lab.store, "lab").heads) == heads
            add_entry(lab, Wish("And then"), tmp_path)
            push(lab)
    with labs(tmp_path, "three", **nas) as three:
        pull(three)
        book = open_book(three.store, "lab")
        assert len(book.latest()) == 5
        seen: set[str] = set()
        for name, item in book.records.items():
            assert set(item.previous) <= seen, "each follows what it names, in whatever order it came"
            seen.add(name)


def test_what_is_received_is_checked(tmp_path: Path, toy_tools: None) -> None:
    with labs(tmp_path, "one") as one:
        fill(one, tmp_path / "one")
        sent = [item for item in own_records(one.store) if item.kind.startswith("notebook_")]
    assert [item.kind for item in sent].count("notebook_entry") == 3
    for item in sent:
        assert read_line(item.dump(), "here").digest == item.digest
        wrong: list[dict[str, Any]] = [{"at": "yesterday"}, {"previous": ["ff"]}, {"notebook": "../up"}, {"more": 1}]
        wrong += [{"attachments": [{**one, "name": "../up"}]} for one in item.record.get("attachments", ())]
        wrong += [{"minisig": "no signature"}, {"key": "RWQno"}] if item.kind == "notebook_signature" else []
        for change in wrong:
            record = {**item.record, **change}
            line = canonical({"digest": digest(record), "kind": item.kind, "record": record})
            with pytest.raises(StoreError, match="Nothing was taken"):
                read_line(line, "here")
        line = canonical({"digest": item.digest, "kind": "notebook_remark" if item.kind != "notebook_remark" else
                          "notebook_entry", "record": item.record})  # fmt: skip
        with pytest.raises(StoreError, match="is sent as"):
            read_line(line, "here")


def test_nothing_that_an_entry_speaks_of_is_garbage(tmp_path: Path, toy_tools: None) -> None:
    with labs(tmp_path, "one") as lab:
        bench = Bench(lab, tmp_path / "one")
        kept = bench.run([node("array", "array", n=500)])
        (tmp_path / "one" / "levels.csv").write_text("n,E\n1,-13.6\n")
        add_entry(lab, Wish("Levels", files=["levels.csv"], runs=[kept.record.run_id]), tmp_path / "one")
        gone = bench.run([node("array", "array", n=501)])
        lab.store.blobs.put(b"what nobody needs")
        before = len(list(lab.store.blobs.all()))
        lab.store.journal.force()
        done = service.collect_garbage(lab, older_than_days=-1, grace_days=-1, delete=True)
        assert done["runs"] == [kept.record.run_id, gone.record.run_id] and before - done["files"] >= 2
        assert done["files"] == 2, "the loose file, and the array of the run that nobody speaks of"
        assert service.verify_notebook(lab)["ok"] and list(lab.store.verify()) == []
        [attached] = open_book(lab.store, "lab").latest()[0].entry.attachments
        lab.store.blobs.remove(attached.sha256)
        assert "a file of the notebook entry" in next(iter(lab.store.verify()))
        problem = service.verify_notebook(lab)["problem"]
        assert problem.endswith("the bytes of levels.csv are missing or damaged")


def test_a_locked_lab_opens_with_its_notebook(tmp_path: Path, toy_tools: None) -> None:
    with labs(tmp_path, "one") as lab:
        fill(lab, tmp_path / "one")
        heads = service.heads_of(lab)["heads"]
        ring = keyring(lab.settings)
        ring.init()
    lock(lab.settings.home, ring.project())
    assert not any(b"In eV." in path.read_bytes() for path in lab.settings.home.rglob("*") if path.is_file())
    unlock(lab.settings.home, ring.project())
    with labs(tmp_path, "one") as lab:
        assert service.verify_notebook(lab, heads=heads)["ok"]


def test_what_is_private_is_in_no_export(tmp_path: Path, toy_tools: None) -> None:
    with labs(tmp_path, "one") as lab:
        fill(lab, tmp_path / "one")
        [attached] = open_book(lab.store, "lab").latest()[0].entry.attachments
        service.label_version(lab, f"sha256:{attached.sha256}", "private")
        with pytest.raises(StoreError, match=r"levels\.csv of entry .* may not leave the lab: it is private"):
            service.export_notebook(lab, tmp_path / "out")
        assert not (tmp_path / "out").exists()
