"""Finished parts of nodes that are not finished: what a run that was killed has made and the next one goes on from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from physlab.errors import StoreError


class KeptParts:
    """The folder `parts`: what a part gave, as JSON, by the part's key; complete or absent.

    A part is no result: it is not in the ledger, and forgotten when its node is finished.

    Args:
        root: Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.folder, self._incoming = root / "parts", root / "incoming"

    def create(self) -> None:
        """Make the folder."""
        self.folder.mkdir(exist_ok=True)

    def keep(self, key: str, made: Any) -> None:
        """Keep what a part gave, durably; its bytes are in the store already.

        Raises:
            StoreError: The store cannot be written.
        """
        temporary = self._incoming / f"{key}.{os.getpid()}"
        try:
            with open(temporary, "w") as stream:
                json.dump(made, stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, self.folder / key)
        except OSError as error:
            raise StoreError(
                f"The store at {self.folder.parent} cannot be written: {error.strerror or error}.",
                hint="Free disk space, or choose another PHYSLAB_HOME.",
            ) from error

    def find(self, key: str) -> Any:
        """Return what a part gave, None when it is not there."""
        try:
            return json.loads((self.folder / key).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def forget(self, keys: Iterable[str]) -> None:
        """Let go of parts."""
        for key in keys:
            (self.folder / key).unlink(missing_ok=True)
