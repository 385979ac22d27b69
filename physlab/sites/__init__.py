"""Where a node runs: one file per kind of site."""

from physlab.sites.base import Affinity, Capacity, Site
from physlab.sites.local import LocalSite

__all__ = ["Affinity", "Capacity", "LocalSite", "Site"]
