"""Why physlab ended pilots: for Slurm they are cancelled, whoever did it, so a note is left before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ENDS = "ends"
"""File in the folder of the pilots: a job and a word on each line."""
IDLE, RELEASED = "idle", "released"
"""It had no work, or the lab that it worked for was closed."""


def note_ends(folder: Path, jobs: Iterable[str | None], why: str) -> None:
    """Write down why pilots are about to be cancelled.

    Args:
        folder: Folder of the pilots.
        jobs: Their jobs; None for one that has none yet.
        why: One word.
    """
    lines = "".join(f"{job} {why}\n" for job in jobs if job)
    if lines:
        with (folder / ENDS).open("a", encoding="utf-8") as stream:
            stream.write(lines)


def read_ends(text: str) -> dict[str, str]:
    """Return why jobs were cancelled, from the text of the notes."""
    return {job: why for job, _, why in (line.partition(" ") for line in text.splitlines())}
