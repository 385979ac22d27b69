"""The log of a container, line by line: live, complete, in order, and none twice, however often the stream breaks."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

from physlab.errors import PhyslabError
from physlab.sites.kubernetes.api import KubeApi

SILENCE_S = 60.0
PAUSE_S = (0.2, 5.0)
WINDOW_S = 2
GONE, UNBEGUN = 404, 400
TRIES = 6
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


class LogStream:
    """Follows the log of one container.

    A stream that broke is asked for again from a little before its last line on (the API knows whole seconds), and
    what was said already is recognised by its time and its text: each line has its own time, in nanoseconds.

    Args:
        api: The cluster.
        namespace: The pod's namespace.
        pod: Its name.
        container: The container's name.
        ended: Tells whether the container has ended.

    Attributes:
        whole: All of it was read, or nothing more of it is to be had; not so when its machine did not answer.
    """

    def __init__(self, api: KubeApi, namespace: str, pod: str, container: str, ended: Callable[[], bool]) -> None:
        self._api, self._path = api, api.path("pods", namespace, pod, "log")
        self._container, self._ended = container, ended
        self.whole = False
        self._recent: deque[tuple[datetime, bytes]] = deque()

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield each line once, with its end, until the container has ended and all of it was read."""
        pause, left = PAUSE_S[0], TRIES
        while True:
            over = self._ended()  # known before the log is read: then nothing comes after it
            heard = False
            try:
                async for line in self._again(follow=not over):
                    heard = True
                    yield line
                if over:
                    self.whole = True
                    return
            except PhyslabError as error:
                if error.details.get("status") == GONE or (over and error.details.get("status") == UNBEGUN):
                    self.whole = True  # the pod is not there any more, or its container never began
                    return
                left -= over
                if not left:
                    return  # its machine does not answer any more
            pause = PAUSE_S[0] if heard else min(PAUSE_S[1], 2 * pause)
            await asyncio.sleep(pause)

    async def _again(self, *, follow: bool) -> AsyncIterator[bytes]:
        """Read on from where reading ended."""
        query = {"container": self._container, "timestamps": "true", **({"follow": "true"} if follow else {})}
        said: Counter[bytes] = Counter()
        if self._recent:
            since = _before(self._recent[-1][0])
            query["sinceTime"] = f"{since:%Y-%m-%dT%H:%M:%SZ}"
            said.update(line for at, line in self._recent if at >= since)
        async for line in self._api.lines(self._path, query, silence_s=SILENCE_S):
            if not line.endswith(b"\n") and follow:
                return  # cut off in the middle; the next stream has it whole
            line = line.rstrip(b"\n")
            if said[line]:
                said[line] -= 1
                continue
            stamp, _, text = line.partition(b" ")
            self._remember(stamp.decode("ascii", "replace"), line)
            yield text + b"\n"

    def _remember(self, stamp: str, line: bytes) -> None:
        at = _instant(stamp) or (self._recent[-1][0] if self._recent else None)
        if at is None:
            return  # it says no time; the next line does
        self._recent.append((at, line))
        oldest = _before(at)
        while self._recent and self._recent[0][0] < oldest:
            self._recent.popleft()


def _before(at: datetime) -> datetime:
    """Return a time a little before another one, in whole seconds; the streams of a container are not quite in step."""
    return at.replace(microsecond=0) - timedelta(seconds=WINDOW_S)


def _instant(stamp: str) -> datetime | None:
    """Return when a line was written, in UTC whatever its machine's clock shows; None where it does not say."""
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return None
    whole, fraction, zone = found.groups("")
    try:
        return datetime.fromisoformat(f"{whole}.{fraction:0<6.6}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
