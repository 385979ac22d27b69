"""Names inside a bundle: a closed set; what is none of them is refused, and told why."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from physlab.errors import ValidationError

MANIFEST, SIGNATURE, PUBLIC = "manifest.json", "manifest.json.minisig", "lab.pub"
FIRST = (MANIFEST, SIGNATURE, PUBLIC)
"""What the manifest cannot name itself."""
RECORDS, NOTEBOOK, README, INDEX = "records.jsonl", "notebook.jsonl", "README.txt", "index.html"
_BLOB = re.compile(r"blobs/([0-9a-f]{2})/([0-9a-f]{62})")
_PAPER = re.compile(r"reports/[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\.pdf")
_OTHERS = frozenset((*FIRST, RECORDS, NOTEBOOK, README, INDEX))
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def blob_name(digest: str) -> str:
    """Return the name of a file of the store."""
    return f"blobs/{digest[:2]}/{digest[2:]}"


def blob_of(name: str) -> str | None:
    """Return the SHA-256 that a name says its bytes have; None for what is no file of the store."""
    found = _BLOB.fullmatch(name)
    return found[1] + found[2] if found else None


_BAD: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("holds a control character", _CONTROL.search),
    ("holds a backslash", lambda name: "\\" in name),
    ("is absolute", lambda name: name.startswith("/")),
    ("begins with a drive letter", lambda name: re.match(r"[A-Za-z]:", name)),
    ("leads out of its folder", lambda name: {"..", "."} & set(name.split("/"))),
)


def check_names(names: Iterable[str]) -> None:
    """Refuse names that no bundle has: of other folders, twice, or the same to some file system.

    Raises:
        ValidationError: There is one; the message names the first.
    """
    seen: dict[str, str] = {}
    for name in names:
        for why, is_bad in _BAD:
            if is_bad(name):
                raise refused(name, f"its name {why}")
        face = unicodedata.normalize("NFKC", name).casefold()
        if face in seen:
            twin = seen[face]
            raise refused(name, "it is there twice" if twin == name else f"some systems take it for {twin!r}")
        seen[face] = name
        if not (name in _OTHERS or _BLOB.fullmatch(name) or _PAPER.fullmatch(name)):
            raise refused(name, "a bundle has no such file")


def refused(name: str, why: str) -> ValidationError:
    """Return the error for a file of a bundle."""
    return ValidationError(
        f"The bundle is refused: {name[:120]!r}: {why}.", hint="Nothing was taken. Ask whoever made it for a new one.",
        details={"file": name[:500]},
    )  # fmt: skip
