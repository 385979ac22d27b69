"""What a name means: a version, or bytes; and what stands on the disk under that name, where it is something else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from physlab.errors import ValidationError
from physlab.model import NodeRecord
from physlab.store import Store
from physlab.versioning.contents import digest_now, files_of
from physlab.versioning.external import is_address
from physlab.versioning.history import Known, dated, find, is_artifact, is_explicit, of_bytes
from physlab.versioning.labels import given_labels
from physlab.versioning.origins import maker_of


@dataclass(frozen=True)
class Meant:
    """What a name means.

    Attributes:
        sha256: The bytes.
        known: The version; None where bytes were named, or a file that a run made.
        name: What people call it.
        remark: What has to be said beside it: the file here is another state, or which version a day means.
    """

    sha256: str
    known: Known | None
    name: str = ""
    remark: str = ""


def meant(store: Store, name: str, base_dir: Path) -> Meant:
    """Return what a name means: the same for every command.

    A tag and `FILE@…` are a version, `FILE` is its latest one, `sha256:…` in full are bytes. A file that was never
    registered under its path is what its bytes are known as.

    Raises:
        ValidationError: It means nothing, or several things.
    """
    bare = name.removeprefix("sha256:")
    if len(bare) == 64 and set(bare) <= set("0123456789abcdef"):
        return Meant(bare, None)
    store.refresh()
    if is_explicit(store, name, base_dir):
        known = find(store, name, base_dir)
        return Meant(known.version.content.sha256, known, Path(known.version.artifact).name, dated(name, known))
    path = (base_dir / Path(name).expanduser()).absolute()
    here = None if is_address(name) else _digest(store, path)
    if here is not None and not is_artifact(store, str(path)):
        versions = of_bytes(store, here)
        if versions or maker_of(store, [here]):
            return Meant(here, versions[-1] if versions else None, path.name)
    try:
        known = find(store, name, base_dir)
    except ValidationError as error:
        if here is None or not error.message.startswith("There is no version"):
            raise
        raise ValidationError(
            f"'{name}' is in no version, and no run made it.", hint=f"Register it: physlab version add {name}"
        ) from error
    return Meant(known.version.content.sha256, known, Path(known.version.artifact).name,
                 _remark(store, name, path, here, known))  # fmt: skip


def meant_version(store: Store, name: str, base_dir: Path) -> Known:
    """Return the version that a name means, with what has to be said beside it.

    Raises:
        ValidationError: There is none.
    """
    found = meant(store, name, base_dir)
    if found.known is not None:
        return replace(found.known, remark=found.remark)
    versions = of_bytes(store, found.sha256)
    if versions:
        return versions[-1]
    if found.name:
        raise ValidationError(
            f"'{name}' is in no version; a run made it.", hint=f"See: physlab version why {name}; or add it first."
        )
    return find(store, name, base_dir)


def name_of(store: Store, sha256: str) -> str:
    """Return what people call some bytes: their latest version, the file of a node, or the start of their digest."""
    versions = of_bytes(store, sha256)
    if versions:
        return versions[-1].name
    maker = maker_of(store, [sha256]).get(sha256)
    made = NodeRecord.model_validate(store.record(maker)).artifacts if maker else ()
    return next((artifact.name for artifact in made if artifact.sha256 == sha256), f"sha256:{sha256[:12]}…")


def names_with_folders(store: Store, digests: Iterable[str]) -> dict[str, str]:
    """Return what people call some bytes, those of a labelled folder's files by their path in it."""
    inside: dict[str, str] = {}
    for digest in given_labels(store):
        for known in of_bytes(store, digest)[-1:]:
            for path, (sha256, _, _) in files_of(store, known.version.content).items():
                inside.setdefault(sha256, f"{known.name}: {path}" if path else known.name)
    return {digest: inside.get(digest) or name_of(store, digest) for digest in digests}


def _remark(store: Store, name: str, path: Path, here: str | None, known: Known) -> str:
    """Say that the file on the disk is not the version that its name means; '' where it is."""
    told, own = name, Path(known.version.artifact)
    if Path(name).name != own.name:  # a lineage id, or a digest
        return ""
    if here is None and own.is_absolute() and own != path:
        told, here = str(own), _digest(store, own)
    if here is None or here == known.version.content.sha256:
        return ""
    others = of_bytes(store, here)
    mine = [one for one in others if one.version.artifact == known.version.artifact] or others
    if mine:
        return f"{told} here is {mine[-1].name}; this is {known.name}: name {mine[-1].name} for the other"
    return f"{told} here is in no version; this is {known.name}: physlab version add {told}"


def _digest(store: Store, path: Path) -> str | None:
    """Return what stands at a path; None where nothing does, or nothing that can be read."""
    try:
        return digest_now(store, path)
    except (ValidationError, OSError):
        return None
