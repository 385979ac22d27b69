"""Asking people for passphrases; programs give them by the settings or a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from physlab.settings import Settings


def asking(settings: Settings, file: Path | None) -> Callable[[str], str | None]:
    """Return how to learn a passphrase: from a file, the settings, by asking at a terminal, else not at all."""

    def ask(person: str) -> str | None:
        from physlab.collab.people.naming import people_in, with_logins
        from physlab.collab.signers.passphrase import given_passphrase, read_passphrase

        given = read_passphrase(file) if file is not None else given_passphrase(settings)
        if given is not None or not sys.stdin.isatty():
            return given
        called = with_logins(person, people_in(settings, person))
        return str(typer.prompt(f"Passphrase of {called}", hide_input=True, err=True))

    return ask


def hidden(words: str, file: Path | None) -> str:
    """Return a secret: from a file, else asked for without showing it.

    Raises:
        ConfigurationError: Nobody can be asked.
    """
    from physlab.errors import ConfigurationError
    from physlab.sealing.keyfiles import read_secret

    if file is not None:
        return read_secret(file).strip()
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{words}: nobody can be asked for it.", hint="Give it in a file of mode 600.")
    return str(typer.prompt(words, hide_input=True, err=True)).strip()


def fresh(person: str, file: Path | None, given: str | None) -> str:
    """Return the passphrase for a new key: from a file, else the one that is given, else asked for twice.

    Raises:
        ConfigurationError: Nobody can be asked.
    """
    from physlab.collab.signers.passphrase import read_passphrase
    from physlab.errors import ConfigurationError

    if file is not None:
        return read_passphrase(file)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "A key needs a passphrase, and nobody can be asked for it.",
            hint="Give --passphrase-file FILE, or PHYSLAB_COLLABORATION__PASSPHRASE.",
        )
    text = f"New passphrase of {person}"
    return str(typer.prompt(text, hide_input=True, confirmation_prompt=True, err=True))
