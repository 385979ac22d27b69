"""Links to single files that end by themselves: a digest and a time, with a code that only this lab can make."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from physlab.errors import ValidationError
from physlab.keys import keyed_digest, same
from physlab.sealing.keyfiles import read_secret, write_secret
from physlab.transfer.layout import check_digest

LONGEST_S = 7 * 86_400


class Links:
    """Makes and checks links.

    Args:
        folder: Folder of the lab's keys; its file `links.key` is made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "links.key"

    def _key(self) -> bytes:
        if not self._path.exists():
            write_secret(self._path, f"{secrets.token_hex(32)}\n".encode())
        return bytes.fromhex(read_secret(self._path).strip())

    def path(self, digest: str, seconds: float, now: float | None = None) -> str:
        """Return the path and query under which a file is served for so long.

        Raises:
            ValidationError: It is no digest, or the time is no time or too long.
        """
        bare = check_digest(digest)
        if not 1 <= seconds <= LONGEST_S:
            raise ValidationError(
                f"A link cannot last {seconds / 3600:g} hours.", hint=f"At most {LONGEST_S // 3600} hours: --hours 24"
            )
        expires = int((time.time() if now is None else now) + seconds)
        return f"/blobs/{bare}?expires={expires}&code={self._code(bare, expires)}"

    def opens(self, digest: str, expires: str, code: str, now: float | None = None) -> bool:
        """Say whether a link is one of ours and not over; a link with any other sign opens nothing."""
        if not (expires.isascii() and expires.isdigit() and len(expires) < 13 and str(int(expires)) == expires):
            return False
        valid = same(code, self._code(digest, int(expires))) if code.isascii() else False
        return valid and int(expires) > (time.time() if now is None else now)

    def _code(self, digest: str, expires: int) -> str:
        return keyed_digest(self._key(), f"blob {digest} until {expires}".encode())
