"""Bytes by SHA-256, and the append-only ledger with its index."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from physlab.store.index import Entry
    from physlab.store.store import Store, open_store

__all__ = ["Entry", "Store", "open_store"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is used: a worker needs the bytes only, and no database."""
    if name not in __all__:
        raise AttributeError(f"module 'physlab.store' has no attribute '{name}'")
    return getattr(importlib.import_module(f"physlab.store.{'index' if name == 'Entry' else 'store'}"), name)
