"""Files of secrets: for their owner alone, complete or absent, and not taken from where others may read them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from physlab.durable import replace_file
from physlab.errors import ConfigurationError, StoreError


def read_secret(path: Path) -> str:
    """Return the text of a file that only its owner may read.

    Raises:
        ConfigurationError: It is not there, cannot be read, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise ConfigurationError(
                f"The key file {path} may be read by others (mode {stat.S_IMODE(mode):o}).",
                hint=f"If nobody did: chmod 600 {path}; else make a new key: physlab keys rotate (or sign rotate)",
            )
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The key file {path} is not text.", hint="Restore it from a copy.") from error
    except OSError as error:
        raise ConfigurationError(
            f"The key file {path} cannot be read: {error.strerror or error}.", hint="Make keys with: physlab keys init"
        ) from error


def make_private(folder: Path) -> None:
    """Make a folder, and the one that it is in, where they are not there, for their owner alone.

    Raises:
        OSError: One cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)


@contextlib.contextmanager
def locked(folder: Path, name: str = ".lock") -> Iterator[None]:
    """Keep other processes from changing keys in a folder meanwhile.

    Args:
        folder: Made where it is not there.
        name: Of the file that is locked.

    Raises:
        ConfigurationError: The folder cannot be written.
    """
    try:
        make_private(folder)
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"The folder of keys {folder} cannot be written: {error.strerror or error}.",
            hint="Make it writable, or choose another PHYSLAB_HOME.",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, complete or not at all.

    Raises:
        StoreError: The disk is full, or the folder cannot be written.
    """
    try:
        make_private(path.parent)
        replace_file(path, data, mode=0o600)
    except OSError as error:
        raise StoreError(
            f"The key file {path} cannot be written: {error.strerror or error}.",
            hint="Free disk space or make the folder writable; the keys before still hold.",
        ) from error
