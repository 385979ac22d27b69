"""Registering: bytes kept, parents verified, the origin written down; all of it or nothing."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from physlab.errors import ValidationError
from physlab.keys import lineage_id
from physlab.model.version import CodeState, Content, Parent, Version
from physlab.store import Store, schema
from physlab.versioning.code import code_state, told
from physlab.versioning.contents import keep_all
from physlab.versioning.external import is_address, measure
from physlab.versioning.history import SHORTEST
from physlab.versioning.origins import maker_of

LONGEST = 64
"""Digits of a whole SHA-256."""


@dataclass(frozen=True)
class Named:
    """A file that is registered under a name that is no path: something a node made.

    Attributes:
        name: The name.
        path: Where the bytes are.
    """

    name: str
    path: Path

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Wish:
    """What is to be registered.

    Attributes:
        artifacts: Files and folders, also by names of their own; what addresses (`s3://…`) name stays there.
        parents: What they were made from: `sha256:…`, or paths.
        params: With which parameters.
        code_version: By which code; None asks git.
        metadata: What else is told of them.
        external: Leave all bytes where they are, and note their digests.
        session: The session that they belong to.
    """

    artifacts: Sequence[str | Named]
    parents: Sequence[str] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    code_version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    external: bool = False
    session: str = "lab"


@dataclass(frozen=True)
class Registered:
    """One artifact after it was registered.

    Attributes:
        given: How it was named.
        version: The version.
        record: Digest of its record in the ledger.
        known: True when these bytes were there before with this lineage.
    """

    given: str | Named
    version: Version
    record: str
    known: bool


def register(store: Store, wish: Wish, base_dir: Path) -> list[Registered]:
    """Register artifacts.

    Args:
        store: Where.
        wish: What.
        base_dir: Folder that relative paths start from; its git repository tells the code's version.

    Raises:
        ValidationError: Something is not there or cannot be read, or a parent is not known; nothing is registered.
        StoreError: The store cannot take it.
    """
    if not wish.artifacts:
        raise ValidationError("artifact_versioning needs at least one artifact.", hint="Give paths: artifacts.")
    places = [_place(item, base_dir) for item in wish.artifacts]
    parents = [_parent(store, name, base_dir) for name in dict.fromkeys(wish.parents)]
    contents = _contents(store, places, wish)
    made_by = maker_of(store, [content.sha256 for content in contents])
    code = told(wish.code_version) if wish.code_version is not None else code_state(store, base_dir)
    now, by = datetime.now(UTC).isoformat(), f"{getpass.getuser()}@{socket.gethostname()}"
    raw = [Version(artifact=str(place), content=content, lineage_id=_identity(content, (), {}, CodeState()),
                   made_by=maker_of(store, [content.sha256]).get(content.sha256), registered_at=now, by=by)
           for place, content in (parent.raw for parent in parents if parent.raw is not None)]  # fmt: skip
    links = tuple(parent.link for parent in parents)
    versions = [
        Version(
            artifact=place, content=content, parents=links, params=dict(wish.params), code=code,
            metadata=dict(wish.metadata), lineage_id=_identity(content, links, wish.params, code),
            made_by=made_by.get(content.sha256), registered_at=now, by=by,
            session=wish.session,
        )
        for place, content in zip(places, contents, strict=True)
    ]  # fmt: skip
    return _write_down(store, wish.artifacts, versions, raw)


def _absolute(name: str, base_dir: Path) -> Path:
    if not name or "\0" in name:
        raise ValidationError(f"{name!r} is not the name of a file.", hint="Give a path.")
    return (base_dir / Path(name).expanduser()).absolute()


def _place(item: str | Named, base_dir: Path) -> str:
    if isinstance(item, Named):
        return item.name
    return item if is_address(item) else str(_absolute(item, base_dir))


def _contents(store: Store, places: Sequence[str], wish: Wish) -> list[Content]:
    named = {item.name: item.path for item in wish.artifacts if isinstance(item, Named)}
    away = {place: measure(store, place) for place in places if wish.external or is_address(place)}
    here = [place for place in dict.fromkeys(places) if place not in away]
    kept = dict(zip(here, keep_all(store, [named.get(place) or Path(place) for place in here]), strict=True))
    return [away[place] if place in away else kept[place] for place in places]


def _identity(content: Content, parents: Sequence[Parent], params: Mapping[str, Any], code: CodeState) -> str:
    said = code.version if code.commit is None else f"{code.commit} {code.diff or ''}"
    return lineage_id(content.sha256, sorted({parent.sha256 for parent in parents}), dict(params), said)


# --- parents -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    link: Parent
    raw: tuple[Path, Content] | None = None


def _parent(store: Store, name: str, base_dir: Path) -> _Found:
    """Return a parent; one that is a file nobody registered is registered as raw, so that it can be given back."""
    if _is_digest(name):
        digest = _whole(store, name)
        version = _latest(store, digest)
        if version is None and store.blobs.lacking([digest]):
            raise ValidationError(
                f"The parent {name[:23]}… is not known to this lab.",
                hint="Register it first (physlab version add FILE), or name it by its path.",
            )
        return _Found(Parent(sha256=digest, version=version))
    path = _absolute(name, base_dir)
    if not path.exists():
        raise ValidationError(
            f"The parent '{name}' is not there ({path}).",
            hint="Give its path, or its sha256:…; nothing was registered.",
        )
    [content] = keep_all(store, [path])
    version = _latest(store, content.sha256)
    link = Parent(sha256=content.sha256, path=str(path), version=version)
    return _Found(link, None if version else (path, content))


def _is_digest(name: str) -> bool:
    bare = name.removeprefix("sha256:")
    return name.startswith("sha256:") or (len(bare) == LONGEST and set(bare) <= set("0123456789abcdef"))


def _whole(store: Store, name: str) -> str:
    """Return the whole digest of a parent that is named by its beginning, as `find` takes it."""
    bare = name.removeprefix("sha256:").lower()
    if not SHORTEST <= len(bare) < LONGEST:
        return bare
    table = schema.versions
    query = sa.select(table.c.sha256).distinct().where(table.c.sha256.startswith(bare)).limit(2)
    found = [row["sha256"] for row in store.index.rows(query)]
    if len(found) == 1:
        return str(found[0])
    said = "several files are" if found else "no version is"
    raise ValidationError(
        f"The parent '{name}': {said} called so in this lab.",
        hint="Give more digits, or its path; nothing was registered: physlab version log",
    )


def _latest(store: Store, sha256: str) -> str | None:
    """Return the record that best tells where bytes come from: their latest version, else the node that made them."""
    store.blobs.path(sha256)  # says so where it is not a digest
    table = schema.versions
    query = table.select().where(table.c.sha256 == sha256).order_by(table.c.seq.desc()).limit(1)
    rows = store.index.rows(query)
    return rows[0]["digest"] if rows else maker_of(store, [sha256]).get(sha256)


# --- the ledger ----------------------------------------------------------------------------------------------------


def _write_down(
    store: Store, given: Sequence[str | Named], versions: Sequence[Version], raw: Sequence[Version]
) -> list[Registered]:
    """Write what is new into the ledger, together, and say of each whether it was there before."""
    store.refresh()
    known = _known(store, versions)
    new: dict[tuple[str, str], Version] = {}
    for version in versions:
        if (version.lineage_id, version.artifact) not in known:
            new[version.lineage_id, version.artifact] = version
    records = [("version", version.brief()) for version in (*raw, *new.values())]
    digests = store.append_all(records)[len(raw) :] if records else []
    store.flush()
    fresh = dict(zip(new, digests, strict=True))
    before = {name for name, _ in known}
    return [
        Registered(
            name, version, fresh.get(key := (version.lineage_id, version.artifact)) or known[key],
            known=version.lineage_id in before,
        )
        for name, version in zip(given, versions, strict=True)
    ]  # fmt: skip


def _known(store: Store, versions: Sequence[Version]) -> dict[tuple[str, str], str]:
    """Return the records of these lineages: lineage and artifact → digest of the record."""
    table, found = schema.versions, {}
    ids = list({version.lineage_id for version in versions})
    for start in range(0, len(ids), 500):
        query = table.select().where(table.c.lineage_id.in_(ids[start : start + 500])).order_by(table.c.seq)
        for row in store.index.rows(query):
            found[row["lineage_id"], row["artifact"]] = row["digest"]
    return found
