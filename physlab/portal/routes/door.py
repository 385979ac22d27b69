"""Signing in and out, and what proves who somebody is."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response

from physlab.collab.database import written
from physlab.collab.people import RelyingParty, Visit
from physlab.collab.people.passkeys import Passkeys
from physlab.portal.bodies import (
    Code,
    Credential,
    FirstPassword,
    Labelled,
    NewPassword,
    NewToken,
    Proof,
    SignIn,
)  # fmt: skip
from physlab.portal.gate import (
    Asker,
    Desk,
    bind,
    bound_by,
    csrf_of,
    find_asker,
    give_cookie,
    half_visit,
    same_site,
    take_cookie,
    unbind,
)
from physlab.portal.turns import Turn

router = APIRouter(tags=["who"], route_class=Turn)
Ask = Annotated[Asker, Depends(find_asker)]
Half = Annotated[Visit, Depends(half_visit)]


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")[:200]


def _passkeys(desk: Desk) -> Passkeys:
    address = desk.settings.portal.address
    party = RelyingParty(str(urlsplit(address).hostname), desk.settings.report.lab, (address,))
    return desk.people.passkeys(party)


def _in(desk: Desk, response: Response, cookie: str, visit: Visit) -> dict[str, Any]:
    give_cookie(response, desk, cookie)
    return {"person": visit.person, "needs_second_factor": visit.is_half, "csrf": csrf_of(desk, visit)}


@router.post("/sign-in")
def sign_in(body: SignIn, request: Request, response: Response) -> dict[str, Any]:
    """Sign in with a password; a second factor may still have to be shown: POST /prove."""
    same_site(request)
    desk = _desk(request)
    found = desk.people.door.sign_in(body.login, body.password, address=_address(request), agent=_agent(request))
    return _in(desk, response, found.cookie, found.visit)


@router.post("/sign-out")
def sign_out(request: Request, response: Response, visit: Half) -> dict[str, Any]:
    """Sign out; the cookie opens nothing any more."""
    desk = _desk(request)
    desk.people.visits.close(request.cookies[desk.cookie])
    take_cookie(response, desk)
    return {"signed_out": True}


@router.post("/prove")
def prove(body: Proof, request: Request, visit: Half) -> dict[str, Any]:
    """Show a second factor: after the password, or again before something that needs it."""
    desk = _desk(request)
    desk.people.door.prove(visit, body.how, body.shown, address=_address(request))
    return {"person": visit.person, "needs_second_factor": False, "csrf": csrf_of(desk, visit)}


@router.get("/me")
def me(ask: Ask) -> dict[str, Any]:
    """Say who asks, and what their page must send with everything that changes something."""
    person = ask.who.person
    sessions = ask.desk.commons.sessions.of(ask.who) if person is not None else {}
    return {
        "person": person, "name": None if person is None else ask.desk.people.accounts.name_of(person),
        "link": ask.who.link, "administrator": ask.who.administrator, "reads_only": ask.who.reads_only,
        "proved_at": written(ask.who.proved_at), "csrf": ask.csrf, "sessions": sessions,
    }  # fmt: skip


@router.post("/password")
def change_password(body: NewPassword, request: Request, ask: Ask) -> dict[str, Any]:
    """Change one's password; every visit ends, this one too."""
    ask.desk.people.door.change_password(ask.seat(), body.old, body.new, address=_address(request))
    return {"changed": True}


@router.post("/password/first")
def first_password(body: FirstPassword, request: Request) -> dict[str, Any]:
    """Set a password with the code that an administrator made for it."""
    same_site(request)
    person = _desk(request).people.passwords.set_by_code(body.code, body.password)
    return {"person": person.id, "login": person.login}


@router.get("/factors")
def factors(ask: Ask) -> dict[str, Any]:
    """List one's second factors."""
    person = ask.person
    return {"factors": [one.as_json() for one in ask.desk.people.factors.list(person)],
            "recovery_codes_left": ask.desk.people.recovery.left(person)}  # fmt: skip


