"""Backup of a store of 10,000 files, about 200 MB: first, after a change of 1 %, verified, restored; tar and rsync.

python bench/backup.py [FILES] [restic|store]
"""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from physlab.backup import check_repository, choose_engine, restore_lab, save_lab
from physlab.keys import digest_bytes
from physlab.settings import load_settings
from physlab.store import Store, open_store


def timed(name: str, work: Callable[[], Any], told: Callable[[Any], str] = lambda made: "") -> Any:
    """Do something; print how long it took and how much CPU of this process and its children."""
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    started = time.perf_counter()
    made = work()
    wall = time.perf_counter() - started
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))
    print(f"{name:<44} {wall:7.1f} s  CPU {cpu:6.1f} s  {told(made)}")
    return made


def fill(store: Store, count: int, seed: int) -> None:
    """Put files of 1 to 40 kB into the store, half of each numbers that can be compressed."""
    made = random.Random(seed)  # noqa: S311 - test data
    for number in range(count):
        size = made.randrange(1000, 40_000)
        data = made.randbytes(size // 2) + (f"{seed} {number} ".encode() * size)[: size // 2]
        # As the store lays them, without the fsync of each, which is not what is measured.
        path = store.blobs.path(digest_bytes(data))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        store.append("note", {"number": number, "sha256": path.parent.name + path.name})
    store.flush()


def main(count: int, engine: str) -> None:
    """Measure."""
    base = Path(tempfile.mkdtemp(prefix="physlab-bench-"))
    try:
        places = {
            "restic": {"backup.repository": str(base / "repository")},
            "store": {
                "backup.repository": "store:vault", "stores.vault.url": str(base / "repository"),
                "stores.vault.sealed": True,
            },
        }  # fmt: skip
        given = {"home": base / "home", **places[engine]}
        settings = load_settings(base, given, environ={"HOME": str(base)})
        with open_store(settings.home / "store") as store:
            fill(store, count, 0)
            measure(store, settings, base, count)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def measure(store: Store, settings: Any, base: Path, count: int) -> None:
    """Print one line for each thing."""
    engine, home, repository = choose_engine(settings), settings.home, base / "repository"

    def moved(saved: Any) -> str:
        record = saved.record
        share = 100 * record["added"] / record["size"]
        return f"{record['added'] / 1e6:7.2f} MB new of {record['size'] / 1e6:.1f} MB ({share:.2f} %)"

    timed("first backup", lambda: save_lab(store, settings, engine), moved)
    before = size_of(repository)
    fill(store, count // 100, 1)
    timed("after a change of 1 %", lambda: save_lab(store, settings, engine), moved)
    grown, size = size_of(repository) - before, size_of(home / "store" / "objects")
    print(f"    moved: {grown / 1e6:.2f} MB, {100 * grown / size:.2f} % of the data; before: {before / 1e6:.0f} MB")
    timed("nothing changed", lambda: save_lab(store, settings, engine), moved)
    timed("verify, all data", lambda: check_repository(store, settings, engine), lambda made: f"{made.problems}")
    timed("verify, 1/30", lambda: check_repository(store, settings, engine, 30), lambda made: f"{made.problems}")
    timed(
        "restore, every hash checked",
        lambda: restore_lab(store, engine, "latest", base / "back", tell=lambda words: None, salvage=False),
        lambda made: f"{made.blobs} files, {len(made.problems)} problems",
    )
    tar = f"tar -C {home} -cf - store | zstd -q -T2 -o {base / 'all.tar.zst'}"
    if shutil.which("zstd"):
        timed("for scale: tar | zstd", lambda: subprocess.run(["bash", "-c", tar], check=True))
        again = f"zstd -dcq {base / 'all.tar.zst'} | tar -C {base / 'untar'} -xf -"
        (base / "untar").mkdir()
        timed("for scale: zstd -d | tar -x", lambda: subprocess.run(["bash", "-c", again], check=True))
    if shutil.which("rsync"):
        sync = ["rsync", "-a", f"{home}/store/", f"{base / 'mirror'}/"]
        timed("for scale: rsync, first", lambda: subprocess.run(sync, check=True))
        timed("for scale: rsync, nothing changed", lambda: subprocess.run(sync, check=True))


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, sys.argv[2] if len(sys.argv) > 2 else "restic")
