"""Killed at any moment, with a full disk, two at once, over a slow network: nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from physlab.errors import StoreError
from physlab.keys import digest_bytes
from physlab.lab import Lab
from physlab.service.replicas import repair_replicas, scrub_stores, survey_replicas
from physlab.store import Store
from physlab.transfer import RemoteStore, pull, push
from physlab.transfer.checking import Share, check_remote
from physlab.transfer.places.folder import FolderPlace
from physlab.transfer.places.remote import FileSystemPlace
from physlab.transfer.records import their_records
from tests.unit.transfer.conftest import Labs, content, remote, tree

ROOT = Path(__file__).parents[3]


def fill(store: Store, seed: int, small: int = 12, large: int = 2, size: int = 5_000_000) -> set[str]:
    """Put files into a lab that no other seed makes, and a record that names them."""
    choose = random.Random(seed)
    made = [store.blobs.put(choose.randbytes(choose.randrange(10, 60_000)))[0] for _ in range(small)]
    made += [store.blobs.put(choose.randbytes(size))[0] for _ in range(large)]
    store.append("note", {"kind": "note", "name": f"seed {seed}", "files": made})
    store.flush()
    return set(made)


def whole(folder: Path) -> None:
    """Say that every file of a plain store is what its name says; drafts that nobody finished do not count."""
    for name, data in tree(folder).items():
        kind, *rest = name.split("/")
        if kind in ("blobs", "packs", "journal") and not rest[-1].startswith("."):
            assert digest_bytes(data) == "".join(rest).partition(".")[0], name
        if kind == "files" and not rest[-1].startswith("."):
            assert json.loads(data)["sha256"] == "".join(rest).partition(".")[0]


def count(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


@contextmanager
def child(what: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.unit.transfer.pusher", what, str(folder)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupted(what: str, folder: Path, ready: Callable[[], bool], pause: float) -> bool:
    """Start a process and kill it a moment after something is so; False when it was done before."""
    with child(what, folder) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        while process.poll() is None and not ready():
            time.sleep(0.004)
        time.sleep(pause)
        process.kill()
        return "done" not in process.stdout.read()


@pytest.mark.drill
def test_kill_nine_at_any_point_of_push_and_pull(folder_labs: Labs, drill_seed: int) -> None:
    choose = random.Random(drill_seed)
    nas, killed = folder_labs.folder / "nas", 0
    limited = {**folder_labs.settings, "stores.nas.limit": "20MB/s"}
    for name in ("one", "two"):
        (folder_labs.folder / name).mkdir(exist_ok=True)
        (folder_labs.folder / name / "stores.json").write_text(json.dumps(limited))
    with folder_labs.open("one") as one:
        files = fill(one.store, drill_seed)
    for _ in range(2):
        goal = count(nas) + choose.randrange(8)
        pause = choose.choice((0, 0.01, 0.1)) * choose.random()
        killed += interrupted("push", folder_labs.folder / "one", lambda goal=goal: count(nas) > goal, pause)
        whole(nas)
    with folder_labs.open("one") as one, remote(one) as there:
        push(one.store, there)
        assert there.has(files) == files
    whole(nas)
    room = folder_labs.folder / "two" / "home" / "transfer" / "nas" / "incoming"
    with folder_labs.open("two") as two:
        before = content(two.store)
    for _ in range(2):
        goal = count(room) + choose.randrange(8)
        pause = choose.choice((0, 0.05)) * choose.random()
        killed += interrupted("pull", folder_labs.folder / "two", lambda goal=goal: count(room) > goal, pause)
        with folder_labs.open("two") as two:
            assert list(two.store.verify()) == []
            if not any(line.kind == "received" for line in two.store.journal.replay()):
                kept = content(two.store)
                assert before.items() <= kept.items(), "what was moved in is whole and named by nothing"
    with folder_labs.open("two") as two:
        with remote(two) as there:
            pull(two.store, there)
        assert set(two.store.blobs.all()) == files and list(two.store.verify()) == []
        assert not room.exists()
    assert killed, "a drill that kills nobody shows nothing"


@pytest.mark.drill
def test_kill_nine_at_any_point_of_a_repair(folder_labs: Labs, drill_seed: int) -> None:
    """Damage in both stores and in the lab; repairs are killed, and the next one makes all whole that a copy is of."""
    choose, folder = random.Random(drill_seed), folder_labs.folder
    stores = {"replicas.copies": 2, "stores.nas.limit": "60MB/s"}
    stores |= {f"stores.{name}.url": str(folder / name) for name in ("nas", "mirror")}
    stores |= {f"stores.{name}.replica": True for name in ("nas", "mirror")}
    labs = Labs(folder, stores)
    (folder / "one").mkdir()
    (folder / "one" / "stores.json").write_text(json.dumps(stores))
    with labs.open("one") as one:
        files = fill(one.store, drill_seed, small=20)
        repair_replicas(one)
        spoil(choose.sample(sorted((folder / "nas" / "blobs").rglob("*/*")), 12))
        spoil([path for kind in ("packs", "files", "journal") for path in (folder / "nas" / kind).rglob("*.*")])
        spoil(one.store.blobs.path(digest) for digest in choose.sample(sorted(files), 8))
        assert not scrub_stores(one)["ok"]
    notes = folder / "one" / "home" / "transfer" / "scrub.json"
    goal, known = count(folder / "nas") + count(folder / "mirror"), notes.read_text()
    killed = interrupted(
        "repair", folder / "one",
        lambda: goal != count(folder / "nas") + count(folder / "mirror")
        or known != notes.read_text(),
        choose.choice((0, 0.02, 0.05)) * choose.random(),
    )  # fmt: skip
    with labs.open("one") as one:
        done = repair_replicas(one)
        assert not done.lost and not survey_replicas(one).incomplete and scrub_stores(one)["ok"]
        assert set(one.store.blobs.all()) == files and list(one.store.verify()) == []
    for name in ("nas", "mirror"):
        whole(folder / name)
    assert killed or drill_seed, "a drill that kills nobody shows nothing"


def spoil(paths: Iterable[Path]) -> None:
    """Turn a bit in the middle of files."""
    for path in paths:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)


def test_a_push_that_stopped_goes_on_where_it_was(folder_labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder_labs.open() as one:
        digest, _ = one.store.blobs.put(random.Random(1).randbytes(30_000_000))
        write, packs = RemoteStore.write, [0]

        def break_down(self: RemoteStore, name: str, data: bytes) -> None:
            packs[0] += name.startswith("packs")
            if packs[0] > 2:
                raise StoreError("the network is down", hint="")
            write(self, name, data)

        with monkeypatch.context() as patch, remote(one) as there:
            patch.setattr(RemoteStore, "write", break_down)
            with pytest.raises(StoreError, match="the network is down"):
                push(one.store, there)
        with remote(one) as there:
            assert there.has([digest]) == set()
            would = push(one.store, there, dry_run=True)
            done = push(one.store, there)
        assert would.size < 16_000_000 and done.size < 16_000_000, "two packs of 8 MiB were there"
        assert there.has([digest]) == {digest}


def test_a_pull_that_stopped_goes_on_where_it_was(folder_labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder_labs.open() as one:
        fill(one.store, 1, small=3, large=1, size=30_000_000)
        with remote(one) as there:
            push(one.store, there)
    with folder_labs.open("two") as two:
        read, parts = RemoteStore.read_part, [0]

        def break_down(self: RemoteStore, name: str, start: int, length: int) -> bytes | None:
            parts[0] += 1
            if parts[0] > 4:
                raise StoreError("the network is down", hint="")
            return read(self, name, start, length)

        before = content(two.store)
        with monkeypatch.context() as patch, remote(two) as there:
            patch.setattr(RemoteStore, "read_part", break_down)
            with pytest.raises(StoreError, match="the network is down"):
                pull(two.store, there)
        assert content(two.store) == before
        with remote(two) as there:
            assert pull(two.store, there).size < 22_000_000, "of 30 MB"
        assert list(two.store.verify()) == []


def test_s18_a_pull_that_fails_at_its_very_end_gives_everything_back(
    folder_labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder_labs.open() as one:
        fill(one.store, 1)
        with remote(one) as there:
            push(one.store, there)
    with folder_labs.open("two") as two:
        folder_labs.run(two, "two", numbers=1000)
        before = content(two.store)

        def full(records: Any) -> None:
            raise StoreError("no space is left", hint="")

        with monkeypatch.context() as patch, remote(two) as there:
            patch.setattr(two.store, "append_all", full)
            with pytest.raises(StoreError, match="no space is left"):
                pull(two.store, there)
        assert content(two.store) == before
        with remote(two) as there:
            assert pull(two.store, there).size < 1_000_000, "the files waited"


def test_what_was_written_badly_is_found_when_it_is_read_back(
    folder_labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder_labs.open() as one:
        fill(one.store, 1)
        write = FolderPlace.write

        def bad_memory(self: FolderPlace, name: str, data: bytes) -> None:
            write(self, name, data[:-1] + bytes([data[-1] ^ 1]) if name.startswith("packs") else data)

        with monkeypatch.context() as patch, remote(one) as there:
            patch.setattr(FolderPlace, "write", bad_memory)
            with pytest.raises(StoreError, match=r"came back otherwise: packs/"):
                push(one.store, there, verify=True)
    shutil.rmtree(folder_labs.folder / "nas")
    with folder_labs.open() as one, remote(one) as there:
        assert push(one.store, there, verify=True).files == 14


def test_drafts_that_killed_processes_left_are_swept(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        fill(one.store, 1, small=1, large=0)
        send(one)
        folder = folder_labs.folder / "nas" / "blobs"
        old, new = folder / ".one.0123.draft", folder / ".two.0123.draft"
        for draft in (old, new):
            draft.write_text("half")
        os.utime(old, (1e9, 1e9))
        with remote(one) as there:
            assert not check_remote(there, Share()).damage
        assert not old.exists() and new.exists()
        old.write_text("half")
        os.utime(old, (1e9, 1e9))
        place = FileSystemPlace("here", LocalFileSystem(), str(folder_labs.folder / "nas"))
        assert place.sweep(86_400) == 1 and not old.exists() and new.exists()


def mount(folder: Path, megabytes: int) -> bool:
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Make a folder a disk of 8 MB; without the right to mount, let no file grow beyond 3 MB."""
    if mount(folder, 8):
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_store_is_told_and_what_is_there_is_whole(folder_labs: Labs) -> None:
    nas = folder_labs.folder / "nas"
    with folder_labs.open() as one:
        fill(one.store, 1, small=4, large=3)
        with small_disk(nas):
            with remote(one) as there, pytest.raises(StoreError, match=r"Could not write .*(space|large)") as raised:
                push(one.store, there)
            assert "has it room" in raised.value.hint
            whole(nas)
            assert not [name for name in tree(nas) if "draft" in name], "what was begun is gone"
            with remote(one) as there:
                assert their_records(there) == {}


