"""Git and DVC as programs: each call a fresh process, with its words in the error when it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from physlab.errors import ComputationError, ConfigurationError, ResourceError, TimeLimitError
from physlab.settings import child_environment

LOCK_AGE_S = 3.0  # a lock of Git that nobody holds is taken away when it is older
TRIES = 3
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_COMMON_DIR")
_LOCKS = ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock")


class Git:
    """Git in one folder. The user's own configuration and hooks count; nothing is ever asked at a terminal.

    Args:
        folder: The repository.
        limit_s: How long one command may take [s].
    """

    def __init__(self, folder: Path, limit_s: float = 600) -> None:
        self.folder = folder
        self.limit_s = limit_s

    def run(self, *words: str, given: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
        """Run one command and return what it printed.

        Raises:
            ComputationError: Git refuses.
            ConfigurationError: There is no Git.
        """
        done = self.ask(*words, given=given, environment=environment)
        for _ in range(TRIES):  # a git whose parent was killed may still be at work
            if not (done.returncode and b".lock': File exists" in done.stderr):
                break
            self.clear_locks()
            done = self.ask(*words, given=given, environment=environment)
        if done.returncode:
            said = last_words(done.stderr or done.stdout)
            raise ComputationError(
                f"git {words[0]} ended with {done.returncode}: {said}",
                hint=f"Look at it: git -C {self.folder} status",
            )
        return done.stdout.decode(errors="replace")

    def ask(
        self, *words: str, given: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one command whose failure is an answer, too."""
        sealed = {"GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true", "LC_ALL": "C.UTF-8", **(environment or {})}
        settings = ("-c", "core.fsync=committed,loose-object,reference", "-c", "core.quotePath=false")
        try:
            return subprocess.run(
                ["git", *settings, *words], cwd=self.folder, input=given, capture_output=True, check=False,
                timeout=self.limit_s, env=child_environment(sealed, drop_prefix=_FOREIGN),
            )  # fmt: skip
        except FileNotFoundError as error:
            raise ConfigurationError("The program git is not here.", hint="Install it: apt-get install git") from error
        except subprocess.TimeoutExpired as error:
            raise TimeLimitError(
                f"git {words[0]} took more than {self.limit_s:g} s.", hint=f"Look at it: git -C {self.folder} status"
            ) from error

    def read(self, commit: str, path: str) -> bytes | None:
        """Return a file of a commit, None when there is none."""
        done = self.ask("cat-file", "blob", f"{commit}:{path}")
        return done.stdout if done.returncode == 0 else None

    def read_many(self, names: Sequence[str]) -> list[bytes]:
        """Return the contents of objects, named as Git names them, with one call."""
        if not names:
            return []
        said = self.ask("cat-file", "--batch", given="".join(f"{name}\n" for name in names).encode()).stdout
        found = []
        for _ in names:
            head, _, said = said.partition(b"\n")
            size = int(head.split()[-1]) if not head.endswith(b" missing") else 0
            found.append(said[:size])
            said = said[size + 1 :] if not head.endswith(b" missing") else said
        return found

    def head(self) -> str | None:
        """Return the commit that is checked out, None when there is none yet."""
        done = self.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        return done.stdout.decode().strip() or None

    def clear_locks(self) -> None:
        """Take away the locks that a killed Git left, unless some Git works here still.

        Raises:
            ResourceError: Another one does.
        """
        deadline = time.monotonic() + self.limit_s
        while found := self._locks():
            busy = _works_in(self.folder)
            if not busy and all(_age(path) > LOCK_AGE_S for path in found):
                for path in found:
                    path.unlink(missing_ok=True)
                return
            if time.monotonic() > deadline:
                raise ResourceError(
                    f"Another git (process {busy}) holds {found[0]}.", hint="Let it finish, then: physlab dvc commit"
                )
            time.sleep(0.1)

    def _locks(self) -> list[Path]:
        folder = self.folder / ".git"
        refs = (folder / "refs").rglob("*.lock") if (folder / "refs").is_dir() else ()
        return [path for path in (*(folder / name for name in _LOCKS), *refs) if path.exists()]


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _works_in(folder: Path) -> int | None:
    """Return the number of a Git process whose working directory is in a folder."""
    whole = folder.resolve()
    for process in psutil.process_iter(("name", "cwd", "pid")):
        cwd = process.info["cwd"]
        if process.info["name"] == "git" and cwd and Path(cwd).is_relative_to(whole):
            return int(process.info["pid"])
    return None


def dvc(folder: Path, own: Path, words: Sequence[str]) -> str:
    """Run one command of DVC in a fresh process: what it remembers in a long one is not to be trusted.

    Args:
        folder: The repository.
        own: Folder that holds DVC's own databases; nobody else may write it, since DVC unpickles from it.
        words: The command.

    Returns:
        What it printed.

    Raises:
        ComputationError: It refuses.
    """
    return run_own(folder, own, ["dvc", *words])


def own_path() -> dict[str, str]:
    """Return the variable with which a Python in any folder imports this very physlab, installed or a bare checkout."""
    before = child_environment({}).get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), before)))}


def run_own(folder: Path, own: Path, words: Sequence[str], given: str = "", scratch: Path | None = None) -> str:
    """Run a module of Python in a repository, as `dvc` does; nothing is imported from the repository itself.

    Args:
        folder: The repository.
        own: Folder that holds DVC's own databases.
        words: The module and its arguments.
        given: What it reads.
        scratch: Folder for its temporary files, of which DVC leaves some where it fails; the usual one by default.

    Returns:
        What it printed.

    Raises:
        ComputationError: It refuses.
    """
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    own.chmod(0o700)
    environment = child_environment({
        "DVC_SITE_CACHE_DIR": str(own), "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "LC_ALL": "C.UTF-8",
        **own_path(), **({"TMPDIR": str(scratch)} if scratch is not None else {}),
    }, drop_prefix=(*_FOREIGN, "DVC_ROOT", "DVC_STAGE"))  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", "-m", *words], cwd=folder, input=given.encode(), capture_output=True, check=False,
        env=environment,
    )  # fmt: skip
    if done.returncode:
        said = last_words(done.stderr + done.stdout)
        raise ComputationError(
            f"{' '.join(words[:2])} ended with {done.returncode}: {said}", hint=f"Look at it: dvc --cd {folder} doctor"
        )
    return done.stdout.decode(errors="replace")


def last_words(said: bytes) -> str:
    """Return the end of what a program printed, as one line."""
    return " ".join(said.decode(errors="replace").split())[-600:]
