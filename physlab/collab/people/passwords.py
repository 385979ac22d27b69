"""Passwords: kept as Argon2id, set with a code that works once, changed by who knows the old one."""

from __future__ import annotations

import itertools
import re
import threading
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event
from physlab.collab.people.accounts import ACTIVE, LAB, Accounts, Person
from physlab.collab.people.codes import Challenges, make_code, plain_code
from physlab.collab.people.refusal import wrong_proof
from physlab.collab.people.visits import close_all
from physlab.errors import ValidationError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST, MOST = 12, 1024
"""A password has so many letters."""
CODE_S = 7 * 24 * 3600
"""A code to set a password works so long [s]."""
PASSES, MEMORY_KIB, LANES = 3, 65536, 4
AT_ONCE = 4
"""So many are verified at once, so that many attempts do not take all memory: 256 MiB."""
PURPOSE = "password"
WORN = re.compile(
    r"(?:pass(?:word|wort|phrase)|passwd|kennwort|motdepasse|contrasena|wachtwoord|qwert[yz](?:uiop?)?|azerty|letmein|"
    r"welcome|willkommen|geheim|secret|admin(?:istrator)?|changeme|iloveyou|physlab|physics|abc(?:def(?:gh?)?)?|"
    r"test|user|login|master|monkey|dragon|football|sunshine)+"
)
LEET = str.maketrans("013457@$!", "oleastasi")


class Passwords:
    """The passwords of people.

    Args:
        accounts: Whose they are.
        passes: Of Argon2id.
        memory_kib: That a guess takes [KiB].
    """

    def __init__(self, accounts: Accounts, *, passes: int = PASSES, memory_kib: int = MEMORY_KIB) -> None:
        self.accounts, self.passes, self.memory_kib = accounts, passes, memory_kib
        self.challenges = Challenges(accounts.database)
        self._making, self._nobody = threading.Lock(), ""
        self._at_once = threading.BoundedSemaphore(AT_ONCE)

    @cached_property
    def hasher(self) -> PasswordHasher:
        """Argon2id with the parameters of today."""
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=self.passes, memory_cost=self.memory_kib, parallelism=LANES)

    def nobody(self) -> str:
        """Return the hash of a password that nobody has: verifying it takes as long as verifying anybody's."""
        with self._making:
            self._nobody = self._nobody or self._hash(make_code(5))
            return self._nobody

    def verify(self, person: Person | None, password: str) -> bool:
        """Say whether a password is a person's; it takes the same time for nobody, and for who has none.

        The caller counts the attempts. A hash with yesterday's parameters is replaced.
        """
        from argon2.exceptions import InvalidHashError, VerificationError

        nobody = self.nobody()  # before anybody is looked up: the first attempt makes it
        kept = self._kept(person.id if person else "")
        try:
            with self._at_once:
                self.hasher.verify(kept or nobody, _normal(password[: MOST + 1]))
        except (VerificationError, InvalidHashError):
            return False
        if person is None or kept is None:
            return False
        if self.hasher.check_needs_rehash(kept):
            self._rehash(person.id, kept, password)
        return True

    def make_code(self, person: str, *, by: str = LAB) -> str:
        """Make a code with which a person sets a password, once, within a week; codes made before end.

        Raises:
            ValidationError: There is no such person.
        """
        with self.accounts.database.writing() as connection:
            self.accounts.get(person, connection)
            return self.add_code(connection, person, by=by)

    def add_code(self, connection: sa.Connection, person: str, *, by: str) -> str:
        """Make such a code in a transaction."""
        code = make_code(5)
        self.challenges.drop(connection, PURPOSE, person)
        self.challenges.keep(connection, PURPOSE, plain_code(code), for_s=CODE_S, person=person)
        self.accounts.trail.add(connection, Event(by, "password.code", object=person))
        return code

    def set_by_code(self, code: str, password: str) -> Person:
        """Set a password with a code; everything that was open before is closed.

        Raises:
            ValidationError: The password is too weak; the code still works.
            SignInError: The code is not one, used, too old, or of who may not come in.
        """
        value = plain_code(code)
        with self.accounts.database.reading() as connection:
            found = self.challenges.look(connection, PURPOSE, value)
            person = self.accounts.get(found.person, connection) if found and found.person else None
        if person is None or person.state != ACTIVE:
            raise wrong_proof()
        check(password, person)
        made = self._hash(password)
        with self.accounts.database.writing() as connection:
            if self.challenges.take(connection, PURPOSE, value) is None:
                raise wrong_proof()
            self._set(connection, person.id, made, by=person.id, action="password.set")
        return person

    def change(self, person: Person, old: str, new: str) -> None:
        """Change one's own password; everything that was open before is closed, the visit that asks too.

        Raises:
            SignInError: The old password is wrong.
            ValidationError: The new one is too weak, or the old one.
        """
        if not self.verify(person, old):
            raise wrong_proof()
        check(new, person)
        if _normal(new) == _normal(old):
            raise ValidationError("The new password is the old one.", hint="Choose another one.")
        made = self._hash(new)
        with self.accounts.database.writing() as connection:
            self._set(connection, person.id, made, by=person.id, action="password.change")

    def _hash(self, password: str) -> str:
        with self._at_once:
            return self.hasher.hash(_normal(password))

    def _kept(self, person: str) -> str | None:
        wanted = sa.select(schema.persons.c.password).where(schema.persons.c.id == person)
        with self.accounts.database.reading() as connection:
            return connection.execute(wanted).scalar()

    def _rehash(self, person: str, kept: str, password: str) -> None:
        table, made = schema.persons, self._hash(password)
        same = sa.and_(table.c.id == person, table.c.password == kept)  # not one that was set meanwhile
        with self.accounts.database.writing() as connection:
            connection.execute(table.update().where(same).values(password=made))

    def _set(self, connection: sa.Connection, person: str, made: str, *, by: str, action: str) -> None:
        table, now = schema.persons, self.accounts.database.clock.now()
        values: dict[str, Any] = {"password": made, "changed_at": now}
        connection.execute(table.update().where(table.c.id == person).values(values))
        self.challenges.drop(connection, PURPOSE, person)
        close_all(connection, person)
        self.accounts.trail.add(connection, Event(by, action, object=person))


