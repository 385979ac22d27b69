"""A notebook as a folder that stands alone: records, entries, signatures, keys and files, verified without the lab."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from physlab.durable import force_folder
from physlab.errors import StoreError, ValidationError
from physlab.keys import canonical, digest_bytes, digest_stream
from physlab.model.notebook import EntrySignature
from physlab.notebook.book import Book
from physlab.notebook.verification import Checked, check_records
from physlab.notebook.writing import Clock, now
from physlab.signing import Known, PublicKey, SecretKey, open_envelope, read_public, seal_envelope
from physlab.store import Store
from physlab.store.intake import force_file_system

SHEET, PROOF, RECORDS = "export.json", "export.dsse.json", "records.jsonl"
KIND = "urn:physlab:notebook-export:1"
_SAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass
class Verified:
    """What an export was found to be.

    Attributes:
        checked: Its records.
        files: How many files it has.
        signer: Id of the key that vouches for its end, empty where nobody does.
        vouches: Whose key that is; empty where nobody vouches for the key itself.
        problem: The first thing that is wrong; empty when nothing is.
    """

    checked: Checked
    files: int = 0
    signer: str = ""
    vouches: str = ""
    problem: str = ""
    warnings: list[str] = field(default_factory=list)


def export(
    store: Store, book: Book, folder: Path, secret: SecretKey | None = None, signer: str = "", clock: Clock = now
) -> list[str]:
    """Write a notebook into a folder that is not there yet, complete or not at all.

    Args:
        store: Where the bytes of attachments are.
        book: The notebook.
        folder: Where to.
        secret: Signs that this is all of it; without, a cut end cannot be found.
        signer: Whose key that is.
        clock: Tells when.

    Returns:
        The files that were written.

    Raises:
        ValidationError: The notebook is empty, or the folder is there.
        StoreError: An attachment is missing or damaged, or the folder cannot be written.
    """
    if not book.records:
        raise ValidationError(f"The notebook {book.name} is empty.", hint="See: physlab notebook list")
    if folder.exists():
        raise ValidationError(f"'{folder}' is there already.", hint="Name a folder that is not there yet.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            names = _fill(store, book, scratch, secret, signer, clock)
            scratch.chmod(0o755)
            os.replace(scratch, folder)
            force_folder(folder.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"'{folder}' cannot be written: {error.strerror or error}.", hint="Choose another folder."
        ) from error
    return names


def _fill(store: Store, book: Book, folder: Path, secret: SecretKey | None, signer: str, clock: Clock) -> list[str]:
    files = {f"files/{sha256}": sha256 for sha256 in sorted(_attached(book))}
    for name, sha256 in files.items():
        _folder_of(folder / name)
        shutil.copyfile(store.blobs.verified(sha256), folder / name)
    for name, data in texts(book):
        _folder_of(folder / name)
        (folder / name).write_bytes(data)
        files[name] = digest_bytes(data)
    sheet = {**_end(book, clock().isoformat()), "key": secret.public.line if secret else None, "signer": signer,
             "files": files}  # fmt: skip
    data = canonical(sheet)
    (folder / SHEET).write_bytes(data)
    if secret is not None:
        envelope = seal_envelope(secret, SHEET, digest_bytes(data), KIND, _end(book, sheet["at"]))
        (folder / PROOF).write_bytes(canonical(envelope))
    force_file_system(folder)
    return sorted([*files, SHEET, *([PROOF] if secret is not None else [])])


def _folder_of(path: Path) -> None:
    try:
        os.mkdir(path.parent)
    except FileExistsError:
        return
    except FileNotFoundError:
        path.parent.mkdir(parents=True)


def _end(book: Book, at: str) -> dict[str, Any]:
    """Return what an export says of its end: what is cut off later is missed there."""
    return {"notebook": book.name, "at": at, "heads": list(book.heads), "records": len(book.records)}


def texts(book: Book) -> Iterator[tuple[str, bytes]]:
    """Yield everything of an export that follows from the records alone: name in the folder, and bytes."""
    yield RECORDS, b"".join(book.texts[digest] + b"\n" for digest in book.records)
    for number, page in enumerate(book.pages(), 1):
        place = f"entries/{number:04d}-{page.entry.entry_id}-r{page.entry.revision}"
        yield f"{place}/entry.json", book.texts[page.record]
        for count, made in enumerate(page.signatures, 1):
            stem = f"{place}/entry.json.{count}-{_SAFE.sub('_', made.signer)}-{made.meaning}"
            yield f"{stem}.minisig", made.minisig.encode()
            yield f"{stem}.dsse.json", canonical(made.statement)
    keys = {made.key: made.signer for page in book.pages() for made in page.signatures}
    for line, signer in keys.items():
        public = read_public(line)
        yield f"keys/{_SAFE.sub('_', signer)}-{public.id}.pub", public.text().encode()


def _hashes(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every file of a folder with its SHA-256.

    Raises:
        ValidationError: Something in it is neither a file nor a folder.
    """
    todo = [(str(folder), "")]
    while todo:
        place, before = todo.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                name = f"{before}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    todo.append((entry.path, f"{name}/"))
                elif entry.is_file(follow_symlinks=False):
                    with open(entry.path, "rb") as stream:
                        yield name, digest_stream(stream)[0]
                else:
                    raise ValidationError(f"'{name}' is no plain file.", hint="Take the export as it was.")


