"""Migrations of the database of people and sessions."""
