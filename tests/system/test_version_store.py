"""The store under several writers, kill -9, and a full disk: nothing acknowledged is lost, nothing half-made stays."""

from __future__ import annotations

import fcntl
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import StoreError
from physlab.settings import child_environment
from physlab.store import open_store
from physlab.versioning.contents import files_of
from physlab.versioning.garbage import find_garbage, put_back
from physlab.versioning.history import by_record, log
from physlab.versioning.register import Wish, register
from tests.architecture.source import ROOT

CHILD = Path(__file__).with_name("registering_child.py")


@pytest.mark.drill
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, drill_seed: int) -> None:
    choose, told = random.Random(drill_seed), dict[str, str]()
    for round_ in range(4):
        with subprocess.Popen(
            [sys.executable, str(CHILD), str(tmp_path), str(10 * drill_seed + round_)], stdout=subprocess.PIPE,
            text=True, env=child_environment({"PYTHONPATH": str(ROOT)}),
        ) as child:  # fmt: skip
            assert child.stdout is not None and child.stdout.readline() == "open\n"
            left = choose.randrange(60)
            for line in child.stdout:
                told.update([line.split()])
                left -= 1
                if left < 0:
                    break
            time.sleep(choose.random() * choose.choice((0.0, 0.01, 0.1)))
            child.kill()
            told.update(line.split() for line in child.stdout if line.endswith("\n"))
        with open_store(tmp_path / "store") as store:
            put_back(store)
            assert list(store.verify()) == []
            for record, sha256 in told.items():
                content = by_record(store, record).version.content
                assert content.sha256 == sha256
                assert all(store.blobs.intact(digest) for digest, _, _ in files_of(store, content).values())
            kept = {digest for known in log(store) for digest, _, _ in files_of(store, known.version.content).values()}
            assert not kept & set(find_garbage(store, grace_s=0.0).blobs)
            assert not list((store.root / "trash").glob("*"))


def test_two_writers_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow file system, too: every lock, rename and write takes its time, and not always the same."""
    choose = random.Random(5)

    def slow(function: Any) -> Any:
        def later(*words: Any, **more: Any) -> Any:
            time.sleep(choose.random() * 0.003)
            return function(*words, **more)

        return later

    for module, name in ((os, "replace"), (os, "rename"), (os, "write"), (fcntl, "flock"), (os, "fsync")):
        monkeypatch.setattr(module, name, slow(getattr(module, name)))

    def write(who: int) -> None:
        folder = tmp_path / f"writer{who}"
        folder.mkdir()
        with open_store(tmp_path / "store") as store:
            for number in range(15):
                (folder / "a").write_text(f"{number}")  # the same bytes as the others write
                (folder / "b").write_text(f"{who} {number}")
                register(store, Wish(["a", "b"], params={"who": who}), folder)

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(write, range(3))) == [None] * 3
    with open_store(tmp_path / "store") as store:
        assert list(store.verify()) == []
        for who in range(3):
            for name in ("a", "b"):
                assert [known.number for known in log(store, str(tmp_path / f"writer{who}" / name))] == [
                    *range(15, 0, -1)
                ]
        assert len(list(store.blobs.all())) == 15 + 45


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() or subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode:  # fmt: skip
        pytest.skip("a small file system cannot be mounted: root is needed")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("shape", ["file", "many", "folder"])
def test_a_full_disk_is_said_and_the_store_is_as_before(tmp_path: Path, small_disk: Path, shape: str) -> None:
    work = tmp_path / "work"
    (work / "set").mkdir(parents=True)
    (work / "first").write_text("first")
    names = [f"set/{number}" for number in range(60)]
    for name in names:
        (work / name).write_bytes(os.urandom(100_000))
    (work / "large").write_bytes(os.urandom(6_000_000))
    wanted = {"file": ["large"], "many": names, "folder": ["set"]}[shape]
    with open_store(small_disk / "store") as store:
        register(store, Wish(["first"]), work)
        with pytest.raises(StoreError, match="No space left on device") as failed:
            register(store, Wish(wanted), work)
        assert "Free disk space" in failed.value.hint
        assert [known.name for known in log(store)] == ["first@1"] and list(store.verify()) == []
        assert list(store.blobs.incoming.iterdir()) == [], "the room is free again"
        (work / "second").write_text("second")
        register(store, Wish(["second"]), work)
        assert len(log(store)) == 2


def test_any_byte_of_the_ledger_that_changes_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with open_store(tmp_path / "store") as store:
        for number in range(3):
            register(store, Wish(["a"], params={"n": number}), tmp_path)
        assert list(store.verify()) == []
        path = store.journal.file(1)
        whole = path.read_bytes()
        choose = random.Random(1)
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << choose.randrange(8)]) + whole[place + 1 :])
            said = list(store.journal.verify()) or list(store.verify())
            assert said and all(path.name in text or "index" in text for text in said), f"byte {place}: {said}"
        path.write_bytes(whole)
        assert list(store.verify()) == []
