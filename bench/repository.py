"""The repository of Git and DVC: commits, `dvc add` against a pointer of ours, sending and bringing.

python bench/repository.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workload import Clock

from physlab.dvcrepo import Repository, RunFolder, pull, push
from physlab.dvcrepo.programs import dvc
from physlab.store import Store, open_store

SIZES = {"200 files, 50 MB": (200, 250_000), "10,000 files, 10 MB": (10_000, 1_000)}


def fill(store: Store, count: int, size: int, salt: int) -> dict[str, str]:
    """Put random files into the store; return their SHA-256 by path."""
    return {f"data/{i:05d}.bin": store.blobs.put(os.urandom(size - 1) + bytes([salt]))[0] for i in range(count)}


def measure(what: str, work: Callable[[], Any]) -> Any:
    """Run a piece of work and print what it took."""
    with Clock() as clock:
        made = work()
    print(f"  {what:<58} wall {clock.wall_s:7.2f} s   CPU {clock.cpu_s:7.2f} s")
    return made


def disk_mb(folder: Path) -> float:
    """Return what a folder takes on the disk, each file once [MB]."""
    words = ["du", "--summarize", "--block-size=1", str(folder)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[0]) / 1e6


def by_dvc(base: Path, own: Path, store: Store, files: dict[str, str], *, each: bool) -> None:
    """Let DVC itself take the same files: as one folder, or each with a pointer of its own."""
    twin = base / ("each" if each else "twin")
    for path, digest in files.items():
        store.blobs.export(digest, twin / "files" / path)
    subprocess.run(["git", "init", "--quiet"], cwd=twin, check=True)
    dvc(twin, own, ["init", "--quiet"])
    what = [f"files/{path}" for path in files] if each else ["files"]
    name = "dvc add, a pointer for each file" if each else "dvc add, one pointer for the folder"
    measure(name, lambda: dvc(twin, own, ["add", "--quiet", *what]))


def with_size(base: Path, count: int, size: int) -> None:
    """Measure what is done with so many files of one size [bytes]."""
    store, own = open_store(base / "store"), base / "own"
    repository = Repository(base / "repository", own, "Bench <bench@example.org>")
    repository.begin({"storage": {"url": str(base / "storage")}})
    files = fill(store, count, size, 0)
    first = RunFolder("bench", files, {"params.yaml": b"{}\n"}, {})
    second = RunFolder("bench", {**files, **fill(store, count // 10, size, 1)}, {"params.yaml": b"{}\n"}, {})
    before = disk_mb(base)
    with repository.writing():
        measure("commit of ours", lambda: repository.commit(first, "first", store))
        measure("the next one, a tenth of it new", lambda: repository.commit(second, "second", store))
    print(f"  further room on the disk {disk_mb(base) - before:.1f} MB")
    measure("push to a folder", lambda: push(repository, store, "storage"))
    measure("push again", lambda: push(repository, store, "storage"))
    shutil.rmtree(repository.cache.objects)
    measure("pull", lambda: pull(repository, store, "storage"))
    by_dvc(base, own, store, files, each=False)
    if count <= 1000:  # at 12 ms each
        by_dvc(base, own, store, files, each=True)
    store.close()


def main() -> None:
    """Measure each size."""
    for name, (count, size) in SIZES.items():
        print(name)
        with tempfile.TemporaryDirectory() as folder:
            with_size(Path(folder), count, size)


if __name__ == "__main__":
    main()
