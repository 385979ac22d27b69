"""A process of its own that pushes, pulls, collects or repairs, to be killed: `python -m … WORK FOLDER`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from physlab.lab import Lab
from physlab.service.replicas import repair_replicas
from physlab.transfer import open_remote, pull, push
from physlab.transfer.collecting import DAY_S, collect
from tests.unit.conftest import open_lab


def _pushes(lab: Lab) -> Any:
    with open_remote(lab.settings, "nas") as remote:
        return push(lab.store, remote).files


def _pulls(lab: Lab) -> Any:
    with open_remote(lab.settings, "nas") as remote:
        return pull(lab.store, remote).files


def _collects(lab: Lab) -> Any:
    with open_remote(lab.settings, "nas") as remote:
        return len(collect(lab.store, remote, grace_s=7 * DAY_S).ripe)


def _repairs(lab: Lab) -> Any:
    return len(repair_replicas(lab).mended)


WORK: dict[str, Callable[[Lab], Any]] = {"push": _pushes, "pull": _pulls, "gc": _collects, "repair": _repairs}


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    settings = json.loads((folder / "stores.json").read_text())
    with open_lab(folder, **settings) as lab:
        print("begun", flush=True)
        print("done", WORK[what](lab), flush=True)


if __name__ == "__main__":
    main()
