"""Checkpoints: the lab signs how long its log is and what its tree's root is; whoever has one finds what was cut.

The text that is signed is a checkpoint of the transparency-log world (https://c2sp.org/tlog-checkpoint): a name, the
number of entries, the root in base64; the signature is one of minisign over that text, with the chain's head in its
trusted comment. A checkpoint that leaves the lab (printed, in a notebook, in a backup) is a witness.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit.merkle import Peaks
from physlab.collab.database import Database, written
from physlab.durable import replace_file
from physlab.errors import ValidationError
from physlab.sealing.keyfiles import read_secret, write_secret
from physlab.signing import PublicKey, SecretKey, make_secret, read_signature, verify

FOLDER, KEY = "checkpoints", "lab.key"


@dataclass(frozen=True)
class Checkpoint:
    """What a log was at some moment, as the lab signed it.

    Attributes:
        origin: Whose log: `physlab audit KEY`.
        size: How many entries.
        root: Of the Merkle tree over them.
        note: `at MOMENT head DIGEST`: when, and the head of the chain.
        text: The whole, with its signature.
    """

    origin: str
    size: int
    root: bytes
    note: str
    text: str

    @property
    def head(self) -> str:
        """The head of the chain."""
        return self.note.rpartition(" ")[2]


def lab_key(database: Database) -> SecretKey:
    """Return the key by which the lab signs what it does by itself; made when it is first needed."""
    path = database.folder / KEY
    if not path.exists():
        made = make_secret()
        write_secret(path, f"{made.number.hex()} {made.seed.hex()}\n".encode())
    number, seed = read_secret(path).split()
    return SecretKey(bytes.fromhex(number), bytes.fromhex(seed))


def make_checkpoint(database: Database) -> Checkpoint:
    """Sign what the log is now, and keep it beside the database."""
    secret = lab_key(database)
    with database.reading() as connection:
        row = connection.execute(sa.select(schema.audit_state)).one_or_none()
    if row is None:
        raise ValidationError("Nothing was logged yet.", hint="Share something first: physlab session share")
    peaks = Peaks(row.size, [row.peaks[start : start + 32] for start in range(0, len(row.peaks), 32)])
    body = f"physlab audit {secret.public.id}\n{row.size}\n{base64.b64encode(peaks.root).decode()}\n"
    note = f"at {written(database.clock.now())} head {row.head}"
    text = f"{body}\n{secret.minisign(body.encode(), note)}"
    folder = database.folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    replace_file(folder / f"{row.size:012d}.txt", text.encode())
    return read_checkpoint(text, secret.public)


def kept_checkpoints(database: Database) -> list[Path]:
    """Return the files of the checkpoints that the lab kept, the oldest first."""
    return sorted((database.folder / FOLDER).glob("*.txt"))


def read_checkpoint(text: str, public: PublicKey) -> Checkpoint:
    """Return a checkpoint whose signature holds.

    Raises:
        ValidationError: It is none, another key signed it, or it was changed.
    """
    body, blank, signature = text.partition("\n\n")
    lines = body.split("\n")
    if not blank or len(lines) != 3 or not lines[1].isdigit() or str(int(lines[1])) != lines[1]:
        raise ValidationError("This is no checkpoint of an audit log.", hint="Make one: physlab audit checkpoint")
    signed = read_signature(signature)
    verify(public, (body + "\n").encode(), signed)
    try:
        root = base64.b64decode(lines[2], validate=True)
    except binascii.Error as error:
        raise ValidationError("The root of the checkpoint is no base64.", hint="Take the file as it was.") from error
    return Checkpoint(lines[0], int(lines[1]), root, signed.comment, text)
