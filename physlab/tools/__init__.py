"""What a node computes: one file per tool. Importing this package registers nothing; `load_tools()` does."""

from __future__ import annotations

from functools import cache

from physlab.tools.registry import Method, Port, Registry, Tool, registry

__all__ = ["BUILTIN", "Method", "Port", "Registry", "Tool", "load_tools", "registry"]

BUILTIN = {  # tool: the modules that announce its methods
    "units_convert": ("units",),
    "constants_get": ("constants",),
    "cas": ("cas.tool", "cas.ode", "cas.uncertainty"),
    "statmech_partition": ("statmech",),
    "tensor_algebra": ("tensors.tool",),
    "quantum": ("quantum.tool",),
    "plot": ("plot.tool",),
    "data": ("data.tables", "data.signals", "data.scifiles"),
    "graphing_calculator": ("calculator.tool",),
    "ml_ai_augmentation": ("regression.tool", "surrogate.tool", "pattern.tool", "derivation.tool"),
    "api_tools": ("archives.tool",),
    "export_tool": ("export.tool",),
    "nli_parse": ("nli",),
    "report_generate": ("sessions",),
    "experiment_orchestrator": ("orchestrator", "collaborate"),
    "distributed_collaboration": ("collaboration", "versions", "notebooks", "sharing"),
    "shell": ("programs.shell",),
    "python": ("programs.python",),
    "accel_caps": ("accelerators",),
}


@cache
def load_tools() -> Registry:
    """Return the registry of the built-in tools; each is imported when it is asked for."""
    registry.tools.promise({tool: tuple(f"{__name__}.{name}" for name in names) for tool, names in BUILTIN.items()})
    return registry
