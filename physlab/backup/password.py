"""The repository's password: given by a variable, a file or a command, or made here on first use."""

from __future__ import annotations

import secrets
import shlex
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from physlab.backup.place import place_of, unwritable
from physlab.durable import replace_file
from physlab.errors import ConfigurationError
from physlab.settings import Settings, child_environment

COMMAND_S = 120.0


@dataclass(frozen=True)
class Password:
    """How restic gets the password: by its environment, never by its command line. Other engines read it from there.

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


def password_text(settings: Settings) -> tuple[str, str]:
    """Return the password itself, for an engine in this process, and what to tell people about where it is.

    Raises:
        ConfigurationError: It is not there, others may read its file, or its command fails.
    """
    found = find_password(settings, make=False)
    given = found.variables
    if "RESTIC_PASSWORD" in given:
        text = given["RESTIC_PASSWORD"]
    elif "RESTIC_PASSWORD_FILE" in given:
        text = Path(given["RESTIC_PASSWORD_FILE"]).read_text(encoding="utf-8", errors="replace")
    else:
        text = _printed(given["RESTIC_PASSWORD_COMMAND"])
    if not text.strip():
        raise ConfigurationError(f"The password from {found.where} is empty.", hint="See: physlab config show")
    return text.strip(), found.where


def _printed(command: str) -> str:
    """Return what a command prints; no shell reads it, and nothing of it is in an error."""
    words = shlex.split(command)
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=COMMAND_S, stdin=subprocess.DEVNULL,
            env=child_environment({}, drop_prefix=("PHYSLAB_", "RESTIC_", "PREFECT_")),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(
            f"The command backup.password_command cannot be used: {type(error).__name__}.",
            hint=f"Does it work: {words[0]}",
        ) from error
    if done.returncode:
        raise ConfigurationError(
            f"The command backup.password_command ended with exit code {done.returncode}.",
            hint=f"Does it work: {words[0]}",
        )
    return done.stdout


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
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, f"{secrets.token_urlsafe(32)}\n".encode(), mode=0o600)
    except OSError as error:
        raise unwritable(path, error) from error
