"""One watch for all objects of a namespace that carry a label: kept up to date, and found again where it broke."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable

from physlab.errors import ConfigurationError, PhyslabError, ResourceError, ValidationError
from physlab.sites.kubernetes.api import KubeApi, Object

ASKED_S = 120
SILENCE_S = 150.0
PAUSE_S = (0.2, 15.0)
GONE = 410
Seen = Callable[[str, Object], None]


class Watch:
    """What a namespace holds of some kinds, as it changes.

    Args:
        api: The cluster.
        namespace: The namespace.
        labels: What they carry.
        kinds: Such as `jobs`, `pods`.
        seen: Is told the kind and the object of every change.

    Attributes:
        present: Kind → name → object.
        gone: Kind → name → the last that was seen of an object that is not there any more.
        trouble: Kind → what keeps it from knowing; of those that it knows nothing.
    """

    def __init__(
        self, api: KubeApi, namespace: str, labels: str, kinds: tuple[str, ...], seen: Seen = lambda kind, item: None
    ) -> None:
        self.namespace = namespace
        self.present: dict[str, dict[str, Object]] = {kind: {} for kind in kinds}
        self.gone: dict[str, dict[str, Object]] = {kind: {} for kind in kinds}
        self.trouble: dict[str, PhyslabError] = {}
        self._api, self._labels, self._seen = api, labels, seen
        self._listed: set[str] = set()
        self._told = {kind: asyncio.Event() for kind in kinds}  # it was listed, or why it cannot be
        self._tasks = [asyncio.create_task(self._keep(kind)) for kind in kinds]

    async def ready(self, limit_s: float) -> None:
        """Wait until everything was listed once, or it is known why something cannot be.

        Raises:
            PhyslabError: It cannot be; with the reason.
        """
        waits = [asyncio.create_task(event.wait()) for event in self._told.values()]
        try:
            await asyncio.wait(waits, timeout=limit_s)
        finally:
            for wait in waits:
                wait.cancel()
        for error in self.trouble.values():
            raise error
        if self._listed != set(self._told):
            raise ResourceError(f"The cluster did not list its jobs within {limit_s:g} s.", hint="Try again later.")

    async def close(self) -> None:
        """End it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, kind: str) -> None:
        """List, then follow; where the thread is lost, list again."""
        version, pause = "", PAUSE_S[0]
        while True:
            try:
                if not version:
                    version = await self._relist(kind)
                version, pause = await self._follow(kind, version), PAUSE_S[0]
            except ValidationError as error:
                if error.details.get("status") == GONE:
                    version = ""
                    continue
                self._tell(kind, error)
            except PhyslabError as error:
                self._tell(kind, error)
            if kind in self.trouble:
                version = ""  # a list tells that it is over
            await asyncio.sleep(pause)
            pause = min(PAUSE_S[1], 2 * pause)

    def _tell(self, kind: str, error: PhyslabError) -> None:
        """Say what is wrong; a stream that broke after all was listed is no trouble, only a pause."""
        if kind not in self._listed or isinstance(error, ConfigurationError):
            self.trouble[kind] = error
            self._told[kind].set()

    async def _relist(self, kind: str) -> str:
        items, version = await self._api.list(kind, self.namespace, labels=self._labels)
        listed = {item["metadata"]["name"] for item in items}
        for name in [name for name in self.present[kind] if name not in listed]:
            self._take(kind, "DELETED", self.present[kind][name])
        for item in items:
            self._take(kind, "MODIFIED", item)
        self.trouble.pop(kind, None)
        self._listed.add(kind)
        self._told[kind].set()
        return version

    async def _follow(self, kind: str, version: str) -> str:
        """Take in changes until the stream ends; return the version from which the next one goes on.

        Raises:
            ValidationError: The server has forgotten that version (status 410).
        """
        query = {
            "watch": "true", "allowWatchBookmarks": "true", "labelSelector": self._labels, "resourceVersion": version,
            "timeoutSeconds": str(ASKED_S),
        }  # fmt: skip
        with contextlib.suppress(json.JSONDecodeError):  # a line that was cut off: the next stream has it whole
            async for line in self._api.lines(self._api.path(kind, self.namespace), query, silence_s=SILENCE_S):
                event = json.loads(line)
                item = event["object"]
                if event["type"] == "ERROR":
                    raise ValidationError(str(item.get("message")), details={"status": item.get("code")})
                version = str(item["metadata"]["resourceVersion"])
                if event["type"] != "BOOKMARK":
                    self._take(kind, event["type"], item)
        return version

    def _take(self, kind: str, change: str, item: Object) -> None:
        name = item["metadata"]["name"]
        if change == "DELETED":
            self.present[kind].pop(name, None)
            self.gone[kind][name] = item
        else:
            self.present[kind][name] = item
        self._seen(kind, item)
