"""What goes wrong when a test wants it to: the API is down, busy or slow, a watch or a log is cut."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from physlab.testing.kubernetes.refusals import Refusal

_BUSY = "The server has received too many requests and has asked us to try again later"


@dataclass
class Fault:
    """One thing that goes wrong.

    Args:
        what: `status` answers with a refusal, `slow` answers late, `drop` breaks the connection.
        path: Pattern of the addresses that it happens to.
        verb: Only for this verb (get, list, watch, create, …).
        times: How often it happens; 0 for always.
        code: Of the refusal.
        reason: Of the refusal.
        message: Of the refusal.
        retry_after_s: What the refusal asks to wait [s].
        delay_s: How late the answer is [s].
    """

    what: str
    path: str = ".*"
    verb: str = ""
    times: int = 0
    code: int = 500
    reason: str = "InternalError"
    message: str = "an error on the server has prevented the request from succeeding"
    retry_after_s: float | None = None
    delay_s: float = 0
    hits: int = 0

    def applies(self, path: str, verb: str) -> bool:
        """Return whether it happens to a request, and count it."""
        if self.verb not in ("", verb) or not re.search(self.path, path):
            return False
        if self.times and self.hits >= self.times:
            return False
        self.hits += 1
        return True


@dataclass
class Faults:
    """All that goes wrong now.

    Attributes:
        down_until: Until when every connection is broken, on the monotonic clock [s].
        watches: Raised by one to end every watch with 410.
    """

    faults: list[Fault] = field(default_factory=list)
    down_until: float = 0
    watches: int = 0
    pulse: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, **given: Any) -> None:
        """Let something go wrong from now on."""
        self.faults.append(Fault(**given))

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self.faults.clear()
        self.down_until = 0

    def go_down(self, duration_s: float) -> None:
        """Break every connection, and refuse new ones for a time [s]."""
        self.down_until = time.monotonic() + duration_s
        self.beat()

    def cut_watches(self) -> None:
        """End every watch with 410."""
        self.watches += 1
        self.beat()

    def beat(self) -> None:
        """Wake every stream."""
        self.pulse.set()
        self.pulse = asyncio.Event()

    @property
    def down(self) -> bool:
        """Whether the API is down."""
        return time.monotonic() < self.down_until

    async def meet(self, request: web.Request, verb: str) -> None:
        """Let a request meet what goes wrong.

        Raises:
            Refusal: It is refused.
            ConnectionResetError: Its connection is broken.
        """
        if self.down:
            abort(request)
        for fault in self.faults:
            if not fault.applies(request.path, verb):
                continue
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            if fault.what == "drop":
                abort(request)
            if fault.what == "status":
                raise _refusal(fault)


def _refusal(fault: Fault) -> Refusal:
    details: dict[str, Any] = {}
    headers = {}
    if fault.retry_after_s is not None:
        details["retryAfterSeconds"] = int(fault.retry_after_s)
        headers["Retry-After"] = f"{fault.retry_after_s:g}"
    if fault.code == 429:
        return Refusal(429, "TooManyRequests", _BUSY, details, headers)
    return Refusal(fault.code, fault.reason, fault.message, details, headers)


def abort(request: web.Request) -> None:
    """Break the connection of a request without an answer.

    Raises:
        ConnectionResetError: Always, so that nothing else is done for it.
    """
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("the API is down")
