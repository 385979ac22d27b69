"""What every place can do. Each file in it is complete or absent, also when its writer is killed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from physlab.errors import PhyslabError, StoreError


class Place(Protocol):
    """Files by name; names are made by `layout`, never taken from elsewhere.

    Attributes:
        url: What people call it.
        errors: What its operations raise when something is wrong with it.
    """

    url: str
    errors: tuple[type[Exception], ...]

    def read(self, name: str) -> bytes | None:
        """Return a file, None when it is not there."""

    def read_part(self, name: str, start: int, length: int) -> bytes | None:
        """Return a part of a file, shorter where the file ends; None when it is not there."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file, or put it in the place of the one that is there."""

    def size(self, name: str) -> int | None:
        """Return the size of a file [bytes], None when it is not there."""

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield the names of all files below a folder, and their sizes [bytes]."""

    def times(self, folder: str) -> Iterator[tuple[str, int, float]]:
        """Yield the names of all files below a folder, their sizes [bytes], and when they were written [s, UTC]."""

    def modified(self, name: str) -> float | None:
        """Return when a file was written, by the place's own clock [s, UTC]; None when it is not there."""

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there needs no removal."""

    def sweep(self, older_than_s: float, now: float | None = None) -> int:
        """Remove drafts that killed processes left; return how many.

        Args:
            older_than_s: Younger ones stay [s].
            now: The time by the place's own clock [s, UTC]; None takes this machine's.
        """


@contextlib.contextmanager
def told(place: Place, doing: str) -> Iterator[None]:
    """Turn the errors of a place into ours.

    Raises:
        StoreError: The place could not do it.
    """
    try:
        yield
    except PhyslabError:
        raise
    except place.errors as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StoreError(
            f"Could not {doing} {place.url}: {said}.",
            hint="Is it there, may it be written, has it room? What is whole stays; go on with the same command. "
            "See: physlab config show",
        ) from error
