"""Plain text, and source code."""

from __future__ import annotations

from pathlib import Path

from physlab.notebook.thumbnails.thumbnail import Thumbnail, short

SUFFIXES = (".txt", ".md", ".log", ".py", ".json", ".yaml", ".yml", ".toml", ".tex", ".bib", ".c", ".f90", ".jl", ".r",
            ".sh", ".ini", ".cfg", ".xml", ".html", ".ipynb", ".gp")  # fmt: skip
SAMPLE, LINES, WIDE = 65_536, 8, 90


def look(path: Path, width_px: int, scratch: Path) -> Thumbnail:
    """Return the first lines of a text."""
    lines = [line for line in beginning(path).splitlines() if line.strip()][:LINES]
    rows = (("first lines",), *((short(line, WIDE),) for line in lines))
    return Thumbnail("text", f"text of {lines_of(path)} lines", rows=rows if lines else ())


def beginning(path: Path) -> str:
    """Return the first part of a text, in UTF-8 or, where it is not, in Latin-1."""
    with path.open("rb") as stream:
        data = stream.read(SAMPLE)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:  # the cut may lie within a letter
        return data[: error.start].decode("utf-8-sig") if error.start > SAMPLE - 4 else data.decode("latin-1")


def lines_of(path: Path) -> int:
    """Return how many lines a file has."""
    count, last = 0, b"\n"
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            count, last = count + block.count(b"\n"), block[-1:]
    return count + (last != b"\n")
