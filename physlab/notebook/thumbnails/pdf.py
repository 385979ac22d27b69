"""The first page of a PDF file, drawn by poppler."""

from __future__ import annotations

import subprocess
from pathlib import Path

from physlab.errors import ComputationError
from physlab.notebook.thumbnails.image import FORMATS, encode, insist, shrunk
from physlab.notebook.thumbnails.thumbnail import Thumbnail
from physlab.settings import child_environment
from physlab.tools.process import find_program

SUFFIXES = (".pdf",)
LIMIT_S = 60


def look(path: Path, width_px: int, scratch: Path) -> Thumbnail:
    """Return the first page; without poppler the file is only named."""
    program = find_program(["pdftoppm"])
    with path.open("rb") as stream:
        if stream.read(5) != b"%PDF-":
            raise ComputationError("It does not begin as a PDF file.", hint="Attach the file as it was printed.")
    if program is None:
        return Thumbnail("page", "PDF file (its first page is shown where pdftoppm of poppler-utils is installed)")
    return Thumbnail("page", "PDF file, its first page", first_page(program, path, width_px, scratch))


def first_page(program: str, path: Path, width_px: int, scratch: Path) -> bytes:
    """Return the first page of a PDF file as PNG.

    Args:
        program: Where `pdftoppm` is.
        path: The file.
        width_px: Width of the picture [px].
        scratch: Folder for what is written meanwhile.

    Raises:
        ComputationError: It cannot be drawn.
    """
    from PIL import Image

    drawn = scratch / "page"
    words = [program, "-png", "-f", "1", "-l", "1", "-singlefile", "-scale-to-x", str(width_px), "-scale-to-y", "-1"]
    done = subprocess.run(
        [*words, str(path), str(drawn)], capture_output=True, check=False, timeout=LIMIT_S, env=child_environment({}),
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    page = drawn.with_suffix(".png")
    if done.returncode or not page.is_file():
        said = " ".join(done.stderr.decode(errors="replace").split())[:200]
        raise ComputationError(f"pdftoppm ended with {done.returncode}: {said}", hint="Open it with a viewer.")
    with Image.open(page, formats=FORMATS) as picture:
        insist(*picture.size)
        small = encode(shrunk(picture, width_px))
    page.unlink()
    return small
