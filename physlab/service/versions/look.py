"""Looking back at versions, and giving them back: names in, plain values out."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError, nearest
from physlab.lab import Lab
from physlab.versioning import external, history
from physlab.versioning.contents import files_of
from physlab.versioning.differ import differences
from physlab.versioning.history import Known, find
from physlab.versioning.labels import as_object, label, labels, read_label
from physlab.versioning.origin import FORMATS, Lineage, downstream, upstream, write_lineage
from physlab.versioning.origin.upstream import bytes_of_name
from physlab.versioning.restore import restore
from physlab.versioning.tags import tag, tags


def me() -> str:
    """Return who speaks, as the ledger notes it: `user@machine`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def version_log(lab: Lab, artifact: str | None = None, limit: int | None = None) -> list[Known]:
    """Return versions, latest first: of one artifact, or of all."""
    return history.log(lab.store, artifact, Path.cwd(), limit)


def find_version(lab: Lab, name: str) -> Known:
    """Return a version by name.

    Raises:
        ValidationError: There is none of that name.
    """
    return find(lab.store, name, Path.cwd())


def diff_versions(lab: Lab, before: str, after: str | None) -> dict[str, Any]:
    """Return how two versions differ; without the second, a version and the one before it.

    Raises:
        ValidationError: There is none of that name, or none before it.
    """
    first = find_version(lab, before)
    if after is not None:
        return differences(lab.store, first, find_version(lab, after))
    if first.number == 1:
        raise ValidationError(f"{first.name} is the first version.", hint="Name two versions.")
    return differences(lab.store, find_version(lab, f"{first.version.artifact}@{first.number - 1}"), first)


def restore_version(lab: Lab, name: str, target: Path | None, *, force: bool = False) -> dict[str, Any]:
    """Write a version back: to where it came from, or to another path.

    Raises:
        ValidationError: There is no such version, or what stands there would be lost.
        StoreError: Bytes are missing or damaged, or the path cannot be written.
    """
    known = find_version(lab, name)
    path = target or Path(known.version.artifact)
    if target is None and (not path.is_absolute() or external.is_address(known.version.artifact)):
        hint = f"Say where to: physlab version restore {known.name} TO"
        raise ValidationError(f"{known.name} has no path of its own.", hint=hint)
    if target is not None and target.is_dir() and known.version.content.kind != "folder":
        path = target / Path(known.version.artifact).name
    count = restore(lab.store, known.version.content, path, force=force)
    return {"version": known.name, "path": str(path), "files": count, "hash": f"sha256:{known.version.content.sha256}"}


def tag_version(lab: Lab, name: str, version: str | None, *, move: bool = False) -> None:
    """Give a version a tag, or take the tag away (no version).

    Raises:
        ValidationError: The name cannot be one, or stands for another version.
    """
    tag(lab.store, name, find_version(lab, version).record if version else None, me(), move=move)


def all_tags(lab: Lab) -> dict[str, Known]:
    """Return the tags with their versions."""
    lab.store.refresh()
    return {name: history.by_record(lab.store, record) for name, record in sorted(tags(lab.store).items())}


def label_version(lab: Lab, name: str, text: str, why: str = "") -> dict[str, Any]:
    """Label the bytes of a version, of a file that a run made, or of `sha256:…`.

    Raises:
        ValidationError: There is none of that name, or no such label.
    """
    wanted = read_label(text)
    sha256 = bytes_of_name(lab.store, name, Path.cwd())
    label(lab.store, [sha256], wanted, me(), why)
    return {"hash": f"sha256:{sha256}", "label": str(wanted)}


def all_labels(lab: Lab) -> list[dict[str, Any]]:
    """Return everything that is labelled."""
    return as_object(labels(lab.store))


def lineage_of(lab: Lab, name: str) -> Lineage:
    """Return the whole chain that led to something: a version, a file, or `sha256:…`.

    Raises:
        ValidationError: It is not known.
    """
    lab.store.refresh()
    return upstream(lab.store, bytes_of_name(lab.store, name, Path.cwd()))


def lineage_text(lab: Lab, name: str, form: str) -> str:
    """Return a lineage in one of the formats that others read.

    Raises:
        ValidationError: It is not known, or there is no such format.
    """
    if form not in FORMATS:
        raise ValidationError(f"There is no format '{form}'.", hint=nearest(form, FORMATS))
    return write_lineage(lineage_of(lab, name), form)


def impact_of(lab: Lab, name: str) -> tuple[Lineage, list[str]]:
    """Return everything that was made from something, and the runs that it is part of.

    Raises:
        ValidationError: It is not known.
    """
    lab.store.refresh()
    return downstream(lab.store, bytes_of_name(lab.store, name, Path.cwd()))


def verify_versions(lab: Lab, name: str | None) -> tuple[int, list[str]]:
    """Read the bytes of one version, or of all; return how many files there are and what is wrong."""
    lab.store.refresh()
    chosen = [find_version(lab, name)] if name else version_log(lab)
    wrong: list[str] = []
    wanted: dict[str, str] = {}
    for known in chosen:
        content = known.version.content
        try:
            if content.kind == "external":
                external.verify(lab.store, content)
            else:
                wanted |= {digest: known.name for digest, _, _ in files_of(lab.store, content).values()}
                wanted[content.sha256] = known.name
        except (ValidationError, OSError) as error:  # a StoreError is an OSError
            wrong.append(f"{known.name}: {error}")
    good = {digest for digest in wanted if lab.store.blobs.intact(digest)}
    wrong += [f"{name}: sha256:{digest} is missing or damaged" for digest, name in wanted.items() if digest not in good]
    return len(wanted), wrong
