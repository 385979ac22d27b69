"""The log as a folder that anybody verifies without the lab: its entries, its checkpoints, the lab's public key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit.checkpoints import (
    Checkpoint,
    kept_checkpoints,
    lab_key,
    make_checkpoint,
    read_checkpoint,
)  # fmt: skip
from physlab.collab.audit.verification import Row, Verified, rows_of, verify_log
from physlab.collab.database import Database
from physlab.durable import force_folder
from physlab.errors import ValidationError
from physlab.signing import PublicKey, read_public

ENTRIES, PUBLIC, CHECKPOINTS = "audit.log", "lab.pub", "checkpoints"
_LINE = re.compile(rb"([0-9a-f]{64}) (\{.*\})\n")
_README = """The audit log of a physlab lab.

audit.log     one entry a line: the head of the chain after it, and the entry as canonical JSON (RFC 8785).
              head = SHA-256(head before, as text + entry); the first follows 64 zeros.
checkpoints/  signed by the lab: number of entries, root of the Merkle tree (RFC 6962), head of the chain.
lab.pub       the key that signed them, in minisign's format.

Verify: physlab audit verify FOLDER --key lab.pub (take the key from the lab itself, not from here)
"""


def export_log(database: Database, folder: Path, session: str | None = None) -> Verified:
    """Write the log to a new folder, complete or not at all; return what was verified of it on the way.

    Args:
        database: Of the lab.
        folder: Where; it must not exist.
        session: Only count as exported when this session has entries; the chain is always whole.

    Raises:
        ValidationError: The folder is there, there is no such session, or the log does not hold.
    """
    if folder.exists():
        raise ValidationError(f"'{folder}' is there already.", hint="Name a new folder.")
    if session is not None:
        with database.reading() as connection:
            table = schema.audit
            if connection.execute(sa.select(table.c.seq).where(table.c.session == session).limit(1)).first() is None:
                raise ValidationError(
                    f"The log has no entry of the session '{session}'.", hint="See: physlab session list"
                )
    make_checkpoint(database)
    public = lab_key(database).public
    texts = [path.read_text() for path in kept_checkpoints(database)]
    scratch = folder.with_name(f".{folder.name}.part")
    (scratch / CHECKPOINTS).mkdir(parents=True)
    with (scratch / ENTRIES).open("wb") as stream:

        def written() -> Iterator[Row]:
            for line, head in rows_of(database):
                stream.write(b"%s %s\n" % (head.encode(), line))
                yield line, head

        checked = verify_log(written(), [read_checkpoint(text, public) for text in texts])
    for text in texts:
        one = read_checkpoint(text, public)
        (scratch / CHECKPOINTS / f"{one.size:012d}.txt").write_text(text)
    (scratch / PUBLIC).write_text(public.text())
    (scratch / "README.txt").write_text(_README)
    scratch.rename(folder)
    force_folder(folder.parent)
    return checked


def verify_export(folder: Path, public: PublicKey | None = None) -> Verified:
    """Verify an exported log; nothing else is needed.

    Args:
        folder: The export.
        public: The lab's key; unset: the one in the folder, which then only proves that the folder fits together.

    Raises:
        ValidationError: It does not hold; the message names the first thing that is wrong.
    """
    try:
        key = public or read_public((folder / PUBLIC).read_text())
        texts = [path.read_text() for path in sorted((folder / CHECKPOINTS).glob("*.txt"))]
        if not texts:
            raise ValidationError(f"'{folder}' has no checkpoint.", hint="Export again: physlab audit export FOLDER")
        checkpoints = [read_checkpoint(text, key) for text in texts]
        checked = verify_log(_lines(folder / ENTRIES), checkpoints)
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(
            f"'{folder}' is no exported audit log: {error}.", hint="Make one: physlab audit export FOLDER"
        ) from error
    last = max(one.size for one in checkpoints)
    if last != checked.size:
        raise ValidationError(
            f"Entries {last + 1} to {checked.size} are covered by no checkpoint.", hint="They were added afterwards."
        )
    return checked


def last_checkpoint(folder: Path, public: PublicKey) -> Checkpoint:
    """Return the newest checkpoint of an exported log."""
    return read_checkpoint(max((folder / CHECKPOINTS).glob("*.txt")).read_text(), public)


def _lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as stream:
        for place, text in enumerate(stream, 1):
            match = _LINE.fullmatch(text)
            if match is None:
                raise ValidationError(
                    f"Entry {place} of the audit log does not hold: it is not a head and an entry.",
                    hint="Take the file as it was exported.",
                )
            yield match[2], match[1].decode()
