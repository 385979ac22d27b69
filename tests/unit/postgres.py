"""A PostgreSQL server of the tests' own: no network, no root, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
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

    data, setpriv = home / "data", shutil.which("setpriv")
    dies_along = [setpriv, "--pdeathsig", "QUIT"] if setpriv else []  # with a run of tests that is killed
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={home}", "-c", "fsync=off"]
    try:
        call(programs / "initdb", "-D", data, "-U", "lab", "-A", "trust", "-E", "UTF8", "--no-sync")
        with (home / "log").open("wb") as log:
            words = [*dies_along, str(programs / "postgres"), "-D", str(data), *options]
            server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=user, cwd="/")
        try:
            _wait(server, data / "postmaster.pid", home / "log")
            yield f"postgresql+psycopg://lab@/postgres?host={home}"
        finally:
            server.send_signal(signal.SIGQUIT)  # at once; nothing of it is kept
            server.wait(60)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait(server: subprocess.Popen[bytes], state: Path, log: Path) -> None:
    """Wait until the server's own file of its state says that it takes connections."""
    end = time.monotonic() + 120
    while not state.is_file() or state.read_text().split()[-1:] != ["ready"]:
        if server.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"PostgreSQL does not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)
