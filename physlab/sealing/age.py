"""Bytes and streams in the format of age (age-encryption.org/v1), for X25519 keys only.

Files that ask for a passphrase are refused before anything of them is computed: whoever writes one chooses how much
memory and time its reader needs.
"""

from __future__ import annotations

import io
from typing import BinaryIO, Protocol

import pyrage

from physlab.errors import StoreError, ValidationError

MAGIC = b"age-encryption.org/v1\n"
HEADER_BYTES = 1 << 16
_NOT_KEY = "It begins with AGE-SECRET-KEY-1 and stands alone in a line; make one with: age-keygen -o FILE"


class Writer(Protocol):
    """What a stream is written to."""

    def write(self, data: bytes, /) -> int | None:
        """Take bytes."""

    def flush(self) -> None:
        """Pass on what was taken."""


def make_identity() -> str:
    """Return a fresh secret key as age spells it."""
    return str(pyrage.x25519.Identity.generate())


def read_identity(text: str, what: str) -> str:
    """Return the secret key of an identity file, which may hold comments.

    Raises:
        ValidationError: There is none, more than one, or it is misspelled; the message never shows the text.
    """
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if len(found) != 1:
        raise ValidationError(f"{what} holds {len(found)} age secret keys instead of one.", hint=f"{_NOT_KEY}.")
    recipient_of(found[0], what)
    return found[0]


def recipient_of(identity: str, what: str = "The key") -> str:
    """Return the public key of a secret key.

    Raises:
        ValidationError: It is none.
    """
    return str(_identity(identity, what).to_public())


def check_recipient(recipient: str) -> str:
    """Return a public key that is one.

    Raises:
        ValidationError: It is not an X25519 public key of age.
    """
    _recipient(recipient)
    return recipient


def seal(data: bytes, *recipients: str) -> bytes:
    """Return bytes that only the owners of these public keys can open."""
    return bytes(pyrage.encrypt(data, [_recipient(one) for one in recipients]))


def unseal(data: bytes, identity: str, what: str) -> bytes:
    """Return what `seal` was given.

    Args:
        data: An age file.
        identity: Secret key.
        what: Its name, for the error.

    Raises:
        StoreError: It was changed or cut, is not for this key, or asks for a passphrase.
    """
    _refuse_strange(data[:HEADER_BYTES], what)
    try:
        return bytes(pyrage.decrypt(data, [_identity(identity, "The key")]))
    except pyrage.DecryptError as error:
        raise _unopenable(what, error) from error


def seal_stream(reader: BinaryIO, writer: Writer, *recipients: str) -> None:
    """Seal a stream of any size; memory stays bounded.

    Raises:
        StoreError: It could not be read or written to its end.
    """
    try:
        pyrage.encrypt_io(reader, writer, [_recipient(one) for one in recipients])
    except pyrage.EncryptError as error:  # it holds the error of the reader or the writer as a text
        raise StoreError(
            f"It could not be sealed: {str(error).removeprefix('OSError: ')}.", hint="Free disk space, then try again."
        ) from error


def unseal_stream(reader: BinaryIO, writer: Writer, identity: str, what: str) -> None:
    """Open a sealed stream of any size; memory stays bounded.

    What was written counts only when this returns: that a stream was cut is known at its end.

    Raises:
        StoreError: It was changed or cut, is not for this key, or asks for a passphrase.
    """
    head = reader.read(HEADER_BYTES)
    _refuse_strange(head, what)
    try:
        pyrage.decrypt_io(_Joined(head, reader), writer, [_identity(identity, "The key")])
    except pyrage.DecryptError as error:
        raise _unopenable(what, error) from error
    except OSError as error:
        if error.errno is not None:  # of the reader or the writer, such as a full disk
            raise
        raise _unopenable(what, error) from error


class _Joined(io.RawIOBase):
    """A stream whose beginning was read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = io.BytesIO(head), rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._head.read(size) or self._rest.read(size)


def _identity(text: str, what: str) -> pyrage.x25519.Identity:
    try:
        return pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        raise ValidationError(f"{what} is not an age secret key.", hint=f"{_NOT_KEY}.") from None


def _recipient(text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise ValidationError(
            f"'{text[:80]}' is not an age public key.", hint="It begins with age1; age-keygen -y FILE prints it."
        ) from error


def _refuse_strange(head: bytes, what: str) -> None:
    if not head.startswith(MAGIC):
        raise StoreError(
            f"{what} is not sealed: it does not begin as an age file.", hint="See what it is: physlab store scrub"
        )
    if b"\n-> scrypt " in head.partition(b"\n---")[0]:
        raise StoreError(
            f"{what} is sealed with a passphrase; such a file is not opened.", hint="Seal it for an age1… key."
        )


def _unopenable(what: str, error: Exception) -> StoreError:
    if "matching keys" in str(error).lower():
        return StoreError(f"{what} is sealed for another key.", hint="Which keys are here says: physlab keys list")
    return StoreError(
        f"{what} was changed or cut: it cannot be opened ({error}).",
        hint="Bring a whole copy: physlab store repair; of a locked lab, open the rest: physlab store unlock --salvage",
    )
