"""Looking back at versions, and giving them back: names in, plain values out."""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError, nearest
from physlab.lab import Lab
from physlab.versioning import external, history
from physlab.versioning.code import read_patch
from physlab.versioning.differ import differences
from physlab.versioning.history import Known
from physlab.versioning.labels import given_labels, label, read_label
from physlab.versioning.names import meant, meant_version, name_of
from physlab.versioning.origin import FORMATS, Lineage, downstream, upstream, write_lineage
from physlab.versioning.restore import restore
from physlab.versioning.tags import tag, tags


def me() -> str:
    """Return who speaks, as the ledger notes it: `user@machine`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def version_log(
    lab: Lab, artifact: str | None = None, limit: int | None = None, since: str | None = None, until: str | None = None
) -> list[Known]:
    """Return versions, latest first: of one artifact, or of all; registered from one day to the end of another, in UTC.

    Raises:
        ValidationError: There is none of that name, or it is no day.
    """
    first = history.read_moment(since, begin=True) if since else None
    last = history.read_moment(until) if until else None
    return history.log(lab.store, artifact, Path.cwd(), limit, first, last)


def find_version(lab: Lab, name: str) -> Known:
    """Return a version by name.

    Raises:
        ValidationError: There is none of that name.
    """
    return meant_version(lab.store, name, Path.cwd())


def version_patch(lab: Lab, known: Known) -> str:
    """Return what differed from the commit when a version was registered, as `git apply` takes it.

    Raises:
        StoreError: It is missing or damaged.
    """
    return read_patch(lab.store, known.version.code)


def diff_versions(lab: Lab, before: str, after: str | None) -> dict[str, Any]:
    """Return how two versions differ; without the second, a version and the one before it.

    Raises:
        ValidationError: There is none of that name, or none before it.
    """
    old, new = find_version(lab, before), None
    if after is None:
        if old.number == 1:
            raise ValidationError(f"{old.name} is the first version.", hint="Name two versions.")
        old, new = find_version(lab, f"{old.version.artifact}@{old.number - 1}"), old
    new = new or find_version(lab, str(after))
    remarks = [known.remark for known in (old, new) if known.remark]
    return {**differences(lab.store, old, new), **({"remarks": remarks} if remarks else {})}


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
    if target is not None and os.path.isdir(target) and known.version.content.kind != "folder":
        path = target / Path(known.version.artifact).name
    count = restore(lab.store, known.version.content, path, force=force)
    done = {"version": known.name, "path": str(path), "files": count, "hash": f"sha256:{known.version.content.sha256}"}
    told = history.dated(name, known)
    return {**done, "remark": told} if told else done


def tag_version(lab: Lab, name: str, version: str | None, *, move: bool = False) -> Known | None:
    """Give a version a tag, or take the tag away (no version); return the version.

    Raises:
        ValidationError: The name cannot be one, or stands for another version.
    """
    known = find_version(lab, version) if version else None
    tag(lab.store, name, known.record if known else None, me(), move=move)
    return known


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
    found = meant(lab.store, name, Path.cwd())
    label(lab.store, [found.sha256], wanted, me(), why)
    named = found.known.name if found.known else found.name or name_of(lab.store, found.sha256)
    remark = {"remark": found.remark} if found.remark else {}
    return {"hash": f"sha256:{found.sha256}", "label": str(wanted), "version": named, **remark}


def all_labels(lab: Lab) -> list[dict[str, Any]]:
    """Return everything that is labelled: name, hash, labels and reasons; of a folder how many files it has."""
    found = []
    for digest, kept in given_labels(lab.store).items():
        versions = history.of_bytes(lab.store, digest)
        content = versions[-1].version.content if versions else None
        found.append({
            "hash": f"sha256:{digest}", "name": name_of(lab.store, digest), "labels": [str(one.label) for one in kept],
            "why": [one.why for one in kept if one.why],
            "files": content.files if content is not None and content.kind == "folder" else None,
        })  # fmt: skip
    return found


def lineage_of(lab: Lab, name: str) -> Lineage:
    """Return the whole chain that led to something: a version, a file, or `sha256:…`.

    Raises:
        ValidationError: It is not known.
    """
    lab.store.refresh()
    found = meant(lab.store, name, Path.cwd())
    return replace(upstream(lab.store, found.sha256, found.known, found.name), remark=found.remark)


def lineage_text(lineage: Lineage, form: str) -> str:
    """Return a lineage in one of the formats that others read.

    Raises:
        ValidationError: There is no such format.
    """
    if form not in FORMATS:
        raise ValidationError(f"There is no format '{form}'.", hint=nearest(form, FORMATS))
    return write_lineage(lineage, form)


def impact_of(lab: Lab, name: str) -> tuple[Lineage, list[str]]:
    """Return everything that was made from something, and the runs that it is part of.

    Raises:
        ValidationError: It is not known.
    """
    lab.store.refresh()
    found = meant(lab.store, name, Path.cwd())
    lineage, runs = downstream(lab.store, found.sha256)
    return replace(lineage, remark=found.remark), runs
