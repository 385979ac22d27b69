"""Signing in at an institute that knows the person (OpenID Connect)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from starlette.responses import RedirectResponse

from physlab.collab.people.oidc import InstituteDoor
from physlab.errors import PhyslabError, SignInError
from physlab.portal.gate import Desk, bind, bound_by, give_cookie, same_site, unbind
from physlab.portal.problems import UNSEEN
from physlab.portal.turns import Turn

router = APIRouter(tags=["who"], route_class=Turn)
Name = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
PLACE = "/api/v1/institutes"


def _door(desk: Desk, name: str) -> InstituteDoor:
    doors = desk.people.institutes(desk.settings)
    if name not in doors:
        raise UNSEEN
    return doors[name]


@router.get("/institutes")
def institutes(request: Request) -> dict[str, Any]:
    """List the institutes that sign people in."""
    desk: Desk = request.app.state.desk
    return {"institutes": sorted(desk.settings.institutes)}


@router.post("/institutes/{institute}")
def begin(institute: Name, request: Request, response: Response) -> dict[str, Any]:
    """Begin to sign in at an institute: the browser goes to the address in the answer."""
    same_site(request)
    desk: Desk = request.app.state.desk
    begun = _door(desk, institute).begin(f"{desk.settings.portal.address}{PLACE}/{institute}/return")
    bind(response, desk, "institute", begun.binding, 600, returns=True)
    return {"url": begun.url}


@router.get("/institutes/{institute}/return", responses={303: {"description": "To the page, signed in or not."}})
def come_back(institute: Name, request: Request) -> Response:
    """Come back from an institute; the page that follows says whether the second factor is still to be shown."""
    desk: Desk = request.app.state.desk
    door = _door(desk, institute)
    agent = request.headers.get("user-agent", "")[:200]
    try:
        found = door.finish(dict(request.query_params), bound_by(request, desk, "institute"), agent=agent)
    except PhyslabError as error:
        if not isinstance(error, SignInError):
            raise
        answer = RedirectResponse("/#/refused", 303)
    else:
        answer = RedirectResponse("/", 303)
        give_cookie(answer, desk, found.cookie)
    unbind(answer, desk, "institute")
    return answer
