"""What every request passes first: its size, how many there are, and the headers that every answer carries."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from physlab.settings.portal import PortalSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "geolocation=(), payment=(), usb=()",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
}
HSTS = "max-age=31536000; includeSubDomains"
MOST_SAID, SAID_EACH = 2_000_000, 10_000
"""A body that is no file has so many bytes at most, and counts as one more request for each so many: it is read at once
while everybody else waits."""
FILE = re.compile(r"/api/v1/sessions/[^/]+/artifacts")
"""Where files are added: their bytes are written as they come."""
ADDRESSES = 10_000
"""Of so many addresses the requests are counted; the one that was quiet longest is forgotten first."""


class Guard:
    """Middleware: refuses bodies that are too large and addresses that ask too much; adds the headers.

    Args:
        app: What it guards.
        settings: `[portal]`.
        secure: Whether it is served over TLS.
    """

    def __init__(self, app: ASGIApp, settings: PortalSettings, *, secure: bool) -> None:
        self.app = app
        self.largest = int(settings.body_mb * 1e6)
        self.rate = settings.requests_per_minute
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()
        added = HEADERS | ({"strict-transport-security": HSTS} if secure else {})
        self._headers = {name.encode(): value.encode() for name, value in added.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                more = [(name, value) for name, value in self._headers.items() if name not in given]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        headers, is_file = dict(scope["headers"]), FILE.fullmatch(scope["path"]) is not None
        most = self.largest if is_file else min(self.largest, MOST_SAID)
        length = headers.get(b"content-length", b"%d" % most if b"transfer-encoding" in headers else b"0")
        too_large = not length.isdigit() or int(length) > most
        cost = 1 if is_file or too_large else min(self.rate, 1 + int(length) // SAID_EACH)
        if not self._may_ask(scope["client"][0] if scope.get("client") else "-", cost):
            await _refuse(answer, 429, "Too many requests.", b"60")
            return
        if too_large:
            await _refuse(answer, 413, f"The body is larger than {most} bytes.")
            return
        await self.app(scope, _counted(receive, most), answer)

    def _may_ask(self, address: str, cost: int) -> bool:
        now = time.monotonic()
        left, last = self._tokens.pop(address, (float(self.rate), now))
        left = min(float(self.rate), left + (now - last) * self.rate / 60)
        self._tokens[address] = (left - cost if left >= cost else max(0.0, left - 1), now)
        if len(self._tokens) > ADDRESSES:
            self._tokens.popitem(last=False)
        return left >= cost


def _counted(receive: Receive, most: int) -> Receive:
    """Stop reading a body that goes on longer than it may, whatever its length was said to be."""
    seen = 0

    async def take() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            return {"type": "http.disconnect"}
        return message

    return take


async def _refuse(send: Send, status: int, why: str, retry: bytes | None = None) -> None:
    import orjson

    body = orjson.dumps({"error": {"code": "RESOURCE_ERROR", "message": why, "hint": "Wait, or ask for less.",
                                   "details": {}, "kind": "ResourceError"}})  # fmt: skip
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"retry-after", retry)] if retry else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
