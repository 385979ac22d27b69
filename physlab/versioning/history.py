"""Versions by name: of an artifact in their order, by tag, by lineage, by digest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError, nearest
from physlab.model.version import Version
from physlab.store import Store, schema
from physlab.versioning.tags import tags

_NUMBERED = re.compile(r"(?P<artifact>.+)@(?P<number>\d+|\d{4}-\d\d-\d\d\S*)")
SHORTEST = 8
DAY = 10
"""Letters of a day: 2026-11-17."""


@dataclass(frozen=True)
class Known:
    """A version that the ledger knows.

    Attributes:
        version: What was registered.
        record: Digest of its record.
        number: Its place among the versions of its artifact, from 1.
        tags: Its tags.
        remark: What has to be said of the name that it was asked by.
    """

    version: Version
    record: str
    number: int
    tags: tuple[str, ...] = ()
    remark: str = ""

    @property
    def name(self) -> str:
        """How people name it: the artifact's file name and its number."""
        return f"{Path(self.version.artifact).name}@{self.number}"

    def as_object(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        version = self.version
        return {
            "artifact": version.artifact, "number": self.number, "hash": f"sha256:{version.content.sha256}",
            "lineage_id": version.lineage_id, "registered_at": version.registered_at, "by": version.by,
            "content": version.content.model_dump(mode="json", exclude_none=True),
            "parents": [parent.model_dump(mode="json", exclude_none=True) for parent in version.parents],
            "params": version.params, "code": version.code.model_dump(mode="json", exclude_none=True),
            "metadata": version.metadata, "tags": list(self.tags), "record": self.record, "made_by": version.made_by,
            **({"remark": self.remark} if self.remark else {}),
        }  # fmt: skip


def log(
    store: Store, artifact: str | None = None, base_dir: Path | None = None, limit: int | None = None,
    since: datetime | None = None, until: datetime | None = None,
) -> list[Known]:  # fmt: skip
    """Return versions, latest first: of one artifact, or of all.

    Args:
        store: Where.
        artifact: A path, its end, or any name of a version of it.
        base_dir: Folder that relative paths start from.
        limit: At most so many.
        since: Registered from this moment on.
        until: Registered until this moment.

    Raises:
        ValidationError: There is none of that name.
    """
    store.refresh()
    table = schema.versions
    query = table.select().order_by(table.c.seq.desc()).limit(limit)
    if artifact is not None:
        whole = _artifact(store, artifact, base_dir or Path.cwd())
        query = query.where(table.c.artifact == whole)
    if since is not None:  # moments are written in UTC, so that their texts are in the order of time
        query = query.where(table.c.registered_at >= since.isoformat())
    if until is not None:
        query = query.where(table.c.registered_at <= until.isoformat())
    return _read(store, store.index.rows(query))


def _artifact(store: Store, name: str, base_dir: Path) -> str:
    """Return an artifact's whole name.

    Raises:
        ValidationError: There is none, or several end like that.
    """
    found = _artifacts(store, name, base_dir)
    return found[0] if found else find(store, name, base_dir).version.artifact


def _artifacts(store: Store, name: str, base_dir: Path) -> list[str]:
    names = _all_artifacts(store)
    whole = str((base_dir / Path(name).expanduser()).absolute())
    exact = [item for item in names if item in (name, whole)]
    if exact:
        return exact
    ends = [item for item in names if item.endswith(f"/{name.removeprefix('./')}")]
    if len(ends) > 1:
        raise ValidationError(
            f"{len(ends)} artifacts are called '{name}'.", hint=f"Name one of them, such as {ends[0]} or {ends[1]}."
        )
    return ends


def _all_artifacts(store: Store) -> list[str]:
    table = schema.versions
    query = table.select().with_only_columns(table.c.artifact).distinct().order_by(table.c.artifact)
    return [row["artifact"] for row in store.index.rows(query)]


def find(store: Store, name: str, base_dir: Path) -> Known:
    """Return a version by name: `FILE` (its latest), `FILE@2`, `FILE@2026-11-17`, a tag, a lineage id, or `sha256:…`.

    Of a digest 8 digits or more are enough. A day means the last version that was registered until its end, in UTC.

    Raises:
        ValidationError: There is none of that name, or there are several.
    """
    store.refresh()
    tagged = tags(store).get(name)
    if tagged is not None:
        return by_record(store, tagged)
    numbered = _NUMBERED.fullmatch(name)
    artifacts = _artifacts(store, numbered["artifact"] if numbered else name, base_dir)
    if not artifacts:
        return _by_digest(store, name)
    versions = log(store, artifacts[0])
    if numbered and not numbered["number"].isdecimal():
        return _last_until(versions, numbered["number"])
    number = int(numbered["number"]) if numbered else len(versions)
    if not 1 <= number <= len(versions):
        raise ValidationError(
            f"'{artifacts[0]}' has no version {number}.", hint=f"It has 1 to {len(versions)}: physlab version log."
        )
    return versions[-number]


def is_explicit(store: Store, name: str, base_dir: Path) -> bool:
    """Say whether a name can mean nothing but one version: a tag, `FILE@2`, `FILE@2026-11-17`."""
    numbered = _NUMBERED.fullmatch(name)
    return name in tags(store) or bool(numbered and _artifacts(store, numbered["artifact"], base_dir))


def is_artifact(store: Store, artifact: str) -> bool:
    """Say whether something has versions under its whole name."""
    table = schema.versions
    return bool(store.index.rows(table.select().where(table.c.artifact == artifact).limit(1)))


def dated(name: str, known: Known) -> str:
    """Say which version a name with a day means; '' for a name without."""
    numbered = _NUMBERED.fullmatch(name)
    if (known.tags and name in known.tags) or not numbered or numbered["number"].isdecimal():
        return ""
    return f"{known.name} is the last until {read_moment(numbered['number']):%Y-%m-%d %H:%M:%S} UTC"


def read_moment(text: str, *, begin: bool = False) -> datetime:
    """Return the moment that a text spells, in UTC: a day is its end, or its beginning; a time is that one.

    Raises:
        ValidationError: It is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValidationError(
            f"'{text}' is no day.", hint="Write 2026-11-17, or 2026-11-17T14:30 (in UTC): physlab version log."
        ) from error
    if len(text) == DAY and not begin:
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _last_until(versions: list[Known], day: str) -> Known:
    """Return the latest version that was registered until a moment."""
    moment = read_moment(day)
    found = [known for known in versions if _registered(known) <= moment]
    if not found:
        first = min(versions, key=_registered)
        raise ValidationError(
            f"'{first.version.artifact}' has no version until {moment:%Y-%m-%d %H:%M:%S} UTC.",
            hint=f"Its first, {first.name}, was registered {_registered(first):%Y-%m-%d %H:%M:%S} UTC: "
            "physlab version log.",
        )
    return max(found, key=lambda known: (_registered(known), known.number))


def _registered(known: Known) -> datetime:
    moment = datetime.fromisoformat(known.version.registered_at)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _by_digest(store: Store, name: str) -> Known:
    bare, table = name.removeprefix("sha256:").lower(), schema.versions
    rows: list[dict[str, Any]] = []
    if len(bare) >= SHORTEST and set(bare) <= set("0123456789abcdef"):
        columns = (table.c.lineage_id, table.c.sha256, table.c.digest)
        for column in columns:
            rows = rows or store.index.rows(
                table.select().where(column.startswith(bare)).order_by(table.c.seq.desc()).limit(2)
            )
    if not rows:
        known = [Path(item).name for item in _all_artifacts(store)] + list(tags(store))
        hint = nearest(name, known) if known else "Nothing was registered yet: physlab version add FILE."
        raise ValidationError(f"There is no version '{name}'.", hint=hint)
    return _read(store, rows[:1])[0]


def by_record(store: Store, record: str) -> Known:
    """Return a version by the digest of its record.

    Raises:
        ValidationError: There is none.
    """
    table = schema.versions
    rows = store.index.rows(table.select().where(table.c.digest == record))
    if not rows:
        raise ValidationError(f"There is no version with the record {record[:12]}.", hint="See: physlab version log.")
    return _read(store, rows)[0]


def of_bytes(store: Store, sha256: str) -> list[Known]:
    """Return the versions that hold some bytes, oldest first."""
    table = schema.versions
    return _read(store, store.index.rows(table.select().where(table.c.sha256 == sha256).order_by(table.c.seq)))


def _read(store: Store, rows: Iterable[dict[str, Any]]) -> list[Known]:
    rows = list(rows)
    named: dict[str, list[str]] = {}
    for tag, record in tags(store).items():
        named.setdefault(record, []).append(tag)
    numbers = _numbers(store, {row["artifact"] for row in rows})
    return [
        Known(
            Version.model_validate(store.record(row["digest"])), row["digest"], numbers[row["seq"]],
            tuple(sorted(named.get(row["digest"], ()))),
        )
        for row in rows
    ]  # fmt: skip


def _numbers(store: Store, artifacts: set[str]) -> dict[int, int]:
    """Return the number of each version of some artifacts, by its place in the ledger."""
    table = schema.versions
    found: dict[int, int] = {}
    for artifact in artifacts:
        query = table.select().with_only_columns(table.c.seq).where(table.c.artifact == artifact).order_by(table.c.seq)
        found |= {row["seq"]: number for number, row in enumerate(store.index.rows(query), 1)}
    return found
