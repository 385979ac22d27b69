"""Encryption on request: age for bytes, one data key for each project, wrapped by keys that can change."""

from physlab.sealing.keyring import DEFAULT_PROJECT, Keyring
from physlab.sealing.project import ProjectKey

__all__ = ["DEFAULT_PROJECT", "Keyring", "ProjectKey"]
