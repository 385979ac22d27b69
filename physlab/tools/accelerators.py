"""`accel_caps`: what this machine computes on."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from physlab import device
from physlab.tools.context import Context
from physlab.tools.registry import Port, registry
from physlab.tools.types import Params


class AccelCaps(Params):
    """Parameters of `accel_caps`: none."""


registry.tool("accel_caps", summary="Which accelerators are here, and which one is used.")


@registry.method(
    "accel_caps",
    params=AccelCaps,
    returns=(
        Port("active", "boolean", description="True when nodes that can will run on an accelerator"),
        Port("device", "text", description="Device kind that they will run on: cuda, hip, mps, xpu or cpu"),
        Port("mode", "text", description="`gpu` with an accelerator in use, else `cpu`"),
        Port("accelerators", "list", description="Accelerators whose driver is here, best first"),
        Port("capabilities", "list", description="Device kinds that nodes may ask for here"),
        Port("has_torch", "boolean", description="True when PyTorch is installed"),
        Port("cores", "number", description="Processor cores that the lab may use"),
    ),
    devices=(*device.ACCELERATORS, "cpu"),
    inline=True,
    lasting=False,
    kind="lookup",
)
def accel_caps(params: AccelCaps, context: Context) -> dict[str, Any]:
    """Say which accelerators this machine has, and which one the lab uses.

    Args:
        params: None are needed.
        context: Its device is the one that the lab chose, by its settings and the node's wish.

    Returns:
        What is there and what is used. Drivers are looked at; nothing is allocated on a device.
    """
    found = device.accelerators()
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    active = context.device != "cpu"
    return {
        "active": active,
        "device": context.device,
        "mode": "gpu" if active else "cpu",
        "accelerators": list(found),
        "capabilities": [*found, "cpu"],
        "has_torch": importlib.util.find_spec("torch") is not None,
        "cores": len(usable),
    }
