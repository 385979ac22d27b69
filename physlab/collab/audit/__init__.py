"""Who did what: a log in which no entry can be changed, left out or put in without being found."""

from physlab.collab.audit.trail import Event, Trail

__all__ = ["Event", "Trail"]