def test_a_full_lab_is_told_and_is_as_before(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        fill(one.store, 1, small=4, large=3)
        with remote(one) as there:
            push(one.store, there)
    with small_disk(folder_labs.folder / "two" / "home"), folder_labs.open("two") as two:
        before = content(two.store)
        with remote(two) as there, pytest.raises(StoreError, match=r"space|large"):
            pull(two.store, there)
        assert content(two.store) == before and list(two.store.verify()) == []


def test_two_that_push_at_once_lose_nothing(folder_labs: Labs) -> None:
    """Two labs that share most of their files, and one of them twice."""
    with folder_labs.open("one") as one, folder_labs.open("two") as two:
        files = fill(one.store, 1) | fill(two.store, 2) | fill(two.store, 1)
        at_once([lambda: send(one), lambda: send(two), lambda: send(two)])
        with remote(one) as there:
            assert there.has(files) == files and len(their_records(there)) == 2
    whole(folder_labs.folder / "nas")
    with folder_labs.open("three") as three:
        with remote(three) as there:
            pull(three.store, there)
        assert set(three.store.blobs.all()) == files and list(three.store.verify()) == []


def test_two_that_pull_at_once_write_each_record_once(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        files = fill(one.store, 1)
        send(one)
    with folder_labs.open("two") as two:

        def fetch() -> None:
            with remote(two) as there:
                pull(two.store, there)

        at_once([fetch, fetch, fetch])
        assert [line.kind for line in two.store.journal.replay()] == ["note", "received"]
        assert set(two.store.blobs.all()) == files


def send(lab: Lab) -> None:
    with remote(lab) as there:
        push(lab.store, there)


def at_once(works: list[Callable[[], None]]) -> None:
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors, errors


class SlowNetwork(LocalFileSystem):
    """A folder in which others see a change late: listings are old, and every step takes its time."""

    protocol = "slow"
    cachable = False

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._choose = random.Random(seed)
        self._seen: dict[str, Any] = {}

    def _wait(self) -> None:
        time.sleep(self._choose.random() * 0.003)

    def find(self, path: str, **more: Any) -> Any:
        self._wait()
        now = super().find(path, **more)
        before = self._seen.get(path, {} if more.get("detail") else [])
        self._seen[path] = now
        return before if self._choose.random() < 0.5 else now

    def _open(self, *args: Any, **more: Any) -> Any:
        self._wait()
        return super()._open(*args, **more)

    def mv(self, *args: Any, **more: Any) -> None:
        self._wait()
        super().mv(*args, **more)


def test_a_slow_file_system_with_old_listings_loses_no_update(folder_labs: Labs) -> None:
    """Nothing in a store is ever read, changed and written back; so the worst that late news costs is sending twice."""
    fsspec.register_implementation("slow", SlowNetwork, clobber=True)
    nas = folder_labs.folder / "nas"

    def slow(lab: Lab, seed: int) -> None:
        place = FileSystemPlace(str(nas), SlowNetwork(seed), str(nas))
        with RemoteStore("nas", place, lab.settings.home / "transfer" / f"nas{seed}") as there:
            for number in range(3):
                fill(lab.store, 10 * seed + number, small=4, large=1, size=2_000_000)
                push(lab.store, there)

    with folder_labs.open("one") as one, folder_labs.open("two") as two:
        at_once([lambda: slow(one, 1), lambda: slow(two, 2)])
        files = set(one.store.blobs.all()) | set(two.store.blobs.all())
    whole(nas)
    with folder_labs.open("three") as three:
        with remote(three) as there:
            assert len(their_records(there)) == 6
            pull(three.store, there)
        assert set(three.store.blobs.all()) == files and list(three.store.verify()) == []
    shutil.rmtree(nas)
