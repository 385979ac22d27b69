"""Where a passphrase comes from when nobody is asked: the settings, or a file that only its owner may read."""

from __future__ import annotations

import stat
from pathlib import Path

from physlab.errors import ConfigurationError
from physlab.settings import Settings


def given_passphrase(settings: Settings) -> str | None:
    """Return the passphrase that the settings give, None where they give none.

    Raises:
        ConfigurationError: Its file cannot be read, or others may read it.
    """
    told = settings.collaboration
    if told.passphrase is not None:
        return told.passphrase.get_secret_value()
    return read_passphrase(told.passphrase_file) if told.passphrase_file is not None else None


def read_passphrase(path: Path) -> str:
    """Return the first line of a file that only its owner may read.

    Raises:
        ConfigurationError: It cannot be read, others may read it, or it is empty.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The passphrase file {path} cannot be read: {error}.", hint="It is one line of UTF-8 text."
        ) from error
    if path.is_file() and mode & 0o077:
        raise ConfigurationError(
            f"The passphrase file {path} may be read by others (mode {mode:o}).", hint=f"Then: chmod 600 {path}"
        )
    line = text.partition("\n")[0].rstrip("\r")
    if not line:
        raise ConfigurationError(f"The passphrase file {path} is empty.", hint="Its first line is the passphrase.")
    return line
