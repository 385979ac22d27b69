"""Verifying and opening a bundle. The signature comes before everything else; a lab takes all of it or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from physlab.bundle import names
from physlab.bundle.archive import Archive, Limits
from physlab.bundle.manifest import Manifest, read_manifest
from physlab.durable import force_folder
from physlab.errors import StoreError, ValidationError
from physlab.keys import hasher
from physlab.signing import PublicKey, read_public
from physlab.store import Store
from physlab.transfer.records import Travelling, read_line
from physlab.transfer.taking import alone, take, unknown

SMALL = 1 << 16
LINE = 1 << 26
"""No record is longer [bytes]."""
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Checked:
    """A bundle that holds.

    Attributes:
        manifest: What is inside.
        signer: Whose signature it has.
        size: Of the file [bytes].
        files: How many files were read and are what they were.
        records: How many records.
    """

    manifest: Manifest
    signer: PublicKey
    size: int
    files: int = 0
    records: int = 0


@dataclass(frozen=True)
class Opened:
    """What opening did, or with `dry_run` would do.

    Attributes:
        checked: The bundle.
        files: Files that are new here.
        here: Files that were here before.
        records: Records that are new here.
        missing: Files that the records need and neither side has.
    """

    checked: Checked
    files: int
    here: int
    records: int
    missing: tuple[str, ...]


def read_bundle(path: Path, limits: Limits | None = None) -> Checked:
    """Return what a bundle says is inside, its signature verified; its files are not read.

    Raises:
        ValidationError: It is no bundle, or was changed.
    """
    with Archive(path, limits or Limits()) as archive:
        return _signed(archive, limits or Limits())


def check_bundle(path: Path, limits: Limits | None = None, told: Told = lambda done, whole: None) -> Checked:
    """Verify all of a bundle: structure, signature, every byte, every record. Nothing is written.

    Raises:
        ValidationError: Something is wrong; the message names the first file.
    """
    with Archive(path, limits or Limits()) as archive:
        checked = _signed(archive, limits or Limits())
        records = _read_records(archive, checked.manifest)
        _read_rest(archive, checked.manifest, told)
        return Checked(checked.manifest, checked.signer, checked.size, len(checked.manifest.files), len(records))


def open_bundle(
    store: Store, path: Path, room: Path, trusted: Collection[str], *, limits: Limits | None = None,
    dry_run: bool = False, told: Told = lambda done, whole: None,
) -> Opened:  # fmt: skip
    """Take a bundle into a lab, all of it or nothing.

    Args:
        store: The lab's.
        path: The bundle.
        room: Folder on the lab's file system where files wait until all are there.
        trusted: Lines of the public keys of labs whose results count here.
        limits: The most that is read.
        dry_run: Verify all of it, and take nothing.
        told: Is told how far it is.

    Raises:
        ValidationError: It does not hold, or nobody vouches for its signer; the lab is as before.
        StoreError: The lab cannot take it; it is as before.
    """
    with Archive(path, limits or Limits()) as archive:
        checked = _signed(archive, limits or Limits())
        if checked.signer.line not in trusted:
            raise stranger(path, checked.signer)
        manifest = checked.manifest
        blobs = {digest for name in manifest.files if (digest := names.blob_of(name)) is not None}
        with alone(room):
            waiting = room / "incoming"
            shutil.rmtree(waiting, ignore_errors=True)  # of one that was killed
            try:
                records = _read_records(archive, manifest)
                wanted = blobs & set[str]().union(*(one.named for one in records.values()))
                here = {digest for digest in wanted if store.blobs.path(digest).exists()}
                fresh = wanted - here
                _read_rest(archive, manifest, told, waiting, set() if dry_run else fresh)
                count = len(unknown(store, records))
                if not dry_run:
                    fresh |= _mend(store, archive, manifest, waiting, here)
                    files = {digest: waiting / digest for digest in sorted(fresh)}
                    take(store, f"bundle {manifest.dag_id}", f"lab {checked.signer.id}", files, records)
            finally:
                shutil.rmtree(waiting, ignore_errors=True)
        needed = set[str]().union(*(one.needed() for one in records.values()))
        missing = tuple(sorted(store.blobs.lacking(needed - blobs)))
    whole = Checked(manifest, checked.signer, checked.size, len(manifest.files), len(records))
    return Opened(whole, len(fresh), len(wanted - fresh), count, missing)


def _mend(store: Store, archive: Archive, manifest: Manifest, waiting: Path, here: set[str]) -> set[str]:
    """Fetch files that are here but damaged, now that the whole bundle is known to hold; return which."""
    bad = here - store.check_blobs(here)
    for digest in bad:
        _put(waiting, digest, _same(archive, manifest, names.blob_name(digest)))
    return bad


def stranger(path: Path, signer: PublicKey) -> ValidationError:
    """Return the refusal of a bundle of a lab that nobody here vouched for."""
    return ValidationError(
        f"The bundle is signed by a lab that this one does not know: key {signer.id}, {signer.line}",
        hint="Its results would count as your own, also in the cache. Ask that lab whether this is its key (there: "
        f"physlab bundle key); if it is: physlab bundle open {path} --trust {signer.line}",
        details={"key": signer.line, "key_id": signer.id},
    )


def _signed(archive: Archive, limits: Limits) -> Checked:
    """Return the manifest after its signature; it names every file that is there and no other."""
    try:
        public = read_public(archive.read(names.PUBLIC, SMALL).decode())
    except UnicodeDecodeError as error:
        raise names.refused(names.PUBLIC, "it is no key") from error
    signature = archive.read(names.SIGNATURE, SMALL)
    manifest = read_manifest(archive.read(names.MANIFEST, limits.manifest), signature, public)
    there, named = set(archive.names) - set(names.FIRST), manifest.files.keys()
    for name in sorted(there ^ named):
        raise names.refused(name, "it is missing" if name in named else "the manifest does not name it")
    for name, file in manifest.files.items():
        if names.blob_of(name) not in (None, file.sha256):
            raise names.refused(name, "the manifest has another SHA-256 for it than its name says")
    if manifest.size > limits.size:
        raise names.refused(names.MANIFEST, f"it names {manifest.size:,} bytes; at most {limits.size:,} are read")
    return Checked(manifest, public, archive.size)


def _read_records(archive: Archive, manifest: Manifest) -> dict[str, Travelling]:
    if names.RECORDS not in manifest.files:
        raise names.refused(names.RECORDS, "it is missing")
    records = _records(_same(archive, manifest, names.RECORDS))
    for run in manifest.runs:
        if run.record not in records:
            raise names.refused(names.RECORDS, f"the record of run {run.run_id} is missing")
    return records


def _read_rest(
    archive: Archive, manifest: Manifest, told: Told, waiting: Path | None = None, keep: Collection[str] = ()
) -> None:
    """Read every other file against the manifest; put those to be kept into the waiting room."""
    done, whole = manifest.files[names.RECORDS].size, manifest.size
    for name in sorted(manifest.files.keys() - {names.RECORDS}):
        digest = names.blob_of(name)
        pieces = _same(archive, manifest, name)
        if waiting is not None and digest in keep:
            _put(waiting, str(digest), pieces)
        else:
            for _ in pieces:
                pass
        done += manifest.files[name].size
        told(done, whole)
    if waiting is not None and keep:
        force_folder(waiting)


def _same(archive: Archive, manifest: Manifest, name: str) -> Iterator[bytes]:
    """Yield a file; that it is the one of the manifest is known when it ends."""
    file, state, size = manifest.files[name], hasher(), 0
    for piece in archive.pieces(name, file.size):
        state.update(piece)
        size += len(piece)
        yield piece
    if (state.hexdigest(), size) != (file.sha256, file.size):
        raise names.refused(name, "its bytes are not those that the manifest names")


def _put(waiting: Path, digest: str, pieces: Iterator[bytes]) -> None:
    try:
        waiting.mkdir(parents=True, exist_ok=True)
        with open(waiting / digest, "xb") as stream:
            _copy(stream, pieces)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{waiting} cannot be written: {error.strerror or error}.", hint="Free disk space; nothing was taken."
        ) from error


def _copy(stream: BinaryIO, pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        stream.write(piece)
    stream.flush()
    os.fsync(stream.fileno())


def _records(pieces: Iterator[bytes]) -> dict[str, Travelling]:
    """Return the records of a file of lines, each checked."""
    found: dict[str, Travelling] = {}
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            _add(found, line)
        if len(rest) > LINE:
            raise names.refused(names.RECORDS, f"a record has more than {LINE:,} bytes")
    if rest:
        _add(found, rest)
    return found


def _add(found: dict[str, Travelling], line: bytes) -> None:
    try:
        one = read_line(line, f"Record {len(found) + 1} of the bundle")
    except StoreError as error:
        raise names.refused(names.RECORDS, error.message.rstrip(".")) from error
    if one.kind.startswith("notebook_"):
        raise names.refused(names.RECORDS, "an extract of a notebook is no part of a ledger")
    found[one.digest] = one
