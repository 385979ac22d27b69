"""The lab's repository: one writer at a time, each run one commit, whole or not at all."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physlab.durable import force_folder
from physlab.dvcrepo.changes import TRAILER, addition, message
from physlab.dvcrepo.config import keep_own, keep_remote, keep_shared
from physlab.dvcrepo.objects import Cache, Twin, place, write_whole
from physlab.dvcrepo.programs import Git
from physlab.dvcrepo.runfolder import DATA, MAP, PARAMS, POINTER, RUNS, RunFolder
from physlab.errors import ConfigurationError, ResourceError, StoreError
from physlab.keys import digest_bytes
from physlab.specfile import parse_spec
from physlab.store import Store
from physlab.store.lease import Leases

BRANCH = "main"
LEASE = "repository"
WAIT_S = 600.0
BEGINNING = {
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": "# Files that DVC leaves alone, one pattern a line.\n",
    ".gitattributes": "* -text\n",
    "README.md": """# Runs of a lab

Each folder under `runs` is an experiment as it was run last; each commit is a run, and has the tag `run/<its id>`.
The data is tracked by DVC; neither Git nor DVC needs anything else:

    dvc pull
    cd runs/NAME && sha256sum --check SHA256SUMS

`experiment.yaml` is the experiment, `params.yaml` its parameters, `run.json` its results, `lineage.json` the record of
every step with all its inputs, `environment.json` the versions that it was computed with, and `sha256.json` each file
under both names, its MD5 (DVC's) and its SHA-256 (the lab's). An older run:

    git checkout run/ID -- runs/NAME && dvc pull

What changed between two runs:

    dvc params diff run/OLD run/NEW
    dvc metrics diff run/OLD run/NEW
