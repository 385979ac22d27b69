"""Codes of authenticator apps (TOTP, RFC 6238): six digits, 30 seconds, HMAC-SHA-1, each taken once.

The secret is made here and read from the database alone: no request ever brings it.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event, Trail
from physlab.collab.database import MICRO, Database, new_id
from physlab.collab.people.factors import label_of
from physlab.collab.people.sealed import seal, unseal
from physlab.errors import ValidationError

STEP_S, WINDOW = 30, 1
MOST = 5
"""A person has so many authenticator apps at most."""
KIND = "totp"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app is given, once; it counts when a code of it was shown.

    Attributes:
        factor: Names it.
        secret: Base32.
        uri: `otpauth://…`: all that an app needs.
    """

    factor: str
    secret: str
    uri: str

    def svg(self) -> str:
        """Return the QR code of it, for a page."""
        import segno

        out = io.BytesIO()
        segno.make(self.uri, error="m", micro=False).save(out, kind="svg", scale=4, border=4, xmldecl=False)
        return out.getvalue().decode()


class Totp:
    """Authenticator apps of people.

    Args:
        database: Of people.
        trail: Its audit log.
        issuer: What the app shows beside the login: the lab's name.
    """

    def __init__(self, database: Database, trail: Trail, issuer: str = "physlab") -> None:
        self.database, self.trail, self.issuer = database, trail, issuer

    def enrol(self, person: str, login: str, label: str, *, by: str) -> Enrolment:
        """Make a secret for an app; it counts from `confirm` on. What was not confirmed before is forgotten.

        Raises:
            ValidationError: The label cannot be one, or the person has enough of them.
        """
        import pyotp

        table, now = schema.factors, self.database.clock.now()
        secret, factor, label = pyotp.random_base32(32), new_id(), label_of(label)
        mine = sa.and_(table.c.person == person, table.c.kind == KIND)
        with self.database.writing() as connection:
            connection.execute(table.delete().where(mine, sa.not_(table.c.confirmed)))
            if (connection.execute(sa.select(sa.func.count()).where(mine)).scalar() or 0) >= MOST:
                raise ValidationError(
                    f"There are {MOST} authenticator apps already.",
                    hint="Take one away first: physlab people factor list LOGIN",
                )
            row = {
                "id": factor, "person": person, "kind": KIND, "label": label, "counter": 0, "confirmed": False,
                "secret": seal(self.database.key, secret.encode(), factor), "created_at": now,
            }  # fmt: skip
            connection.execute(table.insert().values(row))
            self.trail.add(connection, Event(by, "factor.add", object=person, told={"factor": factor, "kind": KIND}))
        uri = pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=self.issuer)
        return Enrolment(factor, secret, uri)

    def confirm(self, connection: sa.Connection, person: str, factor: str, code: str) -> bool:
        """Let an app count from now on, in a transaction, if it shows the right code; say whether it did."""
        table = schema.factors
        mine = sa.and_(table.c.id == factor, table.c.person == person, table.c.kind == KIND)
        rows = connection.execute(sa.select(table).where(mine, sa.not_(table.c.confirmed)).with_for_update()).all()
        if not self._take_one(connection, rows, code):
            return False
        connection.execute(table.update().where(mine).values(confirmed=True))
        self.trail.add(connection, Event(person, "factor.confirm", object=person, told={"factor": factor}))
        return True

    def take(self, connection: sa.Connection, person: str, code: str) -> bool:
        """Take a code of a person's apps in a transaction: right, within a step of now, and never taken before."""
        table = schema.factors
        wanted = sa.select(table).where(table.c.person == person, table.c.kind == KIND, table.c.confirmed)
        return self._take_one(connection, connection.execute(wanted.order_by(table.c.id)).all(), code)

    def _take_one(self, connection: sa.Connection, rows: Any, code: str) -> bool:
        plain = re.sub(r"[ \-]", "", code[:20])
        if not re.fullmatch(r"[0-9]{6}", plain):
            return False
        for row in rows:
            step = self._step(row, plain)
            if step is not None and self._use(connection, row.id, step):
                return True
        return False

    def _step(self, row: sa.Row[Any], code: str) -> int | None:
        """Return the step that a code belongs to, None for a wrong one."""
        import pyotp
        from pyotp.exceptions import OTPVerificationError

        secret = unseal(self.database.key, row.secret, row.id).decode()
        try:
            now_s = self.database.clock.now() // MICRO
            return pyotp.TOTP(secret).verify_and_get_timecode(code, for_time=now_s, valid_window=WINDOW)
        except OTPVerificationError:
            return None

    def _use(self, connection: sa.Connection, factor: str, step: int) -> bool:
        """Say whether a step was not taken yet; it is now."""
        table, now = schema.steps, self.database.clock.now()
        connection.execute(table.delete().where(table.c.factor == factor, table.c.step < step - 2 * 3600 // STEP_S))
        try:
            with connection.begin_nested():
                connection.execute(table.insert().values(factor=factor, step=step))
        except sa.exc.IntegrityError:
            return False
        connection.execute(schema.factors.update().where(schema.factors.c.id == factor).values(used_at=now))
        return True
