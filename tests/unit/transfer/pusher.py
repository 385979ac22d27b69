"""A process of its own that pushes or pulls, to be killed: `python -m tests.unit.transfer.pusher push|pull FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from physlab.transfer import open_remote, pull, push
from tests.unit.conftest import open_lab


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    settings = json.loads((folder / "stores.json").read_text())
    with open_lab(folder, **settings) as lab, open_remote(lab.settings, "nas") as remote:
        print("begun", flush=True)
        done = {"push": push, "pull": pull}[what](lab.store, remote)
        print("done", done.files, flush=True)


if __name__ == "__main__":
    main()
