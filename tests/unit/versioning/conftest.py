"""A store in an empty folder, and files to register in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from physlab.store import Store, open_store
from physlab.versioning.history import Known, find
from physlab.versioning.register import Registered, Wish, register


@dataclass
class Room:
    """A folder, its store, and short words for what is done with both."""

    store: Store
    folder: Path

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def add(self, *artifacts: str, **more: Any) -> list[Registered]:
        return register(self.store, Wish(artifacts, **more), self.folder)

    def version(self, name: str) -> Known:
        return find(self.store, name, self.folder)

    def everything(self) -> dict[str, bytes]:
        """Return every byte of the store that counts."""
        kept = [
            path for part in ("objects", "journal") for path in (self.store.root / part).rglob("*") if path.is_file()
        ]
        return {str(path): path.read_bytes() for path in kept if path.name != "lock"}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    folder = tmp_path / "work"
    folder.mkdir()
    with open_store(tmp_path / "store") as store:
        yield Room(store, folder)
