"""What the database must not tell: sealed where it has to be read again, hashed where it only has to be compared."""

from __future__ import annotations

import secrets

from physlab.collab.database import Database
from physlab.errors import StoreError
from physlab.keys import digest_bytes, keyed_digest

NONCE = 12


def seal(key: bytes, data: bytes, about: str) -> bytes:
    """Return data sealed with AES-256-GCM: a nonce of 12 bytes, then the rest.

    Args:
        key: 32 bytes.
        data: What nobody else may read or change.
        about: What it belongs to; it opens for nothing else.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, data, about.encode())


def unseal(key: bytes, data: bytes, about: str) -> bytes:
    """Return what was sealed.

    Raises:
        StoreError: Another key sealed it, it is damaged, or it belongs to something else.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(data[:NONCE], data[NONCE:], about.encode())
    except (InvalidTag, ValueError) as error:
        raise StoreError(
            f"What the database of people keeps of {about} cannot be opened: another key sealed it, or it is damaged.",
            hint="Restore the file collab.key that belongs to this database: physlab backup list",
        ) from error


def secret() -> str:
    """Return 256 random bits as 43 letters of base64url: the value of a cookie or a token."""
    return secrets.token_urlsafe(32)


def hashed(shown: str) -> str:
    """Return the hash under which a secret of 256 bits is kept, whatever text a stranger shows as one."""
    return digest_bytes(shown.encode("utf-8", "surrogatepass"))


def fingerprint(database: Database, kind: str, text: str) -> str:
    """Return the hash of what could be guessed: a mail address, a code, an account's name.

    Nobody without the lab's key can tell from it what was hashed.
    """
    return keyed_digest(database.key, f"{kind}\0{text}".encode("utf-8", "surrogatepass"))
