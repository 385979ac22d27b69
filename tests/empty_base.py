"""An empty Prefect database with all of Prefect's migrations.

Carrying them out costs a server as much as the rest of its start, so Prefect does it once for all processes of the
tests, and servers begin with a copy. `tests/flows/test_server.py` and the README begin with nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAME = "prefect.db"


def make(folder: Path) -> Path:
    """Return the database in a folder that processes share; who comes first lets Prefect make it."""
    folder.mkdir(exist_ok=True)
    made = folder / NAME
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _migrate(made)
    return made


def _migrate(made: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="physlab-prefect-") as home:
        base = Path(home) / NAME
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
        environment |= {"PREFECT_HOME": home}
        subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True,
        )  # fmt: skip
        assert not base.with_name(f"{NAME}-wal").exists(), "all of it is in the one file"
        shutil.copy(base, made.with_suffix(".part"))
    made.with_suffix(".part").replace(made)


def furnish(home: Path, base: Path) -> None:
    """Give the Prefect server of a lab's home a database to begin with."""
    (home / "server").mkdir(mode=0o700, parents=True)
    shutil.copy(base, home / "server" / NAME)
