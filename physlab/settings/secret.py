"""Secrets that the settings name: in a file, a variable, or printed by a program."""

from __future__ import annotations

import os
import subprocess

from physlab.errors import ConfigurationError
from physlab.settings.remote import KeySettings

TIMEOUT_S = 60.0


def server_key(keys: KeySettings) -> str | None:
    """Return the text of the server key from where the settings say; None where they say nothing.

    Raises:
        ConfigurationError: It is not there; what it is stands in no message.
    """
    if keys.server_file is not None:
        try:
            return keys.server_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(f"The file {keys.server_file} (keys.server_file) cannot be read: {error}.") from error
    if keys.server_variable is not None:
        text = os.environ.get(keys.server_variable)
        if not text:
            raise _unreadable(f"The variable {keys.server_variable} (keys.server_variable) is not set.")
        return text
    return _printed(keys.server_command) if keys.server_command else None


def _printed(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unreadable(f"The program '{command[0]}' (keys.server_command) cannot be used: {error}.") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise _unreadable(f"'{command[0]}' (keys.server_command) ended with {done.returncode}: {said[0]}.")
    return done.stdout


def _unreadable(message: str) -> ConfigurationError:
    return ConfigurationError(message, hint="It must give one line AGE-SECRET-KEY-1…; see: physlab config show")
