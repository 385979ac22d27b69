"""The folders of jobs where the cluster sees them: made, filled, read while they grow, and what was made there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from physlab.errors import ComputationError, StoreError

PIECE = 1 << 20


@dataclass(frozen=True)
class Wish:
    """Files that are to be here.

    Attributes:
        folder: A job's folder on the cluster.
        wanted: A file or folder in it.
        leave_out: Names of files in the job's folder that are not wanted.
        into: Folder of this machine for what has to be brought.
    """

    folder: Path
    wanted: str
    leave_out: frozenset[str]
    into: Path


Brought = dict[str, Path] | ComputationError
"""Name in the job's folder → path on this machine; or why there is none."""


class Files(Protocol):
    """Files on a cluster, by their paths there."""

    def make(self, folders: Iterable[Path]) -> None:
        """Make folders."""

    def lay(self, files: Mapping[Path, Path]) -> None:
        """Lay files of this machine (values) there (keys)."""

    def read(self, path: Path, start: int = 0) -> bytes:
        """Return a piece of a file from a place on, or its last bytes for a negative one; nothing without a file."""

    def bring(self, wishes: Sequence[Wish]) -> list[Brought]:
        """Return the files that are wished for; an error in the place of those that there are none of.

        Raises:
            ResourceError: They cannot be brought.
        """

    def remove(self, folders: Iterable[Path]) -> None:
        """Remove folders with what is in them."""


class SharedFiles:
    """Files that this machine sees under the same paths as the cluster."""

    def make(self, folders: Iterable[Path]) -> None:
        """Make folders.

        Raises:
            StoreError: They cannot be made.
        """
        for folder in folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"The folder {folder} cannot be made: {error.strerror}.", hint="Check the site's folder and rights."
                ) from error

    def lay(self, files: Mapping[Path, Path]) -> None:
        """Copy files.

        Raises:
            StoreError: One cannot be copied.
        """
        for target, source in files.items():
            try:
                shutil.copy2(source, target)
            except OSError as error:
                raise StoreError(
                    f"{source} cannot be laid into {target.parent}: {error.strerror}.", hint="Free some space there."
                ) from error

    def read(self, path: Path, start: int = 0) -> bytes:
        """Return a piece of a file."""
        try:
            with path.open("rb") as stream:
                stream.seek(start if start >= 0 else max(0, path.stat().st_size + start))
                return stream.read(PIECE)
        except OSError:
            return b""

    def bring(self, wishes: Sequence[Wish]) -> list[Brought]:
        """Return the files where they are."""
        return [_found(wish) for wish in wishes]

    def remove(self, folders: Iterable[Path]) -> None:
        """Remove folders."""
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _found(wish: Wish) -> Brought:
    base, root = wish.folder.resolve(), (wish.folder / wish.wanted).resolve()
    if not root.is_relative_to(base):  # by a link that the job made
        return outside(wish)
    if not root.exists():
        return not_made(wish)
    listed = sorted(root.rglob("*")) if root.is_dir() else [root]
    names = {path.relative_to(base).as_posix(): path for path in listed if path.is_file() and not path.is_symlink()}
    return {name: path for name, path in names.items() if name not in wish.leave_out}


def outside(wish: Wish) -> ComputationError:
    """Return the error of a job whose files lie elsewhere."""
    return ComputationError(f"The job's '{wish.wanted}' leads out of its folder.", hint="Let it write into its folder.")


def not_made(wish: Wish) -> ComputationError:
    """Return the error of a job that did not make what was wanted."""
    return ComputationError(f"The job made no '{wish.wanted}'.", hint=f"What it made is in {wish.folder}.")
