"""Small files that a passphrase opens, in the format of age: `age -d FILE` opens them, too.

The key is made by scrypt, with about a second of work: so much for each guess. A file that asks for far more than that
is refused before anything of it is computed, since whoever writes one chooses how much memory its reader needs.
"""

from __future__ import annotations

import re

import pyrage

from physlab.errors import ConfigurationError, StoreError
from physlab.sealing.age import HEADER_BYTES, MAGIC

MOST_WORK = 22
"""Power of two of scrypt's work: 4 GiB of memory."""
_STANZA = re.compile(rb"-> scrypt [A-Za-z0-9+/]{22} (\d{1,2})\n")


def wrap(data: bytes, passphrase: str) -> bytes:
    """Return bytes that only this passphrase opens."""
    return bytes(pyrage.passphrase.encrypt(data, passphrase))


def unwrap(data: bytes, passphrase: str, what: str, whence: str) -> bytes:
    """Return what `wrap` was given.

    Args:
        data: An age file.
        passphrase: What opens it.
        what: What it opens, for the error.
        whence: Where the passphrase was taken from, for the error.

    Raises:
        StoreError: It is no such file, or asks for too much work.
        ConfigurationError: The passphrase is another one, or the file was changed: that cannot be told apart.
    """
    found = _STANZA.match(data[len(MAGIC) : HEADER_BYTES]) if data.startswith(MAGIC) else None
    if found is None or int(found[1]) > MOST_WORK:
        raise StoreError(
            f"What opens {what} was changed: no password opens such a file, or it asks for too much work.",
            hint="Bring a whole copy of it; it is not changed once it was written.",
        )
    try:
        return bytes(pyrage.passphrase.decrypt(data, passphrase))
    except pyrage.DecryptError as error:
        raise ConfigurationError(
            f"The password does not open {what}, or that file was changed; it was taken from {whence}.",
            hint="Put the right one there, or name where it is: [backup] password_file.",
        ) from error
