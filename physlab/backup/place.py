"""The folder `home/backup`: its lock, restic's cache and log, and what is laid ready for a backup."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from physlab.errors import ResourceError, StoreError
from physlab.settings import Settings

SAID = "said-"
"""How folders begin that hold what a program prints, as long as it runs."""
LEFT_S = 2 * 86_400.0


@dataclass(frozen=True)
class Place:
    """`home/backup`, for its owner only.

    Args:
        home: The lab's home.
    """

    home: Path

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self.home / "backup"

    @property
    def view(self) -> Path:
        """What is laid ready: a state of journal, databases and configuration that fits together."""
        return self.folder / "view"

    @property
    def cache(self) -> Path:
        """The engine's cache; may be deleted."""
        return self.folder / "cache"

    @property
    def drills(self) -> Path:
        """Where drills restore to."""
        return self.folder / "drill"

    @property
    def password(self) -> Path:
        """The password that was made here; never part of a backup."""
        return self.home / "keys" / "backup.password"

    def make(self) -> None:
        """Make the folder.

        Raises:
            StoreError: It cannot be written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.cache.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error

    @contextmanager
    def alone(self, *, wait: bool = False) -> Iterator[None]:
        """Let no other backup, check or drill of this home go on meanwhile; clear what a killed one left.

        Args:
            wait: Wait for the end of another.

        Raises:
            ResourceError: Another one goes on.
            StoreError: The folder cannot be written.
        """
        self.make()
        try:
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            os.close(handle)
            raise ResourceError(
                f"Another backup, check or drill of the lab {self.home} is at work.",
                hint="Wait for its end, then: physlab backup status",
            ) from error
        try:
            self.clear()
            yield
        finally:
            self.clear()
            os.close(handle)

    def clear(self) -> None:
        """Remove what was laid ready, what a drill brought, and what killed processes left."""
        for folder in (self.view, self.drills, *self.cache.glob("restic-check-cache-*")):
            clear_folder(folder)
        for said in self.folder.glob(f"{SAID}*"):  # a younger one may be that of a list that is being asked for
            with contextlib.suppress(FileNotFoundError):
                if time.time() - said.stat().st_mtime > LEFT_S:
                    clear_folder(said)


def clear_folder(folder: Path) -> None:
    """Remove a folder with everything in it, whatever its modes."""
    if not folder.exists():
        return
    for root, names, _ in os.walk(folder):
        for path in (root, *(os.path.join(root, name) for name in names)):
            if not os.path.islink(path):
                os.chmod(path, 0o700)
    shutil.rmtree(folder)


def place_of(settings: Settings) -> Place:
    """Return the place of a lab."""
    return Place(settings.home)


def unwritable(folder: Path, error: OSError, again: str = "physlab backup run") -> StoreError:
    """Return the error for a folder that cannot be written, with the command to type when it can."""
    return StoreError(
        f"{folder} cannot be written: {error.strerror or error}.",
        hint=f"Free disk space or make the folder writable; nothing half-done was left. Then again: {again}",
    )
