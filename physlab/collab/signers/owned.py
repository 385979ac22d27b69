"""Secret keys of people, each a file of minisign behind its owner's passphrase.

keys/people/NAME-0123456789ABCDEF.key    mode 0600; `minisign -S -s FILE` signs with it, too
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from physlab.collab.signers.register import Register, check_name
from physlab.errors import ConfigurationError, StoreError, ValidationError
from physlab.sealing.keyfiles import locked, make_private, read_secret, write_secret
from physlab.signing import KnownKey, SecretKey, make_secret, unlock

LEAST = 8
"""Letters of a passphrase."""


class OwnedKeys:
    """The secret keys in a folder, beside the register that vouches for their public halves.

    Args:
        register: The register.
    """

    def __init__(self, register: Register) -> None:
        self.register, self.folder = register, register.folder

    def current(self, name: str) -> KnownKey:
        """Return the key that a person signs with now.

        Raises:
            ConfigurationError: There is none here.
        """
        now = datetime.now(UTC).isoformat()
        found = [key for key in self.register.of(name) if self.path(key).exists() and key.is_valid(now)]
        if not found:
            revoked = next((key for key in reversed(self.register.of(name)) if key.revoked), None)
            said = f"; key {revoked.public.id} was revoked" if revoked else ""
            raise ConfigurationError(
                f"{name} has no key here to sign with{said}.", hint=f"Make one: physlab sign init --person {name}"
            )
        return found[-1]

    def path(self, key: KnownKey) -> Path:
        """Return where the secret half of a key lies, if it is here."""
        return self.folder / f"{key.name}-{key.public.id}.key"

    def unlock(self, name: str, passphrase: str) -> SecretKey:
        """Open the key that a person signs with now.

        Raises:
            ConfigurationError: There is none here, or others may read its file.
            ValidationError: The passphrase is another one, or the file is damaged.
        """
        key = self.current(name)
        secret = unlock(read_secret(self.path(key)), passphrase)
        if secret.public != key.public:
            raise ConfigurationError(
                f"{self.path(key)} holds another key than its name says.", hint="Restore it from a backup."
            )
        return secret

    def init(self, name: str, passphrase: str, given: SecretKey | None = None) -> KnownKey:
        """Make the first key of a person, or take over one that minisign made.

        Raises:
            ValidationError: There is one that is valid, or the passphrase is too short.
            StoreError: It cannot be written.
        """
        check_name(name)
        with contextlib.suppress(ConfigurationError):
            there = self.current(name)
            raise ValidationError(
                f"{name} has the key {there.public.id}.", hint=f"For a new one: physlab sign rotate --person {name}"
            )
        return self._add(name, passphrase, given or make_secret())

    def rotate(self, name: str, old: str, new: str) -> tuple[KnownKey, KnownKey]:
        """Give a person a new key; what the old one signed stays valid, and it signs nothing any more.

        Killed at any moment, it leaves one of both to sign with.

        Returns:
            The old key and the new one.

        Raises:
            ValidationError: The passphrase does not open the old one, or the new one is too short.
        """
        before = self.current(name)
        self.unlock(name, old)
        fresh = self._add(name, new, make_secret())
        with locked(self.register.folder):
            ended = self.register.keep(replace(self.register.find(before.public.id), until=fresh.since))
        self._forget(ended)
        return ended, fresh

    def revoke(self, key: KnownKey, reason: str, at: str | None = None) -> KnownKey:
        """Say that a key was lost or stolen, and remove its secret half where it is here."""
        done = self.register.revoke(key, reason, at)
        self._forget(done)
        return done

    def _add(self, name: str, passphrase: str, secret: SecretKey) -> KnownKey:
        if len(passphrase) < LEAST:
            raise ValidationError(
                f"A passphrase has {LEAST} letters at least.", hint="Several words are long and easy to remember."
            )
        key = KnownKey(name, secret.public, since=datetime.now(UTC).isoformat())
        make_private(self.folder)
        write_secret(self.path(key), secret.lock(passphrase).encode())  # first: a key that is known is here
        with locked(self.register.folder):
            return self.register.keep(key)

    def _forget(self, key: KnownKey) -> None:
        try:
            self.path(key).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"The secret key {self.path(key)} cannot be removed: {error.strerror or error}.",
                hint="Remove it by hand; it signs nothing that is valid any more.",
            ) from error
