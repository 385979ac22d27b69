"""Keys that people sign with: their own, behind a passphrase, and those of others that this lab vouches for."""

from physlab.collab.signers.owned import OwnedKeys
from physlab.collab.signers.register import Register

__all__ = ["OwnedKeys", "Register"]
