"""What a node computes: one file per tool. Importing this package registers nothing; `load_tools()` does."""

from __future__ import annotations

from functools import cache

from physlab.tools.registry import Method, Port, Registry, Tool, registry

__all__ = ["BUILTIN", "Method", "Port", "Registry", "Tool", "load_tools", "registry"]

BUILTIN = {  # tool: the modules that announce its methods
    "units_convert": ("units",),
    "constants_get": ("constants",),
    "cas": ("cas", "cas_ode", "cas_uncertainty"),
    "statmech_partition": ("statmech",),
    "tensor_algebra": ("tensors",),
    "quantum": ("quantum",),
    "plot": ("plot",),
    "data": ("data", "signals", "scifiles"),
    "graphing_calculator": ("calculator",),
    "ml_ai_augmentation": ("regression", "surrogate", "pattern", "derivation"),
    "api_tools": ("api",),
    "export_tool": ("exports",),
    "nli_parse": ("nli",),
    "report_generate": ("sessions",),
    "experiment_orchestrator": ("orchestrator",),
    "shell": ("shell",),
    "python": ("python",),
    "accel_caps": ("accelerators",),
}


@cache
def load_tools() -> Registry:
    """Return the registry of the built-in tools; each is imported when it is asked for."""
    registry.tools.promise({tool: tuple(f"{__name__}.{name}" for name in names) for tool, names in BUILTIN.items()})
    return registry
