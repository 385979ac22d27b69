"""Bytes by SHA-256, and the append-only ledger with its index."""

from physlab.store.index import Entry
from physlab.store.store import Store, open_store

__all__ = ["Entry", "Store", "open_store"]
