"""Verifying a log, from the database or from an export: each entry, the chain, the tree, every checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import orjson
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit.checkpoints import Checkpoint
from physlab.collab.audit.merkle import Peaks, leaf
from physlab.collab.audit.trail import BEGIN, chain
from physlab.collab.database import Database
from physlab.errors import ValidationError

BATCH = 20_000
Row = tuple[bytes, str]
"""An entry's line, and the head of the chain after it."""


@dataclass(frozen=True)
class Verified:
    """A log that holds.

    Attributes:
        size: How many entries it has.
        head: Of the chain.
        root: Of the tree.
        checkpoints: How many checkpoints agree with it.
        seconds: How long it took [s].
    """

    size: int
    head: str
    root: str
    checkpoints: int
    seconds: float


def rows_of(database: Database) -> Iterator[Row]:
    """Yield the entries of a database, in order, with the columns that it is searched by compared to what is hashed.

    Raises:
        ValidationError: A column says something else than its entry.
    """
    table = schema.audit
    with database.reading() as connection:
        found = connection.execution_options(stream_results=True).execute(sa.select(table).order_by(table.c.seq))
        while rows := found.fetchmany(BATCH):
            for seq, at, who, action, session, what, line, head in rows:
                said = orjson.loads(line)
                if (said["at"], said["who"], said["action"], said["session"], said["object"]) != (
                    at, who, action, session, what,
                ):  # fmt: skip
                    raise ValidationError(
                        f"Entry {seq} of the audit log: a column says something else than what was hashed.",
                        hint="The database was changed by hand; restore it: physlab backup restore",
                    )
                yield line, head


def verify_log(rows: Iterable[Row], checkpoints: Sequence[Checkpoint]) -> Verified:
    """Verify a log.

    Args:
        rows: Its entries in order.
        checkpoints: What was signed of it, from anywhere.

    Raises:
        ValidationError: It does not hold; the message names the first entry that is wrong.
    """
    begun = time.perf_counter()
    wanted: dict[int, list[Checkpoint]] = {}
    for one in checkpoints:
        wanted.setdefault(one.size, []).append(one)
    peaks, head = Peaks(), BEGIN
    for line, told in rows:
        place = peaks.size + 1
        head = chain(head, line)
        if head != told:
            raise _wrong(place, "it, or one before it, was changed, left out, put in, or moved")
        if orjson.loads(line)["seq"] != place:
            raise _wrong(place, "its number is another one")
        peaks.add(leaf(line))
        for one in wanted.pop(place, ()):
            _agree(one, peaks.root, head)
    if wanted:
        size = min(wanted)
        raise ValidationError(
            f"The audit log has {peaks.size} entries; a checkpoint of {wanted[size][0].note.split()[1]} has {size}.",
            hint="Its end was cut off, or it is another log; compare with a backup: physlab backup list",
        )
    return Verified(peaks.size, head, peaks.root.hex(), len(checkpoints), time.perf_counter() - begun)


def _agree(one: Checkpoint, root: bytes, head: str) -> None:
    if one.root != root or one.head != head:
        raise ValidationError(
            f"The audit log is not that of the checkpoint {one.note.split()[1]}: its first {one.size} entries differ.",
            hint="It was written anew; compare with a backup: physlab backup list",
        )


def _wrong(place: int, why: str) -> ValidationError:
    return ValidationError(
        f"Entry {place} of the audit log does not hold: {why}.", hint="Compare with a backup: physlab backup list"
    )
