"""Versions of artifacts: registered with their origin, compared, restored, and traced both ways."""
