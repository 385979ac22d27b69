"""A lab at rest: sealed whole, opened whole, and never in between without a way back."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from physlab import vault
from physlab.errors import ConfigurationError, ResourceError, StoreError
from physlab.keys import digest_bytes
from physlab.sealing import Keyring, ProjectKey
from physlab.settings import child_environment
from physlab.store import open_store
from physlab.versioning.register import Wish, register
from tests.architecture.source import ROOT
from tests.unit.conftest import Bench, node, open_lab

MARKERS = [f"marker-{number}-{digest_bytes(b'%d' % number)[:20]}" for number in range(20)]


@pytest.fixture
def key(tmp_path: Path) -> ProjectKey:
    keys = Keyring(tmp_path / "home" / "keys")
    keys.init()
    return keys.project()


def fill(folder: Path) -> None:
    """Put markers wherever data lies in a home: results, records, index, versions, logs, links."""
    with open_lab(folder) as lab:
        bench = Bench(lab, folder)
        bench.run([node(f"n{number}", "give", value=marker) for number, marker in enumerate(MARKERS[:10])])
        (folder / "large").write_bytes(" ".join(MARKERS[10:15]).encode() * 20_000)
        (folder / MARKERS[15]).write_text(MARKERS[16])
        register(lab.store, Wish(["large", MARKERS[15]], params={"secret": MARKERS[17]}), folder)
    home = folder / "home"
    (home / "server").mkdir()
    (home / "server" / "server.log").write_text(MARKERS[18])
    (home / "calls" / "empty").mkdir(parents=True)
    (home / "calls" / MARKERS[19]).symlink_to("../server/server.log")
    blob = next(path for path in (home / "store" / "objects").rglob("*") if path.is_file())
    os.link(blob, home / "calls" / "twin")


def tree(home: Path) -> dict[str, object]:
    """Return everything below a home but its keys: links, rights, times and bytes."""
    found: dict[str, object] = {}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if not name.startswith("keys"):
            status = path.lstat()
            what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[name] = (what, status.st_mode, status.st_mtime_ns if path.is_file() and not path.is_symlink() else 0)
    return found


def test_s34_a_locked_home_tells_nothing_and_opens_as_it_was(tmp_path: Path, toy_tools: None, key: ProjectKey) -> None:
    fill(tmp_path)
    home = tmp_path / "home"
    before = tree(home)
    assert all(any(marker in f"{name} {value!r}" for name, value in before.items()) for marker in MARKERS)
    done = vault.lock(home, key)
    assert vault.state(home) == "locked" and done.files > 5 and sorted(os.listdir(home)) == ["keys", "vault"]
    told = b"".join(f"{path}".encode() + (path.read_bytes() if path.is_file() else b"") for path in home.rglob("*"))
    assert not [marker for marker in MARKERS if marker.encode() in told]
    with pytest.raises(ConfigurationError, match="is locked"):
        open_store(home / "store")
    with pytest.raises(ConfigurationError, match="locked already"):
        vault.lock(home, key)
    assert vault.unlock(home, key) == done and tree(home) == before
    assert (home / "calls" / "twin").stat().st_nlink == 2, "what was one file is one file again"
    with open_store(home / "store") as store:
        assert list(store.verify()) == []
    with pytest.raises(ConfigurationError, match="not locked"):
        vault.unlock(home, key)


def test_new_keys_open_what_old_ones_sealed(tmp_path: Path, toy_tools: None, key: ProjectKey) -> None:
    fill(tmp_path)
    home = tmp_path / "home"
    before = tree(home)
    vault.lock(home, key)
    sealed = tree(home)
    keys = Keyring(home / "keys")
    keys.rotate()
    assert tree(home) == sealed, "rotation touches keys, not data"
    vault.unlock(home, keys.project())
    assert tree(home) == before


def test_a_stranger_s_key_opens_nothing(tmp_path: Path, toy_tools: None, key: ProjectKey) -> None:
    fill(tmp_path)
    vault.lock(tmp_path / "home", key)
    sealed = tree(tmp_path / "home")
    other = Keyring(tmp_path / "other")
    other.init()
    with pytest.raises(StoreError, match=r"The list of the locked lab.*physlab keys list"):
        vault.unlock(tmp_path / "home", other.project())
    assert tree(tmp_path / "home") == sealed


def test_a_flipped_or_missing_byte_is_named_and_it_stays_locked(
    tmp_path: Path, toy_tools: None, key: ProjectKey
) -> None:
    fill(tmp_path)
    home = tmp_path / "home"
    before = tree(home)
    vault.lock(home, key)
    path = home / "vault" / "sealed" / key.name_of("server/server.log")
    whole = path.read_bytes()
    for data in (whole[:-1], whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:], None):
        path.unlink()
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(StoreError, match=r"server/server\.log"):
            vault.unlock(home, key)
        assert vault.state(home) == "locked"
        path.write_bytes(whole)
    vault.unlock(home, key)
    assert tree(home) == before


def test_s34_one_damaged_file_does_not_keep_the_rest_shut(tmp_path: Path, toy_tools: None, key: ProjectKey) -> None:
    fill(tmp_path)
    home = tmp_path / "home"
    (home / "calls" / "long").write_bytes(bytes(range(256)) * 1024)
    blob = (home / "calls" / "twin").stat().st_ino
    [twin] = [path for path in (home / "store").rglob("*") if path.lstat().st_ino == blob]
    before = tree(home)
    files = vault.lock(home, key).files
    damaged = {"calls/long": 200_000, "server/server.log": -5}
    for path, place in damaged.items():
        sealed = home / "vault" / "sealed" / key.name_of(path)
        data = bytearray(sealed.read_bytes())
        data[place] ^= 1
        sealed.write_bytes(data)
    [first] = [name for name in ("calls/twin", twin.relative_to(home).as_posix())
               if (home / "vault" / "sealed" / key.name_of(name)).exists()]  # fmt: skip
    (home / "vault" / "sealed" / key.name_of(first)).unlink()
    with pytest.raises(StoreError, match="store unlock --salvage"):
        vault.unlock(home, key)
    done = vault.unlock(home, key, salvage=True)
    gone = {*damaged, "calls/twin", twin.relative_to(home).as_posix()}
    assert set(done.lost) == gone and done.files == files - 3 and done.aside == str(home / "damaged")
    after = {name: value for name, value in tree(home).items() if not name.startswith("damaged")}
    assert after == {name: value for name, value in before.items() if name not in gone}
    assert (home / "damaged" / "calls" / "long.begin").read_bytes() == (bytes(range(256)) * 1024)[: 3 << 16]
    assert (home / "damaged" / "server" / "server.log.age").read_bytes().startswith(b"age-encryption")
    assert set(json.loads((home / "damaged" / "lost.json").read_text())) == gone
    vault.lock(home, key)
    (home / "vault" / "sealed" / key.name_of("damaged/lost.json")).unlink()
    again = vault.unlock(home, key, salvage=True)
    assert set(again.lost) == {"damaged/lost.json"} and again.aside == str(home / "damaged-2")
    assert (home / "damaged" / "server" / "server.log.age").exists(), "what was kept aside before stays"


def test_without_its_list_it_stays_locked_and_says_what_is_needed(
    tmp_path: Path, toy_tools: None, key: ProjectKey
) -> None:
    fill(tmp_path)
    vault.lock(tmp_path / "home", key)
    sealed = tree(tmp_path / "home")
    path = tmp_path / "home" / "vault" / "list"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(StoreError, match="Restore it from a copy of the locked lab"):
        vault.unlock(tmp_path / "home", key, salvage=True)
    path.write_bytes(whole)
    assert tree(tmp_path / "home").keys() == sealed.keys()


def test_nobody_may_be_at_work(tmp_path: Path, toy_tools: None, key: ProjectKey) -> None:
    fill(tmp_path)
    with open_store(tmp_path / "home" / "store") as store:
        store.leases.acquire("a" * 64)
        with pytest.raises(ResourceError, match="Runs go on"):
            vault.lock(tmp_path / "home", key)
        assert vault.state(tmp_path / "home") == "open"
        store.leases.release("a" * 64)


def test_a_list_that_leads_outside_is_refused(tmp_path: Path, toy_tools: None, key: ProjectKey) -> None:
    fill(tmp_path)
    home = tmp_path / "home"
    vault.lock(home, key)
    (home / "vault" / "list").chmod(0o600)
    (home / "vault" / "list").write_bytes(key.seal(b'{"entries":[{"path":"../../up","mode":420,"folder":true}]}'))
    with pytest.raises(StoreError, match="outside the home"):
        vault.unlock(home, key)
    assert not (tmp_path / "up").exists()


CHILD = """
import sys
from pathlib import Path
from physlab import vault
from physlab.sealing import Keyring
home = Path(sys.argv[1])
key = Keyring(home / "keys").project()
print("ready", flush=True)
(vault.lock if sys.argv[2] == "lock" else vault.unlock)(home, key)
"""


@pytest.mark.drill
def test_kill_9_at_any_point_loses_nothing(tmp_path: Path, toy_tools: None, key: ProjectKey, drill_seed: int) -> None:
    fill(tmp_path)
    home, choose = tmp_path / "home", random.Random(drill_seed)
    before = tree(home)
    took = 0.3
    for word in ("lock", "lock", "unlock", "unlock"):
        begun = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(home), word], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=child_environment({"PYTHONPATH": str(ROOT)}),
        ) as child:  # fmt: skip
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            try:
                child.wait(choose.random() * took)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
            else:
                took = max(0.02, time.monotonic() - begun)
    if vault.state(home) != "open":
        vault.unlock(home, key)
    assert tree(home) == before and not (home / "vault").exists()
    vault.lock(home, key)
    vault.unlock(home, key)
    assert tree(home) == before


def test_a_full_disk_leaves_the_way_back(tmp_path: Path, toy_tools: None, key: ProjectKey) -> None:
    if os.getuid() or subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(tmp_path / "home")],
        capture_output=True, check=False,
    ).returncode:  # fmt: skip
        pytest.skip("a small file system cannot be mounted: root is needed")
    try:
        keys = Keyring(tmp_path / "home" / "keys")
        keys.init()
        (tmp_path / "home" / "data").write_bytes(random.Random(1).randbytes(4_000_000))
        before = tree(tmp_path / "home")
        with pytest.raises(StoreError, match="No space left on device"):
            vault.lock(tmp_path / "home", keys.project())
        vault.unlock(tmp_path / "home", keys.project())
        assert tree(tmp_path / "home") == before
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "home")], check=True)
        shutil.rmtree(tmp_path / "home", ignore_errors=True)
