"""Whether it runs, and how it does."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from physlab.portal.gate import Asker, Desk, find_guest
from physlab.portal.turns import Turn

router = APIRouter(tags=["state"], route_class=Turn)
Ask = Annotated[Asker, Depends(find_guest)]


@router.get("/health")
def health(request: Request) -> dict[str, Any]:
    """Say that it answers and reaches its database."""
    desk: Desk = request.app.state.desk
    with desk.commons.database.reading() as connection:
        connection.exec_driver_sql("SELECT 1")
    return {"ok": True}


@router.get("/metrics", responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
def metrics(ask: Ask, request: Request) -> Response:
    """Return counts and durations as Prometheus reads them; for a token of an administrator."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    from physlab.portal.problems import UNSEEN

    if not ask.who.administrator:
        raise UNSEEN
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