""",
}


@dataclass(frozen=True)
class Committed:
    """A run in the repository.

    Attributes:
        commit: The commit.
        subject: First line of its message.
        path: Folder of the run.
        files: How many files of data.
        size: How many bytes they hold.
        listing: What DVC calls the folder of data.
        map_digest: SHA-256 of the map of both digests.
        fresh: True when this call made it.
    """

    commit: str
    subject: str
    path: str
    files: int
    size: int
    listing: str
    map_digest: str
    fresh: bool


class Repository:
    """A repository of Git and DVC.

    Args:
        folder: Where it is.
        own: Folder for DVC's own databases, which nobody else may write.
        author: `Name <mail>`; None leaves it to Git's configuration.
        person: Whose name stands where neither says one.
    """

    def __init__(self, folder: Path, own: Path, author: str | None = None, person: str | None = None) -> None:
        self.folder = folder
        self.own = own
        self.git = Git(folder)
        self.scratch = folder / ".dvc" / "tmp" / "physlab"
        self.cache = Cache(folder / ".dvc" / "cache", self.scratch)
        self._author, self._person = author, person

    @property
    def exists(self) -> bool:
        """True once it was begun."""
        return (self.folder / ".git").exists() and (self.folder / ".dvc" / "config").is_file()

    def require(self) -> None:
        """Raise an error unless it was begun.

        Raises:
            ConfigurationError: It was not.
        """
        if not self.exists:
            raise ConfigurationError(f"There is no repository at {self.folder} yet.", hint="Begin it: physlab dvc init")

    def begin(self, remotes: Mapping[str, Mapping[str, str]]) -> bool:
        """Make the repository, or complete one that is there.

        Args:
            remotes: The remotes that the settings name, with their options.

        Returns:
            True when something was committed.
        """
        with self.writing():
            if not (self.folder / ".git").exists():
                self.git.run("init", "--quiet", f"--initial-branch={BRANCH}")
            for name, text in BEGINNING.items():
                if not (self.folder / name).exists():
                    write_whole(self.folder / name, text.encode())
            keep_own(self.folder, self.own)
            keep_shared(self.folder, remotes)
            paths = [*BEGINNING, ".dvc/config"]
            self.git.run("add", "--", *paths)
            if self.git.head() and not self.git.run("status", "--porcelain", "--", *paths).strip():
                return False
            self._commit("Begin the repository of runs\n" if not self.git.head() else "Set up DVC\n", paths)
            return True

    def add_remote(self, name: str, options: Mapping[str, str]) -> list[str]:
        """Add a remote, or change one, and commit what of it others may see.

        Returns:
            The options that stay on this machine.

        Raises:
            ValidationError: The name or an option is not one.
        """
        with self.writing():
            kept = keep_remote(self.folder, name, options)
            self.git.run("add", "--", ".dvc/config")
            if self.git.run("status", "--porcelain", "--", ".dvc/config").strip():
                self._commit(f"Set the remote {name}\n", [".dvc/config"])
        return kept

    @contextlib.contextmanager
    def writing(self, limit_s: float = WAIT_S) -> Iterator[None]:
        """Be the only process of physlab that writes here, also beside those of other labs.

        Raises:
            ResourceError: Another one does not come to an end.
        """
        leases = Leases(self.scratch)
        try:
            leases.create()
        except OSError as error:
            raise StoreError(
                f"The repository {self.folder} cannot be written: {error.strerror or error}.",
                hint="Make the folder writable, or set another one: physlab config set dvc.repository FOLDER",
            ) from error
        deadline = time.monotonic() + limit_s
        try:
            while not leases.acquire(LEASE):
                if time.monotonic() > deadline:
                    raise ResourceError(
                        f"Another process has been writing {self.folder} for {limit_s:g} s.",
                        hint="Let it finish, then: physlab dvc commit",
                    )
                time.sleep(0.05)
            try:
                self.git.clear_locks()
                self._sweep()
                yield
            finally:
                leases.release(LEASE)
        finally:
            leases.close()

    def _sweep(self) -> None:
        """Remove what a killed process left."""
        for path in self.scratch.glob("show-*"):
            shutil.rmtree(path, ignore_errors=True)
        for pattern in (".*.tmp", ".dvc/.*.tmp", ".dvc/tmp/physlab/.*.tmp", f"{RUNS}/*/.*.tmp"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def find(self, run_id: str) -> str | None:
        """Return the commit of a run, None when it has none."""
        if self.git.head() is None:
            return None
        words = ("log", "-1", "--format=%H", "--fixed-strings", f"--grep={TRAILER}: {run_id}", "HEAD")
        return self.git.run(*words).strip() or None

    def commit(self, shown: RunFolder, run_id: str, store: Store) -> Committed:
        """Commit a run; the caller is the only writer. What an interrupted call did is completed.

        Raises:
            StoreError: Bytes are missing or damaged, or the repository cannot be written.
            ComputationError: Git or one of its hooks refuses.
        """
        known = self.find(run_id)
        had = {} if known is None else {path: one.sha256 for path, one in self.twins(shown.path, known).items()}
        fresh = known is None or had != shown.files
        if fresh:
            words = addition(shown.title, run_id, shown.files.keys() - had) if known else self._words(shown, run_id)
            self._write(shown, store)
            self.git.run("add", "--all", "--", shown.path)
            self._commit(words, [shown.path])
        commit = known if known and not fresh else str(self.git.head())
        self.git.run("tag", "--force", f"run/{run_id}", commit)
        return self.describe(commit, shown.path, fresh=fresh)

    def _words(self, shown: RunFolder, run_id: str) -> str:
        before = self.git.read("HEAD", f"{shown.path}/{PARAMS}")
        earlier = None if before is None else parse_spec(before.decode(), f"{shown.path}/{PARAMS}")
        return message(shown.title, run_id, earlier, shown.params)

    def describe(self, commit: str, path: str, *, fresh: bool) -> Committed:
        """Return what a commit says of a run."""
        data = self.git.read(commit, f"{path}/{MAP}") or b'{"files": {}, "folder": ""}'
        body = json.loads(data)
        sizes = [entry["size"] for entry in body["files"].values()]
        subject = self.git.run("log", "-1", "--format=%s", commit).strip()
        return Committed(commit, subject, path, len(sizes), sum(sizes), body["folder"], digest_bytes(data), fresh)

    def twins(self, path: str, commit: str = "HEAD") -> dict[str, Twin]:
        """Return both digests of each file of data of a run."""
        data = self.git.read(commit, f"{path}/{MAP}")
        return {} if data is None else read_map(data)

    def runs(self, commit: str = "HEAD") -> list[str]:
        """Return the folders of all runs in a commit."""
        done = self.git.ask("ls-tree", "-r", "--name-only", "-z", commit, "--", f"{RUNS}/")
        names = done.stdout.decode().split("\0") if done.returncode == 0 else []
        return sorted(name.rpartition("/")[0] for name in names if name.endswith(f"/{MAP}"))

    def maps(self, *, latest: bool = True) -> list[tuple[str, dict[str, Twin]]]:
        """Return the folder of each run and both digests of its files: in the latest commit, or in every commit too."""
        return [(run, read_map(data)) for run, data in self._sheets(latest)]

    def inputs(self, *, latest: bool = True) -> list[tuple[str, dict[str, str]]]:
        """Return the folder of each run and the SHA-256 of what went into it, by what took it; as `maps`."""
        return [(run, read_inputs(data)) for run, data in self._sheets(latest)]

    def _sheets(self, latest: bool) -> list[tuple[str, bytes]]:
        """Two calls of Git tell all of them, however many commits there are."""
        if self.git.head() is None:
            return []
        found = [("HEAD", run) for run in self.runs()]
        if not latest:
            words = ("log", "--format=%x01%H", "--name-only", "--diff-filter=AM", "HEAD", "--", f"{RUNS}/")
            for block in self.git.run(*words).split("\x01")[1:]:
                commit, *names = block.split("\n")
                found += [(commit, name.rpartition("/")[0]) for name in names if name.endswith(f"/{MAP}")]
        blobs = self.git.read_many([f"{commit}:{run}/{MAP}" for commit, run in found])
        return [(run, data) for (_, run), data in zip(found, blobs, strict=True)]

    def _write(self, shown: RunFolder, store: Store) -> None:
        """Write the folder of a run, its data first: what a pointer names is there."""
        earlier = {twin.sha256: twin for twin in self.twins(shown.path).values()}
        twins = {
            path: self.cache.take(store.blobs, digest, earlier.get(digest.removeprefix("sha256:")))
            for path, digest in sorted(shown.files.items())
        }
        listing = self.cache.put_folder(twins) if twins else ""
        for parent in {self.cache.path(twin.md5).parent for twin in twins.values()}:
            force_folder(parent)
        home = self.folder / shown.path
        home.mkdir(parents=True, exist_ok=True)
        self._show(home / DATA, twins)
        for name, data in shown.complete(twins, listing).items():
            if not (home / name).is_file() or (home / name).read_bytes() != data:
                write_whole(home / name, data)
        if not twins:
            (home / POINTER).unlink(missing_ok=True)

    def show(self, path: str) -> None:
        """Show the data of a run as the latest commit names it."""
        self._show(self.folder / path / DATA, self.twins(path))

    def _show(self, target: Path, twins: Mapping[str, Twin]) -> None:
        """Put the files of a run in the place of those of the run before it."""
        scratch = self.scratch / f"show-{secrets.token_hex(8)}"
        fresh, old = scratch / "new", scratch / "old"
        fresh.mkdir(parents=True)
        for path, twin in twins.items():
            place(self.cache.path(twin.md5), fresh / path)
        if target.exists():
            os.rename(target, old)
        os.rename(fresh, target)
        shutil.rmtree(scratch, ignore_errors=True)

    def _commit(self, words: str, paths: list[str]) -> None:
        who = self._identity()
        self.git.run("commit", "--quiet", "--file=-", "--", *paths, given=words.encode(), environment=who)

    def _identity(self) -> dict[str, str]:
        """Return who commits, as far as Git does not know it."""
        if self._author is not None:
            name, mail = re.fullmatch(r"\s*(.+?)\s*<(.+)>", self._author).groups()  # type: ignore[union-attr]
        else:
            mail = self.git.ask("config", "user.email").stdout.decode().strip()
            name = self.git.ask("config", "user.name").stdout.decode().strip()
            login = getpass.getuser()
            name, mail = name or self._person or login, mail or f"{login}@{socket.gethostname()}"
        whos = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in
                (("NAME", name), ("EMAIL", mail))}  # fmt: skip
        return whos


def read_map(data: bytes) -> dict[str, Twin]:
    """Return both digests of each file of a `sha256.json`, which may come from others.

    Raises:
        StoreError: It is none, or it names what lies outside of its folder.
    """
    try:
        entries: dict[str, Any] = json.loads(data)["files"]
        found = {path: Twin(one["sha256"], one["md5"], int(one["size"])) for path, one in entries.items()}
        odd = [path for path, twin in found.items() if not _is_plain(path, twin)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        odd, found = [str(error)], {}
    if odd:
        raise StoreError(f"A {MAP} of the repository cannot be used: {odd[0]}.", hint="Ask whoever committed it.")
    return found


def read_inputs(data: bytes) -> dict[str, str]:
    """Return the SHA-256 of what went into a run, by what took it, of a `sha256.json`, which may come from others."""
    found = json.loads(data).get("inputs", {})
    return {str(place): str(digest) for place, digest in found.items()} if isinstance(found, dict) else {}


def _is_plain(path: str, twin: Twin) -> bool:
    digests = re.fullmatch("[0-9a-f]{64}", twin.sha256) and re.fullmatch("[0-9a-f]{32}", twin.md5)
    parts = path.split("/")
    return bool(digests) and not {"", ".", ".."}.intersection(parts) and "\\" not in path and "\0" not in path
