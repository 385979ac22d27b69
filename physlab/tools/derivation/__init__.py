"""Derivations step by step, each step checked."""
