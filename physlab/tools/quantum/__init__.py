"""Quantum mechanics: states, operators, circuits, their pictures."""
