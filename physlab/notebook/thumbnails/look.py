"""Looking at files: which kind each one is, one reader for each kind; runs in a child of limited means."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from physlab.errors import PhyslabError
from physlab.notebook.thumbnails.thumbnail import Thumbnail, short

KINDS = ("image", "svg", "pdf", "csvfile", "hdf5", "fits", "npy", "text")
"""Modules of this package, each with `SUFFIXES` and `look`."""
SEEN = "seen.jsonl"


def work(order: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Look at the files of an order; what was seen of each is written down before the next one is opened."""
    with (folder / SEEN).open("ab") as sink:
        for number, file in enumerate(order["files"]):
            seen = look(Path(file["path"]), file["name"], order["width_px"], folder)
            if seen.png is not None:
                (folder / f"{number}.png").write_bytes(seen.png)
            sink.write(orjson.dumps({"kind": seen.kind, "words": seen.words, "rows": seen.rows}) + b"\n")
            sink.flush()
    return {}


def look(path: Path, name: str, width_px: int, scratch: Path) -> Thumbnail:
    """Return what is shown of a file.

    Args:
        path: Where its bytes are.
        name: What it is called; its ending tells the kind.
        width_px: Width of a picture of it [px].
        scratch: Folder for what is written meanwhile.
    """
    suffix = Path(name).suffix.lower()
    for kind in KINDS:
        reader = importlib.import_module(f"physlab.notebook.thumbnails.{kind}")
        if suffix in reader.SUFFIXES:
            try:
                return reader.look(path, width_px, scratch)  # type: ignore[no-any-return]
            except Exception as error:  # noqa: BLE001 - what reads foreign formats throws whatever their bytes make of it
                why = error.message if isinstance(error, PhyslabError) else f"{type(error).__name__}: {error}"
                return Thumbnail("file", f"cannot be shown: {short(why, 160)}")
    return Thumbnail("file", f"{suffix.removeprefix('.').upper() or 'plain'} file")
