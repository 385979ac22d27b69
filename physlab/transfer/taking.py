"""Taking what came from elsewhere into a lab: files and records, all or nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from physlab.store import Store, schema
from physlab.transfer.records import Travelling


def unknown(store: Store, records: Mapping[str, Travelling]) -> list[Travelling]:
    """Return the records that a lab lacks; of a graph that it knows under the same title it keeps its own."""
    store.refresh()
    known = {row["digest"] for row in store.index.rows(sa.select(schema.records.c.digest))}
    graphs = {(row["dag_id"], row["title"]) for row in store.index.rows(schema.dags.select())}
    return [
        one
        for one in records.values()
        if one.digest not in known
        and not (one.kind == "dag" and (one.record["dag_id"], one.record["dag"].get("title", "")) in graphs)
    ]


def take(store: Store, name: str, url: str, files: Mapping[str, Path], records: Mapping[str, Travelling]) -> int:
    """Move files and records into a lab; what was moved is moved back when it fails.

    Args:
        store: The lab's.
        name: Where they are from, as the lab calls it.
        url: Its address.
        files: By digest, on the lab's file system: checked and forced to disk.
        records: All that came.

    Returns:
        How many records are new.

    Raises:
        StoreError: The store cannot be written; it is as before.
    """
    taken: list[str] = []
    with contextlib.ExitStack() as undo:
        undo.callback(_put_back, store, files, taken)
        for digest, path in files.items():
            if store.blobs.adopt(path, digest):
                taken.append(digest)
        new = unknown(store, records)
        if new:
            said = {
                "kind": "received", "store": name, "url": url, "records": len(new),
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
            }  # fmt: skip
            store.append_all([*((one.kind, one.record) for one in new), ("received", said)])
        undo.pop_all()  # the records count: from here on the files stay, whatever happens to the index
    store.flush()
    return len(new)


def _put_back(store: Store, files: Mapping[str, Path], taken: Iterable[str]) -> None:
    for digest in taken:
        with contextlib.suppress(OSError):
            os.replace(store.blobs.path(digest), files[digest])


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time use a waiting room."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".pulling", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
