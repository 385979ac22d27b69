"""Garbage in a store: nothing that any record needs goes, whoever pushes meanwhile, and whoever is killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ResourceError, StoreError
from physlab.lab import Lab
from physlab.service import collect_garbage, collect_store
from physlab.transfer import RemoteStore, pull, push, push_files, snapshots
from physlab.transfer.checking import Share, check_remote
from physlab.transfer.collecting import DAY_S, collect
from physlab.transfer.records import their_records
from physlab.transfer.sending import Sender
from tests.unit.transfer.conftest import Labs, remote, tree
from tests.unit.transfer.test_faults import child, count, fill, interrupted, whole

WEEK_S = 7 * DAY_S


def age(folder: Path, days: float = 30) -> None:
    """Let so many days go by for all files of a store."""
    for path in folder.rglob("*"):
        if path.is_file():
            written = path.stat().st_mtime - days * DAY_S
            os.utime(path, (written, written))


def loose(lab: Lab, seed: int, small: int = 3, large: int = 1) -> list[str]:
    """Put files into a lab that no record names."""
    choose = random.Random(f"loose {seed}")
    made = [lab.store.blobs.put(choose.randbytes(choose.randrange(10, 5000)))[0] for _ in range(small)]
    return made + [lab.store.blobs.put(choose.randbytes(2_000_000))[0] for _ in range(large)]


def name_them(lab: Lab, digests: Iterable[str]) -> None:
    lab.store.append("note", {"kind": "note", "name": "now they are needed", "files": sorted(digests)})


def condemned(lab: Lab, there: RemoteStore, seed: int = 9) -> list[str]:
    """Bring files into a store that nothing needs, and have them condemned long ago."""
    made = loose(lab, seed)
    push_files(lab.store, there, made)
    age(Path(there.place.url))
    found = collect(lab.store, there, grace_s=WEEK_S)
    assert found.new and not found.ripe
    age(Path(there.place.url))
    return made


def pulled(labs: Labs, files: set[str], name: str = "new") -> None:
    """See that an empty lab gets all files out of the store."""
    with labs.open(name) as new:
        with remote(new) as there:
            assert pull(new.store, there).missing == ()
        assert files <= set(new.store.blobs.all()) and list(new.store.verify()) == []


def test_what_no_record_names_goes_and_nothing_else(labs: Labs) -> None:
    """In a folder, a bucket and over SFTP."""
    with labs.open() as one:
        files = fill(one.store, 1, small=5, large=1, size=3_000_000)
        labs.run(one, numbers=1000)
        useless = loose(one, 1)
        with remote(one) as there:
            push(one.store, there)
            push_files(one.store, there, useless)
            before = there.has([*files, *useless])
            gone: set[str] = set()
            for _ in range(40):  # a bucket tells time in seconds: what was written in this one is not condemned in it
                gone |= set(collect_store(one, there, grace_days=0, delete=True)["names"])
                if not there.has(useless):
                    break
            assert before == {*files, *useless} and there.has([*files, *useless]) == files
            assert len([name for name in gone if name.startswith("blobs/")]) == 3
            assert {name.partition("/")[0] for name in gone} == {"blobs", "files", "packs"}
            assert not check_remote(there, Share()).damage
            assert not list(there.listed("condemned")) and not list(there.listed("removing"))
    pulled(labs, files)


def test_it_goes_in_two_steps_with_grace_between(folder_labs: Labs) -> None:
    nas = folder_labs.folder / "nas"
    with folder_labs.open() as one, remote(one) as there:
        fill(one.store, 1, small=2, large=0)
        push(one.store, there)
        useless = loose(one, 1)
        push_files(one.store, there, useless)
        before = tree(nas)
        assert collect(one.store, there, grace_s=WEEK_S).new == {}, "they are young"
        age(nas, 8)
        would = collect_store(one, there, grace_days=7)
        assert (would["condemned"], would["files"], would["deleted"]) == (5, 0, False) and tree(nas) == before
        found = collect_store(one, there, grace_days=7, delete=True)
        assert (found["condemned"], found["files"]) == (5, 0) and there.has(useless) == set(useless)
        age(nas, 6)
        found = collect_store(one, there, grace_days=7, delete=True)
        assert (found["condemned"], found["waiting"], found["files"]) == (0, 5, 0)
        age(nas, 2)
        found = collect_store(one, there, grace_days=7, delete=True)
        size = sum(len(before[name]) for name in found["names"])
        assert (found["files"], found["waiting"], found["bytes"]) == (5, 0, size) and there.has(useless) == set()
        assert set(tree(nas)) == set(before) - set(found["names"])


def test_what_another_lab_needs_stays_when_this_one_let_it_go(folder_labs: Labs) -> None:
    nas = folder_labs.folder / "nas"
    with folder_labs.open("one") as one:
        folder_labs.run(one, "one", numbers=1000)
        with remote(one) as there:
            push(one.store, there)
            files = there.has(set(one.store.blobs.all()))
            collect_garbage(one, older_than_days=0, grace_days=0, delete=True)
            assert not files & set(one.store.blobs.all())
            age(nas)
            assert collect(one.store, there, grace_s=0).ripe == {}, "records there name them"
    pulled(folder_labs, files, "two")
    with folder_labs.open("two") as two:
        name_them(two, files)
        with remote(two) as there:
            push(two.store, there)
    with folder_labs.open("one") as one, remote(one) as there:
        assert collect_store(one, there, grace_days=0, let_go=True, delete=True)["files"] == 1, "the lines themselves"
        assert there.has(files) == files, "the other lab's note names them"


def test_what_another_labs_run_leads_to_is_not_let_go(folder_labs: Labs) -> None:
    """Another lab had the same results from there; its run is known here, too, and was not made here."""
    with folder_labs.open("one") as one, remote(one) as there:
        folder_labs.run(one, "one", numbers=1000)
        push(one.store, there)
    with folder_labs.open("two") as two, remote(two) as there:
        pull(two.store, there)
        assert folder_labs.run(two, "two", numbers=1000).meta["cache_hits"] == 4
        push(two.store, there)
    with folder_labs.open("one") as one, remote(one) as there:
        pull(one.store, there)
        collect_garbage(one, older_than_days=0, grace_days=0, delete=True)
        age(folder_labs.folder / "nas")
        would = collect_store(one, there, grace_days=7, let_go=True)
    assert (would["records"], would["condemned"]) == (0, 0)


def test_results_that_were_let_go_at_home_go_by_an_option(folder_labs: Labs) -> None:
    """Their records go with them, so that no other lab takes them for there; everything else stays."""
    nas = folder_labs.folder / "nas"
    with folder_labs.open("one") as one, remote(one) as there:
        kept = fill(one.store, 1, small=3, large=0)
        folder_labs.run(one, "one", numbers=200_000)
        push(one.store, there)
        results = there.has(set(one.store.blobs.all())) - kept
        before = their_records(there)
        going = [digest for digest, record in before.items() if record.kind == "node"]
        collect_garbage(one, older_than_days=0, grace_days=0, delete=True)
        age(nas)
        would = collect_store(one, there, grace_days=7, let_go=True)
        assert would["records"] == len(going) - 1 == 3 and would["condemned"] > 0
        collect_store(one, there, grace_days=7, let_go=True, delete=True)
        left = their_records(there).keys()
        assert len(before.keys() - left) == 3 and before.keys() - left < set(going), "one of the four has no files"
        age(nas)
        found = collect_store(one, there, grace_days=7, let_go=True, delete=True)
        assert found["files"] > 0 and there.has(kept | results) == kept
        assert their_records(there).keys() == left
        assert not check_remote(there, Share()).damage
    pulled(folder_labs, kept)
    with folder_labs.open("one") as one:
        folder_labs.run(one, "one", numbers=200_000)
        with remote(one) as there:
            push(one.store, there)
    pulled(folder_labs, kept | results, "three")


def test_a_push_sends_again_what_is_condemned(folder_labs: Labs) -> None:
    with folder_labs.open() as one, remote(one) as there:
        made = condemned(one, there)
        name_them(one, made)
        assert there.has(made) == set(made)
        assert push(one.store, there, dry_run=True).files == len(made)
        assert push(one.store, there).files == len(made)
        assert push(one.store, there).files == 0, "what was written again is not condemned any more"
        assert not any(name in made for name in collect(one.store, there, grace_s=WEEK_S).ripe)
        assert there.has(made) == set(made) and not check_remote(there, Share()).damage
    pulled(folder_labs, set(made))


def test_a_new_file_does_not_rest_on_a_condemned_pack(folder_labs: Labs) -> None:
    """Another file has the same chunks as one that is condemned."""
    with folder_labs.open() as one, remote(one) as there:
        made = condemned(one, there)
        twin, _ = one.store.blobs.put(one.store.blobs.path(made[-1]).read_bytes() + b"and a little more")
        name_them(one, [twin])
        push(one.store, there, f"sha256:{twin}")
        gone = collect(one.store, there, grace_s=WEEK_S).ripe
        assert len(gone) == len(made) + 1 and there.has([*made, twin]) == {twin}
        assert not check_remote(there, Share()).damage
    pulled(folder_labs, {twin})


@pytest.mark.parametrize("removed", [False, True])
def test_a_push_sees_what_was_condemned_after_it_looked(folder_labs: Labs, removed: bool) -> None:
    """It relied on files that lay there; before it writes records they are condemned, and even removed already."""
    nas = folder_labs.folder / "nas"
    with folder_labs.open("one") as one, folder_labs.open("two") as two, remote(one) as there, remote(two) as also:
        made = loose(one, 1)
        push_files(one.store, there, made)
        age(nas)
        sender = Sender(one.store.blobs, there)
        assert sender.there(made) == set(made)
        assert collect(two.store, also, grace_s=WEEK_S).new
        if removed:
            assert sender._lost() == set(made), "it knows of it from now on"
            age(nas)
            assert collect(two.store, also, grace_s=WEEK_S).ripe and also.has(made) == set()
        sender.settle()
        name_them(one, made)
        push(one.store, there)
        age(nas, 8)
        collect(two.store, also, grace_s=WEEK_S)
        assert also.has(made) == set(made) and not check_remote(also, Share()).damage
    pulled(folder_labs, set(made))


def test_a_push_stops_at_what_is_being_removed(folder_labs: Labs) -> None:
    """Between the collection's word and its end; one that was killed there is ended by the next."""
    with folder_labs.open("one") as one, folder_labs.open("two") as two, remote(one) as there, remote(two) as also:
        made = condemned(one, there)
        name_them(one, made)
        saying = also.marks.write("removing", [there.find(made)[made[0]]])
        with pytest.raises(StoreError, match=r"removes 1 files .* now") as raised:
            push(one.store, there)
        assert "physlab store gc nas --delete" in raised.value.hint and their_records(there) == {}
        collect(one.store, there, grace_s=WEEK_S)
        assert (Path(also.place.url) / saying.name).exists(), "another lab may be at work for a day"
        (Path(also.place.url) / saying.name).write_bytes(b"damaged")
        with remote(one) as again, pytest.raises(StoreError, match="was changed") as raised:
            push(one.store, again)
        assert "physlab store gc nas --delete" in raised.value.hint
        os.utime(Path(also.place.url) / saying.name, (1e9, 1e9))
        collect(one.store, there, grace_s=WEEK_S)
        push(one.store, there)
    pulled(folder_labs, set(made))