def verify_export(folder: Path, known: Known | None = None) -> Verified:
    """Verify an export, without the lab that made it; stops at the first thing that is wrong.

    Args:
        folder: The export.
        known: Keys that signers are known to have; without, those in the export are believed.

    Raises:
        ValidationError: It is no export of a notebook.
    """
    try:
        data = (folder / SHEET).read_bytes()
        sheet = orjson.loads(data)
        named, heads = dict(sheet["files"]), list(sheet["heads"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValidationError(
            f"'{folder}' is no export of a notebook: {error}.", hint="Give the folder that has export.json in it."
        ) from error
    found = Verified(Checked(Book("")))
    try:
        here = {name: sha256 for name, sha256 in _hashes(folder) if name not in (SHEET, PROOF)}
        found.files = len(here)
        found.problem = _differences(named, here) or _checked(folder, found, data, sheet, heads, known)
    except ValidationError as error:
        found.problem = error.message
    return found


def _differences(named: dict[str, Any], here: dict[str, str]) -> str:
    for name in sorted(named.keys() | here.keys()):
        if name not in here:
            return f"{name}: the file is missing"
        if name not in named:
            return f"{name}: the export does not name this file"
        if named[name] != here[name]:
            return f"{name}: the file was changed"
    return ""


def _checked(
    folder: Path, found: Verified, data: bytes, sheet: dict[str, Any], heads: list[str], known: Known | None
) -> str:
    lines = (folder / RECORDS).read_bytes().split(b"\n")[:-1] if (folder / RECORDS).is_file() else []
    found.checked = check_records(lines, heads, known)
    if found.checked.problem:
        return f"{RECORDS}: {found.checked.problem}"
    book = found.checked.book
    if canonical(sheet) != data or (sheet["notebook"], sheet["records"]) != (book.name, len(book.records)):
        return f"{SHEET}: it was changed"
    made = {f"files/{sha256}" for sha256 in _attached(book)}
    for name, text in texts(book):
        if sheet["files"].get(name) != digest_bytes(text):
            return f"{name}: it is not what the record says"
        made.add(name)
    odd = sorted(set(sheet["files"]) ^ made)
    if odd:
        return f"{odd[0]}: the records know nothing of this file" if odd[0] not in made else f"{odd[0]} is missing"
    for sha256 in _attached(book):
        if sheet["files"][f"files/{sha256}"] != sha256:
            return f"files/{sha256}: the bytes are not those of its name"
    return _vouched(folder, found, data, sheet, known)


def _attached(book: Book) -> set[str]:
    return {item.sha256 for page in book.pages() for item in page.entry.attachments}


def _vouched(folder: Path, found: Verified, data: bytes, sheet: dict[str, Any], known: Known | None) -> str:
    """Verify who says that this is all of it."""
    book, line = found.checked.book, sheet.get("key")
    if line is None:
        last = list(book.records.values())[-1]
        if not isinstance(last, EntrySignature):
            found.warnings.append("nobody vouches for the end: what follows the last signature could have been cut off")
        return f"{PROOF}: {SHEET} names nobody who signed it" if (folder / PROOF).exists() else ""
    try:
        text, public = (folder / PROOF).read_bytes(), read_public(line)
        envelope = orjson.loads(text)
        statement = open_envelope(envelope, public)
    except (OSError, ValueError, TypeError) as error:
        return f"{PROOF}: {error.message if isinstance(error, ValidationError) else 'it is missing or was changed'}"
    if canonical(envelope) != text:
        return f"{PROOF}: it was changed"
    if statement["subject"] != [{"name": SHEET, "digest": {"sha256": digest_bytes(data)}}]:
        return f"{SHEET}: it is not what {public.id} signed"
    if statement.get("predicate") != _end(book, sheet["at"]):
        return f"{PROOF}: it was made for another end of the notebook"
    found.signer, signer = public.id, str(sheet.get("signer", ""))
    refusal = known.refusal(public, signer, sheet["at"]) if known is not None else ""
    is_known = public.id in known if known is not None else public in _own(book)
    found.vouches = signer if is_known else ""
    if not is_known and not refusal:
        found.warnings.append(f"key {public.id} vouches for the end, and nobody vouches for it")
    return f"{PROOF}: {refusal}" if refusal else ""


def _own(book: Book) -> list[PublicKey]:
    return [read_public(item.key) for item in book.records.values() if isinstance(item, EntrySignature)]
