"""A process that opens or makes a bundle and is killed at its n-th step on disk: `dying.py open|make N ARGUMENTS…`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from physlab.signing import SecretKey

KEY = SecretKey(b"12345678", bytes(range(32)))
STEPS = ("open", "os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate")


def die_at(step: int) -> None:
    """Kill this process at a step on disk from now on; print how many there were at the end otherwise."""
    count = [0]

    def watch(event: str, _: Any) -> None:
        if event in STEPS:
            count[0] += 1
            if count[0] == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    import atexit

    atexit.register(lambda: print(count[0], flush=True))


def main(work: str, step: int, *names: str) -> None:
    from physlab.bundle import Wanted, choose, open_bundle, write_bundle
    from physlab.store import open_store

    home, file = map(Path, names[:2])
    with open_store(home / "store") as store:
        if work == "open":
            die_at(step)
            open_bundle(store, file, home / "bundles", {KEY.public.line})
        else:
            chosen = choose(store, Wanted(names[2], "lab"), None)
            die_at(step)
            write_bundle(store, chosen, KEY, file, made_by="ada", made_at="2027-01-15T08:00:00Z", papers={})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
