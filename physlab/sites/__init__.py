"""Where a node runs: one file per kind of site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from physlab.sites.base import Affinity, Capacity, Site

if TYPE_CHECKING:
    from physlab.sites.local import LocalSite

__all__ = ["Affinity", "Capacity", "LocalSite", "Site"]


def __getattr__(name: str) -> Any:
    """Load `LocalSite` when it is used: a worker imports this package and needs no pool."""
    if name != "LocalSite":
        raise AttributeError(f"module 'physlab.sites' has no attribute '{name}'")
    from physlab.sites.local import LocalSite

    return LocalSite
