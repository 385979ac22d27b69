"""What a node computes: one file per tool. Importing this package registers nothing; `load_tools()` does."""

from __future__ import annotations

import importlib
from functools import cache

from physlab.tools.registry import Method, Port, Registry, Tool, registry

__all__ = ["BUILTIN", "Method", "Port", "Registry", "Tool", "load_tools", "registry"]

BUILTIN = (
    "constants", "units", "cas", "cas_ode", "cas_uncertainty", "statmech", "tensors", "quantum", "plot", "data",
    "signals", "scifiles", "regression", "derivation", "shell", "python", "accelerators",
)  # fmt: skip


@cache
def load_tools() -> Registry:
    """Return the registry with the built-in tools registered."""
    for name in BUILTIN:
        importlib.import_module(f"physlab.tools.{name}")
    return registry
