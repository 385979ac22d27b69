"""Sessions: who is in, links, and what was done."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from physlab.collab.database import written
from physlab.model.notebook import Name
from physlab.notebook import notebooks
from physlab.portal.bodies import Link, NewSession, Role, Short, Whom
from physlab.portal.gate import Asker, Desk, csrf_of, find_guest, give_cookie, same_site
from physlab.portal.turns import Turn
from physlab.service.sharing.review import accesses
from physlab.service.sharing.share import share_session
from physlab.tools.sharing import ShareParams

router = APIRouter(tags=["sessions"], route_class=Turn)
Ask = Annotated[Asker, Depends(find_guest)]
Limit = Annotated[int, Query(ge=1, le=1000)]


class Share(ShareParams):
    """Who gets in, with which role, until when."""

    allow_large: Literal[False] = False
    title: Short = ""
    features: Annotated[dict[str, bool], Field(max_length=10)] = {}


def _share(ask: Asker, session: str, operation: str, **more: Any) -> dict[str, Any]:
    given = {"operation": operation, "session_id": session, **{k: v for k, v in more.items() if v is not None}}
    return share_session(ask.desk.commons, ask.desk.settings, ask.who, given)


@router.get("/sessions")
def sessions(ask: Ask) -> dict[str, Any]:
    """List the sessions that one is in, with one's role."""
    return {"sessions": ask.desk.commons.sessions.of(ask.who) if ask.person else {}}


@router.post("/sessions", status_code=201)
def begin(body: NewSession, ask: Ask) -> dict[str, Any]:
    """Make a session; who makes it owns it. A name that is taken is told as one that may not be had."""
    person, commons = ask.person, ask.desk.commons
    commons.contents.catch_up()
    ours = commons.contents.knows(body.session_id) or body.session_id in notebooks(commons.store)
    if ours or body.session_id == ask.desk.settings.collaboration.session:
        ask.may("session.see", body.session_id)  # what the lab did under this name belongs to nobody who comes later
    made = commons.sessions.begin(ask.who, body.session_id, body.title)
    if not made and ask.desk.commons.sessions.of(ask.who).get(body.session_id) is None:
        ask.may("session.see", body.session_id)
    return {"session_id": body.session_id, "made": made, "owner": person}


@router.get("/sessions/{session}")
def session(session: Name, ask: Ask) -> dict[str, Any]:
    """Say what a session holds."""
    scope = ask.may("session.see", session)
    ask.desk.commons.contents.catch_up()
    return {"session_id": session, "role": ask.desk.commons.sessions.role(ask.who, session), "only": scope}


@router.post("/sessions/{session}/share")
def share(session: Name, body: Share, ask: Ask) -> dict[str, Any]:
    """Share a session: a link for whoever has it, or an invitation for each person."""
    ask.may("link.make", session)
    return _share(ask, session, "share", **body.model_dump(exclude_none=True, exclude={"allow_large"}))


@router.get("/sessions/{session}/members")
def members(session: Name, ask: Ask) -> dict[str, Any]:
    """List who is in."""
    found = ask.desk.commons.sessions.members(ask.who, session)
    names = ask.desk.people.accounts.names_of([one.person for one in found])
    return {"members": [
        {"person": one.person, "name": names[one.person], "role": one.role, "now": one.now, "by": one.by,
         "since": written(one.since), "expires_at": written(one.expires_at), "last_used": written(one.used_at),
         "link": one.link} for one in found
    ]}  # fmt: skip


@router.put("/sessions/{session}/members/{person}")
def change_member(session: Name, person: str, body: Role, ask: Ask) -> dict[str, Any]:
    """Give a person a role."""
    ask.may("member.change", session, person)
    return _share(ask, session, "role", person=person, **body.model_dump())


@router.delete("/sessions/{session}/members/{person}")
def remove_member(session: Name, person: str, ask: Ask) -> dict[str, Any]:
    """Take a person out."""
    ask.may("member.change", session, person)
    return _share(ask, session, "revoke", person=person)


@router.post("/sessions/{session}/leave")
def leave(session: Name, ask: Ask) -> dict[str, Any]:
    """Leave a session."""
    return _share(ask, session, "leave")


@router.post("/sessions/{session}/transfer")
def transfer(session: Name, body: Whom, ask: Ask) -> dict[str, Any]:
    """Hand a session over to another member."""
    return _share(ask, session, "transfer", person=body.person)


@router.post("/sessions/{session}/close")
def close(session: Name, ask: Ask) -> dict[str, Any]:
    """Close a session: nobody gets in any more; runs, files and notebook stay in the lab."""
    ask.desk.commons.sessions.close(ask.who, session)
    return {"closed": session}


@router.get("/sessions/{session}/links")
def links(session: Name, ask: Ask) -> dict[str, Any]:
    """List links: all of them for an admin, one's own for an editor."""
    found = ask.desk.commons.links.listed(ask.who, session)
    return {"links": [
        {"link_id": one.id, "role": one.role, "now": one.now, "label": one.label, "maker": one.maker,
         "made_at": written(one.created_at), "expires_at": written(one.expires_at), "uses": one.uses,
         "last_used": written(one.used_at), "revoked_at": written(one.revoked_at), "email": one.mail,
         "only": one.bundle} for one in found
    ]}  # fmt: skip


@router.delete("/links/{link}")
def revoke_link(link: str, ask: Ask) -> dict[str, Any]:
    """Take a link back; whoever joined by it is out with it."""
    ask.person  # noqa: B018 - a guest takes nothing back
    ask.desk.commons.links.revoke(ask.who, link)
    return {"revoked": link}


@router.post("/links/open")
def open_link(body: Link, request: Request, response: Response) -> dict[str, Any]:
    """Open a link without saying who one is: it is exchanged for a cookie at once."""
    same_site(request)
    desk: Desk = request.app.state.desk
    found = desk.commons.links.open(body.token)
    with desk.commons.database.writing() as connection:
        cookie = desk.people.visits.open_visit(
            connection, link=found.id, expires_at=found.expires_at, agent=request.headers.get("user-agent", ""),
            how="link",
        )  # fmt: skip
    give_cookie(response, desk, cookie)
    visit = desk.people.visits.visit_of_cookie(cookie)
    return {"session_id": found.session, "role": found.now, "expires_at": written(found.expires_at),
            "only": found.bundle, "csrf": csrf_of(desk, visit)}  # fmt: skip


@router.post("/links/join")
def join(body: Link, ask: Ask) -> dict[str, Any]:
    """Become a member by a link, as far and as long as the link lives."""
    mail = ask.desk.people.accounts.get(ask.person).mail
    session, role = ask.desk.commons.links.join(ask.who, body.token, mail)
    return {"session_id": session, "role": role}


@router.get("/sessions/{session}/audit")
def audit(
    session: Name, ask: Ask, limit: Limit = 100, before: int | None = None, person: str | None = None,
    action: str | None = None, thing: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Say who did what in a session, the latest first; `thing` is a file's digest, a run, an entry, a person.

    `at` is the moment as the log itself has it, in microseconds since 1970; `at_iso` is the same in ISO 8601.
    """
    ask.may("audit.read", session)
    found = ask.desk.commons.trail.read(
        session=session, limit=limit, before=before, who=person, action=action, thing=thing
    )
    return {"entries": [{**one, "at_iso": written(one["at"])} for one in found]}


@router.get("/access")
def access(ask: Ask) -> dict[str, Any]:
    """Review who has what in the sessions that one administers, the longest unused first."""
    ask.seat()
    return {"access": accesses(ask.desk.commons, ask.who)}
