"""Versions of artifacts: registered, looked back at, given back, and run again."""

from physlab.service.versions.answer import artifact_versioning

__all__ = ["artifact_versioning"]
