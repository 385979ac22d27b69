"""Being a witness of other labs' logs: the last checkpoint that was countersigned is kept, and never gone behind."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from physlab.collab.audit.checkpoints import Checkpoint, lab_key, read_checkpoint
from physlab.collab.audit.witness import countersign
from physlab.collab.database import Database
from physlab.durable import replace_file
from physlab.errors import ValidationError
from physlab.signing import PublicKey

FOLDER = "witnessed"


def last_witnessed(database: Database, theirs: PublicKey) -> Checkpoint | None:
    """Return the last checkpoint of another lab that this one countersigned; None before the first."""
    path = _path(database, theirs)
    return read_checkpoint(path.read_text(), theirs) if path.exists() else None


def witness(database: Database, theirs: PublicKey, new: Checkpoint, proof: Sequence[str]) -> str:
    """Countersign a checkpoint of another lab, once it is proven to extend the last one that was.

    Returns:
        The signature (minisign), by this lab's key; it is kept before it is given away.

    Raises:
        ValidationError: It does not extend the last one, or the proof is missing.
    """
    with _alone(database):
        old = last_witnessed(database, theirs)
        if old is not None and old.size == new.size and old.root == new.root:
            proof = ()
        elif old is not None and not proof:
            raise ValidationError(
                f"This lab countersigned {old.size} entries of that log before; a proof that it only grew is needed.",
                hint=f"Ask that lab: physlab audit prove OLD NEW, OLD being {_path(database, theirs)}",
            )
        signature = countersign(lab_key(database), old, new, proof)
        replace_file(_path(database, theirs), new.text.encode())
    return signature


def _path(database: Database, theirs: PublicKey) -> Path:
    return database.folder / FOLDER / f"{theirs.id}-{theirs.point.hex()[:16]}.txt"


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    folder = database.folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    with open(folder / ".lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
