"""Public keys and signatures as minisign writes them (https://jedisct1.github.io/minisign/, section "File formats")."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from physlab.errors import ValidationError
from physlab.keys import blake2b

LEGACY, PREHASHED = b"Ed", b"ED"
UNTRUSTED, TRUSTED = "untrusted comment: ", "trusted comment: "
MAX_CHARS = 8192
"""A signature or key that is longer is none."""


@dataclass(frozen=True)
class PublicKey:
    """Whose signatures can be verified with it.

    Attributes:
        number: The 8 bytes that name the pair of keys.
        point: The 32 bytes of the Ed25519 public key.
    """

    number: bytes
    point: bytes

    @property
    def id(self) -> str:
        """Its name: 16 hexadecimal digits; minisign prints them without leading zeros."""
        return self.number[::-1].hex().upper()

    @property
    def line(self) -> str:
        """The one line that minisign takes by `-P`."""
        return base64.b64encode(LEGACY + self.number + self.point).decode()

    def text(self) -> str:
        """Return the key file."""
        return f"{UNTRUSTED}minisign public key {self.id}\n{self.line}\n"


@dataclass(frozen=True)
class Signed:
    """A signature file, taken apart.

    Attributes:
        key: The 8 bytes that name the signer's pair of keys.
        prehashed: Whether the digest of the file was signed, not the file.
        signature: 64 bytes.
        comment: What was signed together with it.
        outer: 64 bytes: the signature of signature and comment.
    """

    key: bytes
    prehashed: bool
    signature: bytes
    comment: str
    outer: bytes


def write_signature(signed: Signed, untrusted: str) -> str:
    """Return a signature file."""
    kind = PREHASHED if signed.prehashed else LEGACY
    inner = base64.b64encode(kind + signed.key + signed.signature).decode()
    outer = base64.b64encode(signed.outer).decode()
    return f"{UNTRUSTED}{untrusted}\n{inner}\n{TRUSTED}{signed.comment}\n{outer}\n"


@lru_cache(maxsize=256)
def read_public(text: str) -> PublicKey:
    """Return a public key from its file, or from its one line.

    Raises:
        ValidationError: It is none.
    """
    lines = [line for line in text.strip().splitlines() if not line.startswith(UNTRUSTED)]
    if len(lines) != 1 or len(text) > MAX_CHARS:
        raise _no_key("it has not one line of base64")
    data = _decode(lines[0], 42, "public key")
    if data[:2] != LEGACY:
        raise _no_key("it is not of the kind Ed25519")
    return PublicKey(data[2:10], data[10:])


def _no_key(why: str) -> ValidationError:
    return ValidationError(
        f"This is no public key of minisign: {why}.", hint="It begins with RW…; see: physlab sign show"
    )


def read_signature(text: str) -> Signed:
    """Return a signature file, taken apart.

    Raises:
        ValidationError: It is none; the message names the line.
    """
    lines = text.split("\n")
    if len(text) > MAX_CHARS or len(lines) != 5 or lines[4]:
        raise _malformed(f"it has {len(lines) - 1} lines instead of 4")
    if not lines[0].startswith(UNTRUSTED):
        raise _malformed(f"line 1 does not begin with '{UNTRUSTED}'")
    if not lines[2].startswith(TRUSTED):
        raise _malformed(f"line 3 does not begin with '{TRUSTED}'")
    inner, outer = _decode(lines[1], 74, "signature"), _decode(lines[3], 64, "global signature")
    if inner[:2] not in (LEGACY, PREHASHED):
        raise _malformed("line 2 is of an unknown kind")
    return Signed(inner[2:10], inner[:2] == PREHASHED, inner[10:], lines[2].removeprefix(TRUSTED), outer)


def _malformed(why: str) -> ValidationError:
    return ValidationError(f"This is no signature of minisign: {why}.", hint="Take the file as it was exported.")


def _decode(line: str, size: int, what: str) -> bytes:
    try:
        data = base64.b64decode(line.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        data = b""
    if len(data) != size or base64.b64encode(data).decode() != line:  # one spelling only: no bit is free
        raise ValidationError(f"The {what} is not {size} bytes as base64.", hint="Take the file as it was exported.")
    return data


def verify(public: PublicKey, data: bytes, signed: Signed) -> None:
    """Verify that the holder of a key signed some bytes, together with the comment.

    Raises:
        ValidationError: Another key signed, or bytes, signature or comment were changed; the message says which.
    """
    if signed.key != public.number:
        theirs = signed.key[::-1].hex().upper()
        raise ValidationError(f"Key {theirs} signed, not {public.id}.", hint="Give the signer's public key.")
    key = Ed25519PublicKey.from_public_bytes(public.point)
    try:
        key.verify(signed.signature, blake2b(data, 64) if signed.prehashed else data)
    except InvalidSignature as error:
        raise _untrue("the content or its signature was changed", public) from error
    try:
        key.verify(signed.outer, signed.signature + signed.comment.encode())
    except InvalidSignature as error:
        raise _untrue("the comment of the signature was changed", public) from error


def _untrue(why: str, public: PublicKey) -> ValidationError:
    return ValidationError(
        f"The signature of {public.id} does not hold: {why}.", hint="Ask the signer for the original."
    )
