"""Pictures of formulas and of other nodes' arrays."""
