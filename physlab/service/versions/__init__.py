"""Versions of artifacts: registered, looked back at, and given back."""
