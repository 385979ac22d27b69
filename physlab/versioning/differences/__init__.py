"""What differs between two states of a file, in the words of its kind."""

from physlab.versioning.differences.compare import Difference, compare

__all__ = ["Difference", "compare"]
