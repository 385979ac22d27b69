"""Thumbnails of files, each made where a hostile one can do no harm."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import orjson

from physlab.errors import ComputationError, TimeLimitError
from physlab.notebook.limited import Limits, run_limited
from physlab.notebook.thumbnails.look import SEEN
from physlab.notebook.thumbnails.thumbnail import Thumbnail

TASK = "physlab.notebook.thumbnails.look"
LIMITS = Limits(memory_gb=2.0, cpu_s=60, wall_s=180.0, file_gb=0.2)
EACH = 8
"""Files that one child looks at; its limits are for all of them."""
KILLED = "cannot be shown: looking at it took more memory or time than it may"


def look_at(files: Sequence[tuple[Path, str]], width_px: int = 384, limits: Limits = LIMITS) -> list[Thumbnail]:
    """Return what is shown of files.

    They are decoded in a child process with little memory and time; of one that kills it this is told, and the others
    follow.

    Args:
        files: Where the bytes of each are, and what it is called.
        width_px: Width of the pictures [px].
        limits: What the child may use.
    """
    seen: list[Thumbnail] = []
    while len(seen) < len(files):
        seen += _look_at_some(files[len(seen) : len(seen) + EACH], width_px, limits)
    return seen


def _look_at_some(files: Sequence[tuple[Path, str]], width_px: int, limits: Limits) -> list[Thumbnail]:
    """Return what was seen until the child ended, and of the file that ended it, that it did."""
    folder = Path(tempfile.mkdtemp(prefix="physlab-look-"))
    try:
        order = {"files": [{"path": str(path), "name": name} for path, name in files], "width_px": width_px}
        try:
            run_limited(TASK, order, folder, limits)
            ended = []
        except (ComputationError, TimeLimitError):
            if not (folder / SEEN).is_file():  # it never began: this is no fault of a file
                raise
            ended = [Thumbnail("file", KILLED)]
        return [*_read(folder), *ended][: len(files)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path) -> list[Thumbnail]:
    lines = (folder / SEEN).read_bytes().split(b"\n")[:-1] if (folder / SEEN).is_file() else []
    found = []
    for number, line in enumerate(lines):
        told, picture = orjson.loads(line), folder / f"{number}.png"
        png = picture.read_bytes() if picture.is_file() else None
        found.append(Thumbnail(told["kind"], told["words"], png, tuple(tuple(row) for row in told["rows"])))
    return found
