"""Names that people give to versions; the ledger keeps every change of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import sqlalchemy as sa

from physlab.errors import ValidationError
from physlab.store import Store, schema

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


def tags(store: Store) -> dict[str, str]:
    """Return the tags that stand: name → record of the version."""
    found = {record["name"]: record["version"] for record in store.records_of("tag")}
    return {name: version for name, version in found.items() if version}


def check_tag(name: str) -> None:
    """Make sure that a name can be a tag.

    Raises:
        ValidationError: It cannot.
    """
    if not _NAME.fullmatch(name) or re.fullmatch(r"[0-9a-f]{8,64}", name):
        raise ValidationError(
            f"'{name}' cannot be a tag.",
            hint="Begin with a letter; letters, digits, '.', '_' and '-', at most 64, and not only hexadecimal digits.",
        )


def check_free(store: Store, name: str) -> None:
    """Make sure that no file that has versions is called like a tag: the name would mean two things.

    Raises:
        ValidationError: One is.
    """
    artifact = schema.versions.c.artifact
    query = schema.versions.select().where(sa.or_(artifact == name, artifact.endswith(f"/{name}", autoescape=True)))
    rows = store.index.rows(query.limit(1))
    if rows:
        raise ValidationError(
            f"'{name}' cannot be a tag: {rows[0]['artifact']} has versions, and is called so.",
            hint="Choose another name; see: physlab version log",
        )


def tag(store: Store, name: str, record: str | None, by: str, *, move: bool = False) -> None:
    """Give a version a name, or take a name away.

    Args:
        store: Where.
        name: The tag.
        record: The version's record; None takes the name away.
        by: Who.
        move: A name that another version has may go to this one.

    Raises:
        ValidationError: The name cannot be one, or another version has it.
    """
    check_tag(name)
    store.refresh()
    if record is not None:
        check_free(store, name)
    before = tags(store).get(name)
    if before == record:
        return
    if record is None and before is None:
        raise ValidationError(f"There is no tag '{name}'.", hint="See: physlab version tags.")
    if before is not None and record is not None and not move:
        raise ValidationError(
            f"The tag '{name}' stands for another version.", hint="Choose another name, or move it: --move."
        )
    entry = {"kind": "tag", "name": name, "version": record, "at": datetime.now(UTC).isoformat(), "by": by}
    store.append("tag", entry)
    store.flush()
