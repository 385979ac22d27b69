"""Registering: many small files, one large file, and again when nothing changed; beside `dvc add` and `sha256sum`.

    python bench/versioning.py [--files 10000] [--again 100000] [--gigabytes 1] [--folder /var/tmp]

Prints seconds and ratios of one run side by side. Everything is made anew in a folder that is removed; before each
figure the disk is in order (`sync`). Best on a file system of its own (`--folder`): ext4 looks long for an inode where
many files were removed in the last minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from physlab.store import Store, open_store
from physlab.store.store import SETTLED_NS
from physlab.versioning.garbage import find_garbage
from physlab.versioning.register import Wish, register


def timed(act: Callable[[], object]) -> float:
    """Return how long something takes, with the disk in order before [s]."""
    os.sync()
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def say(what: str, seconds: float, beside: float | None = None, name: str = "") -> None:
    ratio = f"   {beside / seconds:6.2f} times as fast as {name} ({beside:.2f} s)" if beside else ""
    print(f"{what:<58} {seconds:8.3f} s{ratio}", flush=True)


def many(folder: Path, count: int) -> Path:
    for number in range(count):
        if number % 1000 == 0:
            part = folder / f"{number // 1000:03d}"
            part.mkdir(parents=True)
        (part / f"{number}.txt").write_bytes(b"%d " % number * 100)
    return folder


@contextlib.contextmanager
def scratch(where: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="physlab-bench-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def add(store: Store, folder: Path, *names: str) -> bool:
    return all(item.known for item in register(store, Wish(names, code_version="bench"), folder))


def small_files(folder: Path, count: int) -> None:
    many(folder / "data", count)
    shutil.copytree(folder / "data", folder / "dvc" / "data")
    dvc = [sys.executable, "-m", "dvc"]
    quiet = {"cwd": folder / "dvc", "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*dvc, "init", "--no-scm"], **quiet)
    theirs = timed(lambda: subprocess.run([*dvc, "add", "data"], **quiet))
    with open_store(folder / "one") as store:
        say(f"{count} small files as one folder", timed(lambda: add(store, folder, "data")), theirs, "dvc add")
    names = [str(path.relative_to(folder)) for path in sorted((folder / "data").rglob("*.txt"))]
    with open_store(folder / "each") as store:
        say(f"{count} small files, each a version", timed(lambda: add(store, folder, *names)), theirs, "dvc add")
        time.sleep(SETTLED_NS / 1e9)
        say("  what is garbage in that store", timed(lambda: find_garbage(store)))


def nothing_new(folder: Path, count: int) -> None:
    many(folder / "data", count)
    time.sleep(SETTLED_NS / 1e9)
    with open_store(folder / "store") as store:
        say(f"{count} small files as one folder", timed(lambda: add(store, folder, "data")))
        again = min(timed(lambda: add(store, folder, "data")) for _ in range(3))
        say("  again, nothing changed", again)


def large_file(folder: Path, gigabytes: float) -> None:
    path, piece = folder / "large", os.urandom(1 << 20)
    with path.open("wb") as stream:
        for _ in range(round(gigabytes * 1000)):
            stream.write(piece)
    os.sync()
    theirs = min(timed(lambda: subprocess.run(["sha256sum", path], check=True, stdout=subprocess.DEVNULL))
                 for _ in range(2))  # fmt: skip
    with open_store(folder / "store") as store:
        say(f"one file of {gigabytes:g} GB", timed(lambda: add(store, folder, "large")), theirs, "sha256sum")
        time.sleep(SETTLED_NS / 1e9)
        say("  again, nothing changed", timed(lambda: add(store, folder, "large")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--again", type=int, default=100_000)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--folder", default="/var/tmp")  # noqa: S108
    asked = parser.parse_args()
    for act, amount in ((small_files, asked.files), (large_file, asked.gigabytes), (nothing_new, asked.again)):
        with scratch(asked.folder) as folder:
            act(folder, amount)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
