"""The files of entries on paper: looked at once, shown small, held by the paper as far as they are not too large."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from physlab.model.notebook import Attachment
from physlab.notebook.paper.press import address
from physlab.notebook.thumbnails import Thumbnail, look_at
from physlab.report import words
from physlab.store import Store
from physlab.tools.export.archive import slug

CARD_PX, PICTURE_PX = 420, 1400
MISSING = Thumbnail("file", "not in this store")


@dataclass(frozen=True)
class Room:
    """What a paper may hold of files.

    Attributes:
        file_mb: Size of one file [MB].
        total_mb: Size of all of them [MB].
    """

    file_mb: float = 20.0
    total_mb: float = 100.0


@dataclass(frozen=True)
class Card:
    """A file on paper.

    Attributes:
        name: What it is called.
        sha256: Its bytes.
        size: In words.
        media_type: Its kind.
        shown: What is shown of it.
        picture: Its small picture as an address; empty where there is none.
        link: Address of the whole file in the paper; empty where the paper does not hold it.
        held_as: Its name in the paper.
    """

    name: str
    sha256: str
    size: str
    media_type: str
    shown: Thumbnail
    picture: str
    link: str
    held_as: str


@dataclass
class Exhibits:
    """The files of a paper: by SHA-256 what is shown of each, pictures in texts, and what the paper holds."""

    seen: dict[str, Thumbnail] = field(default_factory=dict)
    large: dict[str, str] = field(default_factory=dict)
    held: dict[str, dict[str, str]] = field(default_factory=dict)

    def card(self, item: Attachment) -> Card:
        """Return a file as it is shown."""
        shown = self.seen.get(item.sha256, MISSING)
        held = self.held.get(item.sha256)
        return Card(
            item.name, item.sha256, words.size(item.size), item.media_type, shown, picture=png(shown.png),
            link=address(item.sha256) if held else "", held_as=held["name"] if held else "",
        )  # fmt: skip


def png(data: bytes | None) -> str:
    """Return a picture as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}" if data else ""


def gather(store: Store, files: Iterable[Attachment], wanted: Sequence[str], room: Room) -> Exhibits:
    """Look at files, and choose which ones the paper holds: in their order, as far as there is room.

    Args:
        store: Where their bytes are.
        files: The files.
        wanted: SHA-256 of those that a text shows as a picture.
        room: What the paper may hold.

    Raises:
        StoreError: A file is damaged.
    """
    found, left = Exhibits(), room.total_mb * 1e6
    paths: dict[str, tuple[Path, str]] = {}
    for item in files:
        if item.sha256 in paths or not store.blobs.path(item.sha256).is_file():
            continue
        paths[item.sha256] = store.blobs.verified(item.sha256), item.name
        if item.size <= min(room.file_mb * 1e6, left):
            left -= item.size
            found.held[item.sha256] = {
                "path": str(paths[item.sha256][0]), "name": f"{item.sha256[:12]}-{slug(item.name)}",
                "media_type": item.media_type,
            }  # fmt: skip
    found.seen = dict(zip(paths, look_at(list(paths.values()), CARD_PX), strict=True))
    pictures = {sha256: paths[sha256] for sha256 in dict.fromkeys(wanted) if sha256 in paths}
    if pictures:
        large = zip(pictures, look_at(list(pictures.values()), PICTURE_PX), strict=True)
        found.large = {sha256: png(seen.png) for sha256, seen in large if seen.png}
    return found
