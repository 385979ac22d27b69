"""Zip archives of strangers: what is in them is counted while it is read, and refused before it can do harm."""

from __future__ import annotations

import stat
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from physlab.errors import ValidationError
from physlab.keys import hasher

BLOCK = 1 << 20
SLACK = 100_000
"""Up to so many bytes a member may be packed as tightly as it is [bytes]."""
_END = b"PK\x05\x06"


@dataclass(frozen=True)
class Bounds:
    """What an archive may hold.

    Attributes:
        files: How many files.
        total_mb: Of how many bytes together [MB].
        ratio: How many times larger than they are packed.
    """

    files: int = 10_000
    total_mb: float = 2000.0
    ratio: float = 100.0


@dataclass(frozen=True)
class Member:
    """A file of an archive, unpacked.

    Attributes:
        name: What it is called there.
        path: Where its bytes are now; its name has nothing of the one there.
        sha256: Of them.
        size: Of them.
    """

    name: str
    path: Path
    sha256: str
    size: int


def unpack(archive: Path, folder: Path, bounds: Bounds | None = None) -> dict[str, Member]:
    """Unpack an archive into a folder: its files by their names there.

    Args:
        archive: The zip archive.
        folder: An empty folder; files get numbers for names.
        bounds: What it may hold.

    Raises:
        ValidationError: It is none, or holds something that no archive of a notebook needs; the message names it.
    """
    bounds = bounds or Bounds()
    try:
        _insist_on_bare(archive)
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            if len(members) > bounds.files:
                raise _refused(f"it has {len(members)} members", f"At most {bounds.files} are taken.")
            _insist_on_names(members)
            return _read(opened, [one for one in members if not one.is_dir()], folder, bounds)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        UnicodeError,
    ) as error:
        if isinstance(error, ValidationError):
            raise
        raise _refused(f"it cannot be read ({error})", "Take the file as it was exported.") from error


def _refused(why: str, hint: str) -> ValidationError:
    return ValidationError(f"The archive is refused: {why}.", hint=f"{hint} Nothing was taken from it.")


def _insist_on_bare(archive: Path) -> None:
    """Refuse an archive with anything before its first or behind its last byte."""
    size = archive.stat().st_size
    with archive.open("rb") as stream:
        start = stream.read(4)
        stream.seek(max(0, size - 22))
        end = stream.read()
    if start != b"PK\x03\x04":
        raise _refused("it does not begin as a zip archive with files", "Take the file as it was exported.")
    if end[:4] != _END or end[20:] != b"\0\0":
        raise _refused("there is something after its end", "Take the file as it was exported.")


def _insist_on_names(members: list[zipfile.ZipInfo]) -> None:
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for one in members:
        name = one.orig_filename
        why = _wrong(one, name)
        if why:
            raise _refused(f"'{_shown(name)}' {why}", "Ask for an archive without it.")
        folded = unicodedata.normalize("NFKC", name.rstrip("/")).casefold()
        if folded in seen:
            why = f"'{_shown(name)}' is there twice, or differs from '{_shown(seen[folded])}' by its case or form alone"
            raise _refused(why, "Ask for an archive in which each file is there once.")
        seen[folded] = name
        parts = folded.split("/")
        folders |= {"/".join(parts[:depth]) for depth in range(1, len(parts))}
    files = {folded for folded, name in seen.items() if not name.endswith("/")}
    both = sorted(files & folders)
    if both:
        raise _refused(f"'{both[0][:80]}' is a file and a folder", "Ask for an archive in which it is one of them.")


def _shown(name: str) -> str:
    """Return a name for a message, without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else "?" for sign in name[:80])


def _wrong(one: zipfile.ZipInfo, name: str) -> str:
    """Return what is wrong with a member, by what its header says; empty where nothing is."""
    mode = one.external_attr >> 16
    parts = name.rstrip("/").split("/")
    checks = (
        (one.flag_bits & 0x41, "is encrypted"),
        (one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), "is packed in a way that is not taken"),
        (stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR), "is a link or a device"),
        (name != one.filename or not name.isprintable(), "has characters in its name that no file has"),
        ("\\" in name or ":" in name, "has a backslash or a colon in its name"),
        (name.startswith("/"), "has an absolute name"),
        (any(part in ("", ".", "..") for part in parts), "leads out of its folder"),
        (any(len(part.encode()) > 255 for part in parts) or len(name) > 1000, "has too long a name"),
        (any(part != part.strip() or part.endswith(".") for part in parts), "has a name that ends in a blank or dot"),
    )
    return next((said for is_wrong, said in checks if is_wrong), "")


def _read(opened: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path, bounds: Bounds) -> dict[str, Member]:
    left, found = int(bounds.total_mb * 1e6), {}
    for number, one in enumerate(members):
        target = folder / f"{number:06d}"
        most = min(left, max(SLACK, int(one.compress_size * bounds.ratio)))
        with opened.open(one) as source, target.open("xb") as sink:
            sha256, size = _copy(source, sink, most)
        if size > most:
            why = "together they are too large" if most == left else f"it is packed more than {bounds.ratio:g} times"
            raise _refused(f"'{one.filename[:80]}': {why}", f"At most {bounds.total_mb:g} MB are taken.")
        left -= size
        found[one.filename] = Member(one.filename, target, sha256, size)
    return found


def _copy(source: IO[bytes], sink: IO[bytes], most: int) -> tuple[str, int]:
    """Copy until the end, or just beyond what is allowed; the size that the header claims is not believed."""
    state, size = hasher(), 0
    while block := source.read(min(BLOCK, most - size + 1)):
        size += len(block)
        if size > most:
            break
        state.update(block)
        sink.write(block)
    return state.hexdigest(), size
