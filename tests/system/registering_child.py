"""Registers, tags and collects without end, and says what is acknowledged: to be killed."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from physlab.store import open_store
from physlab.versioning.garbage import collect, find_garbage
from physlab.versioning.register import Wish, register


def main(root: Path, seed: int) -> None:
    choose = random.Random(seed)
    work = root / f"work-{seed}"
    work.mkdir(exist_ok=True)
    with open_store(root / "store") as store:
        print("open", flush=True)
        while True:
            size = choose.choice((10, 1000, 6_000_000))
            names = [f"{choose.random()}" for _ in range(choose.choice((1, 3, 40)))]
            for name in names:
                (work / name).write_bytes(choose.randbytes(size if len(names) == 1 else 100))
            what = names if choose.random() < 0.7 else ["."]
            for item in register(store, Wish(what, params={"seed": seed}), work):
                print(item.record, item.version.content.sha256, flush=True)
            for name in names:
                (work / name).unlink()
            if choose.random() < 0.3:
                store.blobs.put(choose.randbytes(100))  # nobody will need it
                collect(store, find_garbage(store, grace_s=0.0), grace_s=0.0)
            time.sleep(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
