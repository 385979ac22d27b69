"""Garbage: what nothing needs goes, what anything needs stays, whatever happens meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from physlab import service
from physlab.errors import ResourceError
from physlab.keys import digest_bytes
from physlab.store import Store
from physlab.versioning import garbage
from physlab.versioning.garbage import collect, find_garbage, put_back
from physlab.versioning.labels import label, read_label
from physlab.versioning.register import Wish, register
from tests.unit.conftest import Bench, node

LATER = "9999"


def old(store: Store, digest: str) -> str:
    """Make bytes look as old as they need to be."""
    os.utime(store.blobs.path(digest), (1, 1))
    return digest


def orphan(store: Store, data: bytes = b"orphan") -> str:
    return old(store, store.blobs.put(data)[0])


def array(n: int) -> Any:
    return node("array", "array", n=n)


def age_all(store: Store) -> None:
    for digest in store.blobs.all():
        old(store, digest)


def test_what_nothing_mentions_goes(bench: Bench) -> None:
    store = bench.lab.store
    bench.run([node("draw", "draw", write=["static"])])
    (bench.folder / "set").mkdir()
    (bench.folder / "set" / "file").write_text("in a folder")
    register(store, Wish(["set"]), bench.folder)
    store.parts.keep("part", {"made": store.blobs.put(b"part of a node")[0]})
    age_all(store)
    lost, young = orphan(store), store.blobs.put(b"young")[0]
    before = set(store.blobs.all())
    found = find_garbage(store)
    assert set(found.blobs) == {lost} and found.size == 6 and found.young == 1 and set(store.blobs.all()) == before
    assert collect(store, found) == (1, 6)
    assert set(store.blobs.all()) == before - {lost} and young in before
    assert list(store.verify()) == [] and store.records_of("gc")[0]["removed"] == [lost]


def test_results_of_old_runs_go_unless_something_needs_them(bench: Bench) -> None:
    store = bench.lab.store
    made = [bench.run([array(n)]) for n in (5000, 5001, 5002)]
    held, versioned, shared = (run.fields("array")["array"]["$array"]["sha256"] for run in made)
    bench.run([array(5002)])  # a later run, from the cache
    label(store, [held], read_label("hold"), "me", why="an audit")
    (bench.folder / "table.npy").write_bytes(store.blobs.read(versioned))
    register(store, Wish(["table.npy"]), bench.folder)
    age_all(store)
    assert not find_garbage(store).blobs, "results that are hits stay for ever, unless one says otherwise"
    runs = [row["started_at"] for row in bench.lab.runs()]
    found = find_garbage(store, before=max(runs))
    assert len(found.runs) == 3 and not {held, versioned, shared} & set(found.blobs)
    found = find_garbage(store, before=LATER)
    assert len(found.runs) == 4 and shared in found.blobs and not {held, versioned} & set(found.blobs)
    collect(store, found)
    assert list(store.verify()) == []
    again = bench.run([array(5002)])
    assert again.statuses == {"array": "completed"} and store.blobs.intact(shared), "it is made anew, not missed"


def test_a_retracted_result_stays_while_a_run_holds_it(bench: Bench) -> None:
    store = bench.lab.store
    made = bench.run([node("draw", "draw", write=["static"])])
    store.append("retract", {"kind": "retract", "key": made["draw"].key})
    store.flush()
    age_all(store)
    assert not find_garbage(store).blobs
    assert digest_bytes(b"static of a toy") in find_garbage(store, before=LATER).blobs


@pytest.mark.parametrize("meanwhile", ["put", "recorded", "part"])
def test_what_is_wanted_again_meanwhile_stays(bench: Bench, meanwhile: str) -> None:
    store = bench.lab.store
    lost = orphan(store)
    found = find_garbage(store)
    assert set(found.blobs) == {lost}
    acts: dict[str, Callable[[], object]] = {
        "put": lambda: store.blobs.put(b"orphan"),
        "recorded": lambda: store.append("job", {"kind": "job", "log": lost, "folder": "f"}),
        "part": lambda: store.parts.keep("part", {"sha256": lost}),
    }
    acts[meanwhile]()
    assert collect(store, found) == (0, 0)
    assert store.blobs.read(lost) == b"orphan"


def test_a_collection_that_was_killed_is_undone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    store = bench.lab.store
    lost = [orphan(store, b"%d" % number) for number in range(3)]
    found = find_garbage(store)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> set[str]:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(garbage, "_mentioned_since", killed)
        with pytest.raises(Killed):
            collect(store, found)
    assert not set(lost) & set(store.blobs.all())
    assert put_back(store) == 3 and set(lost) <= set(store.blobs.all())
    assert collect(store, find_garbage(store))[0] == 3


def test_those_who_read_everything_keep_it_away(bench: Bench) -> None:
    store = bench.lab.store
    orphan(store)
    found = find_garbage(store)
    assert store.leases.acquire("backup")
    with pytest.raises(ResourceError, match="in use: backup"):
        collect(store, found)
    store.leases.release("backup")
    assert collect(store, found)[0] == 1


def test_the_command_says_first_and_does_then(bench: Bench) -> None:
    lost = orphan(bench.lab.store)
    said = service.collect_garbage(bench.lab)
    assert (said["files"], said["deleted"], said["hashes"]) == (1, False, [f"sha256:{lost}"])
    assert bench.lab.store.blobs.intact(lost)
    assert service.collect_garbage(bench.lab, delete=True)["files"] == 1 and not bench.lab.store.blobs.intact(lost)
    assert service.collect_garbage(bench.lab, grace_days=0)["files"] == 0
