"""A process that commits runs and kills itself at its n-th step that changes something on disk.

python -m tests.system.dvc_kill FOLDER STEP

It prints how many steps it came to when it was not killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from physlab.plugins import all_tools
from physlab.service.dvc import commit_runs
from tests.unit import toys
from tests.unit.conftest import open_lab


def main(folder: str, step: str) -> int:
    """Commit every run of the lab in a folder, up to a step."""
    toys.register(all_tools())
    count = 0

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*words: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == int(step):
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*words, **more)

        return counted

    with open_lab(Path(folder)) as lab:
        for owner, name in ((os, "replace"), (os, "rename"), (os, "link"), (os, "unlink"), (subprocess, "run")):
            setattr(owner, name, deadly(getattr(owner, name)))
        commit_runs(lab, every=True)
    sys.stdout.write(f"{count}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