def check(password: str, person: Person) -> None:
    """Refuse a password that is guessed first.

    Raises:
        ValidationError: It is too short, too long, or made of the person's own names or of what everybody takes.
    """
    plain = _normal(password)
    if not LEAST <= len(plain) <= MOST:
        raise ValidationError(
            f"The password has {len(plain)} letters.", hint=f"Give {LEAST} to {MOST}; four words are good."
        )
    names = (person.login, person.mail or "", (person.mail or "").partition("@")[0], person.name)
    own = {reading for name in names for reading in _readings(name) if len(reading) > 1}
    read = _readings(plain)
    if any(not reading.replace(name, "") for reading in read - {""} for name in own):
        raise ValidationError(
            "The password is made of your own login, name or mail address.", hint="Take four words that others miss."
        )
    if any(map(WORN.fullmatch, read)) or len(set(plain)) < 5 or _is_row(plain):
        raise ValidationError(
            "The password is one of those that are guessed first.", hint="Take four words that others miss."
        )


def _readings(text: str) -> set[str]:
    """Return the letters that a text is meant to show, with and without what is put around them (`P4$$word26!`)."""
    folded = text.casefold()
    inner = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded)
    return {re.sub(r"[^a-z]", "", each.translate(LEET)) for each in (folded, inner)}


def _is_row(plain: str) -> bool:
    """Say whether letters or digits just follow each other: 1234567890123, abcdefghijklm."""
    steps = [(ord(after) - ord(before)) % 10 in (1, 9) for before, after in itertools.pairwise(plain)]
    return sum(steps) >= len(steps) - 1


def _normal(password: str) -> str:
    """Return a password in the one form that all keyboards agree on (NFKC, as RFC 8265 does)."""
    return unicodedata.normalize("NFKC", password)
