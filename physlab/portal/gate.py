"""Who asks: a cookie or a token stands for somebody, and a page of another site asks nothing in their name."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from physlab.collab.access import STRANGER, Who, authorize, scope_of
from physlab.collab.audit import Event
from physlab.collab.commons import Commons
from physlab.collab.people import People, Visit
from physlab.collab.roles import READS
from physlab.errors import AccessError, SignInError, StepUpError
from physlab.keys import keyed_digest, same
from physlab.portal.notes import Notes
from physlab.portal.problems import UNSEEN
from physlab.settings import Settings

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF = "x-csrf-token"
SIGN_IN = "Sign in, or open the link that was sent to you."
HOW = {"sign_in": "POST /api/v1/sign-in", "token": "Authorization: Bearer plt_…"}
"""The same for programs."""


@dataclass
class Desk:
    """What the routes work with.

    Attributes:
        settings: The lab's.
        commons: Sessions, links, files, audit.
        people: Accounts and proofs.
        notes: Writes the audit entries of reads.
    """

    settings: Settings
    commons: Commons
    people: People
    notes: Notes

    @property
    def secure(self) -> bool:
        """Whether people reach it over TLS."""
        return self.settings.portal.address.startswith("https://")

    @property
    def cookie(self) -> str:
        """Name of the cookie; over TLS it is bound to this host."""
        return "__Host-physlab" if self.secure else "physlab"


@dataclass(frozen=True)
class Asker:
    """Who asks, in one request.

    Attributes:
        desk: What the routes work with.
        who: As access is decided.
        visit: What their cookie stands for; None for a token or a stranger.
        unwritten: Gets the entries of what only reads, to be waited for before the answer; None: waited for at once.
    """

    desk: Desk
    who: Who
    visit: Visit | None
    unwritten: list[Future[None]] | None = None

    def noting(self, unwritten: list[Future[None]]) -> Asker:
        """Return who asks, with a place for entries that are waited for later."""
        return replace(self, unwritten=unwritten)

    @property
    def person(self) -> str:
        """Id of the person.

        Raises:
            SignInError: Nobody is signed in.
        """
        if self.who.person is None:
            raise SignInError("Nobody is signed in.", hint=SIGN_IN, details=HOW)
        return self.who.person

    def seat(self) -> Visit:
        """Return the visit of a person who signed in with a browser: what a token cannot do.

        Raises:
            SignInError: Nobody signed in, or a token asks.
        """
        if self.visit is None or self.visit.person is None:
            raise SignInError("This needs somebody who signed in.", hint="Sign in first.", details=HOW)
        return self.visit

    def may(self, action: str, session: str, thing: str | None = None, **told: Any) -> dict[str, Any] | None:
        """Pass the gate for something in a session, and log it; return what of the session is seen, None: everything.

        Raises:
            AccessError: They may not; `UnseenError` where they may not even know that it is there.
        """
        commons = self.desk.commons
        with commons.database.reading() as connection:
            authorize(connection, self.who, action, session, commons.now)
            scope = scope_of(connection, self.who, session)
        event = Event(self.who.name, action, session, thing, told)
        if self.unwritten is not None and action in READS:
            self.unwritten.append(self.desk.notes.begin(event))
        else:
            self.desk.notes.note(event)
        return scope

    def administer(self, action: str, thing: str | None = None) -> str:
        """Pass the gate for something that only an administrator of the lab does; return their id.

        Raises:
            UnseenError: Who asks is none.
            StepUpError: They have to show their second factor first.
        """
        if self.who.person is None or not self.who.administrator:
            raise UNSEEN
        if self.visit is None:
            raise AccessError("A token does not administer the lab.", hint="Sign in with a browser.", details=HOW)
        self.desk.people.visits.require_fresh(self.visit)
        self.desk.notes.note(Event(self.who.name, action, None, thing))
        return self.who.person

    @property
    def csrf(self) -> str | None:
        """What a page must send with everything that changes something."""
        return None if self.visit is None else csrf_of(self.desk, self.visit)


def csrf_of(desk: Desk, visit: Visit) -> str:
    """Return what the page of a visit must send with everything that changes something."""
    return keyed_digest(desk.commons.database.key, b"csrf " + visit.key.encode())


def find_asker(request: Request) -> Asker:
    """Return who asks; a wrong cookie or token is refused, none at all is a stranger.

    Raises:
        SignInError: What was shown stands for nobody.
        StepUpError: The second factor has still to be shown.
        AccessError: A page of another site asks.
    """
    desk: Desk = request.app.state.desk
    given = request.headers.get("authorization")
    if given is not None:
        kind, _, token = given.partition(" ")
        if kind.lower() != "bearer":
            raise SignInError("This kind of proof is not taken.", hint="Send: Authorization: Bearer plt_…")
        bearer = desk.people.tokens.person_of_token(token.strip())
        return Asker(desk, Who(bearer.person, administrator=bearer.administrator, reads_only=bearer.reads_only), None)
    cookie = request.cookies.get(desk.cookie)
    if cookie is None:
        same_site(request)
        return Asker(desk, STRANGER, None)
    visit = desk.people.visits.visit_of_cookie(cookie)
    refuse_foreign(request, desk, visit)
    who = Who(visit.person, visit.link, visit.administrator, proved_at=visit.proved_at)
    return Asker(desk, who, visit)


def find_guest(request: Request) -> Asker:
    """Return who asks, who is somebody: a person, or a guest of a link.

    Raises:
        SignInError: They are a stranger.
    """
    asker = find_asker(request)
    if asker.who == STRANGER:
        raise SignInError("Nobody is signed in.", hint=SIGN_IN, details=HOW)
    return asker


def refuse_foreign(request: Request, desk: Desk, visit: Visit) -> None:
    """Refuse a change that a page of another site asks for, in the name of whoever looks at it.

    Raises:
        AccessError: It is one.
    """
    if request.method in SAFE:
        return
    same_site(request)
    shown = request.headers.get(CSRF, "")
    if not shown.isascii() or not same(shown, csrf_of(desk, visit)):
        raise AccessError(
            "The request does not come from a page of this lab.", hint="Load the page again, then do it again.",
            details={"header": CSRF, "from": "GET /api/v1/me"},
        )  # fmt: skip


def same_site(request: Request) -> None:
    """Refuse a change without a token that does not say that it comes from a page of this lab.

    Raises:
        AccessError: It does not.
    """
    if request.method in SAFE:
        return
    desk: Desk = request.app.state.desk
    origin = request.headers.get("origin")
    if origin != desk.settings.portal.address:
        raise AccessError(
            f"The request comes from {origin or 'nowhere'}.",
            hint=f"It must say: Origin: {desk.settings.portal.address}",
        )


def half_visit(request: Request) -> Visit:
    """Return the visit of somebody who may still have to show a second factor.

    Raises:
        SignInError: There is none.
    """
    desk: Desk = request.app.state.desk
    cookie = request.cookies.get(desk.cookie)
    if cookie is None:
        raise SignInError("Nobody is signed in.", hint=SIGN_IN, details=HOW)
    visit = desk.people.visits.half_visit(cookie)
    refuse_foreign(request, desk, visit)
    return visit


def give_cookie(response: Response, desk: Desk, cookie: str) -> None:
    """Put the cookie of a visit into an answer."""
    response.set_cookie(desk.cookie, cookie, path="/", secure=desk.secure, httponly=True, samesite="lax")


def bind(response: Response, desk: Desk, what: str, value: str, seconds: int, *, returns: bool = False) -> None:
    """Put into an answer what binds the second half of a sign-in to the browser that began it.

    Args:
        response: The answer.
        desk: What the routes work with.
        what: Kind of sign-in.
        value: What binds.
        seconds: It does so long [s].
        returns: Whether a page of another site leads back here.
    """
    response.set_cookie(
        f"{desk.cookie}-{what}", value, max_age=seconds, path="/", secure=desk.secure, httponly=True,
        samesite="lax" if returns else "strict",
    )  # fmt: skip


def bound_by(request: Request, desk: Desk, what: str) -> str:
    """Return what binds a sign-in to this browser; empty when nothing does."""
    return request.cookies.get(f"{desk.cookie}-{what}", "")


def unbind(response: Response, desk: Desk, what: str) -> None:
    """Take that back."""
    response.delete_cookie(f"{desk.cookie}-{what}", path="/", secure=desk.secure, httponly=True, samesite="lax")


def take_cookie(response: Response, desk: Desk) -> None:
    """Take the cookie back."""
    response.delete_cookie(desk.cookie, path="/", secure=desk.secure, httponly=True, samesite="lax")


__all__ = ["Asker", "Desk", "StepUpError", "find_asker", "give_cookie", "half_visit", "same_site", "take_cookie"]
