"""The folders of jobs where the cluster sees them: made, filled, read while they grow, and what was made there."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from physlab.errors import ComputationError, StoreError

PIECE = 1 << 20
OUTSIDE = "The job's '{}' leads out of its folder."
NOT_MADE = "The job made no '{}'."


class Files(Protocol):
    """Files on a cluster, by their paths there."""

    def make(self, folders: Iterable[Path]) -> None:
        """Make folders."""

    def lay(self, files: Mapping[Path, Path]) -> None:
        """Lay files of this machine (values) there (keys)."""

    def read(self, path: Path, start: int = 0) -> bytes:
        """Return a piece of a file from a place on, or its last bytes for a negative one; nothing without a file."""

    def bring(self, folder: Path, wanted: str, leave_out: Collection[str], into: Path) -> dict[str, Path]:
        """Return the files below `wanted` in a folder, name → path on this machine, brought `into` it if need be.

        Raises:
            ComputationError: There is no such file, or it leads out of the folder.
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

    def bring(self, folder: Path, wanted: str, leave_out: Collection[str], into: Path) -> dict[str, Path]:
        """Return the files where they are.

        Raises:
            ComputationError: There is no such file, or it leads out of the folder.
        """
        base, root = folder.resolve(), (folder / wanted).resolve()
        if not root.is_relative_to(base):  # by a link that the job made
            raise ComputationError(OUTSIDE.format(wanted), hint="Let it write into its folder.")
        if not root.exists():
            raise ComputationError(NOT_MADE.format(wanted), hint=f"What it made is in {folder}.")
        listed = sorted(root.rglob("*")) if root.is_dir() else [root]
        names = {path.relative_to(base).as_posix(): path for path in listed if path.is_file() and not path.is_symlink()}
        return {name: path for name, path in names.items() if name not in leave_out}

    def remove(self, folders: Iterable[Path]) -> None:
        """Remove folders."""
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
