"""The graphing calculator: 36 operations, one file per family."""
