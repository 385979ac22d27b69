"""A notebook as an .eln file: https://github.com/TheELNConsortium/TheELNFileFormat."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from physlab import __version__
from physlab.durable import force_file, force_folder
from physlab.errors import StoreError, ValidationError
from physlab.keys import canonical, digest_bytes
from physlab.notebook.book import Book, Page
from physlab.signing import SecretKey
from physlab.store import Store
from physlab.tools.export.archive import slug, write_zip

METADATA, CONTEXT = "ro-crate-metadata.json", "https://w3id.org/ro/crate/1.1/context"
CRATE = "https://w3id.org/ro/crate/1.1"
ENTRY = "entry.json"
PUBLISHER = "#physlab"
Part = dict[str, Any]


def export_eln(
    store: Store, book: Book, target: Path, pages: Sequence[Page] | None = None, secret: SecretKey | None = None
) -> Path:
    """Write entries into an .eln file that is not there yet, complete or not at all; the same ones give the same bytes.

    Args:
        store: Where the bytes of attachments are.
        book: The notebook.
        target: The file.
        pages: Which entries; by default the last revision of each.
        secret: Signs the list of what is in it.

    Raises:
        ValidationError: There is nothing to write, or the file is there.
        StoreError: An attachment is missing or damaged, or the file cannot be written.
    """
    chosen = book.latest() if pages is None else list(pages)
    if not chosen:
        raise ValidationError(f"The notebook {book.name} is empty.", hint="See: physlab notebook list")
    if target.exists():
        raise ValidationError(f"'{target}' is there already.", hint="Name a file that is not there yet.")
    root = slug(target.stem, "notebook")
    files: dict[str, Path | bytes | str] = {}
    graph = _graph(store, book, chosen, files)
    told = orjson.dumps({"@context": CONTEXT, "@graph": graph}, option=orjson.OPT_INDENT_2)
    files[METADATA] = told
    if secret is not None:
        files[f"{METADATA}.minisig"] = secret.minisign(told, f"{METADATA} of the notebook {book.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        scratch = Path(name)
        try:
            write_zip(scratch, {f"{root}/{path}": data for path, data in files.items()})
            scratch.chmod(0o644)
            force_file(scratch)
            os.replace(scratch, target)
            force_folder(target.parent)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"'{target}' cannot be written: {error.strerror or error}.", hint="Choose another folder."
        ) from error
    return target


def _graph(store: Store, book: Book, pages: Sequence[Page], files: dict[str, Path | bytes | str]) -> list[Part]:
    people: dict[str, Part] = {}
    parts = [part for page in pages for part in _entry(store, page, files, people)]
    sets = [{"@id": part["@id"]} for part in parts if part["@type"] == "Dataset"]
    last = max(page.entry.at for page in pages)
    head: Part = {
        "@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": CRATE},
        "dateCreated": last, "sdPublisher": {"@id": PUBLISHER}, "version": "1.0",
    }  # fmt: skip
    whole: Part = {
        "@id": "./", "@type": "Dataset", "name": f"Notebook {book.name}", "datePublished": last, "hasPart": sets,
        "description": f"Entries of the laboratory notebook {book.name}", "license": {"@id": "#license"},
    }  # fmt: skip
    own: Part = {"@id": PUBLISHER, "@type": "SoftwareApplication", "name": "physlab", "softwareVersion": __version__}
    rights: Part = {"@id": "#license", "@type": "CreativeWork", "name": "As the lab that wrote it says"}
    return [head, whole, own, rights, *people.values(), *parts]


def _person(name: str, people: dict[str, Part]) -> Part:
    given = people.setdefault(name, {"@id": f"#person-{slug(name)}", "@type": "Person", "name": name})
    return {"@id": given["@id"]}


def _entry(store: Store, page: Page, files: dict[str, Path | bytes | str], people: dict[str, Part]) -> list[Part]:
    entry = page.entry
    place = f"{entry.entry_id}-{slug(entry.title, 'entry')[:40]}"
    kept = [_file(place, ENTRY, canonical(entry.model_dump(mode="json")), "application/json", entry.at, files)]
    for number, made in enumerate(page.signatures, 1):
        name = f"{ENTRY}.{number}-{slug(made.signer)}-{made.meaning}.minisig"
        kept.append(_file(place, name, made.minisig.encode(), "text/plain", made.at, files))
    for item in entry.attachments:
        name = f"{item.sha256[:12]}-{slug(item.name)}"
        path = f"{place}/{name}"
        files[path] = store.blobs.verified(item.sha256)
        kept.append({
            "@id": f"./{path}", "@type": "File", "name": item.name, "encodingFormat": item.media_type,
            "contentSize": str(item.size), "sha256": item.sha256, "dateModified": entry.at,
        })  # fmt: skip
    comments = [{
        "@id": f"#comment-{page.record[:16]}-{number}", "@type": "Comment", "dateCreated": said.at,
        "text": said.text or said.word, "author": _person(said.author, people),
    } for number, said in enumerate(page.remarks, 1)]  # fmt: skip
    text = entry.content + (f"\n\n# Conclusions\n\n{entry.conclusions}" if entry.conclusions else "")
    return [{
        "@id": f"./{place}/", "@type": "Dataset", "name": entry.title, "author": _person(entry.author, people),
        "dateCreated": entry.at, "dateModified": entry.at, "identifier": f"{entry.entry_id}@{entry.revision}",
        "genre": "experiment", "text": text, "encodingFormat": "text/markdown", "keywords": ",".join(entry.tags),
        "comment": [{"@id": one["@id"]} for one in comments], "hasPart": [{"@id": one["@id"]} for one in kept],
        "sha256": page.record,
    }, *comments, *kept]  # fmt: skip


def _file(place: str, name: str, data: bytes, kind: str, at: str, files: dict[str, Path | bytes | str]) -> Part:
    files[f"{place}/{name}"] = data
    return {
        "@id": f"./{place}/{name}", "@type": "File", "name": name, "encodingFormat": kind,
        "contentSize": str(len(data)), "sha256": digest_bytes(data), "dateModified": at,
    }  # fmt: skip
