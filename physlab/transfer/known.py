"""What this lab knows of a store: where chunks lie. Only saves time; it can be deleted.

A pack is entered when it has been written there, so that a push that was killed goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from physlab.errors import StoreError
from physlab.transfer.layout import Chunk, FileList

_TABLES = """
CREATE TABLE IF NOT EXISTS chunks (
    sha256 BLOB PRIMARY KEY, size INTEGER, pack BLOB, offset INTEGER, length INTEGER, codec TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS chunks_pack ON chunks (pack);
CREATE TABLE IF NOT EXISTS lists (name BLOB PRIMARY KEY, file BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (sha256 BLOB, file BLOB, offset INTEGER, pack BLOB);
CREATE INDEX IF NOT EXISTS parts_sha256 ON parts (sha256);
CREATE INDEX IF NOT EXISTS parts_file ON parts (file);
"""


class Known:
    """The notes on one store.

    Args:
        path: SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self._guard, self._path = threading.Lock(), path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=60, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> StoreError:
        return StoreError(
            f"The notes {self._path} cannot be used: {error}.",
            hint=f"Free disk space. They only save time; if they are damaged: rm {self._path}",
        )

    @contextlib.contextmanager
    def _using(self, write: bool = False) -> Iterator[None]:
        """Let one thread in at a time; a change is made as a whole or not at all."""
        try:
            with self._guard, self._base if write else contextlib.nullcontext():
                yield
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def find(self, digest: str) -> Chunk | None:
        """Return where a chunk lies, None when it is not known."""
        with self._using():
            row = self._base.execute(
                "SELECT size, hex(pack), offset, length, codec FROM chunks WHERE sha256 = ?", (bytes.fromhex(digest),)
            ).fetchone()
        return Chunk(digest, row[0], row[1].lower(), *row[2:]) if row else None

    def chunks_in(self, pack: str) -> list[Chunk]:
        """Return the chunks that are known to lie in a pack."""
        query = "SELECT hex(sha256), size, offset, length, codec FROM chunks WHERE pack = ?"
        with self._using():
            rows = self._base.execute(query, (bytes.fromhex(pack),)).fetchall()
        return [Chunk(row[0].lower(), row[1], pack, *row[2:]) for row in rows]

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Note where chunks lie."""
        rows = [
            (bytes.fromhex(one.digest), one.size, bytes.fromhex(one.pack), one.offset, one.length, one.codec)
            for one in chunks
        ]
        with self._using(write=True):
            self._base.executemany("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?)", rows)

    def lists(self) -> set[str]:
        """Return the names of the lists that were read."""
        with self._using():
            return {row[0].lower() for row in self._base.execute("SELECT hex(name) FROM lists")}

    def add_list(self, name: str, file: FileList) -> None:
        """Note a list: its chunks in the store, and where they lie in the file itself."""
        self.forget_lists([name])
        rows, offset, key = [], 0, bytes.fromhex(file.digest)
        for chunk in file.chunks:
            rows.append((bytes.fromhex(chunk.digest), key, offset, bytes.fromhex(chunk.pack)))
            offset += chunk.size
        with self._using(write=True):
            self._base.executemany("INSERT INTO parts VALUES (?, ?, ?, ?)", rows)
            self._base.execute("INSERT OR REPLACE INTO lists VALUES (?, ?)", (bytes.fromhex(name), key))
        self.add(file.chunks)

    def forget_lists(self, names: Iterable[str]) -> None:
        """Forget lists that are not there any more."""
        with self._using(write=True):
            for name in map(bytes.fromhex, names):
                for (file,) in self._base.execute("SELECT file FROM lists WHERE name = ?", (name,)).fetchall():
                    self._base.execute("DELETE FROM parts WHERE file = ?", (file,))
                self._base.execute("DELETE FROM lists WHERE name = ?", (name,))

    def keep_packs(self, sizes: Mapping[str, int]) -> None:
        """Forget the chunks of packs that are not there any more, or are too short."""
        with self._using(write=True):
            rows = self._base.execute("SELECT hex(pack), max(offset + length) FROM chunks GROUP BY pack").fetchall()
            gone = [pack for pack, least in rows if sizes.get(pack.lower(), -1) < least]
            self._base.executemany("DELETE FROM chunks WHERE pack = ?", [(bytes.fromhex(pack),) for pack in gone])

    def forget_pack(self, pack: str) -> None:
        """Forget that the chunks of a pack are there, so that they are sent again."""
        with self._using(write=True):
            self._base.execute("DELETE FROM chunks WHERE pack = ?", (bytes.fromhex(pack),))

    def files_with(self, pack: str) -> set[str]:
        """Return the digests of the files that need a pack."""
        with self._using():
            rows = self._base.execute("SELECT DISTINCT hex(file) FROM parts WHERE pack = ?", (bytes.fromhex(pack),))
            return {row[0].lower() for row in rows}

    def places(self, digest: str) -> list[tuple[str, int]]:
        """Return in which files a chunk occurs, and where."""
        query = "SELECT DISTINCT hex(file), offset FROM parts WHERE sha256 = ? LIMIT 8"
        with self._using():
            return [(row[0].lower(), row[1]) for row in self._base.execute(query, (bytes.fromhex(digest),))]

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            self._base.close()
