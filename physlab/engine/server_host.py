"""The process of the lab's Prefect server: it detaches, serves, says when it is ready, and stops itself when idle.

`physlab.engine.server` starts it; its settings are `PREFECT_*` variables, its orders one JSON object:
`listen_fd`, `ready_fd`, `folder`, `idle_timeout_s`, and the `state` to write down.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from httpx import HTTPError
from sqlalchemy.exc import SQLAlchemyError

from physlab.engine.ownership import close_lost_runs
from physlab.engine.server_folder import ServerFolder

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

CHECK_EVERY_S = 60.0
WORKER_SILENCE = timedelta(seconds=90)


class LabServer(uvicorn.Server):
    """A uvicorn server that says when it is ready and stops when nobody needs it."""

    def __init__(self, app: ASGIApp, orders: dict[str, Any]) -> None:
        self.app = app
        self.orders = orders
        self.last_needed = time.monotonic()
        super().__init__(
            uvicorn.Config(
                self._noting_requests,
                interface="asgi3",
                lifespan="on",
                log_level="warning",
                timeout_graceful_shutdown=5,
            )
        )

    async def _noting_requests(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self.last_needed = time.monotonic()
        await self.app(scope, receive, send)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Serve, then say so."""
        await super().startup(sockets)
        if self.started:
            ServerFolder(Path(self.orders["folder"])).write_state(self.orders["state"])
            with suppress(BrokenPipeError), os.fdopen(self.orders["ready_fd"], "w") as ready:
                ready.write("ready\n")
            self._watch = asyncio.create_task(self._stop_when_idle(self.orders["idle_timeout_s"]))

    async def _stop_when_idle(self, timeout_s: float) -> None:
        folder = ServerFolder(Path(self.orders["folder"]))
        while not self.should_exit:
            await asyncio.sleep(min(CHECK_EVERY_S, timeout_s / 2))
            if folder.is_being_started() or await self._is_needed():
                self.last_needed = time.monotonic()
            elif time.monotonic() - self.last_needed > timeout_s:
                self.should_exit = True

    async def _is_needed(self) -> bool:
        try:
            if not await runs_are_active():
                return await is_awaited()
            await asyncio.to_thread(close_lost_runs)
        except (SQLAlchemyError, HTTPError):
            logging.getLogger("uvicorn.error").exception("Could not see whether this server is needed; it stays.")
        return True


async def runs_are_active() -> bool:
    """Say whether a flow run is on its way."""
    import sqlalchemy as sa
    from prefect.server.database import provide_database_interface

    db = provide_database_interface()
    states = ("RUNNING", "PENDING", "CANCELLING")
    async with db.session_context() as session:
        return bool(await session.scalar(sa.select(sa.exists().where(db.FlowRun.state_type.in_(states)))))


async def is_awaited() -> bool:
    """Say whether a worker is online or a schedule will start something."""
    import sqlalchemy as sa
    from prefect.server.database import provide_database_interface

    db = provide_database_interface()
    worker = sa.exists().where(db.Worker.last_heartbeat_time > datetime.now(UTC) - WORKER_SILENCE)
    schedule = sa.exists().where(
        db.DeploymentSchedule.active, db.DeploymentSchedule.deployment_id == db.Deployment.id, ~db.Deployment.paused
    )
    async with db.session_context() as session:
        return bool(await session.scalar(sa.select(sa.or_(worker, schedule))))


def main() -> None:
    """Detach from the starter, take the home's lock for life, and serve."""
    orders = json.loads(sys.argv[1])
    if child := os.fork():
        os.write(orders["ready_fd"], f"{child}\n".encode())
        os._exit(0)
    ServerFolder(Path(orders["folder"])).serve()

    from prefect.server.api.server import create_app

    import physlab.engine.blocks  # noqa: F401  (its block types are registered with the server's own)

    LabServer(create_app(final=True), orders).run(sockets=[socket(fileno=orders["listen_fd"])])


if __name__ == "__main__":
    main()
