"""Answers of public services, kept in the lab's home with the time when they were given."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from physlab.errors import StoreError
from physlab.keys import digest_stream

ABANDONED_S = 86_400.0


@dataclass(frozen=True)
class Kept:
    """One kept answer.

    Attributes:
        url: What was asked.
        retrieved: When it was answered [s since 1970].
        sha256: Digest of the body.
        size: Length of the body [bytes].
        headers: Headers of the answer that carry content, in lower case.
        body: File name of the body, in the folder of the cache.
    """

    url: str
    retrieved: float
    sha256: str
    size: int
    headers: dict[str, str]
    body: str


class AnswerCache:
    """A folder of answers. A body that does not have its digest any more is as good as none.

    Args:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> Kept | None:
        """Return the answer to a request, or None."""
        try:
            kept = Kept(**json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8")))
            with self.path(kept).open("rb") as file:
                return kept if digest_stream(file) == (kept.sha256, kept.size) else None
        except (OSError, ValueError, TypeError):
            return None

    def path(self, kept: Kept) -> Path:
        """Return the file that holds the body."""
        return self.folder / Path(kept.body).name

    @contextlib.contextmanager
    def draft(self) -> Iterator[Path]:
        """Give the name of a file to write a body to; what is not kept is removed."""
        path = self.folder / f"draft-{os.getpid()}-{uuid.uuid4().hex}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, key: str, draft: Path, url: str, retrieved: float, headers: Mapping[str, str]) -> Kept:
        """Keep a body; it appears whole or not at all.

        Raises:
            StoreError: It cannot be written.
        """
        try:
            with draft.open("rb") as file:
                sha256, size = digest_stream(file)
            kept = Kept(url, retrieved, sha256, size, dict(headers), f"{key}.{sha256[:16]}")
            draft.replace(self.path(kept))
            with self.draft() as note:
                note.write_text(json.dumps(asdict(kept)), encoding="utf-8")
                note.replace(self.folder / f"{key}.json")
            for old in self.folder.glob(f"{key}.*"):
                if old.name not in (kept.body, f"{key}.json"):
                    old.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"An answer cannot be kept in {self.folder}: {error}.", hint="The lab's home must have room."
            ) from error
        return kept

    def make_room(self, limit_bytes: float, now: float) -> None:
        """Remove the oldest answers until the rest fits, and drafts of processes that were killed."""
        with contextlib.suppress(OSError):
            found = [(path.stat().st_mtime, path.stat().st_size, path) for path in self.folder.iterdir()]
            total = sum(size for _, size, _ in found)
            for written, size, path in sorted(found):
                abandoned = path.name.startswith("draft-") and now - written > ABANDONED_S
                if abandoned or (total > limit_bytes and not path.name.startswith("draft-")):
                    path.unlink(missing_ok=True)
                    total -= size
