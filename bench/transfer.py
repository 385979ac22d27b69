"""1 GB into a folder and back, again after a change of 1 %, beside rsync and DVC; chunks, codecs, and the limit.

python bench/transfer.py [MEGABYTES]
"""

from __future__ import annotations

import io
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from physlab.keys import digest_bytes
from physlab.store import Store, open_store
from physlab.transfer import RemoteStore, pull, push
from physlab.transfer.chunks import cut
from physlab.transfer.codec import choose, encode
from physlab.transfer.places import open_place

MB = 1_000_000


def measured(what: str, size: int, work: Callable[[], object]) -> float:
    """Do it and print wall, CPU of this process and its children, and the rate."""
    before, begun = _cpu(), time.perf_counter()
    work()
    wall, cpu = time.perf_counter() - begun, _cpu() - before
    print(f"{what:<46} {wall:7.2f} s wall {cpu:7.2f} s CPU {size / wall / MB:7.0f} MB/s")
    return wall


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def data(size: int, seed: int) -> Iterator[bytes]:
    """Yield pieces of what labs have: noise, measured numbers, smooth fields, text; each a fourth."""
    rng, piece = np.random.default_rng(seed), 4 * MB
    smooth = np.cumsum(rng.normal(size=piece // 8))
    for number in range(size // piece):
        kind = number * 4 * piece // size
        made = (
            lambda: rng.bytes(piece),
            lambda: rng.normal(size=piece // 8).tobytes(),
            lambda number=number: (smooth + number).tobytes(),
            lambda number=number: "".join(f"{number},{row},{row**0.5:.6f}\n" for row in range(piece // 20)).encode(),
        )[min(kind, 3)]()
        yield made[:piece]


def changed(source: Path, target: Path, share: float, seed: int) -> None:
    """Copy a file with so much of it written over, and inserted, at 20 places."""
    choose_place, size = random.Random(seed), source.stat().st_size  # noqa: S311
    places = sorted(choose_place.randrange(size) for _ in range(20))
    length, last = int(size * share / 20), 0
    with source.open("rb") as old, target.open("wb") as new:
        for number, place in enumerate(places):
            new.write(old.read(max(0, place - last)))
            new.write(choose_place.randbytes(length))
            last = max(place, last)
            if number % 2:  # every other one is an insertion
                old.seek(length, os.SEEK_CUR)
                last += length
        shutil.copyfileobj(old, new)


@contextmanager
def opened(folder: Path, name: str, limit: float | None = None) -> Iterator[RemoteStore]:
    """Give a store in a folder."""
    with RemoteStore("bench", open_place(str(folder / name)), folder / "notes" / name, limit=limit) as remote:
        yield remote


def keep(store: Store, path: Path, name: str) -> str:
    """Put a file into a lab, with a record that names it."""
    digest, _ = store.blobs.put(path)
    store.append("version", {"kind": "version", "name": name, "files": [digest]})
    store.flush()
    return digest


def travel(folder: Path, first: Path, second: Path) -> None:
    """Push, push again after the change, pull both into an empty lab."""
    size = first.stat().st_size
    with open_store(folder / "one") as one, open_store(folder / "two") as two:
        keep(one, first, "first")
        with opened(folder, "remote") as remote:
            measured("push", size, lambda: push(one, remote))
            print(f"{'':<46} {remote.tally.sent / size:7.2%} of the bytes travelled")
            objects = sum(1 for _ in (folder / "remote").rglob("*.pack"))
            print(f"{'':<46} {objects} packs")
        keep(one, second, "second")
        with opened(folder, "remote") as remote:
            measured("push again after a change of 1 %", size, lambda: push(one, remote))
            print(f"{'':<46} {remote.tally.sent / size:7.2%} of the bytes travelled")
        with opened(folder, "remote") as remote:
            measured("pull the first", size, lambda: pull(two, remote, "first"))
        with opened(folder, "remote") as remote:
            measured("pull the second", size, lambda: pull(two, remote, "second"))
            print(f"{'':<46} {remote.tally.received / size:7.2%} of the bytes travelled")
        assert set(one.blobs.all()) == set(two.blobs.all()) and not list(two.verify())


def others(folder: Path, first: Path, second: Path) -> None:
    """Do the same with rsync and DVC, as far as they are there."""
    size = first.stat().st_size
    if shutil.which("rsync"):
        target = folder / "rsync"
        target.mkdir()
        measured("rsync", size, lambda: subprocess.run(["rsync", "-a", first, target / "file"], check=True))
        again = ["rsync", "-a", "--no-whole-file", "--stats", second, target / "file"]
        said: list[str] = []
        run = lambda: said.append(subprocess.run(again, check=True, capture_output=True, text=True).stdout)  # noqa: E731
        measured("rsync --no-whole-file after the change", size, run)
        [line] = [line for line in said[0].splitlines() if line.startswith("Literal data")]
        print(f"{'':<46} {int(line.split()[2].replace(',', '')) / size:7.2%} of the bytes travelled")
    if shutil.which("dvc") or (Path(sys.executable).parent / "dvc").exists():
        work = folder / "dvc"
        work.mkdir()

        def dvc(*commands: str) -> None:
            for command in commands:
                words = [sys.executable, "-m", "dvc", *command.split()]
                subprocess.run(words, cwd=work, check=True, capture_output=True)

        dvc("init --no-scm", f"remote add -d there {folder / 'dvc-remote'}")
        shutil.copy(first, work / "file")
        measured("dvc add and push", size, lambda: dvc("add file", "push"))
        shutil.copy(second, work / "file")
        measured("dvc add and push after the change", size, lambda: dvc("add file", "push"))
        print(f"{'':<46} {1:7.2%} of the bytes travelled (whole files)")


def chunk_sizes(first: Path, second: Path) -> None:
    """Compare how much a change of 1 % resends, and how long cutting takes."""
    for average in (16 << 10, 64 << 10, 256 << 10, 1 << 20):
        begun = time.perf_counter()
        with first.open("rb") as stream:
            before = {digest_bytes(chunk) for chunk in cut(stream, average)}
        took = time.perf_counter() - begun
        new = count = 0
        with second.open("rb") as stream:
            for chunk in cut(stream, average):
                count += 1
                new += len(chunk) if digest_bytes(chunk) not in before else 0
        rate = first.stat().st_size / took / MB
        again = new / second.stat().st_size
        print(f"chunks of {average >> 10:5} KiB: {again:7.2%} again, {count:6} chunks, {rate:5.0f} MB/s")


def codecs() -> None:
    """Say what the samples choose, and what it saves."""
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(size=4_000_000))
    kinds = {
        "random bytes": rng.bytes(32 * MB),
        "normal float64": rng.normal(size=4_000_000).tobytes(),
        "random walk float64": walk.tobytes(),
        "sin(x) float64": np.sin(np.linspace(0, 100, 4_000_000)).tobytes(),
        "sin(x) float32": np.sin(np.linspace(0, 100, 8_000_000)).astype("f4").tobytes(),
        "counts int64": rng.poisson(40, 4_000_000).tobytes(),
        "csv": "".join(f"{row},{row**0.5:.6f}\n" for row in range(1_500_000)).encode(),
    }
    for name, content in kinds.items():
        codec = choose(lambda start, length, content=content: content[start : start + length], len(content))
        begun = time.perf_counter()
        packed = sum(len(encode(chunk, codec)[0]) for chunk in cut(io.BytesIO(content)))
        plain = sum(len(encode(chunk, "zstd")[0]) for chunk in cut(io.BytesIO(content)))
        rate = 2 * len(content) / (time.perf_counter() - begun) / MB
        gain, alone = len(content) / packed, len(content) / plain
        print(f"{name:<22} {codec:<14} {gain:6.2f} times smaller (zstd alone {alone:5.2f}), {rate:5.0f} MB/s")


def limits(folder: Path) -> None:
    """Push 20 MB at 5 MB/s."""
    (folder / "limited").write_bytes(np.random.default_rng(1).bytes(20 * MB))
    with open_store(folder / "three") as store, opened(folder, "slow", 5e6) as remote:
        keep(store, folder / "limited", "limited")
        begun = time.perf_counter()
        push(store, remote)
        print(f"--limit 5MB/s: {remote.tally.sent / (time.perf_counter() - begun) / MB:.2f} MB/s")


def main() -> None:
    """Print all figures."""
    size = int(sys.argv[1] if len(sys.argv) > 1 else 1000) * MB
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        first, second = folder / "first.dat", folder / "second.dat"
        with first.open("wb") as stream:
            for piece in data(size, 1):
                stream.write(piece)
        changed(first, second, 0.01, 2)
        travel(folder, first, second)
        others(folder, first, second)
        chunk_sizes(first, second)
        limits(folder)
    codecs()
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
