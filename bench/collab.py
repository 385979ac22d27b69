"""What the audit log costs, on SQLite: appending, and verifying beside what it cannot do without.

    python bench/collab.py [ENTRIES]

The floor of appending is a bare table of the same rows, written with the same care; that of verifying is one SHA-256 of
each entry. All in one run, in a folder that is removed.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from physlab.collab.audit import Event, Trail
from physlab.collab.audit.checkpoints import kept_checkpoints, lab_key, make_checkpoint, read_checkpoint
from physlab.collab.audit.export import export_log, verify_export
from physlab.collab.audit.verification import rows_of, verify_log
from physlab.collab.database import Database

BATCHES = (1, 10, 100, 1000)


def events(start: int, count: int) -> list[Event]:
    return [Event(f"{number % 40:032x}", "artifact.read", "hydrogen", f"{number:064x}", {"bytes": number})
            for number in range(start, start + count)]  # fmt: skip


def appending(database: Database, batch: int, seconds: float = 2.0) -> float:
    """Return entries a second, so many in one transaction; each is on disk when it counts."""
    trail, begun, count = Trail(database), time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        trail.note(*events(count, batch))
        count += batch
    return count / (time.perf_counter() - begun)


def bare_table(path: Path, size: int, batch: int = 1000) -> float:
    """Return rows a second of a table without chain and tree, forced to disk alike."""
    connection = sqlite3.connect(path, isolation_level=None)
    for text in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE rows (seq INTEGER, line BLOB)"):
        connection.execute(text)
    begun = time.perf_counter()
    for start in range(0, size, batch):
        connection.execute("BEGIN IMMEDIATE")
        rows = [(number, repr(event).encode()) for number, event in enumerate(events(start, batch), start)]
        connection.executemany("INSERT INTO rows VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    found = size / (time.perf_counter() - begun)
    connection.close()
    return found


def bare_hashes(database: Database) -> float:
    """Return entries a second when each is read and hashed once."""
    begun, count = time.perf_counter(), 0
    for line, _ in rows_of(database):
        hashlib.sha256(line).digest()
        count += 1
    return count / (time.perf_counter() - begun)


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        for batch in BATCHES:
            database = Database(Path(folder) / f"append-{batch}")
            print(f"append, {batch:>4} in one transaction   {appending(database, batch):>10,.0f} entries/s")
            database.close()
        database = Database(Path(folder) / "collab")
        begun = time.perf_counter()
        for start in range(0, size, 1000):
            Trail(database).note(*events(start, 1000))
        print(f"append, {size:,} in all            {size / (time.perf_counter() - begun):>10,.0f} entries/s")
        print(f"  beside it: a bare table         {bare_table(Path(folder) / 'bare', size):>10,.0f} rows/s")
        make_checkpoint(database)
        public = lab_key(database).public
        kept = [read_checkpoint(path.read_text(), public) for path in kept_checkpoints(database)]
        begun = time.perf_counter()
        checked = verify_log(rows_of(database), kept)
        assert checked.size == size and checked.checkpoints == 1
        print(f"verify the lab's own              {size / (time.perf_counter() - begun):>10,.0f} entries/s")
        print(f"  beside it: read, hashed once    {bare_hashes(database):>10,.0f} entries/s")
        export_log(database, Path(folder) / "export")
        begun = time.perf_counter()
        assert verify_export(Path(folder) / "export", public).size == size
        print(f"verify an export                  {size / (time.perf_counter() - begun):>10,.0f} entries/s")
        database.close()


if __name__ == "__main__":
    main()
