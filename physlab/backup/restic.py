"""Restic as the engine: one command for each thing to do, its answers read from `--json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from physlab.backup.engine import HOST, Order, Sent, Snapshot, Tell
from physlab.backup.password import find_password
from physlab.backup.resticprocess import NO_REPOSITORY, Program, Said
from physlab.backup.retention import MARK
from physlab.errors import ConfigurationError, PhyslabError, ResourceError
from physlab.keys import digest_stream
from physlab.settings import Settings, read_rate

INCOMPLETE = 3
ALL_LISTED = 20


class Restic:
    """A restic repository.

    Args:
        settings: The lab's; `backup.repository` is set.
        limit: Bytes a second; None takes the setting.
    """

    name = "restic"

    def __init__(self, settings: Settings, limit: str | None = None) -> None:
        self._settings = settings
        self._program = Program(settings)
        self._repository = str(settings.backup.repository)
        self.shown = self._program.shown(self._repository)
        rate = limit or settings.backup.limit
        kib = str(max(1, read_rate(rate) // 1024)) if rate else ""
        self._limits = ["--limit-upload", kib, "--limit-download", kib] if kib else []

    def prepare(self) -> str:
        """Make a password if none is given and none was made; say where it is if it was made just now."""
        password = find_password(self._settings, make=True)
        return password.where if password.fresh else ""

    def identity(self) -> str | None:
        """Return the repository's own id; None where there is no repository yet."""
        said = self._program.run(["cat", "config"])
        if said.code == 0:
            return str(json.loads(said.text)["id"])
        if NO_REPOSITORY in said.text:
            return None
        raise self._failure("open the repository", said)

    def create(self) -> str:
        """Make the repository and return its id."""
        self._ask("make the repository", ["init"])
        made = self.identity()
        if made is None:
            raise ResourceError(f"The repository {self.shown} was made and is not there.", hint="Try again.")
        return made

    def commands(self, order: Order) -> list[list[str]]:
        """Return what `send` would start."""
        parent = ["--parent", order.parent] if order.parent else ["--force"]
        tags = [word for tag in (MARK, *order.tags) for word in ("--tag", tag)]
        # A file of the store never changes, and a link to a journal file changes its ctime alone.
        flags = ["--json", "--ignore-ctime", "--host", HOST, *self._limits, *parent, *tags]
        return [[self._program.path, "backup", *flags, "--", *order.paths]]

    def send(self, order: Order, tell: Tell) -> Sent:
        """Send files as a new snapshot; its parent is named, for the one restic would choose may be a stranger's."""
        [[_, *words]] = self.commands(order)
        said = self._run(words, tell=_Progress(tell), cwd=order.base)
        if said.code not in (0, INCOMPLETE):
            raise self._program.failure("send the backup", said)
        [summary] = [line for line in said.json() if line.get("message_type") == "summary"]
        return Sent(
            snapshot=summary["snapshot_id"],
            files=summary["total_files_processed"],
            size=summary["total_bytes_processed"],
            added=summary["data_added"],
            changed=summary["files_new"] + summary["files_changed"],
            unread=tuple(_unread(said)) if said.code == INCOMPLETE else (),
        )

    def snapshots(self) -> list[Snapshot]:
        """Return all snapshots."""
        said = self._ask("list the snapshots", ["snapshots", "--json"])
        listed: list[dict[str, Any]] = next((line for line in said.json() if isinstance(line, list)), [])
        return [
            Snapshot(item["id"], item["time"], item.get("hostname", ""), tuple(item.get("tags") or ()))
            for item in listed
        ]

    def fetch(self, snapshot: str, target: Path, tell: Tell) -> list[str]:
        """Bring a whole snapshot into an empty folder; return what could not be brought."""
        said = self._run(["restore", snapshot, "--target", str(target), *self._limits])
        if said.full:
            raise self._program.failure("restore the backup", said)
        problems = [line for line in said.lines if "error" in line.lower() or line.startswith("ignoring")]
        if said.code and not problems:
            raise self._program.failure("restore the backup", said)
        return problems

    def check(self, part: int, of: int, tell: Tell) -> list[str]:
        """Read the structure and one of so many parts of the data; return everything that is wrong."""
        share = ["--read-data"] if of == 1 else [f"--read-data-subset={part}/{of}"]
        tell(f"reading {'all data' if of == 1 else f'part {part} of {of} of the data'}")
        said = self._run(["check", *share, *self._limits])
        if NO_REPOSITORY in said.text or said.locked:
            raise self._failure("check the repository", said)
        problems = [*self._misnamed(), *(line for line in said.lines if said.code and _is_trouble(line))]
        if said.code and not problems:
            raise self._program.failure("check the repository", said)
        return problems

    def _failure(self, what: str, said: Said) -> PhyslabError:
        """Return what restic said as an error, with the name of a damaged key, which restic does not tell."""
        error, damaged = self._program.failure(what, said), self._misnamed()
        return type(error)(f"{error.message} {'; '.join(damaged)}.", hint=error.hint) if damaged else error

    def _misnamed(self) -> list[str]:
        """Return the small files of a local repository whose name is not their SHA-256; restic trusts its keys."""
        root = Path(self._repository)
        if not root.is_absolute():
            return []
        found = []
        for path in sorted((root / "keys").iterdir()) if (root / "keys").is_dir() else []:
            with open(path, "rb") as stream:
                if digest_stream(stream)[0] != path.name:
                    found.append(f"keys/{path.name}: the bytes are not those of its name")
        return found

    def forget(self, snapshots: Sequence[str], tell: Tell) -> None:
        """Remove these snapshots, named one by one, and what only they used."""
        tell(f"forgetting {len(snapshots)} old snapshots")
        self._ask("forget old snapshots", ["forget", *snapshots])
        self._ask("free what nobody uses", ["prune", *self._limits])

    def _ask(self, what: str, words: Sequence[str]) -> Said:
        said = self._run(words)
        if said.code:
            raise self._program.failure(what, said)
        return said

    def _run(self, words: Sequence[str], tell: Tell | None = None, cwd: Path | None = None) -> Said:
        """Run one command; once more where a lock of a process of ours that was killed is in its way."""
        said = self._program.run(words, tell=tell, cwd=cwd)
        if said.code and said.locked and self._unlock():
            return self._program.run(words, tell=tell, cwd=cwd)
        return said

    def _unlock(self) -> bool:
        """Remove stale locks if all of them are ours: of this machine and user, of a process that ended.

        Raises:
            ConfigurationError: Somebody else's lock is in the way.
        """
        listed = self._program.run(["list", "locks", "--no-lock"])
        if listed.code:
            raise self._program.failure("list the locks", listed)
        locks = [self._lock(line) for line in listed.lines]
        others = [lock for lock in locks if lock is not None and not self._program.is_ours_and_dead(lock)]
        if others:
            held = "; ".join(f"{o['username']}@{o['hostname']} process {o['pid']} since {o['time']}" for o in others)
            raise ConfigurationError(
                f"The repository {self.shown} is in use: {held}.",
                hint="Wait for its end. If it cannot be alive any more, its owner says: restic unlock",
            )
        return self._program.run(["unlock"]).code == 0

    def _lock(self, name: str) -> dict[str, Any] | None:
        said = self._program.run(["cat", "lock", name, "--no-lock"])
        return dict(json.loads(said.text)) if said.code == 0 else None  # it went away meanwhile


def _is_trouble(line: str) -> bool:
    calm = ("using temporary cache", "create exclusive lock", "load indexes", "check all packs", "check snapshots",
            "read all data", "read ", "[", "Fatal: repository contains errors", "no errors")  # fmt: skip
    return bool(line.strip()) and not line.startswith(calm)


class _Progress:
    """Tells of progress in steps of ten per cent.

    Args:
        tell: Who hears.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell, self._next = tell, 10.0

    def __call__(self, line: str) -> None:
        if not line.startswith('{"message_type":"status"'):
            return
        try:
            said = json.loads(line)
        except ValueError:  # half a line; the rest of it comes
            return
        done = 100 * float(said["percent_done"])
        if self._next <= done < 100:
            self._next = done + 10
            self._tell(f"{done:.0f} % of {said.get('total_files', 0):,} files")


def _unread(said: Said) -> list[str]:
    found = []
    for line in said.json():
        if isinstance(line, dict) and line.get("message_type") == "error":
            reason = line.get("error")
            found.append(f"{line.get('item', '')}: {reason.get('Err', reason) if isinstance(reason, dict) else reason}")
    return found[:ALL_LISTED] or [line for line in said.lines if not line.startswith("{")][:ALL_LISTED]
