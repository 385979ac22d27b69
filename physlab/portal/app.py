"""The application: every route under /api/v1, behind one guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

import physlab
from physlab.collab.commons import Commons
from physlab.collab.people import People
from physlab.portal import problems
from physlab.portal.gate import Desk
from physlab.portal.guard import Guard
from physlab.portal.metrics import Metrics
from physlab.portal.notes import Notes
from physlab.portal.routes import door, institutes, notebook, page, people, runs, sessions, state
from physlab.portal.turns import Turns
from physlab.settings import Settings

API = "/api/v1"


def make_app(settings: Settings, commons: Commons, known: People) -> FastAPI:
    """Return the application of a lab.

    Args:
        settings: The lab's.
        commons: Sessions, links, files, audit.
        known: People and their proofs.
    """
    notes = Notes(commons.trail, commons.sessions)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.turns.close()
        notes.close()

    app = FastAPI(
        title=f"{settings.report.lab} (physlab)", version=physlab.__version__, docs_url=None, redoc_url=None,
        openapi_url=f"{API}/openapi.json", lifespan=life,
        description="Sessions, runs, files, notebook, people and audit of a lab.", responses=problems.DESCRIBED,
    )  # fmt: skip
    app.state.desk = Desk(settings, commons, known, notes)
    app.state.turns = Turns()
    app.state.registry = CollectorRegistry()
    problems.install(app)
    for each in (door, institutes, sessions, runs, notebook, people, state):
        app.include_router(each.router, prefix=API)
    app.include_router(page.router)
    app.add_middleware(Metrics, registry=app.state.registry)
    app.add_middleware(Guard, settings=settings.portal, secure=app.state.desk.secure)
    return app
