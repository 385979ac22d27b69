"""Which node of which run made some bytes."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
import sqlalchemy as sa

from physlab.store import Store, schema

FEW = 3


def maker_of(store: Store, digests: Iterable[str]) -> dict[str, str]:
    """Return the records of the nodes that made bytes, as far as runs did: SHA-256 → digest of the latest record."""
    wanted, table, found = set(digests), schema.nodes, {}
    query = sa.select(table.c.digest, table.c.blobs).where(table.c.blobs != "[]").order_by(table.c.seq)
    if len(wanted) <= FEW:
        query = query.where(sa.or_(sa.false(), *(table.c.blobs.contains(digest) for digest in wanted)))
    for row in store.index.rows(query):
        for digest in wanted.intersection(orjson.loads(row["blobs"])):
            found[digest] = row["digest"]
    return found