def test_what_is_written_while_it_is_removed_stays(folder_labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push writes files anew, with their record, between the collection's first look and its removing."""
    with folder_labs.open("one") as one, folder_labs.open("two") as two, remote(one) as there, remote(two) as also:
        made = condemned(one, there)
        name_them(one, made)
        write = RemoteStore.write_named

        def meanwhile(self: RemoteStore, folder: str, data: bytes) -> str:
            if folder == "removing" and json.loads(data)["names"]:
                monkeypatch.undo()
                push(one.store, there)
            return write(self, folder, data)

        monkeypatch.setattr(RemoteStore, "write_named", meanwhile)
        assert collect(two.store, also, grace_s=WEEK_S).ripe == {}
        assert also.has(made) == set(made)
    pulled(folder_labs, set(made))


def test_what_a_snapshot_lists_stays(sealed_labs: Labs) -> None:
    nas = sealed_labs.folder / "nas"
    with sealed_labs.open() as one, remote(one) as there:
        made = loose(one, 1)
        sheet, _ = one.store.blobs.put(json.dumps({"files": made}).encode())
        push_files(one.store, there, [*made, sheet])
        digits = snapshots.write(there, snapshots.Snapshot(sheet, "2026-11-22T00:00:00+00:00", "lab", ("physlab",)))
        useless = loose(one, 2)
        push_files(one.store, there, useless)
        for _ in range(2):
            age(nas)
            collect(one.store, there, grace_s=WEEK_S)
        assert there.has([*made, sheet, *useless]) == {*made, sheet}
        snapshots.remove(there, [digits])
        for _ in range(2):
            age(nas)
            collect(one.store, there, grace_s=WEEK_S)
        assert there.has([*made, sheet]) == set()


def test_what_cannot_be_read_stops_it(folder_labs: Labs) -> None:
    """A damaged list or damaged lines may name anything; so nothing goes."""
    nas = folder_labs.folder / "nas"
    with folder_labs.open("one") as one, remote(one) as there:
        fill(one.store, 1, small=1, large=1)
        push(one.store, there)
        push_files(one.store, there, loose(one, 1))
    age(nas)
    for folder in ("journal", "files"):
        [*paths] = (nas / folder).rglob("*.json*")
        kept = {path: path.read_bytes() for path in paths}
        for path, data in kept.items():
            path.write_bytes(data.replace(b'"', b"'", 1))
        before = tree(nas)
        with (
            folder_labs.open(f"other{folder}") as other,
            remote(other) as there,
            pytest.raises(StoreError, match=r"damaged|changed"),
        ):
            collect(other.store, there, grace_s=0)
        assert before.items() <= tree(nas).items()
        for path, data in kept.items():
            path.write_bytes(data)


def test_one_at_a_time_and_leftovers_are_swept(folder_labs: Labs) -> None:
    nas = folder_labs.folder / "nas"
    with folder_labs.open() as one, remote(one) as there:
        fill(one.store, 1, small=1, large=0)
        push(one.store, there)
        old, young = nas / "packs" / ".old.0123.draft", nas / "packs" / ".young.0123.draft"
        (nas / "packs").mkdir()
        for draft in (old, young):
            draft.write_text("half")
        os.utime(old, (1e9, 1e9))
        assert collect(one.store, there, grace_s=WEEK_S).drafts == 1 and not old.exists() and young.exists()
        from physlab.transfer.collecting import _alone

        with remote(one) as again, _alone(again), pytest.raises(ResourceError, match="goes on"):
            collect(one.store, there, grace_s=WEEK_S)


def settings_for_children(labs: Labs, **more: Any) -> None:
    for name in ("one", "two"):
        (labs.folder / name).mkdir(exist_ok=True)
        (labs.folder / name / "stores.json").write_text(json.dumps({**labs.settings, **more}))


@pytest.mark.drill
def test_kill_nine_at_any_point_of_a_collection(folder_labs: Labs, drill_seed: int) -> None:
    """Collections are killed while they condemn and remove, a push goes on beside one: all that is needed stays."""
    choose, nas, killed = random.Random(drill_seed), folder_labs.folder / "nas", 0
    settings_for_children(folder_labs)
    with folder_labs.open("one") as one, folder_labs.open("two") as two:
        files = fill(one.store, 2 * drill_seed, small=8, large=1)
        useless = loose(one, drill_seed, small=70, large=2)
        wanted = set(choose.sample(useless, 30))
        for digest in wanted:
            two.store.blobs.put(one.store.blobs.path(digest).read_bytes())
        name_them(two, wanted)
        with remote(one) as there:
            push(one.store, there)
            push_files(one.store, there, useless)
    age(nas)
    for turn in range(2):
        start = count(nas)
        goal = start + 1 - choose.randrange(1, 50)
        killed += interrupted(
            "gc", folder_labs.folder / "one", lambda start=start, goal=goal: not goal < count(nas) <= start,
            choose.choice((0, 0.01, 0.05)) * choose.random(),
        )  # fmt: skip
        whole(nas)
        with folder_labs.open("one") as one, remote(one) as there:
            assert there.has(files) == files
        if turn == 0:
            age(nas, 8)
    with child("gc", folder_labs.folder / "one") as process, folder_labs.open("two") as two, remote(two) as there:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        with contextlib.suppress(StoreError):  # it may come between the collection's word and its end
            push(two.store, there)
        process.wait()
        push(two.store, there)
    age(nas, 8)
    with folder_labs.open("one") as one, remote(one) as there:
        for _ in range(2):
            collect(one.store, there, grace_s=WEEK_S)
            age(nas, 8)
        assert there.has({*files, *useless}) == files | wanted
        assert not check_remote(there, Share()).damage
    pulled(folder_labs, files | wanted)
    assert killed, "a drill that kills nobody shows nothing"
    shutil.rmtree(nas)
