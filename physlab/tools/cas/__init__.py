"""Symbolic mathematics on SymPy, with units."""
