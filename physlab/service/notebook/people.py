"""Who speaks and signs: the person of this lab, keys, passphrases."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physlab.collab.people.accounts import Person
from physlab.collab.people.naming import account_of, people_in
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


@dataclass(frozen=True)
class Speaker:
    """Somebody who writes or signs.

    Attributes:
        login: What they are called at the command line.
        id: What the records call them: the id of their account, which names nobody; the login where they have none.
    """

    login: str
    id: str

    def is_author(self, author: str) -> bool:
        """Say whether they are the author of a record: by their id, or by their login before they had an account."""
        return author in (self.id, self.login)


def speaker_of(settings: Settings, name: str | None = None) -> Speaker:
    """Return who speaks in this lab: the one that is named, else `collaboration.person`, else the login.

    Raises:
        ValidationError: It cannot be the name of a person.
        StoreError: The accounts cannot be read.
    """
    login = check_name(name or settings.collaboration.person or getpass.getuser())
    account = account_of(settings, login)
    if account is None or _goes_by_login(settings, login, account):
        return Speaker(login, login)
    return Speaker(account.login if login == account.id else login, account.id)


def _goes_by_login(settings: Settings, login: str, account: Person) -> bool:
    """Say whether somebody signed before sharing gave them an account that knows no more of them than the login."""
    register = register_of(settings)
    bare = account.name == login and account.mail is None and not account.has_password
    return bare and bool(register.of(login)) and not register.of(account.id)


def holder_of(settings: Settings, name: str | None = None) -> str:
    """Return whose keys are meant: of the account, or of the login where only that has some."""
    speaker = speaker_of(settings, name)
    register = register_of(settings)
    return speaker.id if register.of(speaker.id) or not register.of(speaker.login) else speaker.login


def open_key(settings: Settings, person: str, ask: Ask | None = None) -> SecretKey:
    """Open the key that a person signs with, with a passphrase that is asked for, or with that of the settings.

    Raises:
        ConfigurationError: There is no key, or no passphrase.
        ValidationError: The passphrase is another one.
    """
    keys = owned_by(settings)
    _refuse_earlier(settings, person)
    keys.current(person)  # before anybody is asked for anything
    passphrase = ask(person) if ask is not None else given_passphrase(settings)
    if passphrase is None:
        raise ConfigurationError(
            f"The key of {person} is locked.",
            hint="Give its passphrase: PHYSLAB_COLLABORATION__PASSPHRASE, or collaboration.passphrase_file.",
        )
    return keys.unlock(person, passphrase)


def _refuse_earlier(settings: Settings, person: str) -> None:
    """Refuse a person with an account who has a key from before: it would write their login into the notebook."""
    found = people_in(settings, person).get(person)
    register = register_of(settings)
    if found is None or register.of(person) or not register.of(found.login):
        return
    raise ConfigurationError(
        f"{found.login} has an account now, and the key of before carries the login.",
        hint=f"Make one for the account; what the old one signed stays valid: physlab sign init --person {found.login}",
    )


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
