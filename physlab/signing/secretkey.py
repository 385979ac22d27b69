"""Secret keys as minisign keeps them: behind a passphrase that costs its guesser memory and time."""

from __future__ import annotations

import base64
import secrets
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from physlab.errors import ValidationError
from physlab.keys import blake2b, same, stretch
from physlab.signing.minisign import LEGACY, MAX_CHARS, UNTRUSTED, PublicKey, Signed, write_signature

_LAYOUT = struct.Struct("<2s2s2s32sQQ104s")
_SCRYPT, _BLAKE2 = b"Sc", b"B2"
OPERATIONS, MEMORY = 1 << 22, 1 << 27
"""What a guess costs, as libsodium counts: scrypt with N = 2^17, r = 8, p = 1, which takes 128 MiB."""
MOST_MEMORY = 1 << 30
"""What minisign's own keys take [bytes]; a file that asks for more is refused."""


@dataclass(frozen=True, repr=False)
class SecretKey:
    """A pair of keys, unlocked.

    Attributes:
        number: The 8 bytes that name it.
        seed: The 32 bytes that all of it is made from.
    """

    number: bytes
    seed: bytes

    @property
    def public(self) -> PublicKey:
        """Return the public key."""
        return PublicKey(self.number, self._key.public_key().public_bytes_raw())

    @property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def sign(self, data: bytes) -> bytes:
        """Return the bare Ed25519 signature of bytes."""
        return self._key.sign(data)

    def minisign(self, data: bytes, comment: str) -> str:
        """Return a signature file of minisign.

        Args:
            data: What is signed.
            comment: One line that is signed with it.
        """
        if "\n" in comment or "\r" in comment or len(comment) > MAX_CHARS // 2:
            raise ValidationError("The comment of a signature is one line.", hint="Shorten it.")
        signature = self.sign(blake2b(data, 64))
        signed = Signed(self.number, True, signature, comment, self.sign(signature + comment.encode()))
        return write_signature(signed, f"signature from physlab, key {self.public.id}")

    def lock(self, passphrase: str) -> str:
        """Return the key file, which opens with the passphrase alone."""
        salt = secrets.token_bytes(32)
        pair = self.seed + self.public.point
        plain = self.number + pair + blake2b(LEGACY + self.number + pair, 32)
        mask = _mask(passphrase, salt, OPERATIONS, MEMORY)
        data = _LAYOUT.pack(LEGACY, _SCRYPT, _BLAKE2, salt, OPERATIONS, MEMORY, _xor(plain, mask))
        return f"{UNTRUSTED}minisign encrypted secret key\n{base64.b64encode(data).decode()}\n"


def make_secret() -> SecretKey:
    """Return a fresh pair of keys."""
    return SecretKey(secrets.token_bytes(8), secrets.token_bytes(32))


def is_locked(text: str) -> bool:
    """Say whether a text is a secret key of minisign that only a passphrase opens."""
    lines = [line for line in text.strip().splitlines() if not line.startswith(UNTRUSTED)]
    try:
        data = base64.b64decode(lines[0], validate=True) if len(lines) == 1 and len(text) <= MAX_CHARS else b""
    except ValueError:
        return False
    return len(data) == _LAYOUT.size and data[:6] == LEGACY + _SCRYPT + _BLAKE2


def unlock(text: str, passphrase: str) -> SecretKey:
    """Open a key file.

    Raises:
        ValidationError: It is none, it asks for too much memory, or the passphrase is another one.
    """
    lines = [line for line in text.strip().splitlines() if not line.startswith(UNTRUSTED)]
    try:
        data = base64.b64decode(lines[0], validate=True) if len(lines) == 1 and len(text) <= MAX_CHARS else b""
    except ValueError:
        data = b""
    if len(data) != _LAYOUT.size:
        raise ValidationError("This is no secret key of minisign.", hint="Restore the file from a backup.")
    kind, stretched, checked, salt, operations, memory, hidden = _LAYOUT.unpack(data)
    if (kind, stretched, checked) != (LEGACY, _SCRYPT, _BLAKE2):
        raise ValidationError(
            "The secret key has no passphrase, or is of an unknown kind.", hint="Make one: physlab sign init"
        )
    if memory > MOST_MEMORY or operations > MOST_MEMORY:
        raise ValidationError(f"The secret key asks for {memory} bytes of memory.", hint="Make one: physlab sign init")
    plain = _xor(hidden, _mask(passphrase, salt, operations, memory))
    number, pair, check = plain[:8], plain[8:72], plain[72:]
    if not same(check.hex(), blake2b(LEGACY + number + pair, 32).hex()):
        raise ValidationError("The passphrase does not open this key.", hint="Try again; nothing was changed.")
    return SecretKey(number, pair[:32])


def _mask(passphrase: str, salt: bytes, operations: int, memory: int) -> bytes:
    n, p = _costs(operations, memory)
    return stretch(passphrase.encode(), salt, n=n, r=8, p=p, size=104)


def _costs(operations: int, memory: int) -> tuple[int, int]:
    """Return N and p of scrypt for r = 8, as libsodium's crypto_pwhash_scryptsalsa208sha256 picks them."""
    operations = max(operations, 32768)
    most = operations // 32 if operations < memory // 32 else memory // 1024
    exponent = 1
    while exponent < 63 and 1 << exponent <= most // 2:
        exponent += 1
    if operations < memory // 32:
        return 1 << exponent, 1
    return 1 << exponent, min(operations // 4 // (1 << exponent), 0x3FFFFFFF) // 8


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
