"""Counts and durations of requests, as Prometheus reads them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    """Middleware that counts requests by route, never by path: a path may name what is secret.

    Args:
        app: What answers.
        registry: Where the counts are kept.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        labels = ("method", "route")
        self._answered = Counter("physlab_requests", "Requests answered.", (*labels, "status"), registry=registry)
        self._took = Histogram("physlab_request_seconds", "How long they took.", labels, registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            path = getattr(scope.get("route"), "path", "unknown")
            self._answered.labels(scope["method"], path, status).inc()
            self._took.labels(scope["method"], path).observe(time.perf_counter() - begun)
