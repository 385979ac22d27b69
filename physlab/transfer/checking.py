"""Reading what lies in a store, all of it or a share, and saying what is not what its name says."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from physlab.errors import StoreError, ValidationError
from physlab.keys import digest_bytes
from physlab.store import Store
from physlab.transfer.codec import decode
from physlab.transfer.layout import SUFFIXES, digits_of, path_of, read_list
from physlab.transfer.places.base import told
from physlab.transfer.remote import RemoteStore

LAB = "lab"
"""How the lab's own store is called among the others."""


@dataclass(frozen=True)
class Share:
    """Which files are read: those whose names fall into `count` of `of` parts, from part `start` on."""

    count: int = 1
    of: int = 1
    start: int = 0

    def takes(self, digits: str) -> bool:
        """Say whether a file belongs to it."""
        return (int(digits[:12], 16) - self.start) % self.of < self.count


def read_share(text: str) -> Share:
    """Return the share that `1/30` means.

    Raises:
        ValidationError: It is none.
    """
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text.strip())
    if not found or not 0 < int(found[1]) <= int(found[2]):
        raise ValidationError(f"'{text}' is no share.", hint="Say 1/30 for a thirtieth at a time, or 1/1 for all.")
    return Share(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Damage:
    """Something that is not what its name says.

    Attributes:
        store: Where; `lab` for the lab itself.
        name: The file.
        why: What is wrong with it.
        files: Digests of the lab's files that suffer, where that is known.
    """

    store: str
    name: str
    why: str
    files: tuple[str, ...] = ()


@dataclass
class Checked:
    """What was read.

    Attributes:
        files: How many files.
        size: Their bytes.
        damage: What was wrong.
    """

    files: int = 0
    size: int = 0
    damage: tuple[Damage, ...] = ()


def check_lab(store: Store, share: Share) -> Checked:
    """Read a share of a lab's own files, and the chain of its journal."""
    done, found = Checked(), []
    for digest in store.blobs.all():
        if share.takes(digest):
            path = store.blobs.path(digest)
            done.files, done.size = done.files + 1, done.size + path.stat().st_size
            if not store.blobs.intact(digest):
                why = f"the bytes are not those of sha256:{digest}"
                found.append(Damage(LAB, f"objects/{digest[:2]}/{digest[2:]}", why, (digest,)))
    found += [Damage(LAB, "journal", problem) for problem in store.journal.verify()]
    done.damage = tuple(found)
    return done


def check_remote(remote: RemoteStore, share: Share) -> Checked:
    """Read a share of a store's files; drafts of a day ago, which killed processes left, are removed.

    Raises:
        StoreError: The store cannot be reached or listed.
    """
    with told(remote.place, "sweep"):
        remote.place.sweep(older_than_s=86_400)
    remote.learn()
    names = [
        path_of(folder, digits) for folder in SUFFIXES for digits, _ in remote.listed(folder) if share.takes(digits)
    ]
    return check_names(remote, names)


def check_names(remote: RemoteStore, names: Iterable[str]) -> Checked:
    """Read files of a store, and say which are not what their names say.

    Raises:
        StoreError: The store cannot be reached or listed.
    """
    done, found = Checked(), list[Damage]()
    packs = dict(remote.listed("packs"))
    for name in names:
        folder, digits = name.partition("/")[0], digits_of(name)
        if digits is None:
            continue
        data = remote.read(name)
        done.files, done.size = done.files + 1, done.size + len(data or b"")
        why = "it is gone" if data is None else _CHECKS[folder](remote, name, digits, data, packs)
        if why:
            files = remote.known.files_with(digits) if folder == "packs" else ()
            found.append(Damage(remote.name, name, why, tuple(sorted(files))))
    done.damage = tuple(found)
    return done


def _check_named(remote: RemoteStore, name: str, digits: str, data: bytes, packs: dict[str, int]) -> str:
    try:
        plain = remote.unseal(data, name)
    except StoreError as error:
        return error.message
    folder = name.partition("/")[0]
    return "" if remote.digits(folder, digest_bytes(plain)) == digits else "the bytes are not those of its name"


def _check_pack(remote: RemoteStore, name: str, digits: str, data: bytes, packs: dict[str, int]) -> str:
    if digest_bytes(data) != digits:
        return "the bytes are not those of its name"
    try:
        plain = remote.unseal(data, name)
        for chunk in remote.known.chunks_in(digits):
            packed = plain[chunk.offset : chunk.offset + chunk.length]
            if digest_bytes(decode(packed, chunk.codec, chunk.size, name)) != chunk.digest:
                return f"it does not hold the chunk {chunk.digest[:12]}… that lists look for in it"
    except StoreError as error:
        return error.message
    return ""


def _check_list(remote: RemoteStore, name: str, digits: str, data: bytes, packs: dict[str, int]) -> str:
    try:
        found = read_list(remote.unseal(data, name), remote.what(name))
    except StoreError as error:
        return error.message
    if remote.digits("files", found.digest) != digits:
        return f"it tells of {found.digest[:12]}…, which its name does not"
    for chunk in found.chunks:
        least = chunk.offset + chunk.length if remote.key is None else 1
        if packs.get(chunk.pack, 0) < least:
            return f"{path_of('packs', chunk.pack)} is {'cut' if chunk.pack in packs else 'gone'}, which it needs"
    return ""


_CHECKS: dict[str, Callable[[RemoteStore, str, str, bytes, dict[str, int]], str]] = {
    **dict.fromkeys(SUFFIXES, _check_named),
    "packs": _check_pack,
    "files": _check_list,
}


def _was_read(name: str, share: Share) -> bool:
    digits = "".join(name.split("/")[1:]).partition(".")[0]
    return not digits or share.takes(digits)


class Notes:
    """What this lab's scrubs found and has not been mended, and which part comes next.

    Args:
        folder: Folder of this lab's notes on stores.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "scrub.json"

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text())
            return found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            return {}

    def _write(self, said: dict[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(f".{os.getpid()}")
        with open(draft, "w") as stream:
            json.dump(said, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, self._path)

    def next_share(self, store: str, share: Share) -> Share:
        """Return the part of a share's rotation whose turn it is."""
        start = self._read().get("next", {}).get(f"{store} /{share.of}", 0)
        return Share(share.count, share.of, int(start) % share.of)

    def finished(self, store: str, share: Share, damage: tuple[Damage, ...]) -> None:
        """Note what a scrub found, and that the next one reads the part after it."""
        said = self._read()
        said.setdefault("next", {})[f"{store} /{share.of}"] = (share.start + share.count) % share.of
        kept = {(item["store"], item["name"]): item for item in said.get("damage", ())}
        kept = {key: item for key, item in kept.items() if key[0] != store or not _was_read(key[1], share)}
        kept |= {(item.store, item.name): asdict(item) for item in damage}
        self._write({**said, "damage": list(kept.values())})

    def damage(self, store: str) -> Iterator[Damage]:
        """Yield what is known to be damaged in a store."""
        for item in self._read().get("damage", ()):
            if item["store"] == store:
                yield Damage(item["store"], item["name"], item["why"], tuple(item["files"]))

    def mended(self, damage: Damage) -> None:
        """Forget something that is whole again."""
        said = self._read()
        kept = [item for item in said.get("damage", ()) if (item["store"], item["name"]) != (damage.store, damage.name)]
        self._write({**said, "damage": kept})
