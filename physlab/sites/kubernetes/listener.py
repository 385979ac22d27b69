"""What is known of a namespace's jobs, from one watch, and the logs of those that are listened to."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from physlab.sites.kubernetes import reasons
from physlab.sites.kubernetes.api import KubeApi, Object
from physlab.sites.kubernetes.logs import LogStream
from physlab.sites.kubernetes.manifest import LABEL
from physlab.sites.kubernetes.watch import Watch

STREAMS = 200
"""So many logs are followed at once; the others are read when one of these, or their own container, has ended."""
READINGS = 20
"""So many logs of containers that have ended are read at once, beside those that are followed."""


class Listener:
    """A namespace.

    Args:
        api: The cluster.
        namespace: Its name.
        scratch: Folder for logs; each is a file there that grows.
        news: Called when a job, a pod or a log has changed.
    """

    def __init__(self, api: KubeApi, namespace: str, scratch: Path, news: Callable[[], None] = lambda: None) -> None:
        self.namespace = namespace
        self._api, self._scratch, self._news = api, scratch, news
        self._pods: dict[str, dict[str, Object]] = defaultdict(dict)
        self._follow, self._read = asyncio.Semaphore(STREAMS), asyncio.Semaphore(READINGS)
        self._over: dict[str, asyncio.Event] = defaultdict(asyncio.Event)  # by pod: nothing more will be written
        self._heard: set[str] = set()  # pods whose logs were read to their ends
        self._streams: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._watch = Watch(api, namespace, LABEL, ("jobs", "pods"), self._seen)

    @property
    def jobs(self) -> Mapping[str, Object]:
        """The Jobs that are there."""
        return self._watch.present["jobs"]

    @property
    def gone(self) -> Mapping[str, Object]:
        """The Jobs that are not there any more, as they were seen last."""
        return self._watch.gone["jobs"]

    def pods(self, job: str) -> list[Object]:
        """Return a Job's pods, also those that are gone, as they were seen last."""
        return list(self._pods[job].values()) if job in self._pods else []

    def expect(self, job: Object) -> None:
        """Take in a Job that was just made, of which the watch has not heard yet."""
        self._watch.present["jobs"].setdefault(job["metadata"]["name"], job)

    async def ready(self, limit_s: float) -> None:
        """Wait until it knows what is there.

        Raises:
            PhyslabError: It cannot know; with the reason.
        """
        await self._watch.ready(limit_s)

    async def close(self) -> None:
        """End it."""
        streams = [task for each in self._streams.values() for task in each.values()]
        for task in streams:
            task.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        await self._watch.close()

    async def log(self, job: str, wait_s: float = 0.0) -> Path:
        """Listen to a job's pods; return the file of what they write, after at most so long when its end is waited for.

        Args:
            job: Its name.
            wait_s: How long to wait for the last line of those pods that have begun [s].
        """
        path = self._scratch / f"{self.namespace}.{job}.log"
        if job not in self._streams:
            self._streams[job] = {}
            path.write_bytes(b"")
        for pod in self.pods(job):
            self._attend(pod)
        if wait_s and (streams := list(self._streams[job].values())):
            await asyncio.wait(streams, timeout=wait_s)
        return path

    def has_heard(self, job: str) -> bool:
        """Say whether the logs of all of a job's pods that have begun were read to their ends."""
        return all(pod["metadata"]["name"] in self._heard for pod in self.pods(job) if _has_begun(pod))

    def _seen(self, kind: str, item: Object) -> None:
        self._news()
        if kind == "pods":
            job = item["metadata"]["labels"].get("job-name", "")
            self._pods[job][item["metadata"]["name"]] = item
            if self._has_ended(job, item["metadata"]["name"]):
                self._over[item["metadata"]["name"]].set()
            if job in self._streams:
                self._attend(item)

    def _attend(self, pod: Object) -> None:
        """Begin to listen to a pod when there is something to hear."""
        name, job = pod["metadata"]["name"], pod["metadata"]["labels"].get("job-name", "")
        if name not in self._streams[job] and _has_begun(pod):
            self._streams[job][name] = asyncio.create_task(self._write(job, name))

    async def _write(self, job: str, pod: str) -> None:
        index = reasons.pod_index(self._pods[job][pod])
        before = b"" if index is None else b"[%d] " % index
        stream = LogStream(self._api, self.namespace, pod, reasons.WORK, lambda: self._has_ended(job, pod))
        place = await self._place(pod)
        try:
            await self._copy(stream, before, job)
        finally:
            place.release()
        if stream.whole:
            self._heard.add(pod)

    def _has_ended(self, job: str, pod: str) -> bool:
        now = self._pods[job][pod]
        return pod in self._watch.gone["pods"] or reasons.container_state(now, reasons.WORK)[0] == "terminated"

    async def _place(self, pod: str) -> asyncio.Semaphore:
        """Take a place among the followers; a container that ends, or has, needs only one of the short ones."""
        if not self._over[pod].is_set():
            follow = asyncio.create_task(self._follow.acquire())
            over = asyncio.create_task(self._over[pod].wait())
            try:
                await asyncio.wait((follow, over), return_when=asyncio.FIRST_COMPLETED)
            finally:
                over.cancel()
                if not follow.done():
                    follow.cancel()
            if follow.done():
                return self._follow
        await self._read.acquire()
        return self._read

    async def _copy(self, stream: LogStream, before: bytes, job: str) -> None:
        with (self._scratch / f"{self.namespace}.{job}.log").open("ab") as file:
            async for line in stream.lines():
                file.write(before + line)
                file.flush()
                self._news()


def _has_begun(pod: Object) -> bool:
    return reasons.container_state(pod, reasons.WORK)[0] != "waiting"
