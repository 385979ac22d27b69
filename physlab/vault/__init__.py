"""A lab at rest: everything in its home sealed, until somebody with the key opens it again."""

from physlab.vault.home import Count, lock, state, unlock

__all__ = ["Count", "lock", "state", "unlock"]
