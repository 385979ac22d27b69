"""A PostgreSQL server of the tests' own: no network, no root, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find_server() -> Path | None:
    """Return the folder of PostgreSQL's server programs."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def run_server(programs: Path) -> Iterator[str]:
    """Start a server on a Unix socket, yield the SQLAlchemy URL of its database, and stop it."""
    home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # the path of a socket must be short
    user = "nobody" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root
    if user:
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)

    def call(*command: str | Path) -> None:
        subprocess.run(list(map(str, command)), check=True, capture_output=True, user=user, cwd="/", timeout=120)

    data = home / "data"
    options = f"-c listen_addresses='' -c unix_socket_directories='{home}' -c fsync=off"
    try:
        call(programs / "initdb", "-D", data, "-U", "lab", "-A", "trust", "-E", "UTF8", "--no-sync")
        call(programs / "pg_ctl", "-D", data, "-w", "-l", home / "log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://lab@/postgres?host={home}"
        finally:
            call(programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)
