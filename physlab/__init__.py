"""physlab: the digital physics lab on Prefect 3.

from physlab import Dag

dag = Dag("Hydrogen 2p")
state = dag.node("quantum", "solve", problem="hydrogen", n=2, l=1)
dag.node("plot", "function_2d", f=state["radial"], x=state["r"])
dag.run().report(authors=["A. Physicist"])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from physlab.errors import (
        ComputationError,
        ConfigurationError,
        PhysicsError,
        PhyslabError,
        ResourceError,
        UnitsError,
        ValidationError,
    )
    from physlab.experiment import Dag, Output, Run
    from physlab.tools.own import tool

__version__ = "0.1.0"

__all__ = [
    "ComputationError",
    "ConfigurationError",
    "Dag",
    "Output",
    "PhysicsError",
    "PhyslabError",
    "ResourceError",
    "Run",
    "UnitsError",
    "ValidationError",
    "__version__",
    "tool",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is used first, so that importing physlab costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'physlab' has no attribute '{name}'")
    room = {"Dag": "experiment", "Output": "experiment", "Run": "experiment", "tool": "tools.own"}.get(name, "errors")
    return getattr(importlib.import_module(f"physlab.{room}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
