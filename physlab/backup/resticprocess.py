"""Running restic: its environment, its answers, its words when it fails; no secret on a command line or in a text."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from physlab.backup.engine import Tell
from physlab.backup.password import Password, find_password
from physlab.backup.place import SAID, place_of, unwritable
from physlab.errors import ConfigurationError, PhyslabError, ResourceError, StoreError
from physlab.settings import Settings, child_environment
from physlab.tools.process import find_program, run_process

NO_REPOSITORY = "Is there a repository at the following location?"
EVERY_S = 0.5
_FULL = ("no space left on device", "file too large", "disk quota exceeded")
_LOCKED = ("already locked", "unable to create lock")


@dataclass(frozen=True)
class Said:
    """What restic answered.

    Attributes:
        code: Its exit code.
        text: All that it printed, secrets removed.
    """

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines without those that are empty."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]

    @property
    def full(self) -> bool:
        """True when a disk was full."""
        return any(words in self.text.lower() for words in _FULL)

    @property
    def locked(self) -> bool:
        """True when somebody else's lock was in the way."""
        return any(words in self.text for words in _LOCKED)

    def json(self) -> Iterator[Any]:
        """Yield the lines that are JSON."""
        for line in self.lines:
            if line.startswith(("{", "[")):
                try:
                    yield json.loads(line)
                except ValueError:
                    continue


class Program:
    """The program restic for one repository.

    Args:
        settings: The lab's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._place = place_of(settings)
        self._limit_s = settings.backup.time_limit_h * 3600

    @property
    def path(self) -> str:
        """Its full path.

        Raises:
            ConfigurationError: It is not installed.
        """
        name = self._settings.backup.restic
        found = find_program([name])
        if found is None:
            raise ConfigurationError(
                f"The program '{name}' that makes backups is not installed.",
                hint="Install it (Debian and Ubuntu: apt install restic), or name it: [backup] restic. "
                'Or do without it: [backup] repository = "store:NAME", one of the sealed stores of [stores.NAME].',
            )
        return found

    def shown(self, text: str) -> str:
        """Return a text without passwords in addresses, and without the repository's own."""
        secret = self._settings.backup.password
        if secret is not None and secret.get_secret_value():
            text = text.replace(secret.get_secret_value(), "***")
        return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)

    def run(self, words: Sequence[str], *, tell: Tell | None = None, cwd: Path | None = None) -> Said:
        """Run one command to its end; when this process is killed, restic is too.

        Args:
            words: Command and flags.
            tell: Hears its lines while it works.
            cwd: Its working directory; default: the lab's own folder for backups.
        """
        self._place.make()
        password = find_password(self._settings, make=False)
        flags = [word for option in self._settings.backup.options for word in ("-o", option)]
        try:
            with tempfile.TemporaryDirectory(dir=self._place.folder, prefix=SAID) as folder:
                log = Path(folder) / "restic.log"
                log.touch(mode=0o600)
                with _following(log, tell):
                    code = run_process(
                        [self.path, *flags, *words],
                        cwd=cwd or self._place.folder,
                        env=self._environment(password),
                        log=log,
                        limit_s=self._limit_s,
                        grace_s=10.0,
                    )
                text = log.read_text(encoding="utf-8", errors="replace")
        except PhyslabError:
            raise
        except OSError as error:
            raise unwritable(self._place.folder, error) from error
        return Said(code, self.shown(text))

    def _environment(self, password: Password) -> dict[str, str]:
        ours = {
            "RESTIC_REPOSITORY": str(self._settings.backup.repository),
            "RESTIC_CACHE_DIR": str(self._place.cache),
            "RESTIC_PROGRESS_FPS": "1",
            "TMPDIR": str(self._place.folder),
            **password.variables,
        }
        return child_environment(ours, drop_prefix=("RESTIC_", "PHYSLAB_", "PREFECT_"))

    def failure(self, what: str, said: Said) -> PhyslabError:
        """Return the error for a command that failed, with restic's own words."""
        words = [line for line in said.lines if not line.startswith(("{", "["))]
        last = " ".join(line.removeprefix("Fatal: ") for line in words[-4:]) or f"exit code {said.code}"
        message = f"Restic could not {what}: {last.rstrip('.')}."
        place = self.shown(str(self._settings.backup.repository))
        if said.full:
            return StoreError(message, hint="Free disk space there; what was backed up before is whole. Then again.")
        if "wrong password" in said.text:
            where = find_password(self._settings, make=False).where
            return ConfigurationError(
                f"The password does not open the repository {place}; it was taken from {where}.",
                hint="Put the right one there, or name where it is: [backup] password_file.",
            )
        if NO_REPOSITORY in said.text:
            return ConfigurationError(
                f"There is no repository at {place}, or it cannot be reached: {last}.",
                hint="If a disk or share has to be mounted, mount it; a new one is made by: physlab backup run",
            )
        return ResourceError(message, hint="What was backed up before is whole. Look at: physlab backup status")

    def is_ours_and_dead(self, lock: dict[str, Any]) -> bool:
        """Say whether a lock is of this machine and user, and of a process that is no more, or is another one now."""
        if lock.get("hostname") != socket.gethostname() or lock.get("uid", 0) != os.getuid():
            return False
        try:
            return "restic" not in psutil.Process(int(lock["pid"])).name()
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


class _following:  # noqa: N801 - read as `with _following(log, tell)`
    """Passes the lines of a growing file on, about twice a second."""

    def __init__(self, log: Path, tell: Tell | None) -> None:
        self._log, self._tell, self._end = log, tell, threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def _follow(self) -> None:
        if self._tell is None:
            return
        with open(self._log, encoding="utf-8", errors="replace") as stream:
            while not self._end.wait(EVERY_S):
                lines = stream.read().splitlines()
                for line in lines[-1:]:
                    self._tell(line)

    def __enter__(self) -> None:
        if self._tell is not None:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._tell is not None:
            self._thread.join()
