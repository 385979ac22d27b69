"""Carrying a plan out."""

from physlab.run.walk import Event, Run, now, walk

__all__ = ["Event", "Run", "now", "walk"]
