"""The folder of the lab's server: its lock, its state, its secret, its log.

Which process serves a home is decided by a lock that ends with its holder, never by a file that may be stale.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from physlab.errors import ConfigurationError, ResourceError


@dataclass(frozen=True)
class ServerFolder:
    """`home/server`, read and written by starters, askers and the server process itself."""

    path: Path

    @property
    def log(self) -> Path:
        """What the server process printed; the one before is beside it as `server.log.1`."""
        return self.path / "server.log"

    @property
    def _run_lock(self) -> Path:
        return self.path / "run.lock"

    @property
    def _start_lock(self) -> Path:
        return self.path / "start.lock"

    @property
    def _state(self) -> Path:
        return self.path / "state.json"

    def make(self) -> None:
        """Make the folder, for its owner only.

        Raises:
            ConfigurationError: It cannot be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._start_lock.touch(mode=0o600)
        except OSError as error:
            raise ConfigurationError(
                f"The lab's home cannot be used: {self.path} is not writable ({error}).",
                hint="Set home in physlab.toml, or PHYSLAB_HOME, to a folder you may write to.",
            ) from error

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Wait until nobody else starts or stops the server of this home."""
        with self._start_lock.open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def serve(self) -> None:
        """Take the home's lock for the life of this process."""
        fcntl.flock(os.open(self._run_lock, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)

    def is_served(self) -> bool:
        """Say whether a server process holds the home's lock."""
        return _is_held(self._run_lock)

    def is_being_started(self) -> bool:
        """Say whether somebody is starting, looking for or stopping the server right now."""
        return _is_held(self._start_lock)

    def state(self) -> dict[str, Any]:
        """Return what the last server process wrote down; nothing when there was none."""
        try:
            return dict(json.loads(self._state.read_text()))
        except (OSError, ValueError):
            return {}

    def write_state(self, state: dict[str, Any]) -> None:
        """Write down that this process serves the home."""
        mine = {**state, "host": socket.gethostname(), "pid": os.getpid(), "born": psutil.Process().create_time()}
        fresh = self._state.with_suffix(".new")
        _write_private(fresh, json.dumps(mine))
        fresh.replace(self._state)

    def auth(self) -> str:
        """Return the secret `user:password` of this home's server, made when first asked for."""
        path = self.path / "auth"
        if not path.exists():
            _write_private(path, f"lab:{secrets.token_urlsafe(32)}")
        return path.read_text()

    def pid(self) -> int:
        """Return the id of the process that serves this home, when it is certainly that process, seen from here.

        Raises:
            ResourceError: It runs on another machine or in another container.
        """
        state = self.state()
        if state.get("host") == socket.gethostname() and psutil.pid_exists(state.get("pid", -1)):
            pid = int(state["pid"])
            if abs(psutil.Process(pid).create_time() - state["born"]) < 5:
                return pid
        raise ResourceError(
            f"The server of the home {self.path.parent} runs on {state.get('host', 'another machine')} as process "
            f"{state.get('pid')}, out of reach from {socket.gethostname()}.",
            hint="Stop it there, set PREFECT_API_URL to a server that both can reach, or use another PHYSLAB_HOME.",
        )

    def last_words(self, count: int = 12) -> str:
        """Return the end of the log, for an error."""
        lines = self.log.read_text(errors="replace").splitlines()[-count:] if self.log.exists() else []
        return "Its log ends with:\n" + "\n".join(lines) + "\n" if lines else ""


def _is_held(lock: Path) -> bool:
    try:
        with lock.open("rb") as stream:  # only read: the home may lie on a disk that cannot be written
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
