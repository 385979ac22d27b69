"""A folder in which all processes of one user on one machine agree on how often a cluster is asked.

Whatever stands in it is replaced whole, under a lock that ends with its holder: a process may be killed at any moment.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from physlab.errors import CancelledError, ConfigurationError
from physlab.keys import digest
from physlab.settings import cache_folder

LOOK_S = (0.005, 0.05)
WORTH_SAYING_S = 2.0
log = logging.getLogger(__name__)
KEEP_S = 30 * 86_400.0
"""So long the folder of a cluster stays that nobody works on any more [s]."""


class SharedRoom:
    """The folder for one cluster.

    Args:
        place: What tells the cluster, and the machine that it is asked from, from all others.
    """

    def __init__(self, place: Sequence[str]) -> None:
        self.folder = cache_folder() / "slurm" / digest(list(place))[:16]
        self._leaving = threading.Event()

    def leave(self) -> None:
        """Let nobody of this process wait here any longer."""
        self._leaving.set()

    def wait(self, seconds: float) -> None:
        """Wait.

        Raises:
            CancelledError: Meanwhile this process is to end.
        """
        if self._leaving.wait(seconds):
            raise CancelledError("Nothing more is asked of the cluster: the work was stopped.")

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a lock, one of several, that no other process holds.

        Raises:
            ConfigurationError: The folder cannot be used.
            CancelledError: This process is to end.
        """
        try:
            self._open()
            descriptor = os.open(self.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._acquire(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _acquire(self, descriptor: int) -> None:
        pause = LOOK_S[0]
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.wait(pause)
                pause = min(LOOK_S[1], 2 * pause)
            except OSError as error:
                raise self._unusable(error) from error

    def read(self, name: str) -> Any:
        """Return what stands under a name, None for nothing."""
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.folder / name).read_bytes())
        return None

    def write(self, name: str, value: Any) -> None:
        """Replace what stands under a name.

        Raises:
            ConfigurationError: The folder cannot be used.
        """
        aside = self.folder / f".{name}.{secrets.token_hex(4)}"
        try:
            aside.write_text(json.dumps(value))
            aside.replace(self.folder / name)
        except OSError as error:
            raise self._unusable(error) from error

    def _open(self) -> None:
        """Make the folder, for this user alone, and clear away those of clusters that are long gone."""
        if not self.folder.is_dir():
            self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for other in self.folder.parent.iterdir():
                if time.time() - other.stat().st_mtime > KEEP_S:
                    shutil.rmtree(other, ignore_errors=True)
            self.folder.mkdir(exist_ok=True, mode=0o700)
        found = self.folder.stat()
        if found.st_uid != os.getuid():
            raise PermissionError(f"it belongs to the user {found.st_uid}")
        if found.st_mode & 0o077:
            self.folder.chmod(0o700)

    def _unusable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"The folder {self.folder} cannot be used: {error}.",
            hint="Processes on this machine share it; set XDG_CACHE_HOME to a folder of yours that can be locked.",
        )


def take_turn(room: SharedRoom, name: str, per_minute: int) -> float:
    """Take the next turn of those that there are in a minute; return how long it must be waited for [s].

    Half of them may be taken at once, the others come evenly, so that no minute has more than it may. Whoever dies
    while he waits has wasted his turn, nothing else.

    Args:
        room: Where all agree on it.
        name: Of what.
        per_minute: How many there are [1/min].
    """
    with room.locked(name):
        left = free_turns(room, name, per_minute) - 1
        room.write(f"{name}.json", {"at": time.time(), "left": left})
    return max(0.0, -left / _rate(per_minute))


def free_turns(room: SharedRoom, name: str, per_minute: int) -> float:
    """Return how many turns may be taken without waiting; below zero those that wait are counted."""
    known: dict[str, float] = room.read(f"{name}.json") or {}
    passed = max(0.0, time.time() - known.get("at", 0.0))
    burst = float((per_minute + 1) // 2)
    return min(burst, known.get("left", burst) + passed * _rate(per_minute))


def _rate(per_minute: int) -> float:
    """Return how many turns come in a second when the first half is gone [1/s]."""
    return (per_minute - (per_minute + 1) // 2 + 1) / 60


def wait_turn(room: SharedRoom | None, name: str, per_minute: int | None) -> None:
    """Take a turn and wait for it; where there is no limit, or nothing is shared, there is nothing to wait for.

    Raises:
        CancelledError: Meanwhile this process is to end.
    """
    if per_minute is None or room is None:
        return
    seconds = take_turn(room, name, per_minute)
    if seconds > WORTH_SAYING_S:
        log.warning("Waiting %.0f s: the cluster's policy allows %s %s a minute.", seconds, per_minute, name)
    room.wait(seconds)
