"""Witnesses: whoever countersigns a checkpoint has seen that the log only grew since the one before.

A lab that shows two people different logs cannot get both countersigned by one witness.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit.checkpoints import Checkpoint
from physlab.collab.audit.merkle import consistency, extends, leaf
from physlab.collab.database import Database
from physlab.errors import ValidationError
from physlab.signing import SecretKey


def prove(database: Database, old: Checkpoint, new: Checkpoint) -> list[str]:
    """Return the proof, as base64, that the log of one checkpoint is the beginning of that of another.

    Raises:
        ValidationError: The log is shorter.
    """
    table = schema.audit
    with database.reading() as connection:
        lines = connection.execute(sa.select(table.c.line).where(table.c.seq <= new.size).order_by(table.c.seq))
        leaves = [leaf(line) for line in lines.scalars()]
    if len(leaves) != new.size:
        raise ValidationError(f"The log has {len(leaves)} entries, not {new.size}.", hint="Take an older checkpoint.")
    return [base64.b64encode(each).decode() for each in consistency(leaves, old.size)]


def countersign(secret: SecretKey, old: Checkpoint | None, new: Checkpoint, proof: Sequence[str]) -> str:
    """Return a witness's signature (minisign) of a checkpoint.

    Args:
        secret: The witness's.
        old: The last one that the witness countersigned; None for the first.
        new: What is to be countersigned.
        proof: That the new one only grew.

    Raises:
        ValidationError: It is of another log, or does not extend the old one.
    """
    if old is not None:
        try:
            hashes = [base64.b64decode(each, validate=True) for each in proof]
        except ValueError as error:
            raise ValidationError("The proof is no list of base64.", hint="Ask again: physlab audit prove") from error
        if old.origin != new.origin or not extends(old.size, old.root, new.size, new.root, hashes):
            raise ValidationError(
                f"The log of {new.size} entries does not extend the one of {old.size} that was countersigned.",
                hint="It was written anew or shortened: keep both checkpoints, and ask its lab.",
            )
    body = new.text.partition("\n\n")[0] + "\n"
    return secret.minisign(body.encode(), f"witness of {new.size} entries")
