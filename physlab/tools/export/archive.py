"""Zip archives whose bytes depend on their content alone."""

from __future__ import annotations

import re
import shutil
import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive knows
PACKED = frozenset({".png", ".jpg", ".jpeg", ".gz", ".zip", ".mp4", ".webm", ".xz", ".bz2", ".npz"})
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


def write_zip(target: Path, entries: Mapping[str, Path | bytes | str]) -> Path:
    """Write files into a zip archive, sorted, with a fixed time and fixed permissions.

    Args:
        target: The archive.
        entries: Name inside the archive → a file, or the content itself.

    Returns:
        `target`.
    """
    with zipfile.ZipFile(target, "w", allowZip64=True) as archive:
        for name in sorted(entries):
            source = entries[name]
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system = 3  # Unix, whatever this is written on
            info.external_attr = 0o100644 << 16
            stored = Path(name).suffix.lower() in PACKED
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            if isinstance(source, Path):
                info.file_size = source.stat().st_size
                with source.open("rb") as stream, archive.open(info, "w") as sink:
                    shutil.copyfileobj(stream, sink, 1 << 20)
            else:
                archive.writestr(info, source.encode() if isinstance(source, str) else source)
    return target


def slug(text: str, default: str = "export") -> str:
    """Return a text as a name of a file or folder that every system takes: ASCII letters, digits, `.`, `_`, `-`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _NOT_PLAIN.sub("-", plain).strip("-.")[:80] or default
