"""A sealed store as the engine: what restic does, with what `physlab store push` has already, and no other program.

    keys/backup.age              the data key of the store, wrapped by the password: this makes a store a repository
    snapshots/ab/cdef….json      a snapshot: which file of the store holds its list
    blobs/ files/ packs/         the list, and the files that it names by their SHA-256, among all others

All of it is sealed; a file that another snapshot or a push brought is not sent again.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from physlab.backup import entries
from physlab.backup.engine import HOST, STORE, Order, Sent, Snapshot, Tell
from physlab.backup.entries import Entry
from physlab.backup.password import find_password, password_text
from physlab.backup.place import SAID, place_of
from physlab.backup.retention import MARK
from physlab.backup.sources import Sources, send_all
from physlab.errors import ConfigurationError, StoreError
from physlab.keys import digest_bytes
from physlab.sealing import ProjectKey
from physlab.sealing.age import read_identity, recipient_of
from physlab.sealing.passphrase import unwrap, wrap
from physlab.settings import Settings, read_rate
from physlab.transfer import RemoteStore, keyring, snapshots
from physlab.transfer.checking import Share, check_names
from physlab.transfer.fetching import Fetcher
from physlab.transfer.layout import MARKER, RECOVERY, SUFFIXES, path_of
from physlab.transfer.places import open_place
from physlab.transfer.places.base import told
from physlab.transfer.stores import described

WRAPPED = "keys/backup.age"
_ID, _KEPT = "# physlab repository ", "# recovery.age "


class SealedStore:
    """A sealed store that holds backups.

    Args:
        settings: The lab's; `backup.repository` is `store:NAME`.
        limit: Bytes a second; None takes the setting.

    Raises:
        ValidationError: There is no store of that name.
        ConfigurationError: It is not sealed.
        ValueError: The limit is none.
    """

    name = "store"

    def __init__(self, settings: Settings, limit: str | None = None) -> None:
        self._settings, self.shown = settings, str(settings.backup.repository)
        self._store = self.shown.removeprefix(STORE)
        self._said = described(settings, self._store)
        if not self._said.sealed:
            raise ConfigurationError(
                f"The store '{self._store}' is not sealed, and a backup holds everything.",
                hint=f"Set stores.{self._store}.sealed = true, with another url if something lies there already.",
            )
        rate = limit or settings.backup.limit
        self._limit = read_rate(rate) if rate else self._said.limit

    def prepare(self) -> str:
        """Make a password and the lab's keys where there are none; say where the password is if it was made now."""
        password = find_password(self._settings, make=True)
        ring = keyring(self._settings)
        if self._said.project not in (known.project for known in ring.known()) and self._wrapped() is None:
            ring.init(self._said.project)
        return password.where if password.fresh else ""

    def identity(self) -> str | None:
        """Return the repository's own id; None where there is no repository yet.

        Raises:
            ConfigurationError: The password does not open it, or the store is another than its key says.
            StoreError: It cannot be reached.
        """
        return None if self._wrapped() is None else self._opened[0]

    def create(self) -> str:
        """Make the store a repository and return its id: from then on the password alone opens it."""
        ring, project = keyring(self._settings), self._said.project
        key = ring.project(project)
        with self._remote(key, ring.recovery_file(project)) as remote:
            remote.prepare()
            kept = remote.read(RECOVERY)
            made = digest_bytes(f"{key.recipient} {time.time_ns()}".encode())
            notes = f"{_KEPT}{digest_bytes(kept)}\n" if kept is not None else ""
            text = f"{_ID}{made}\n{notes}{key.identity}\n"
            self._opened = made, key, digest_bytes(kept) if kept is not None else None
            remote.write(WRAPPED, wrap(text.encode("ascii"), password_text(self._settings)[0]))
        return made

    def commands(self, order: Order) -> list[list[str]]:
        """Return nothing: no other program is started."""
        return []

    def send(self, order: Order, tell: Tell) -> Sent:
        """Send files as a new snapshot; of the parent's files only those are read that look changed."""
        begun_ns = time.time_ns()
        walked = entries.walk(order.base, order.paths)
        with self._open() as remote:
            before, before_ns = self._parent(remote, order.parent, tell)
            sources = Sources(walked.sources, walked.unread)
            known = {one.path: entries.unchanged(one, before, before_ns) for one in walked.found}
            listed = sources.digested([known[one.path] or one for one in walked.found])
            listed, sender = send_all(remote, sources, listed, tell)
            sheet = entries.dump(listed, begun_ns)
            with self._scratch() as folder:
                digest = sources.add_text(sheet, folder)
                if not sender.there([digest]):
                    sender.send([digest])
                sender.settle()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            made = snapshots.write(remote, snapshots.Snapshot(digest, now, HOST, (MARK, *order.tags)))
            files = [one for one in listed if one.sha256 is not None]
            changed = sum(1 for one in files if one.path not in before or before[one.path].sha256 != one.sha256)
            size = sum(one.size for one in files)
            return Sent(made, len(files), size, remote.tally.sent, changed, tuple(walked.unread[:20]))

    def _parent(self, remote: RemoteStore, parent: str | None, tell: Tell) -> tuple[dict[str, Entry], int]:
        try:
            found = self._listed(remote, parent) if parent is not None else None
        except StoreError as error:
            tell(f"all is read: the list of the backup before cannot be used ({error.message})")
            return {}, 0
        return ({one.path: one for one in found[0]}, found[1]) if found else ({}, 0)

    def _listed(self, remote: RemoteStore, snapshot: str) -> tuple[list[Entry], int] | None:
        """Return the list of a snapshot; None when it is gone."""
        found = snapshots.read(remote, snapshot)
        if found is None:
            return None
        with self._scratch() as room:
            path = Fetcher(Sources({}, []), remote, room).fetch([found.sheet])[found.sheet]
            return entries.read(path.read_bytes(), f"The list of snapshot {snapshot[:8]}")

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Make a folder for a moment; what a killed process leaves of it is cleared with what programs said."""
        place = place_of(self._settings)
        place.make()
        with tempfile.TemporaryDirectory(dir=place.folder, prefix=SAID) as folder:
            yield Path(folder)

    def snapshots(self) -> list[Snapshot]:
        """Return all snapshots that can be read; one that is damaged is named by `check`, and missing here."""
        with self._open() as remote:
            found = []
            for digits in snapshots.listed(remote):
                one = _readable(remote, digits)
                if one is not None:
                    found.append(Snapshot(digits, one.time, one.host, one.tags))
            return found

    def fetch(self, snapshot: str, target: Path, tell: Tell) -> list[str]:
        """Bring a whole snapshot into an empty folder, every hash checked; return what could not be brought."""
        with self._open() as remote:
            found = self._listed(remote, snapshot)
            if found is None:
                raise StoreError(f"Snapshot {snapshot[:8]} is gone.", hint="See: physlab backup list")
            listed, _ = found
            room = target / ".fetching"
            wanted = sorted({one.sha256 for one in listed if one.sha256 is not None})
            have, lost = _fetched(remote, wanted, room)
            entries.lay(listed, have, target)
            shutil.rmtree(room, ignore_errors=True)
            return [f"{one.path}: {lost[one.sha256]}" for one in listed if one.sha256 in lost]

    def check(self, part: int, of: int, tell: Tell) -> list[str]:
        """Read all lists and one of so many parts of everything else; return everything that is wrong."""
        tell(f"reading {'all data' if of == 1 else f'part {part} of {of} of the data'}")
        with self._open() as remote:
            share, always = Share(1, of, part - 1), ("snapshots", "files")
            remote.learn()
            names = [
                path_of(folder, digits) for folder in SUFFIXES for digits, _ in remote.listed(folder)
                if folder in always or share.takes(digits)
            ]  # fmt: skip
            problems = [f"{item.name}: {item.why}" for item in check_names(remote, names).damage]
            problems += self._misnamed(remote)
            tell("looking whether each snapshot is complete")
            return problems + [words for digits in snapshots.listed(remote) for words in self._lacking(remote, digits)]

    def _misnamed(self, remote: RemoteStore) -> list[str]:
        """Return which of the files whose name is no hash are not what they were; the others were read to get here."""
        recovery = remote.read(RECOVERY)
        if (digest_bytes(recovery) if recovery is not None else None) == self._opened[2]:
            return []
        return [f"{RECOVERY}: it is {'gone' if recovery is None else 'not what was written'}"]

    def _lacking(self, remote: RemoteStore, digits: str) -> list[str]:
        """Return which files of a snapshot are not there, by their names."""
        if _readable(remote, digits) is None:
            return []  # its own damage is told already
        try:
            found = self._listed(remote, digits)
        except StoreError as error:
            _pass_on(remote, error)
            return [f"the list of snapshot {digits[:8]}: {error.message}"]
        wanted = {one.sha256: one.path for one in found[0] if one.sha256 is not None} if found else {}
        gone = wanted.keys() - remote.has(wanted)
        return [f"{wanted[one]} of snapshot {digits[:8]} (sha256:{one}) is gone" for one in sorted(gone)]

    def forget(self, names: Sequence[str], tell: Tell) -> None:
        """Remove these snapshots; what only they used is garbage then, which `physlab store gc` frees."""
        tell(f"forgetting {len(names)} old snapshots")
        with self._open() as remote:
            snapshots.remove(remote, names)
        tell(f"what only they used is freed by: physlab store gc {self._store} --delete")

    def _wrapped(self) -> bytes | None:
        place = open_place(self._said.url, self._said.endpoint)
        with told(place, f"read {WRAPPED} of"):
            return place.read(WRAPPED)

    @cached_property
    def _opened(self) -> tuple[str, ProjectKey, str | None]:
        """The repository's id, its data key, and the digest of the key for recovery that lies there."""
        data = self._wrapped()
        if data is None:
            raise ConfigurationError(
                f"There is no repository at {self.shown}: {self._said.url} holds no {WRAPPED}.",
                hint="If a disk or share has to be mounted, mount it; a new one is made by: physlab backup run",
            )
        text, whence = password_text(self._settings)
        what = f"the repository {self.shown} ({WRAPPED})"
        lines = unwrap(data, text, what, whence).decode("ascii", "replace")
        noted = [line for line in lines.splitlines() if line.startswith("#")]
        identity = read_identity(lines, what)
        made = next((line.removeprefix(_ID) for line in noted if line.startswith(_ID)), "")
        kept = next((line.removeprefix(_KEPT) for line in noted if line.startswith(_KEPT)), None)
        return made, ProjectKey(self._said.project, recipient_of(identity, what), identity), kept

    def _open(self) -> RemoteStore:
        """Open the store with the key that the password opens; no key of the lab is needed."""
        remote = self._remote(self._opened[1])
        found = remote.read(MARKER)
        if found != remote.marker():
            raise ConfigurationError(
                f"{MARKER} of the repository {self.shown} is {'gone' if found is None else 'not what was written'}.",
                hint=f"Write this to {self._said.url}/{MARKER}: {remote.marker().decode().strip()}. Or, if a newer "
                "physlab made the store, upgrade.",
            )
        return remote

    def _remote(self, key: ProjectKey, recovery: bytes | None = None) -> RemoteStore:
        place = open_place(self._said.url, self._said.endpoint)
        folder = self._settings.home / "transfer" / self._store
        return RemoteStore(self._store, place, folder, key, self._limit, recovery)


def _readable(remote: RemoteStore, digits: str) -> snapshots.Snapshot | None:
    try:
        return snapshots.read(remote, digits)
    except StoreError as error:
        _pass_on(remote, error)
        return None


def _pass_on(remote: RemoteStore, error: StoreError) -> None:
    """Raise an error again that is no damage: the store cannot be reached, or the disk here is full."""
    if isinstance(error.__cause__, (OSError, *remote.place.errors)) and not isinstance(error.__cause__, StoreError):
        raise error


def _fetched(remote: RemoteStore, wanted: Iterable[str], room: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Fetch files; where something is damaged, one by one. Return where they are, and what could not be brought."""
    fetcher, digests = Fetcher(Sources({}, []), remote, room), list(wanted)
    try:
        return fetcher.fetch(digests), {}
    except StoreError as error:
        _pass_on(remote, error)
    have: dict[str, Path] = {}
    lost: dict[str, str] = {}
    for digest in digests:
        try:
            have |= fetcher.fetch([digest])
        except StoreError as error:
            _pass_on(remote, error)
            lost[digest] = error.message
    return have, lost
