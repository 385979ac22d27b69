"""Which device each node runs on: what can use an accelerator is placed already when the plan is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from physlab import device
from physlab.errors import ResourceError
from physlab.model.record import OffloadPolicy
from physlab.planning.placement import place
from physlab.planning.plan import Device
from physlab.planning.validate import CheckedNode
from physlab.settings import DeviceSettings
from physlab.sites import Site

Means = Mapping[tuple[str, str | None], float]


class Devices:
    """Gives nodes their devices.

    Args:
        settings: `[device]`.
        sites: Where nodes may run, this machine first; empty where there is nowhere else.
        policy: Where nodes go.
        means: Gives how long methods took on average [ms]; asked when it matters.
    """

    def __init__(
        self, settings: DeviceSettings, sites: Sequence[Site], policy: OffloadPolicy, means: Callable[[], Means]
    ) -> None:
        self._mode = settings.mode
        self._wanted = () if settings.mode == "cpu" else settings.preference
        self._sites, self._policy, self._means = sites, policy, means
        self._known: Means | None = None

    def device_of(self, item: CheckedNode) -> Device:
        """Return the device of a node.

        Raises:
            ResourceError: The lab insists on an accelerator, the method could use one, and there is none.
        """
        method, wish = item.method, item.node.device
        site, chosen = self._place(item) if len(method.devices) > 1 and self._sites else (None, None)
        found = device.accelerators() if site is None else site.capacity().accelerators
        present = [kind for kind in self._wanted if kind in found or kind == "cpu"]
        insists = self._mode == "gpu" and wish != "cpu" and len(method.devices) > 1
        kind, fallback = device.resolve("gpu" if insists and wish == "auto" else wish, method.devices, present)
        if insists and kind == "cpu":
            able = " or ".join(method.devices)
            raise ResourceError(
                f"device.mode is 'gpu', and {method.full_name} could use {able}: {fallback}.",
                hint="Set device.mode to 'auto', or device: cpu on the node.",
            )
        return Device(kind, fallback, chosen)

    def _place(self, item: CheckedNode) -> tuple[Site, tuple[str, str]]:
        if self._known is None:
            self._known = self._means()
        mean = self._known.get((item.node.tool, item.method.name))
        able = [kind for kind in self._wanted if kind in item.method.devices and kind != "cpu"]
        expected_s = None if mean is None else mean / 1e3
        site, reason = place(item.node, self._sites, self._policy, expected_s, able)
        return site, (site.name, reason)
