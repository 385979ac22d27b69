"""The keys of a lab: a server key, which can change, and data keys of projects, which are wrapped by it and stay.

    keys/server.key                     the server key, unless it is kept elsewhere (mode 0600)
    keys/projects/NAME/key.json         the public key of the project, and for which key it is wrapped for recovery
    keys/projects/NAME/0123456789abcdef.age   the data key, wrapped by the server key of that fingerprint
    keys/projects/NAME/recovery.age     the data key, wrapped for who keeps the recovery key elsewhere

A wrapped key is an age file with an age identity in it: `age -d -i KEY WRAPPED` gives what `age -d -i` takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from physlab.errors import ConfigurationError, ValidationError, nearest
from physlab.keys import digest_bytes
from physlab.sealing import age
from physlab.sealing.keyfiles import locked, read_secret, write_secret
from physlab.sealing.project import ProjectKey

DEFAULT_PROJECT = "lab"
INIT = "physlab keys init"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True)
class KnownKey:
    """What may be shown of a project's data key.

    Attributes:
        project: Name.
        recipient: Its public key.
        created: When, in UTC.
        wrapped_for: Fingerprints of the server keys that open it.
        recovery: Public key that opens it as well; None for none.
    """

    project: str
    recipient: str
    created: str
    wrapped_for: tuple[str, ...]
    recovery: str | None


class Keyring:
    """The keys in a folder.

    Args:
        folder: Usually `PHYSLAB_HOME/keys`.
        given: Returns the text of the server key where it is kept elsewhere; None where the folder holds it.
    """

    def __init__(self, folder: Path, given: Callable[[], str | None] = lambda: None) -> None:
        self.folder, self._given = folder, given

    def server(self) -> str:
        """Return the server key.

        Raises:
            ConfigurationError: There is none, or others may read it.
            ValidationError: What the settings name is not a key.
        """
        text = self._given()
        if text is not None:
            return age.read_identity(text, "The server key that the settings name")
        path = self.folder / "server.key"
        if not path.exists():
            raise ConfigurationError(f"There is no server key: {path} is not there.", hint=self._way_back())
        return age.read_identity(read_secret(path), f"The key file {path}")

    def _way_back(self) -> str:
        """Return what to do without a server key: a new one opens nothing that data keys have sealed."""
        known = self.known()
        if not known:
            return f"Make one: {INIT}"
        of = next((one for one in known if one.recovery is not None), None)
        if of is None:
            return "Bring it back from a copy: no recovery key was named, so nothing else opens what is sealed."
        option = "" if of.project == DEFAULT_PROJECT else f" --project {of.project}"
        return (
            "Bring it back from a copy, or use the recovery key: "
            f"physlab keys recover --identity recovery.txt{option} (the public key of it is {of.recovery})"
        )

    @property
    def is_elsewhere(self) -> bool:
        """True when the settings name where the server key is kept."""
        return self._given() is not None

    def init(self, project: str = DEFAULT_PROJECT, recovery: str | None = None) -> KnownKey:
        """Make what is missing of a project's keys; what is there stays as it is.

        Args:
            project: Name of the project.
            recovery: age public key whose owner shall be able to open the data key too.

        Raises:
            ConfigurationError: There are data keys, and the server key that opens them is gone.
        """
        with locked(self.folder):
            if not self.is_elsewhere and not (self.folder / "server.key").exists():
                if self.known():
                    self.server()  # raises: a new one would open nothing of what these seal
                write_secret(self.folder / "server.key", _lines(age.make_identity()))
            folder = self._folder(project)
            if not (folder / "key.json").exists():
                self._keep(project, age.make_identity(), recovery)
            elif recovery is not None:
                self._keep(project, self.project(project).identity, recovery)
        return self._known(project)

    def project(self, name: str = DEFAULT_PROJECT) -> ProjectKey:
        """Open the data key of a project.

        Raises:
            ConfigurationError: There is none, or this server key does not open it.
            StoreError: Its file is damaged.
        """
        folder, known = self._folder(name), self._known(name)
        server = self.server()
        path = folder / f"{fingerprint(age.recipient_of(server))}.age"
        try:
            wrapped = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"The server key {path.stem} does not open the data key of '{name}': it is wrapped for "
                f"{', '.join(known.wrapped_for) or 'none'}.",
                hint="Bring the server key back, or use the recovery key: physlab keys recover --identity FILE",
            ) from error
        text = age.unseal(wrapped, server, f"The wrapped key {path}").decode("ascii", "replace")
        identity = age.read_identity(text, f"The wrapped key {path}")
        if age.recipient_of(identity) != known.recipient:
            raise ConfigurationError(
                f"{path} holds another key than {folder / 'key.json'} names.", hint="Restore the folder from a backup."
            )
        return ProjectKey(name, known.recipient, identity)

    def known(self) -> list[KnownKey]:
        """Return what may be shown of all data keys."""
        folder = self.folder / "projects"
        names = sorted(path.parent.name for path in folder.glob("*/key.json")) if folder.is_dir() else []
        return [self._known(name) for name in names]

    def in_clear(self) -> list[str]:
        """Return the files of the folder that hold a secret which no other key wraps."""
        people = self.folder / "people"  # public keys, and secret ones behind passphrases
        paths = [path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        paths = [path for path in paths if not path.is_relative_to(people)]
        bare = [path for path in paths if path.name != "key.json" and not path.read_bytes().startswith(age.MAGIC)]
        return sorted(path.relative_to(self.folder).as_posix() for path in bare)

    def rotate(self, new: str | None = None) -> str:
        """Wrap all data keys with a new server key; return its public key. Nothing that was sealed changes.

        Killed at any moment, it leaves a server key that opens everything: the new one takes its place at once, when
        everything is wrapped with it.

        Args:
            new: The new key, where it is kept elsewhere; it is put in its place there afterwards.

        Raises:
            ValidationError: A key that is kept elsewhere needs `new`.
        """
        if self.is_elsewhere and new is None:
            raise ValidationError(
                "The server key is kept elsewhere, so the new one is made there.",
                hint="Make it and name it: age-keygen -o new.key; physlab keys rotate --new new.key",
            )
        with locked(self.folder):
            old = age.recipient_of(self.server())
            opened = [self.project(known.project) for known in self.known()]
            server = age.read_identity(new, "The new key") if new else age.make_identity()
            recipient = age.recipient_of(server)
            for key in opened:
                self._wrap(key.project, key.identity, recipient)
            if not self.is_elsewhere:
                write_secret(self.folder / "server.key", _lines(server))
            kept = {fingerprint(recipient), *([fingerprint(old)] if self.is_elsewhere else [])}
            for key in opened:
                for path in self._folder(key.project).glob("*.age"):
                    if path.stem not in (*kept, "recovery"):
                        path.unlink()
        return recipient

    def recover(self, identity: str, project: str = DEFAULT_PROJECT, wrapped: bytes | None = None) -> KnownKey:
        """Open a data key with the recovery key, and wrap it with the server key of this lab, made if there is none.

        Args:
            identity: Secret recovery key.
            project: Name of the project.
            wrapped: The wrapped key, from a store; None takes that of this folder.

        Raises:
            StoreError: The recovery key does not open it.
        """
        path = self._folder(project) / "recovery.age"
        if wrapped is None:
            try:
                wrapped = path.read_bytes()
            except OSError as error:
                raise ConfigurationError(
                    f"There is no {path}: no recovery key was named when the keys were made.",
                    hint="Take keys/recovery.age of a sealed store: physlab keys recover --wrapped FILE",
                ) from error
        secret = age.read_identity(identity, "The recovery key")
        text = age.unseal(wrapped, secret, "The wrapped key").decode("ascii", "replace")
        data = age.read_identity(text, "The wrapped key")
        with locked(self.folder):
            known = [one for one in self.known() if one.project == project]
            if known and known[0].recipient != age.recipient_of(data):
                raise ValidationError(
                    f"The project '{project}' has another data key here, with which things may be sealed.",
                    hint="Give it another name: physlab keys recover --project NAME",
                )
            if not self.is_elsewhere and not (self.folder / "server.key").exists():
                write_secret(self.folder / "server.key", _lines(age.make_identity()))
            self._keep(project, data, age.recipient_of(secret))
        return self._known(project)

    def recovery_file(self, project: str) -> bytes | None:
        """Return the data key as it is wrapped for recovery, for keeping it beside what is sealed."""
        try:
            return (self._folder(project) / "recovery.age").read_bytes()
        except FileNotFoundError:
            return None

    def _keep(self, project: str, identity: str, recovery: str | None) -> None:
        """Write down a data key; `key.json` comes last, so that it names a key that can be opened."""
        folder = self._folder(project)
        self._wrap(project, identity, age.recipient_of(self.server()))
        if recovery is not None:
            write_secret(folder / "recovery.age", age.seal(_lines(identity), age.check_recipient(recovery)))
        made = {"project": project, "recipient": age.recipient_of(identity),
                "created": datetime.now(UTC).isoformat(timespec="seconds"), "recovery": recovery}  # fmt: skip
        write_secret(folder / "key.json", (json.dumps(made, indent=2) + "\n").encode())

    def _wrap(self, project: str, identity: str, recipient: str) -> None:
        path = self._folder(project) / f"{fingerprint(recipient)}.age"
        write_secret(path, age.seal(_lines(identity), recipient))

    def _known(self, project: str) -> KnownKey:
        folder = self._folder(project)
        try:
            said = json.loads((folder / "key.json").read_text())
            wraps = tuple(sorted(path.stem for path in folder.glob("*.age") if path.stem != "recovery"))
            return KnownKey(project, age.check_recipient(said["recipient"]), said["created"], wraps, said["recovery"])
        except FileNotFoundError as error:
            names = [known.project for known in self.known()] if project else []
            hint = nearest(project, names) if names else f"Make them: {INIT}"
            raise ConfigurationError(f"The project '{project}' has no keys here.", hint=hint) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{folder / 'key.json'} is damaged: {error}.", hint="Restore the folder from a backup."
            ) from error

    def _folder(self, project: str) -> Path:
        if not _NAME.fullmatch(project):
            raise ValidationError(
                f"'{project[:40]}' is no name for a project.", hint="Small letters, digits and '-', such as lab."
            )
        return self.folder / "projects" / project


def fingerprint(recipient: str) -> str:
    """Return 16 hex digits that tell a public key."""
    return digest_bytes(recipient.encode())[:16]


def _lines(identity: str) -> bytes:
    return f"{identity}\n".encode("ascii")
