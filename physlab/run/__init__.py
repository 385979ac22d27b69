"""Carrying a plan out."""

from physlab.run.order import Event, Run
from physlab.run.walk import now, walk

__all__ = ["Event", "Run", "now", "walk"]