@router.delete("/factors/{factor}")
def remove_factor(factor: str, ask: Ask) -> dict[str, Any]:
    """Remove one of one's second factors."""
    visit = ask.seat()
    ask.desk.people.visits.require_fresh(visit)
    ask.desk.people.factors.remove(ask.person, factor, by=ask.person)
    return {"removed": factor}


@router.post("/factors/totp")
def enrol_totp(body: Labelled, ask: Ask) -> dict[str, Any]:
    """Begin with an authenticator app: it reads the picture, then shows a code that confirms it."""
    made = ask.desk.people.door.enrol_totp(ask.seat(), body.label)
    return {"factor": made.factor, "uri": made.uri, "svg": made.svg()}


@router.post("/factors/totp/{factor}")
def confirm_totp(factor: str, body: Code, request: Request, ask: Ask) -> dict[str, Any]:
    """Confirm an authenticator app with its first code."""
    ask.desk.people.door.confirm_totp(ask.seat(), factor, body.code, address=_address(request))
    return {"factor": factor, "confirmed": True}


@router.post("/factors/recovery-codes")
def recovery_codes(ask: Ask) -> dict[str, Any]:
    """Make ten recovery codes, shown once; older ones end."""
    return {"codes": ask.desk.people.door.make_recovery(ask.seat())}


@router.get("/factors/passkey")
def adding_passkey(ask: Ask) -> dict[str, Any]:
    """Return the options with which a browser makes a passkey."""
    return {"options": json.loads(_passkeys(ask.desk).adding(ask.seat()))}


@router.post("/factors/passkey")
def add_passkey(body: Credential, ask: Ask) -> dict[str, Any]:
    """Keep a passkey that a browser made."""
    return {"factor": _passkeys(ask.desk).add(ask.seat(), body.credential, body.label)}


@router.get("/sign-in/passkey")
def asking_passkey(request: Request, response: Response) -> dict[str, Any]:
    """Return the options with which a browser shows a passkey."""
    desk = _desk(request)
    options, binding = _passkeys(desk).asking()
    bind(response, desk, "passkey", binding, 300)
    return {"options": json.loads(options)}


@router.post("/sign-in/passkey")
def sign_in_with_passkey(body: Credential, request: Request, response: Response) -> dict[str, Any]:
    """Sign in with a passkey; it is both factors."""
    same_site(request)
    desk = _desk(request)
    binding = bound_by(request, desk, "passkey")
    found = _passkeys(desk).sign_in(body.credential, binding, agent=_agent(request))
    unbind(response, desk, "passkey")
    return _in(desk, response, found.cookie, found.visit)


@router.get("/prove/passkey")
def proving_passkey(request: Request, visit: Half) -> dict[str, Any]:
    """Return the options with which a browser shows a passkey once more."""
    return {"options": json.loads(_passkeys(_desk(request)).proving(visit))}


@router.post("/prove/passkey")
def prove_with_passkey(body: Credential, request: Request, visit: Half) -> dict[str, Any]:
    """Show a passkey once more."""
    desk = _desk(request)
    _passkeys(desk).prove(visit, body.credential)
    return {"person": visit.person, "needs_second_factor": False, "csrf": csrf_of(desk, visit)}


@router.get("/tokens")
def tokens(ask: Ask) -> dict[str, Any]:
    """List one's tokens for programs."""
    return {"tokens": [one.as_json() for one in ask.desk.people.tokens.list(ask.person)]}


@router.post("/tokens")
def add_token(body: NewToken, ask: Ask) -> dict[str, Any]:
    """Make a token for programs; it is shown this once."""
    ask.desk.people.visits.require_fresh(ask.seat())
    made, token = ask.desk.people.tokens.add(ask.person, body.label, body.days, reads_only=body.reads_only)
    return {"token": made, **token.as_json()}


@router.delete("/tokens/{token}")
def revoke_token(token: str, ask: Ask) -> dict[str, Any]:
    """Revoke a token."""
    ask.seat()
    ask.desk.people.tokens.revoke(ask.person, token, by=ask.person)
    return {"revoked": token}
