"""The data key of a project: what it seals, only it opens, and names that do not tell what they name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from physlab.keys import keyed_digest
from physlab.sealing import age


@dataclass(frozen=True)
class ProjectKey:
    """An open data key; its secret is shown nowhere.

    Attributes:
        project: Name of the project.
        recipient: Public key; whoever has it can seal, not open.
    """

    project: str
    recipient: str
    identity: str = field(repr=False)

    def seal(self, data: bytes) -> bytes:
        """Return bytes that only this key opens."""
        return age.seal(data, self.recipient)

    def open(self, data: bytes, what: str) -> bytes:
        """Return what was sealed.

        Raises:
            StoreError: It was changed or cut, or is sealed for another key; the message begins with `what`.
        """
        return age.unseal(data, self.identity, what)

    def seal_stream(self, reader: BinaryIO, writer: age.Writer) -> None:
        """Seal a stream of any size with bounded memory."""
        age.seal_stream(reader, writer, self.recipient)

    def open_stream(self, reader: BinaryIO, writer: age.Writer, what: str) -> None:
        """Open a sealed stream of any size with bounded memory; what was written counts when this returns.

        Raises:
            StoreError: It was changed or cut, or is sealed for another key; the message begins with `what`.
        """
        age.unseal_stream(reader, writer, self.identity, what)

    def name_of(self, text: str) -> str:
        """Return 64 hex digits in the place of a name: the same for the same text, and telling nothing of it."""
        key = bytes.fromhex(keyed_digest(self.identity.encode(), b"physlab names 1"))
        return keyed_digest(key, text.encode())
