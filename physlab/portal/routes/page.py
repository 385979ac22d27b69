"""The page: what was shared, to look at. It knows nothing that the API does not tell."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response

from physlab.portal.turns import Turn

router = APIRouter(include_in_schema=False, route_class=Turn)
FOLDER = Path(__file__).parent.parent / "page"


def _file(name: str, media_type: str) -> Response:
    return Response((FOLDER / name).read_bytes(), media_type=media_type, headers={"cache-control": "no-cache"})


@router.get("/")
def index() -> Response:
    """Return the page."""
    return _file("index.html", "text/html; charset=utf-8")


@router.get("/page.js")
def script() -> Response:
    """Return its program."""
    return _file("page.js", "text/javascript; charset=utf-8")


@router.get("/page.css")
def style() -> Response:
    """Return its looks."""
    return _file("page.css", "text/css; charset=utf-8")


@router.get("/icon.svg")
def icon() -> Response:
    """Return its sign."""
    return _file("icon.svg", "image/svg+xml")
