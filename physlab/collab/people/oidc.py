"""Signing in where one's institute keeps people (OpenID Connect, authorization code flow with PKCE)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event
from physlab.collab.database import MICRO
from physlab.collab.people import rules
from physlab.collab.people.accounts import ACTIVE, Newcomer
from physlab.collab.people.codes import Challenges
from physlab.collab.people.door import Door, SignedIn
from physlab.collab.people.institute import Institute, Provider, Untrue
from physlab.collab.people.refusal import wrong_proof
from physlab.collab.people.sealed import hashed, seal, secret, unseal
from physlab.errors import AccessError
from physlab.keys import digest_bytes

BEGUN_S = 600
"""A sign-in at an institute is finished within so long [s]."""
PURPOSE = "oidc"


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that goes on at the institute.

    Attributes:
        url: Where the browser is sent.
        binding: What the browser keeps in a cookie until it comes back.
    """

    url: str
    binding: str


class InstituteDoor:
    """Lets people in whom an institute knows.

    Args:
        door: Of the lab.
        institute: Which is trusted to know them.
    """

    def __init__(self, door: Door, institute: Institute) -> None:
        self.door, self.institute = door, institute
        self.database, self.trail = door.database, door.trail
        self.provider = Provider(institute)
        self.challenges = Challenges(self.database)

    def begin(self, redirect_uri: str) -> Begun:
        """Begin a sign-in.

        Args:
            redirect_uri: Where the institute sends the browser back to, as it was registered there.

        Raises:
            ResourceError: The institute does not answer.
            ConfigurationError: It is another one, or would be asked in the clear.
        """
        endpoint = str(self.provider.describe()["authorization_endpoint"])
        state, nonce, verifier, binding = secret(), secret(), secret(), secret()
        kept = json.dumps({"nonce": nonce, "verifier": verifier, "redirect_uri": redirect_uri,
                           "issuer": self.institute.issuer}).encode()  # fmt: skip
        with self.database.writing() as connection:
            content = seal(self.database.key, kept, PURPOSE)
            self.challenges.keep(connection, PURPOSE, state, for_s=BEGUN_S, bound_to=hashed(binding), content=content)
        asked = {
            "response_type": "code", "client_id": self.institute.client_id, "redirect_uri": redirect_uri,
            "scope": "openid email profile", "state": state, "nonce": nonce, "code_challenge_method": "S256",
            "code_challenge": _challenge(verifier),
        }  # fmt: skip
        return Begun(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", binding)

    def finish(self, answer: Mapping[str, str], binding: str, *, agent: str = "") -> SignedIn:
        """Let in whom the institute sent back; the second factor of this lab has still to be shown where there is one.

        Args:
            answer: The query that the browser came back with: `state`, `code`, and where the institute tells it `iss`.
            binding: What `begin` gave, out of the browser's cookie.
            agent: What the browser calls itself.

        Raises:
            SignInError: The state is not one, used, or another browser's, or what the institute says does not hold.
            AccessError: The institute knows them, and this lab does not take them in.
            ResourceError: The institute does not answer.
        """
        with self.database.writing() as connection:
            taken = self.challenges.take(connection, PURPOSE, answer.get("state", ""), bound_to=hashed(binding))
        if taken is None or taken.content is None:
            raise wrong_proof()
        kept = json.loads(unseal(self.database.key, taken.content, PURPOSE))
        try:
            if kept["issuer"] != self.institute.issuer or answer.get("iss", kept["issuer"]) != kept["issuer"]:
                raise Untrue("another institute answered")  # RFC 9207
            if "code" not in answer:
                raise Untrue("it brought no code")
            claims = self.provider.redeem(answer["code"], kept["verifier"], kept["redirect_uri"])
            self.provider.check(claims, kept["nonce"], self.database.clock.now() / MICRO)
        except Untrue as error:
            raise self.door.refusal(None, PURPOSE) from error
        cookie = ""
        with self.database.writing() as connection:
            person = self.door.accounts.get(self._person(connection, claims), connection)
            if person.state == ACTIVE:
                cookie = self.door.visits.open_visit(connection, person=person.id, agent=agent, how=PURPOSE)
        if not cookie:
            raise self.door.refusal(person, PURPOSE)
        return SignedIn(cookie, self.door.visits.half_visit(cookie))

    def _person(self, connection: sa.Connection, claims: Mapping[str, Any]) -> str:
        """Return who that is here; a newcomer gets an account where their mail address lets them in."""
        table, subject = schema.identities, str(claims["sub"])
        mine = sa.and_(table.c.issuer == self.institute.issuer, table.c.subject == subject)
        known = connection.execute(sa.select(table.c.person).where(mine)).scalar()
        if known is not None:
            return str(known)
        mail = self._mail(claims)
        found = self.door.accounts.search(mail, connection)
        person = found.id if found else self._admit(connection, mail, claims)
        row = {"issuer": self.institute.issuer, "subject": subject, "person": person,
               "created_at": self.database.clock.now()}  # fmt: skip
        connection.execute(table.insert().values(row))
        told = {"issuer": self.institute.issuer, "new": found is None}
        self.trail.add(connection, Event(person, "identity.add", object=person, told=told))
        return person

    def _mail(self, claims: Mapping[str, Any]) -> str:
        """Return the mail address that lets somebody in: the institute has verified it, and vouches for its domain."""
        mail = rules.mail_of(str(claims.get("email") or "")) or ""
        domain = mail.rpartition("@")[2]
        if claims.get("email_verified") is not True or domain not in map(str.lower, self.institute.mail_domains):
            raise AccessError(
                f"{self.institute.issuer} knows you, but the lab does not let {mail or 'you'} in.",
                hint="Ask who administers the lab for an account: physlab people add LOGIN --name NAME --mail ADDRESS",
            )
        return mail

    def _admit(self, connection: sa.Connection, mail: str, claims: Mapping[str, Any]) -> str:
        taken = set(connection.execute(sa.select(schema.persons.c.login)).scalars())
        login = rules.free_login(mail.partition("@")[0], taken)
        name = "".join(letter for letter in str(claims.get("name") or "") if letter.isprintable())[: rules.NAME]
        return self.door.accounts.add(connection, Newcomer(login, name.strip() or login, mail), by=PURPOSE)


def _challenge(verifier: str) -> str:
    """Return what PKCE shows of a verifier at first (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(bytes.fromhex(digest_bytes(verifier.encode()))).rstrip(b"=").decode()
