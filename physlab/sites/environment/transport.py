"""Bringing the environment of here to a site: what is missing travels, by content, and is put together there."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from physlab.errors import ConfigurationError, ResourceError
from physlab.sites.environment.inventory import Pack
from physlab.sites.environment.reach import Reach
from physlab.sites.environment.sources import LAB, Item, read_item

Progress = Callable[[str, float, float], None]
"""Told what is done (a word), how much of it, and how much in all."""
IMPORTS = ("physlab.sites.slurm.foreman", "physlab.sites.slurm.pilot", "distributed.cli.dask_worker")
"""What must be importable there before an environment counts as one."""
QUICK = 3
"""Level of compression: most of the gain, at the pace of a fast network."""
ROOM = 1.2


@dataclass(frozen=True)
class Installed:
    """What an install did, or would do.

    Attributes:
        digest: Of the environment.
        folder: Where it is.
        python: The Python it uses.
        packages: How many packages it holds.
        files: How many files.
        size: Their size [bytes].
        sent_packages: Names of the packages of which something travelled.
        sent_files: How many files did.
        sent_size: Their size [bytes].
        wire: What went over the network [bytes], compressed.
        was_there: True when the environment was complete already.
    """

    digest: str
    folder: str
    python: str
    packages: int
    files: int
    size: int
    sent_packages: tuple[str, ...] = ()
    sent_files: int = 0
    sent_size: int = 0
    wire: int = 0
    was_there: bool = False


def install(
    reach: Reach, pack: Pack, *, python: str | None = None, dry_run: bool = False, progress: Progress | None = None
) -> Installed:
    """Bring an environment to a site.

    What arrives is kept, so that an install that was broken off goes on where it stopped. The environment gets its name
    when it is complete and its most important modules were imported there.

    Args:
        reach: The site.
        pack: The environment.
        python: A Python there; None for the one on its PATH.
        dry_run: Only look.
        progress: Told how far it is.

    Raises:
        ConfigurationError: There is no Python that fits; or a file here is not what was installed.
        ResourceError: There is no room, or the site cannot be reached.
        StoreError: It cannot be put together there.
    """
    found = reach.probe(python, pack.glibc())
    base = str(found["python"])
    items, marks = pack.items, _marks(pack)
    told = Installed(
        pack.digest, str(reach.folder / pack.digest), base, len(pack.packages), len(items),
        sum(item.size for item in items),
    )  # fmt: skip
    if reach.ask(base, "claim", pack.digest, *([] if dry_run else [base]))["complete"]:
        return replace(told, was_there=True)
    missing = set(reach.ask(base, "look", pack.digest, "" if dry_run else "keep", given=_list(pack, marks))["missing"])
    travelling = {mark: item for item in items if (mark := marks[item.path]) in missing}
    told = _with_missing(told, pack, travelling, marks)
    if dry_run:
        return told
    if told.sent_size * ROOM > found["free"]:
        raise ResourceError(
            f"{told.sent_size / 1e6:.0f} MB would travel, and {found['free'] / 1e6:.0f} MB are free in {reach.folder}.",
            hint=f"Make room, choose another folder in [sites.slurm.{reach.name}], or leave packages out: --without.",
        )
    wire = _send(reach, base, travelling, progress) if travelling else 0
    reach.ask(base, "make", pack.digest, base, heard=_listener(progress))
    return replace(told, wire=wire)


def _marks(pack: Pack) -> dict[str, str]:
    """Return the name of each file in the store there: its digest, and an x where it is a program."""

    def is_program(item: Item) -> bool:
        return not isinstance(item.source, bytes) and os.access(item.source, os.X_OK)

    return {item.path: item.digest + ("x" if is_program(item) else "") for item in pack.items}


def _list(pack: Pack, marks: dict[str, str]) -> bytes:
    about = {
        "digest": pack.digest, "made": datetime.now(UTC).isoformat(timespec="seconds"), "packages": pack.brief(),
        "choice": pack.choice.model_dump(), "size": sum(item.size for item in pack.items),
        LAB: pack.packages[LAB].version if LAB in pack.packages else None,
    }  # fmt: skip
    files = [(item.path, marks[item.path], item.size) for item in pack.items]
    imports = IMPORTS if LAB in pack.packages else ()
    return gzip.compress(json.dumps({"files": files, "about": about, "imports": imports}).encode(), QUICK)


def _with_missing(told: Installed, pack: Pack, travelling: dict[str, Item], marks: dict[str, str]) -> Installed:
    names = [
        name for name, package in pack.packages.items()
        if any(marks.get(item.path) in travelling for item in package.items)
    ]  # fmt: skip
    size = sum(item.size for item in travelling.values())
    return replace(told, sent_packages=tuple(names), sent_files=len(travelling), sent_size=size)


def _send(reach: Reach, python: str, files: dict[str, Item], progress: Progress | None) -> int:
    """Send files in one stream; return the bytes on the wire."""
    total, counted = sum(item.size for item in files.values()), 0

    def write(stream: IO[bytes]) -> None:
        nonlocal counted
        counter = _Counter(stream)
        packed: Any = gzip.GzipFile(fileobj=counter, mode="wb", compresslevel=QUICK) if reach.packs else counter
        done = 0
        with packed, tarfile.open(fileobj=packed, mode="w|") as archive:
            for mark, item in files.items():
                _add(archive, mark, item)
                done += item.size
                if progress is not None:
                    progress("sent", done, total)
        counted = counter.count if reach.packs else 0

    reach.ask(python, "take", write=write)
    return counted


def _add(archive: tarfile.TarFile, mark: str, item: Item) -> None:
    info = tarfile.TarInfo(mark)
    info.size = item.size
    if isinstance(item.source, bytes):
        archive.addfile(info, io.BytesIO(item.source))
        return
    if (now := read_item(item.path, Path(item.source))).digest != item.digest:
        raise ConfigurationError(
            f"{item.source} is not what was installed: it has the digest {now.digest[:12]}…, not {item.digest[:12]}….",
            hint="Install its package again (pip install --force-reinstall), or give the command again if you edit it.",
        )
    with Path(item.source).open("rb") as stream:
        archive.addfile(info, stream)


class _Counter(io.RawIOBase):
    """Counts what is written to a stream."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner, self.count = inner, 0

    def writable(self) -> bool:
        """Return that it is."""
        return True

    def write(self, data: Any) -> int:
        """Write on."""
        self._inner.write(data)
        self.count += len(data)
        return len(data)


def _listener(progress: Progress | None) -> Callable[[dict[str, Any]], None]:
    def hear(message: dict[str, Any]) -> None:
        if progress is not None and "of" in message:
            progress(message["what"], message["done"], message["of"])

    return hear


def prune(reach: Reach, kept: Sequence[str]) -> dict[str, Any]:
    """Remove the environments of a site that are not to be kept.

    Returns:
        `removed` and `used` (by a process on the login node), digests; `freed` [bytes].
    """
    python = str(reach.probe(None, None)["python"])
    return reach.ask(python, "prune", *kept)
