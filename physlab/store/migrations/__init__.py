"""Migrations of the index."""
