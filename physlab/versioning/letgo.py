"""Bytes that are missed: whether this lab let go of them on purpose."""

from __future__ import annotations

from physlab.errors import StoreError
from physlab.store import Store


def explained(store: Store, error: StoreError, again: str) -> StoreError:
    """Return an error about missing bytes as it is, or, where a collection removed them, as one that says so.

    Args:
        store: The store.
        error: What was raised.
        again: The command that makes them again.
    """
    digest = str(error.details.get("sha256", "")).removeprefix("sha256:")
    for record in reversed(store.records_of("gc")) if digest else ():
        if digest in record["removed"]:
            runs = record["runs"]
            of = f", with the results of {len(runs)} older run{'s' if len(runs) > 1 else ''}" if runs else ""
            return StoreError(
                f"The bytes sha256:{digest[:12]}… are gone: store gc let go of them on {record['at'][:10]}{of}.",
                hint=f"What a node made is computed again: {again}. Or take them from a backup: physlab backup list",
                details=error.details,
            )
    return error
