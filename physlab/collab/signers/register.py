"""Public keys of people, one file each: whose they are, and from when to when what they sign holds.

    keys/people/NAME-0123456789ABCDEF.json    {name, key, since, until, revoked, reason}

A key never changes its owner, and is never removed: what it signed has to be verified for good.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from physlab.durable import replace_file
from physlab.errors import StoreError, ValidationError, nearest
from physlab.sealing.keyfiles import locked, make_private
from physlab.signing import Known, KnownKey, PublicKey, read_public

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_FIELDS = ("since", "until", "revoked", "reason")


class Register:
    """The public keys in a folder.

    Args:
        folder: Usually `PHYSLAB_HOME/keys/people`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def known(self) -> list[KnownKey]:
        """Return all keys, by name and by when they began.

        Raises:
            StoreError: A file is damaged, or cannot be read.
        """
        paths = sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []
        return sorted(map(_read, paths), key=lambda key: (key.name, key.since or "", key.public.id))

    def trusted(self) -> Known:
        """Return them for verification."""
        return Known(self.known())

    def of(self, name: str) -> list[KnownKey]:
        """Return the keys of a person, the oldest first."""
        return [key for key in self.known() if key.name == name]

    def has_id(self, key_id: str) -> bool:
        """Say whether a key has this id."""
        return any(key.public.id == key_id.upper() for key in self.known())

    def find(self, name: str) -> KnownKey:
        """Return a key by its id, or the latest one of a person.

        Raises:
            ValidationError: There is none.
        """
        known = self.known()
        found = [key for key in known if key.public.id == name.upper()] or [key for key in known if key.name == name]
        if not found:
            names = {key.name for key in known}
            raise ValidationError(
                f"No key of '{name}' is known.",
                hint=nearest(name, names) if names else f"Make one: physlab sign init --person {name}",
            )
        return found[-1]

    def trust(self, name: str, public: PublicKey, since: str | None = None, until: str | None = None) -> KnownKey:
        """Vouch for a key of a person.

        Raises:
            ValidationError: It is another one's, or it is revoked, or the name cannot be one.
        """
        check_name(name)
        if since and until and datetime.fromisoformat(since) >= datetime.fromisoformat(until):
            raise ValidationError(f"The key would end ({until}) before it begins ({since}).", hint="Turn them round.")
        with locked(self.folder):
            before = next((key for key in self.known() if key.public.number == public.number), None)
            if before is not None and (before.name != name or before.public != public):
                raise ValidationError(
                    f"Key {public.id} is that of {before.name}.", hint=f"See: physlab sign show --person {before.name}"
                )
            if before is not None and before.revoked:
                raise ValidationError(
                    f"Key {public.id} of {name} was revoked at {before.revoked}.", hint=f"Ask {name} for the new one."
                )
            return self.keep(KnownKey(name, public, since, until))

    def revoke(self, key: KnownKey, reason: str, at: str | None = None) -> KnownKey:
        """Say that a key was lost or stolen at a time; what it signed before stays valid.

        Raises:
            ValidationError: The time lies ahead, or the key was revoked already, at an earlier time.
        """
        now = datetime.now(UTC)
        moment = datetime.fromisoformat(at).astimezone(UTC) if at else now
        if moment > now:
            raise ValidationError(
                f"{moment.isoformat()} lies ahead.", hint="Say since when it is lost: --at 2026-11-20"
            )
        with locked(self.folder):
            fresh = self.find(key.public.id)
            if fresh.revoked and datetime.fromisoformat(fresh.revoked) <= moment:
                raise ValidationError(
                    f"Key {key.public.id} of {key.name} was revoked at {fresh.revoked}.",
                    hint="An earlier time can be given: --at; a later one would make valid what was not.",
                )
            return self.keep(replace(fresh, revoked=moment.isoformat(), reason=reason))

    def keep(self, key: KnownKey) -> KnownKey:
        """Write a key down, complete or not at all.

        Raises:
            StoreError: The folder cannot be written.
        """
        said = {"name": key.name, "key": key.public.line} | {name: getattr(key, name) for name in _FIELDS}
        data = json.dumps(said, indent=2).encode() + b"\n"
        try:
            make_private(self.folder)
            replace_file(self.folder / f"{key.name}-{key.public.id}.json", data)
        except OSError as error:
            raise StoreError(
                f"The key of {key.name} cannot be written to {self.folder}: {error.strerror or error}.",
                hint="Free disk space or make the folder writable; the keys before still hold.",
            ) from error
        return key


def check_name(name: str) -> str:
    """Return a name that a person can have.

    Raises:
        ValidationError: It cannot be one.
    """
    if not NAME.fullmatch(name):
        raise ValidationError(
            f"'{name}' cannot be the name of a person.",
            hint="Letters, digits and ._@+- (at most 128): physlab config show collaboration.person",
        )
    return name


def _read(path: Path) -> KnownKey:
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("since", "until", "revoked"):
            if said[name] is not None and datetime.fromisoformat(said[name]).tzinfo is None:
                raise ValueError(f"{name} does not say its zone")
        key = KnownKey(check_name(said["name"]), read_public(said["key"]), **{name: said[name] for name in _FIELDS})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"The key file {path} is damaged: {error}.", hint="Restore it from a backup.") from error
    return key
