"""Writing a bundle: complete or absent, in constant memory, the same bytes for the same content."""

from __future__ import annotations

import os
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from physlab import __version__
from physlab.bundle import names
from physlab.bundle.archive import EPOCH, PLAIN, UNIX
from physlab.bundle.choosing import ENTRY, Chosen
from physlab.bundle.manifest import EntryInside, File, Manifest, RunInside, sign_manifest
from physlab.bundle.page import pages
from physlab.durable import force_folder
from physlab.errors import StoreError, ValidationError
from physlab.keys import canonical, digest_bytes, digest_stream, hasher
from physlab.signing import SecretKey
from physlab.store import Store
from physlab.store.blobs import damaged, missing
from physlab.transfer.records import Travelling

CHUNK = 1 << 20
Told = Callable[[int, int], None]
"""Is told how many bytes are written, of how many."""


@dataclass(frozen=True)
class Paper:
    """What people look at of a run.

    Attributes:
        report: The PDF; None where there is none.
        results: Its files: names for people → SHA-256.
    """

    report: bytes | None = None
    results: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Made:
    """A bundle that was written.

    Attributes:
        path: The file.
        sha256: Of its bytes.
        size: How many they are.
        manifest: What is inside.
    """

    path: Path
    sha256: str
    size: int
    manifest: Manifest


def write_bundle(
    store: Store, chosen: Chosen, secret: SecretKey, target: Path, *, made_by: str, made_at: str,
    papers: Mapping[str, Paper], told: Told = lambda done, whole: None,
) -> Made:  # fmt: skip
    """Write a bundle.

    Args:
        store: The lab's.
        chosen: What goes in.
        secret: The lab's key.
        target: The file; it must not be there.
        made_by: Id of the person who has it made.
        made_at: When, in UTC.
        papers: For people, by the id of the run.
        told: Is told how far it is.

    Raises:
        ValidationError: The file is there.
        StoreError: A file of the lab is damaged, or the target cannot be written; nothing is there then.
    """
    if target.exists():
        raise ValidationError(f"'{target}' is there already.", hint="Name a new file: -o FILE")
    small = _small(chosen, papers)
    sizes = {digest: _size(store, digest) for digest in sorted(chosen.files)}
    manifest = _manifest(chosen, papers, small, sizes, made_by, made_at)
    small |= {name: text.encode() for name, text in pages(manifest, chosen).items()}
    files = {name: File(sha256=digest_bytes(data), size=len(data)) for name, data in small.items()}
    manifest = manifest.model_copy(update={"files": dict(sorted({**manifest.files, **files}.items()))})
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            with open(draft, "xb") as stream:
                _fill(stream, store, manifest, secret, small, told)
                stream.flush()
                os.fsync(stream.fileno())
            sha256, size = _digest(draft)
            os.link(draft, target)  # never over what somebody else put there meanwhile
        finally:
            draft.unlink(missing_ok=True)
        force_folder(target.parent)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"The bundle '{target}' cannot be written: {error.strerror or error}.",
            hint="Free disk space, or name another file: -o FILE",
        ) from error
    return Made(target, sha256, size, manifest)


def _small(chosen: Chosen, papers: Mapping[str, Paper]) -> dict[str, bytes]:
    """Return everything that is made for the bundle and does not speak of itself: name → bytes."""
    found = {names.RECORDS: b"".join(one.dump() for one in chosen.records.values())}
    if chosen.notebook:
        found[names.NOTEBOOK] = b"".join(canonical(dict(one.record)) + b"\n" for one in chosen.notebook.values())
    for run_id, paper in papers.items():
        if paper.report is not None:
            found[_report(run_id)] = paper.report
    return found


def _report(run_id: str) -> str:
    return f"reports/{run_id}.pdf"


def _manifest(
    chosen: Chosen, papers: Mapping[str, Paper], small: Mapping[str, bytes], sizes: Mapping[str, int],
    made_by: str, made_at: str,
) -> Manifest:  # fmt: skip
    files = {name: File(sha256=digest_bytes(data), size=len(data)) for name, data in small.items()}
    files |= {names.blob_name(digest): File(sha256=digest, size=size) for digest, size in sizes.items()}
    return Manifest(
        made_by=made_by, made_at=made_at, physlab=__version__, session=chosen.wanted.session,
        dag_id=chosen.wanted.dag_id, title=plain(chosen.graph.record["dag"].get("title", "")),
        runs=tuple(_run(one, papers.get(one.record["run_id"], Paper()), sizes) for one in chosen.runs),
        entries=tuple(_entries(chosen.notebook)),
        versions=sum(one.kind == "version" for one in chosen.records.values()),
        left_out=len(chosen.held), missing=len(chosen.missing), files=files,
    )  # fmt: skip


def _run(one: Travelling, paper: Paper, sizes: Mapping[str, int]) -> RunInside:
    record = one.record
    results = {name: digest for name, digest in sorted((paper.results or {}).items()) if digest in sizes}
    return RunInside(
        run_id=record["run_id"], record=one.digest, title=plain(record["title"]), status=record["status"],
        started_at=record["started_at"], nodes=len(record["nodes"]), results=results,
        report=None if paper.report is None else _report(record["run_id"]),
    )  # fmt: skip


def _entries(notebook: Mapping[str, Travelling]) -> Iterator[EntryInside]:
    signed = [one.record["entry"] for one in notebook.values() if one.kind == "notebook_signature"]
    for digest, one in notebook.items():
        if one.kind == ENTRY:
            record = one.record
            yield EntryInside(
                record=digest, entry_id=record["entry_id"], revision=record["revision"], title=plain(record["title"]),
                author=record["author"], signatures=signed.count(digest),
            )  # fmt: skip


def plain(text: str) -> str:
    """Return a text as one line that every terminal prints as it is."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:1000]


def _size(store: Store, digest: str) -> int:
    path = store.blobs.path(digest)
    try:
        return path.stat().st_size
    except OSError as error:
        raise missing(digest, path) from error


def _fill(
    stream: IO[bytes], store: Store, manifest: Manifest, secret: SecretKey, small: Mapping[str, bytes], told: Told
) -> None:
    data, signature = sign_manifest(manifest, secret)
    first = {names.MANIFEST: data, names.SIGNATURE: signature, names.PUBLIC: secret.public.text().encode()}
    done, whole = 0, manifest.size
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in first.items():
            _add(archive, name, len(content), [content])
        for name, file in manifest.files.items():
            digest = names.blob_of(name)
            pieces = [small[name]] if digest is None else _checked(store, digest, file.size)
            _add(archive, name, file.size, pieces)
            done += file.size
            told(done, whole)


def _add(archive: zipfile.ZipFile, name: str, size: int, pieces: Iterator[bytes] | list[bytes]) -> None:
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system, info.external_attr, info.file_size = UNIX, PLAIN, size
    with archive.open(info, "w") as inside:
        for piece in pieces:
            inside.write(piece)


def _checked(store: Store, digest: str, size: int) -> Iterator[bytes]:
    """Yield the bytes of a file of the store; what is damaged ends the writing."""
    path, state, count = store.blobs.path(digest), hasher(), 0
    try:
        with open(path, "rb") as stream:
            while piece := stream.read(CHUNK):
                state.update(piece)
                count += len(piece)
                yield piece
    except FileNotFoundError as error:
        raise missing(digest, path) from error
    if count != size or state.hexdigest() != digest:
        raise damaged(digest, path)


def _digest(path: Path) -> tuple[str, int]:
    with open(path, "rb") as stream:
        return digest_stream(stream)
