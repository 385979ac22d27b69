"""The door: signing in, showing a second factor, and making one. Whatever is wrong, the refusal is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from physlab.collab.audit import Event
from physlab.collab.database import MICRO
from physlab.collab.people.accounts import ACTIVE, Accounts, Person
from physlab.collab.people.lockout import Lockout
from physlab.collab.people.passwords import Passwords
from physlab.collab.people.recovery import Recovery
from physlab.collab.people.refusal import not_signed_in, step_up, wrong_proof
from physlab.collab.people.rules import login_of
from physlab.collab.people.totp import Enrolment, Totp
from physlab.collab.people.visits import FRESH_S, Visit, Visits
from physlab.errors import SignInError, ValidationError, nearest

Check = Callable[[sa.Connection], bool]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody came in.

    Attributes:
        cookie: What their browser keeps; nothing here knows it afterwards.
        visit: What it stands for; half open where a second factor has still to be shown.
    """

    cookie: str
    visit: Visit


class Door:
    """Lets people in.

    Args:
        accounts: Who there is.
        passwords: Of them.
        visits: What is opened.
        totp: Authenticator apps.
        recovery: Recovery codes.
    """

    def __init__(
        self, accounts: Accounts, passwords: Passwords, visits: Visits, totp: Totp, recovery: Recovery
    ) -> None:
        self.accounts, self.passwords, self.visits = accounts, passwords, visits
        self.totp, self.recovery = totp, recovery
        self.database, self.trail = accounts.database, accounts.trail
        self.lockout = Lockout(self.database)
        self.proofs: Mapping[str, Callable[[Visit, str], Check]] = {
            "code": self._code, "recovery": self._recovery, "password": self._password,
        }  # fmt: skip

    def sign_in(self, login: str, password: str, *, address: str | None = None, agent: str = "") -> SignedIn:
        """Let somebody in who knows the password; a second factor may still have to be shown.

        Args:
            login: Login or mail address.
            password: As it was typed.
            address: Where the request came from.
            agent: What the browser calls itself.

        Raises:
            SignInError: Unknown, disabled, wrong or locked: the same words, after the same work.
        """
        person = self.accounts.search(login[:320])
        name = person.login if person else login_of(login)[:320]
        verdict = self.lockout.enter(name, address)
        if verdict == "address":  # nobody learns anything from how fast that is
            raise self.refusal(person, "password", locked=True)
        right = self.passwords.verify(person if verdict == "open" else None, password)
        if not right or person is None or person.state != ACTIVE:
            raise self._failed(person, name, address, "password", locked=verdict != "open")
        with self.database.writing() as connection:
            self.still(connection, person)
            self._forgive(connection, name, address)
            cookie = self.visits.open_visit(connection, person=person.id, agent=agent)
        return SignedIn(cookie, self.visits.half_visit(cookie))

    def _forgive(self, connection: sa.Connection, name: str, address: str | None) -> None:
        if not self.lockout.forgive(connection, name, address):
            raise wrong_proof()

    def _failed(
        self, person: Person | None, name: str, address: str | None, how: str, *, locked: bool = False
    ) -> SignInError:
        if not locked:
            self.lockout.fail(name, address)
        return self.refusal(person, how, locked=locked)

    def still(self, connection: sa.Connection, person: Person) -> None:
        """Refuse a person who was disabled or got another password since they were read."""
        now = self.accounts.get(person.id, connection)
        if now.state != ACTIVE or now.changed_at != person.changed_at:
            raise wrong_proof()

    def prove(self, visit: Visit, how: str, shown: str, *, address: str | None = None) -> None:
        """Show once more who one is: the second step of signing in, or again before something dangerous.

        Args:
            visit: Of the person; `half_visit` or `visit_of_cookie` gives it.
            how: `code` of an authenticator app, `recovery` for a recovery code, `password` for who has no second
                factor: it is none.
            shown: What was typed.
            address: Where the request came from.

        Raises:
            SignInError: It is wrong, was used before, or there were too many attempts.
            ValidationError: There is no such proof.
        """
        if how not in self.proofs:
            raise ValidationError(f"There is no proof {how!r}.", hint=nearest(how, self.proofs))
        self._attempt(visit, how, self.proofs[how](visit, shown), address)

    def _attempt(self, visit: Visit, how: str, check: Check, address: str | None) -> None:
        person = self._person(visit)
        name = f"factor:{person.id}"
        if self.lockout.enter(name, address) != "open":
            raise self.refusal(person, how, locked=True)
        with self.database.writing() as connection:
            if self.accounts.get(person.id, connection).state == ACTIVE and check(connection):
                self._forgive(connection, name, address)
                self.visits.prove(connection, visit, how)
                return
        raise self._failed(person, name, address, how)

    def enrol_totp(self, visit: Visit, label: str) -> Enrolment:
        """Make the secret of an authenticator app for who asks.

        Raises:
            StepUpError: Who it is was not shown lately.
            ValidationError: The label cannot be one, or there are enough apps.
        """
        person = self._person(visit)
        self.require_recent(visit)
        return self.totp.enrol(person.id, person.login, label, by=person.id)

    def confirm_totp(self, visit: Visit, factor: str, code: str, *, address: str | None = None) -> None:
        """Let an authenticator app count from now on; other visits of the person have to show it.

        Raises:
            SignInError: The code is wrong, or there were too many attempts.
        """
        self._attempt(visit, "code", lambda link: self.totp.confirm(link, visit.person or "", factor, code), address)

    def make_recovery(self, visit: Visit) -> list[str]:
        """Make new recovery codes for who asks.

        Raises:
            StepUpError: Who it is was not shown lately.
            ValidationError: There is no second factor.
        """
        person = self._person(visit)
        self.require_recent(visit)
        return self.recovery.make(person.id, by=person.id)

    def change_password(self, visit: Visit, old: str, new: str, *, address: str | None = None) -> None:
        """Change the password of who asks; all their visits are closed, this one too.

        Raises:
            SignInError: The old password is wrong, or there were too many attempts.
            ValidationError: The new one is too weak.
        """
        person = self._person(visit)
        if visit.is_half:
            raise step_up("The second factor has to be shown first.")
        if self.lockout.enter(person.login, address) != "open":
            raise self.refusal(person, "password", locked=True)
        try:
            self.passwords.change(person, old, new)
        except SignInError:
            raise self._failed(person, person.login, address, "password") from None
        with self.database.writing() as connection:
            self.lockout.forgive(connection, person.login, address)

    def require_recent(self, visit: Visit) -> None:
        """Refuse to change who somebody is to us unless they showed it lately, by signing in or once more.

        Raises:
            StepUpError: They have to show it again: the second factor where there is one, else the password.
        """
        if visit.is_half:
            raise step_up("The second factor has to be shown first.")
        if visit.has_factor:
            self.visits.require_fresh(visit)
        elif self.database.clock.now() - max(visit.created_at, visit.proved_at or 0) > FRESH_S * MICRO:
            raise step_up("This needs your password once more.")

    def refusal(self, person: Person | None, how: str, *, locked: bool = False) -> SignInError:
        """Note in the audit log that a proof was refused; return the refusal.

        What is refused because of a lock is not noted: the failures before it are, and nobody can fill the log.
        """
        if not locked:
            self.trail.note(Event("-", "signin.refuse", object=person.id if person else None, told={"how": how}))
        return wrong_proof()

    def _person(self, visit: Visit) -> Person:
        if visit.person is None:
            raise not_signed_in()
        return self.accounts.get(visit.person)

    def _code(self, visit: Visit, shown: str) -> Check:
        return lambda connection: self.totp.take(connection, visit.person or "", shown)

    def _recovery(self, visit: Visit, shown: str) -> Check:
        return lambda connection: self.recovery.take(connection, visit.person or "", shown)

    def _password(self, visit: Visit, shown: str) -> Check:
        right = self.passwords.verify(self._person(visit), shown) and not visit.has_factor
        return lambda _: right
