"""What carries bytes to a repository and back: the seam for whatever does that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from physlab.errors import ConfigurationError, PhyslabError, ValidationError
from physlab.settings import Settings

Tell = Callable[[str], None]
"""Hears of progress, in words."""
HOST = "physlab"
"""The host of every snapshot: an engine would take the machine's name, and a lab may move."""
STORE = "store:"
"""How a repository begins that is one of the sealed stores of the settings."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as the repository has it. Its time was chosen by who sent it: nothing is decided by it.

    Attributes:
        id: Its name in the repository.
        time: What its sender said the time was.
        host: What its sender said it is.
        tags: Its sender's marks.
    """

    id: str
    time: str
    host: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Sent:
    """What was sent.

    Attributes:
        snapshot: Its name in the repository, or the beginning of it.
        files: How many files it holds.
        size: Their bytes.
        added: Bytes that the repository did not have.
        changed: Files that are new or changed.
        unread: Files that could not be read, each with the reason.
    """

    snapshot: str
    files: int
    size: int
    added: int
    changed: int
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """What is to be sent.

    Attributes:
        base: Folder that relative paths start from.
        paths: Files and folders.
        tags: Marks by which the snapshot is found again.
        parent: Snapshot of ours that holds most of it already; None has all read again.
    """

    base: Path
    paths: tuple[str, ...]
    tags: tuple[str, ...]
    parent: str | None = None


class Engine(Protocol):
    """One repository. Whatever reaches it raises `ConfigurationError` or `ResourceError` with the program's words."""

    name: str
    shown: str
    """The place, without passwords."""

    def prepare(self) -> str:
        """Make what is needed before a repository is first asked for; say where a password is that was made now."""

    def identity(self) -> str | None:
        """Return the repository's own id; None where there is no repository yet."""

    def create(self) -> str:
        """Make the repository and return its id."""

    def send(self, order: Order, tell: Tell) -> Sent:
        """Send files as a new snapshot."""

    def snapshots(self) -> list[Snapshot]:
        """Return all snapshots."""

    def fetch(self, snapshot: str, target: Path, tell: Tell) -> list[str]:
        """Bring a whole snapshot into an empty folder; return what could not be brought."""

    def check(self, part: int, of: int, tell: Tell) -> list[str]:
        """Read the structure and one of so many parts of the data; return everything that is wrong."""

    def forget(self, snapshots: Sequence[str], tell: Tell) -> None:
        """Remove these snapshots, and what only they used."""

    def commands(self, order: Order) -> list[list[str]]:
        """Return what `send` would start, for people to see."""


def choose_engine(settings: Settings, limit: str | None = None) -> Engine:
    """Return what talks to the configured repository.

    Args:
        settings: The lab's.
        limit: Bytes a second, such as 5MB/s; None takes the setting.

    Raises:
        ConfigurationError: There is no repository, or the store that it names is not sealed.
        ValidationError: The limit is not understood, or there is no such store.
    """
    from physlab.backup.restic import Restic
    from physlab.backup.sealedstore import SealedStore

    if settings.backup.repository is None:
        raise ConfigurationError(
            "No repository is set: the lab is not backed up.",
            hint='Say where to in physlab.toml: [backup] repository = "/mnt/disk/lab". Then: physlab backup run',
        )
    kind = SealedStore if settings.backup.repository.startswith(STORE) else Restic
    try:
        return kind(settings, limit)
    except PhyslabError:
        raise
    except ValueError as error:
        raise ValidationError(f"{error}.", hint="Such as: physlab backup run --limit 5MB/s") from error


def record_of(sent: Sent) -> dict[str, Any]:
    """Return what was sent as the ledger keeps it."""
    return {"files": sent.files, "size": sent.size, "added": sent.added, "changed": sent.changed}
