"""Leases: one owner per key, with a heartbeat, never outliving the owner.

A process has one owner file; each lease is a hard link to it, so that one touch of the owner file is the heartbeat of
all its leases, and a lease appears with its content or not at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from physlab.errors import StoreError

HEARTBEAT_S = 5.0
EXPIRY_S = 60.0


class Leases:
    """The leases of one store.

    Args:
        root: Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "leases"
        self._owner: Path | None = None
        self._guard = threading.Lock()
        self._stop = threading.Event()

    def create(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def acquire(self, key: str) -> bool:
        """Take the lease of a key if it is free or its owner is gone.

        Raises:
            StoreError: The folder cannot be written.
        """
        try:
            owner = self._owner_file()
            with contextlib.suppress(FileExistsError):
                os.link(owner, f"{self.folder}{os.sep}{key}")
                return True
            lease = self.folder / key
            return self._is_stale(lease) and self._steal(owner, lease)
        except OSError as error:
            raise StoreError(
                f"The folder {self.folder} cannot be written: {error.strerror or error}.",
                hint="Free disk space, make the folder writable, or choose another PHYSLAB_HOME.",
            ) from error

    def release(self, key: str) -> None:
        """Give a lease back."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.folder}{os.sep}{key}")

    def held(self) -> list[str]:
        """Return the keys of leases whose owner lives."""
        names = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        return sorted(path.name for path in names if not self._is_stale(path))

    def close(self) -> None:
        """End the heartbeat and remove the owner file."""
        self._stop.set()
        with self._guard:
            if self._owner is not None:
                with contextlib.suppress(FileNotFoundError):
                    self._owner.unlink()
                self._owner = None

    def _owner_file(self) -> Path:
        with self._guard:
            if self._owner is None:
                owner = self.folder / f".owner-{uuid.uuid4().hex}"
                owner.write_text(json.dumps(name_process()))
                self._stop.clear()
                threading.Thread(target=self._beat, args=(owner,), name="leases", daemon=True).start()
                self._owner = owner
            return self._owner

    def _beat(self, owner: Path) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            with contextlib.suppress(FileNotFoundError):
                os.utime(owner)

    def _is_stale(self, lease: Path) -> bool:
        try:
            age = time.time() - lease.stat().st_mtime
            content = json.loads(lease.read_text())
        except FileNotFoundError:
            return True
        except ValueError:  # a power cut emptied it
            return age > EXPIRY_S
        return age > EXPIRY_S if content["host"] != socket.gethostname() else has_ended(content)

    def _steal(self, owner: Path, lease: Path) -> bool:
        """Replace the lease of a dead owner; the lock keeps two thieves apart."""
        with open(self.folder / ".lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if lease.exists() and not self._is_stale(lease):
                return False
            with contextlib.suppress(FileNotFoundError):
                lease.unlink()
            try:
                os.link(owner, lease)
            except FileExistsError:
                return False
            return True


def name_process(pid: int | None = None) -> dict[str, Any]:
    """Return what tells a process from all others: host, number, and when it began; this one by default."""
    process = psutil.Process(pid)
    return {"host": socket.gethostname(), "pid": process.pid, "started": process.create_time()}


def has_ended(named: Mapping[str, Any]) -> bool:
    """Say whether a named process is certainly gone: never so for one of another host."""
    if named["host"] != socket.gethostname():
        return False
    try:
        process = psutil.Process(named["pid"])
        return abs(process.create_time() - named["started"]) > 1 or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
