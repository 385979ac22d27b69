"""What lies where in a store, and in which form. Everything is named by a hash, so nothing is ever changed in place.

    store.json                   {"format": 1, "sealed": …, "recipient": …}
    blobs/ab/cdef…               a small file as it is, under its SHA-256
    files/ab/cdef….json          a large file under its SHA-256: its chunks in order, and in which packs they lie
    packs/ab/cdef….pack          chunks one after another, under the SHA-256 of the pack
    journal/ab/cdef….jsonl       records, one for each line, under the SHA-256 of the lines
    snapshots/ab/cdef….json      a backup: which file holds its list, and when it was sent
    condemned/ab/cdef….json      names that nothing needed when this was written
    removing/ab/cdef….json       names that a collection of garbage removes now
    keys/recovery.age            where it is sealed: the data key, wrapped for the recovery key
    keys/backup.age              where backups go there: the data key, wrapped by the backups' password

Where it is sealed, each file is an age file; packs keep the SHA-256 of what lies there as their name, and all other
names are made with a key.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from physlab.errors import StoreError, ValidationError
from physlab.keys import canonical, digest
from physlab.sealing import ProjectKey
from physlab.transfer.codec import CODECS

FORMAT = 1
MARKER = "store.json"
RECOVERY = "keys/recovery.age"
SUFFIXES = {
    "blobs": "", "files": ".json", "packs": ".pack", "journal": ".jsonl",
    "snapshots": ".json", "condemned": ".json", "removing": ".json",
}  # fmt: skip
_HEX = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(rf"({'|'.join(SUFFIXES)})/([0-9a-f]{{2}})/([0-9a-f]{{62}})(\.[a-z]+)?")


def check_digest(text: object) -> str:
    """Return 64 hexadecimal digits, without `sha256:` before them.

    Raises:
        ValidationError: It is something else.
    """
    bare = str(text).removeprefix("sha256:")
    if not _HEX.fullmatch(bare):
        raise ValidationError(f"'{str(text)[:80]}' is not a SHA-256.", hint="Give sha256:<64 hexadecimal digits>.")
    return bare


def path_of(folder: str, digits: str) -> str:
    """Return the name of a file from its 64 hexadecimal digits."""
    return f"{folder}/{check_digest(digits)[:2]}/{digits[2:]}{SUFFIXES[folder]}"


def digits_of(name: str) -> str | None:
    """Return the 64 digits of a name that a place lists; None for what is not ours."""
    found = _NAME.fullmatch(name)
    return found[2] + found[3] if found and (found[4] or "") == SUFFIXES[found[1]] else None


def keyed(key: ProjectKey | None, folder: str, name: str) -> str:
    """Return the digits under which something lies: its digest, or where it is sealed what the key makes of it."""
    return name if key is None else key.name_of(f"{folder} {name}")


class Chunk(NamedTuple):
    """A chunk of a file, and where it lies.

    Attributes:
        digest: SHA-256 of its bytes.
        size: How many they are.
        pack: Digits of its pack.
        offset: Where it begins there, in what the pack holds.
        length: How many bytes it has there.
        codec: How it is kept.
    """

    digest: str
    size: int
    pack: str
    offset: int
    length: int
    codec: str


@dataclass(frozen=True)
class FileList:
    """A large file as its chunks in order."""

    digest: str
    size: int
    chunks: tuple[Chunk, ...]

    def dump(self) -> bytes:
        """Return it as it lies in a store."""
        packs = sorted({chunk.pack for chunk in self.chunks})
        number = {pack: index for index, pack in enumerate(packs)}
        rows = [[one.digest, one.size, number[one.pack], one.offset, one.length, one.codec] for one in self.chunks]
        said = {"format": FORMAT, "sha256": self.digest, "size": self.size, "packs": packs, "chunks": rows}
        return canonical({**said, "check": digest(said)})


def read_list(data: bytes, what: str) -> FileList:
    """Return the chunks of a file from what lies in a store.

    Raises:
        StoreError: It is damaged, or was written by a newer physlab.
    """
    try:
        found = json.loads(data)
        if found["format"] != FORMAT:
            raise StoreError(f"{what} has the format {found['format']}, this physlab knows {FORMAT}.", hint=UPGRADE)
        if found.pop("check") != digest(found):
            raise ValueError("it was changed")
        packs = [check_digest(pack) for pack in found["packs"]]
        made = FileList(
            check_digest(found["sha256"]), int(found["size"]), tuple(_chunk(row, packs) for row in found["chunks"])
        )
        if sum(chunk.size for chunk in made.chunks) != made.size:
            raise ValueError("the chunks do not add up to the file")
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise StoreError(f"{what} is damaged: {error}.", hint="Mend it: physlab store repair") from error
    return made


UPGRADE = "Upgrade physlab: pip install -U physlab"


def _chunk(row: Any, packs: list[str]) -> Chunk:
    name, size, pack, offset, length, codec = row
    if not all(type(number) is int and 0 <= number < 1 << 48 for number in (size, pack, offset, length)):
        raise ValueError("a chunk without a place")
    if codec not in CODECS:
        raise ValueError(f"an unknown codec {codec!r}")
    return Chunk(check_digest(name), size, packs[pack], offset, length, codec)
