"""A store in a folder that cannot be written, such as an archived lab: read, never changed.

The index has to follow the journal, and SQLite writes beside its file even to read it. So a copy of it, elsewhere and
only for this process, is used instead; where there is none, it is made from the journal.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from physlab.errors import StoreError


def is_archived(root: Path, marker: Path) -> bool:
    """Say whether a store is there that cannot be written."""
    return marker.exists() and not os.access(root, os.W_OK)


def copy_index(root: Path, name: str) -> tempfile.TemporaryDirectory[str]:
    """Copy the index of a store to a temporary folder, which goes when it is cleaned up.

    Args:
        root: Folder of the store.
        name: File name of the index.

    Raises:
        StoreError: It cannot be read, or there is no room for the copy.
    """
    folder = None
    try:
        folder = tempfile.TemporaryDirectory(prefix="physlab-index-", ignore_cleanup_errors=True)
        for path in (root / name, root / f"{name}-wal"):
            if path.exists():
                shutil.copyfile(path, Path(folder.name) / path.name)
    except OSError as error:
        if folder is not None:
            folder.cleanup()
        raise StoreError(
            f"The store at {root} cannot be written, and its index cannot be copied: {error.strerror or error}.",
            hint="Set TMPDIR to a folder with room for it.",
        ) from error
    return folder
