"""Who speaks and signs: the person of this lab, keys, passphrases."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

from physlab.collab.signers import OwnedKeys, Register
from physlab.collab.signers.passphrase import given_passphrase
from physlab.collab.signers.register import check_name
from physlab.errors import ConfigurationError
from physlab.settings import Settings
from physlab.signing import KnownKey, PublicKey, SecretKey, read_public

Ask = Callable[[str], str | None]
"""Asks for the passphrase of a person; None where nobody can be asked."""


def register_of(settings: Settings) -> Register:
    """Return the keys of people that this lab knows."""
    return Register(settings.home / "keys" / "people")


def owned_by(settings: Settings) -> OwnedKeys:
    """Return the secret keys of people in this lab."""
    return OwnedKeys(register_of(settings))


def person_of(settings: Settings) -> str:
    """Return who speaks in this lab: `collaboration.person`, else the login.

    Raises:
        ValidationError: It cannot be the name of a person.
    """
    return check_name(settings.collaboration.person or getpass.getuser())


def open_key(settings: Settings, person: str, ask: Ask | None = None) -> SecretKey:
    """Open the key that a person signs with, with a passphrase that is asked for, or with that of the settings.

    Raises:
        ConfigurationError: There is no key, or no passphrase.
        ValidationError: The passphrase is another one.
    """
    keys = owned_by(settings)
    keys.current(person)  # before anybody is asked for anything
    passphrase = ask(person) if ask is not None else given_passphrase(settings)
    if passphrase is None:
        raise ConfigurationError(
            f"The key of {person} is locked.",
            hint="Give its passphrase: PHYSLAB_COLLABORATION__PASSPHRASE, or collaboration.passphrase_file.",
        )
    return keys.unlock(person, passphrase)


def read_key(text: str) -> PublicKey:
    """Return the public key of a line RW…, or of a file of minisign.

    Raises:
        ValidationError: It is none.
    """
    path = Path(text)
    return read_public(path.read_text(encoding="utf-8", errors="replace") if path.is_file() else text)


def told_key(key: KnownKey, *, owned: bool) -> dict[str, Any]:
    """Return what may be shown of a key."""
    return {
        "person": key.name, "id": key.public.id, "key": key.public.line, "since": key.since, "until": key.until,
        "revoked": key.revoked, "reason": key.reason, "signs_here": owned,
    }  # fmt: skip
