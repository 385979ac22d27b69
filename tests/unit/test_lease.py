"""One owner per key, never longer than the owner lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from physlab.errors import StoreError
from physlab.store import lease as leases_module
from physlab.store.lease import EXPIRY_S, Leases, has_ended, name_process


@pytest.fixture
def leases(tmp_path: Path) -> Iterator[Leases]:
    made = Leases(tmp_path)
    made.create()
    yield made
    made.close()


def test_one_owner_at_a_time(tmp_path: Path, leases: Leases) -> None:
    other = Leases(tmp_path)
    assert leases.acquire("key")
    assert not leases.acquire("key") and not other.acquire("key")
    assert other.acquire("another")
    leases.release("key")
    leases.release("key")
    assert other.acquire("key")
    other.close()


def test_of_many_threads_one_wins(tmp_path: Path, leases: Leases) -> None:
    def take() -> None:
        won.append(Leases(tmp_path).acquire("key"))

    won: list[bool] = []
    threads = [threading.Thread(target=take) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 11 + [True]


def test_the_lease_of_a_dead_process_is_stolen_by_one(tmp_path: Path, leases: Leases) -> None:
    program = (
        "import os; from pathlib import Path; from physlab.store.lease import Leases; "
        f"assert Leases(Path({str(tmp_path)!r})).acquire('key'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (leases.folder / "key").exists()
    assert leases.acquire("key")
    assert not Leases(tmp_path).acquire("key")


def test_another_hosts_lease_lasts_as_long_as_its_heart_beats(leases: Leases) -> None:
    lease = leases.folder / "key"
    lease.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 0.0}))
    assert not leases.acquire("key")
    past = time.time() - EXPIRY_S - 1
    os.utime(lease, (past, past))
    assert leases.acquire("key")


def test_an_emptied_lease_expires(leases: Leases) -> None:
    lease = leases.folder / "key"
    lease.touch()
    assert not leases.acquire("key")
    os.utime(lease, (1e9, 1e9))
    assert leases.acquire("key")


def test_one_touch_is_the_heartbeat_of_all(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    touched = threading.Event()
    beat = os.utime
    monkeypatch.setattr(leases_module, "HEARTBEAT_S", 0.01)
    monkeypatch.setattr(os, "utime", lambda *given: (beat(*given), touched.set()))
    for key in ("a", "b"):
        assert leases.acquire(key)
        beat(leases.folder / key, (1e9, 1e9))
    touched.clear()
    assert touched.wait(10)
    assert all((leases.folder / key).stat().st_mtime > 1e9 + 1 for key in ("a", "b"))


def test_processes_are_told_apart() -> None:
    me = name_process()
    assert not has_ended(me)
    assert has_ended({**me, "started": me["started"] - 100}), "the number was given to another process"
    assert not has_ended({**me, "host": "elsewhere", "pid": 0})
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    named = name_process(child.pid)
    assert not has_ended(named)
    child.communicate(b"\n")
    assert has_ended(named)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "leases").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        Leases(tmp_path).acquire("key")
