"""Signatures of people: Ed25519 keys behind a passphrase, in the formats of minisign, and DSSE statements."""

from physlab.signing.minisign import PublicKey, Signed, read_public, read_signature, verify
from physlab.signing.secretkey import SecretKey, is_locked, make_secret, unlock
from physlab.signing.statement import Envelope, open_envelope, seal_envelope
from physlab.signing.trust import Known, KnownKey

__all__ = [
    "Envelope",
    "Known",
    "KnownKey",
    "PublicKey",
    "SecretKey",
    "Signed",
    "is_locked",
    "make_secret",
    "open_envelope",
    "read_public",
    "read_signature",
    "seal_envelope",
    "unlock",
    "verify",
]
