"""The repository's password: given by a variable, a file or a command, or made here on first use."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from physlab.backup.place import place_of, unwritable
from physlab.errors import ConfigurationError
from physlab.settings import Settings
from physlab.store.blobs import force_folder


@dataclass(frozen=True)
class Password:
    """How restic gets the password: by its environment, never by its command line.

    Attributes:
        variables: For the environment of restic.
        where: What to tell people about where it is.
        own: The file that was made here; None where the password is given.
        fresh: It was made just now.
    """

    variables: dict[str, str]
    where: str
    own: Path | None = None
    fresh: bool = False


def find_password(settings: Settings, *, make: bool) -> Password:
    """Return the password that the settings lead to.

    Args:
        settings: The lab's.
        make: Make one when none is given and none was made.

    Raises:
        ConfigurationError: The file is missing, or others may read it.
        StoreError: It cannot be written.
    """
    given = settings.backup
    if given.password is not None:
        return Password({"RESTIC_PASSWORD": given.password.get_secret_value()}, "the variable PHYSLAB_BACKUP__PASSWORD")
    if given.password_command is not None:
        return Password({"RESTIC_PASSWORD_COMMAND": given.password_command}, "the command backup.password_command")
    if given.password_file is not None:
        _require_private(given.password_file)
        return Password({"RESTIC_PASSWORD_FILE": str(given.password_file)}, str(given.password_file))
    own = place_of(settings).password
    fresh = make and not own.exists()
    if fresh:
        _make(own)
    _require_private(own)
    return Password({"RESTIC_PASSWORD_FILE": str(own)}, str(own), own, fresh)


def _require_private(path: Path) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise ConfigurationError(
            f"The password file {path} cannot be read: {error.strerror or error}.",
            hint="Put the copy that you kept elsewhere back, mode 600, or name another: [backup] password_file.",
        ) from error
    if mode & 0o077:
        raise ConfigurationError(
            f"The password file {path} may be read by others (mode {mode:o}).", hint=f"Then: chmod 600 {path}"
        )


def _make(path: Path) -> None:
    """Write a new password, complete or not at all: 256 random bits."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(f"{secrets.token_urlsafe(32)}\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, path)
        force_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise unwritable(path, error) from error
