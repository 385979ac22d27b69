"""Lineage: what something was made from, and what was made from it, as one graph in several formats."""

from physlab.versioning.origin.downstream import downstream
from physlab.versioning.origin.formats import FORMATS, write_lineage
from physlab.versioning.origin.graph import Activity, Entity, Lineage
from physlab.versioning.origin.upstream import upstream

__all__ = ["FORMATS", "Activity", "Entity", "Lineage", "downstream", "upstream", "write_lineage"]
