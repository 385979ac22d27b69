"""Passkeys (WebAuthn, level 3): signing in without a password, and a second factor beside one.

Each challenge is taken once, within five minutes, by the visit or the browser that it was given to. The device must
have verified its user, so that a passkey alone is two factors: the device, and the finger or the PIN.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event
from physlab.collab.database import new_id
from physlab.collab.people.accounts import ACTIVE, Person
from physlab.collab.people.codes import Challenges
from physlab.collab.people.door import Door, SignedIn
from physlab.collab.people.factors import label_of
from physlab.collab.people.refusal import not_signed_in, wrong_proof
from physlab.collab.people.sealed import hashed, secret
from physlab.collab.people.visits import Visit
from physlab.errors import ValidationError

if TYPE_CHECKING:
    from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
    from webauthn.helpers.structs import AuthenticationCredential, PublicKeyCredentialDescriptor, RegistrationCredential
    from webauthn.registration.verify_registration_response import VerifiedRegistration

    Shown = AuthenticationCredential | RegistrationCredential

CHALLENGE_S = 300
KIND = "passkey"
MOST = 20
"""A person has so many passkeys at most."""
LARGEST = 100_000
"""What a browser sends has so many letters at most."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who asks for passkeys: they work nowhere else.

    Attributes:
        id: Host name, without port.
        name: Of the lab, as the device shows it.
        origins: Of the pages that may ask, such as `https://lab.example.org`.
    """

    id: str
    name: str
    origins: tuple[str, ...]


class Passkeys:
    """The passkeys of people, at one address.

    Args:
        door: What they open.
        party: That address.
    """

    def __init__(self, door: Door, party: RelyingParty) -> None:
        self.door, self.party = door, party
        self.database, self.trail = door.database, door.trail
        self.challenges = Challenges(self.database)

    def adding(self, visit: Visit) -> str:
        """Return the options for `navigator.credentials.create`, as JSON.

        Raises:
            StepUpError: Who it is was not shown lately.
        """
        import webauthn
        from webauthn.helpers import structs

        self.door.require_recent(visit)
        person = self._person(visit)
        challenge = self._challenge("passkey-add", visit.key, person.id)
        options = webauthn.generate_registration_options(
            rp_id=self.party.id, rp_name=self.party.name, user_name=person.login, user_display_name=person.name,
            user_id=bytes.fromhex(person.id), challenge=challenge, timeout=CHALLENGE_S * 1000,
            exclude_credentials=self._known(person.id),
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
        )  # fmt: skip
        return webauthn.options_to_json(options)

    def add(self, visit: Visit, credential: str, label: str) -> str:
        """Keep the passkey that a device made; return the factor's id. The visit has shown its second factor by that.

        Raises:
            SignInError: It does not answer our challenge, or not as it must.
            ValidationError: The label cannot be one, or there are enough passkeys.
        """
        from webauthn.helpers import parse_registration_credential_json

        label, person = label_of(label), self._person(visit)
        self.door.require_recent(visit)
        shown: RegistrationCredential = self._read(credential, parse_registration_credential_json)
        challenge = self._answered(shown, "passkey-add", visit.key, person.id)
        made: Any = self._judged(person, lambda: self._made(shown, challenge))
        table, factor = schema.factors, new_id()
        row = {
            "id": factor, "person": person.id, "kind": KIND, "label": label, "credential": made.credential_id,
            "public": made.credential_public_key, "counter": made.sign_count, "confirmed": True,
            "created_at": self.database.clock.now(),
        }  # fmt: skip
        with self.database.writing() as connection:
            self._refuse_more(connection, person.id, made.credential_id)
            connection.execute(table.insert().values(row))
            told = {"factor": factor, "kind": KIND}
            self.trail.add(connection, Event(person.id, "factor.add", object=person.id, told=told))
            self.door.visits.prove(connection, visit, KIND)
        return factor

    def _refuse_more(self, connection: sa.Connection, person: str, credential: bytes) -> None:
        table = schema.factors
        mine = sa.and_(table.c.person == person, table.c.kind == KIND)
        if (connection.execute(sa.select(sa.func.count()).where(mine)).scalar() or 0) >= MOST:
            raise ValidationError(
                f"There are {MOST} passkeys already.", hint="Take one away first: physlab people factor list LOGIN"
            )
        if connection.execute(sa.select(table.c.id).where(table.c.credential == credential)).first() is not None:
            raise ValidationError("This passkey is known already.", hint="See: physlab people factor list LOGIN")

    def asking(self) -> tuple[str, str]:
        """Return the options for `navigator.credentials.get` of whoever wants to come in, as JSON, and what binds them.

        The browser keeps the second in a cookie, and gives it to `sign_in`.
        """
        binding = secret()
        return self._options(self._challenge("passkey-in", hashed(binding), None), []), binding

    def sign_in(self, credential: str, binding: str, *, agent: str = "") -> SignedIn:
        """Let somebody in with a passkey alone.

        Raises:
            SignInError: It is unknown, or does not answer our challenge as it must.
        """
        shown = self._read_answer(credential)
        challenge = self._answered(shown, "passkey-in", hashed(binding), None)
        row = self._factor(shown.raw_id)
        person = self.door.accounts.get(row.person) if row is not None else None
        if row is None or person is None or person.state != ACTIVE:
            raise self.door.refusal(person, KIND)
        if shown.response.user_handle != bytes.fromhex(
            person.id
        ):  # which the standard asks of a passkey that comes alone
            raise self.door.refusal(person, KIND)
        verified = self._verify(person, shown, challenge, row)
        with self.database.writing() as connection:
            self.door.still(connection, person)
            self._count(connection, row, verified)
            cookie = self.door.visits.open_visit(connection, person=person.id, proved=True, agent=agent, how=KIND)
        return SignedIn(cookie, self.door.visits.half_visit(cookie))

    def proving(self, visit: Visit) -> str:
        """Return the options for showing a passkey in a visit, as JSON: as second step, or once more.

        Raises:
            ValidationError: The person has no passkey.
        """
        person = self._person(visit)
        known = self._known(person.id)
        if not known:
            raise ValidationError("There is no passkey of this person.", hint="Show a code of an authenticator app.")
        return self._options(self._challenge("passkey-prove", visit.key, person.id), known)

    def prove(self, visit: Visit, credential: str) -> None:
        """Show a passkey in a visit.

        Raises:
            SignInError: It is not this person's, or does not answer our challenge as it must.
        """
        person, shown = self._person(visit), self._read_answer(credential)
        challenge = self._answered(shown, "passkey-prove", visit.key, person.id)
        row = self._factor(shown.raw_id)
        if row is None or row.person != person.id or person.state != ACTIVE:
            raise self.door.refusal(person, KIND)
        verified = self._verify(person, shown, challenge, row)
        with self.database.writing() as connection:
            self._count(connection, row, verified)
            self.door.visits.prove(connection, visit, KIND)

    def _options(self, challenge: bytes, known: list[PublicKeyCredentialDescriptor]) -> str:
        import webauthn
        from webauthn.helpers.structs import UserVerificationRequirement

        options = webauthn.generate_authentication_options(
            rp_id=self.party.id, challenge=challenge, timeout=CHALLENGE_S * 1000, allow_credentials=known,
            user_verification=UserVerificationRequirement.REQUIRED,
        )  # fmt: skip
        return webauthn.options_to_json(options)

    def _person(self, visit: Visit) -> Person:
        if visit.person is None:
            raise not_signed_in()
        return self.door.accounts.get(visit.person)

    def _challenge(self, purpose: str, bound_to: str, person: str | None) -> bytes:
        challenge = secrets.token_bytes(32)
        with self.database.writing() as connection:
            self.challenges.keep(
                connection, purpose, challenge.hex(), for_s=CHALLENGE_S, person=person, bound_to=bound_to
            )
        return challenge

    def _answered(self, shown: Shown, purpose: str, bound_to: str, person: str | None) -> bytes:
        """Return the challenge that is answered, taken; by one's own visit or browser, in time, never before."""
        from webauthn.helpers import parse_client_data_json

        said: Any = self._read(shown.response.client_data_json, parse_client_data_json)
        with self.database.writing() as connection:
            taken = self.challenges.take(connection, purpose, said.challenge.hex(), bound_to=bound_to)
        if taken is None or taken.person != person:
            raise wrong_proof()
        return bytes(said.challenge)

    def _known(self, person: str) -> list[PublicKeyCredentialDescriptor]:
        from webauthn.helpers.structs import PublicKeyCredentialDescriptor

        table = schema.factors
        wanted = sa.select(table.c.credential).where(table.c.person == person, table.c.kind == KIND)
        with self.database.reading() as connection:
            return [PublicKeyCredentialDescriptor(id=each) for each in connection.execute(wanted).scalars()]

    def _factor(self, credential: bytes) -> sa.Row[Any] | None:
        table = schema.factors
        wanted = sa.select(table).where(table.c.credential == credential, table.c.kind == KIND)
        with self.database.reading() as connection:
            return connection.execute(wanted).one_or_none()

    def _made(self, shown: RegistrationCredential, challenge: bytes) -> VerifiedRegistration:
        import webauthn
        from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

        made = webauthn.verify_registration_response(
            credential=shown, expected_challenge=challenge, expected_rp_id=self.party.id,
            expected_origin=list(self.party.origins), require_user_verification=True,
        )  # fmt: skip
        decoded_public_key_to_cryptography(decode_credential_public_key(made.credential_public_key))  # is one
        return made

    def _verify(
        self, person: Person, shown: AuthenticationCredential, challenge: bytes, row: sa.Row[Any]
    ) -> VerifiedAuthentication:
        import webauthn

        verified: VerifiedAuthentication = self._judged(
            person,
            lambda: webauthn.verify_authentication_response(
                credential=shown, expected_challenge=challenge, expected_rp_id=self.party.id,
                expected_origin=list(self.party.origins), credential_public_key=row.public,
                credential_current_sign_count=row.counter, require_user_verification=True,
            ),
        )  # fmt: skip
        return verified

    def _count(self, connection: sa.Connection, row: sa.Row[Any], verified: VerifiedAuthentication) -> None:
        """Keep the device's counter; of two answers with the same one, one is a copy's."""
        table, now = schema.factors, self.database.clock.now()
        same = sa.and_(table.c.id == row.id, table.c.counter == row.counter)
        changed = table.update().where(same).values(counter=verified.new_sign_count, used_at=now)
        if connection.execute(changed).rowcount == 0:
            raise wrong_proof()

    def _read_answer(self, credential: str) -> AuthenticationCredential:
        from webauthn.helpers import parse_authentication_credential_json

        read: AuthenticationCredential = self._read(credential, parse_authentication_credential_json)
        return read

    def _read(self, text: Any, reader: Callable[[Any], Any]) -> Any:
        """Return what a stranger sent, read; whatever the reader says against it, the answer is the same."""
        if len(text) > LARGEST:
            raise wrong_proof()
        try:
            return reader(text)
        except _malformed() as error:
            raise wrong_proof() from error

    def _judged(self, person: Person, judge: Callable[[], Any]) -> Any:
        try:
            return judge()
        except _malformed() as error:
            raise self.door.refusal(person, KIND) from error


def _malformed() -> tuple[type[Exception], ...]:
    """Return what the readers of the standard's formats throw at bytes that are none."""
    from webauthn.helpers.exceptions import WebAuthnException

    return (WebAuthnException, ValueError, TypeError, LookupError, AttributeError, OverflowError, struct.error)
