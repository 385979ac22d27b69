"""The tables of people, sessions, links and the audit log.

Nothing in them opens anything: passwords, links, cookies, tokens and recovery codes are kept as hashes, and what names
a person is sealed with a key of that person, so that destroying the key makes it unreadable everywhere.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)  # fmt: skip

metadata = MetaData()
ID = String(32)
AT = BigInteger
"""A moment: microseconds since 1970, UTC."""
HASH = String(64)


def _person() -> Column[str]:
    return Column("person", ID, ForeignKey("persons.id"), nullable=False, index=True)


persons = Table(
    "persons", metadata,
    Column("id", ID, primary_key=True),
    Column("login", String(64), nullable=False, unique=True),
    Column("mail_hash", HASH, unique=True),
    Column("sealed", LargeBinary),  # name and mail, with `key`
    Column("key", LargeBinary),  # gone when the person is erased
    Column("password", Text),  # argon2id, encoded
    Column("state", String(16), nullable=False),  # active, disabled, erased
    Column("administrator", Boolean, nullable=False),
    Column("created_at", AT, nullable=False),
    Column("changed_at", AT, nullable=False),  # of password or state: what was opened before is closed
    Column("seen_at", AT),
)  # fmt: skip

identities = Table(  # of a person at an institute that signs people in
    "identities", metadata,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    _person(),
    Column("created_at", AT, nullable=False),
)  # fmt: skip

factors = Table(
    "factors", metadata,
    Column("id", ID, primary_key=True),
    _person(),
    Column("kind", String(16), nullable=False),  # totp, passkey
    Column("label", String(80), nullable=False),
    Column("secret", LargeBinary),  # totp: sealed with the lab's key
    Column("credential", LargeBinary, unique=True),  # passkey
    Column("public", LargeBinary),
    Column("counter", BigInteger, nullable=False),  # passkey: as its device tells
    Column("confirmed", Boolean, nullable=False),
    Column("created_at", AT, nullable=False),
    Column("used_at", AT),
)  # fmt: skip

steps = Table(  # of authenticator codes: each is taken once
    "steps", metadata,
    Column("factor", ID, ForeignKey("factors.id", ondelete="CASCADE"), primary_key=True),
    Column("step", BigInteger, primary_key=True),
)  # fmt: skip

recovery_codes = Table(
    "recovery_codes", metadata,
    Column("hash", HASH, primary_key=True),
    _person(),
    Column("used_at", AT),
)  # fmt: skip

challenges = Table(  # of passkeys, of invitations to set a password, of an institute's sign-in: each is taken once
    "challenges", metadata,
    Column("hash", HASH, primary_key=True),
    Column("purpose", String(32), nullable=False),
    Column("person", ID, ForeignKey("persons.id")),
    Column("bound_to", HASH),  # hash of the cookie that it was given to
    Column("content", LargeBinary),
    Column("expires_at", AT, nullable=False, index=True),
)  # fmt: skip

failures = Table(
    "failures", metadata,
    Column("source", String(80), primary_key=True),  # hash of an account's name, or of an address
    Column("failed", Integer, nullable=False),
    Column("last_at", AT, nullable=False, index=True),
    Column("until", AT, nullable=False),
)  # fmt: skip

visits = Table(  # what a cookie stands for: a person who signed in, or whoever opened a link
    "visits", metadata,
    Column("hash", HASH, primary_key=True),
    Column("person", ID, ForeignKey("persons.id"), index=True),
    Column("link", ID, ForeignKey("links.id"), index=True),
    Column("created_at", AT, nullable=False),
    Column("seen_at", AT, nullable=False),
    Column("expires_at", AT, nullable=False, index=True),
    Column("proved_at", AT),  # when a second factor was shown
    Column("agent", String(200), nullable=False),
)  # fmt: skip

tokens = Table(  # for programs of a person
    "tokens", metadata,
    Column("id", ID, primary_key=True),
    Column("hash", HASH, nullable=False, unique=True),
    _person(),
    Column("label", String(80), nullable=False),
    Column("reads_only", Boolean, nullable=False),
    Column("created_at", AT, nullable=False),
    Column("expires_at", AT, nullable=False),
    Column("used_at", AT),
    Column("uses", BigInteger, nullable=False),
    Column("revoked_at", AT),
)  # fmt: skip

sessions = Table(
    "sessions", metadata,
    Column("name", String(128), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("created_at", AT, nullable=False),
    Column("created_by", ID, ForeignKey("persons.id"), nullable=False),
    Column("closed_at", AT),
)  # fmt: skip

links = Table(
    "links", metadata,
    Column("id", ID, primary_key=True),
    Column("hash", HASH, nullable=False, unique=True),
    Column("session", String(128), ForeignKey("sessions.name"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("label", String(200), nullable=False),
    Column("maker", ID, ForeignKey("persons.id"), nullable=False, index=True),
    Column("recipient", HASH),  # hash of the mail address that it is for; unset: whoever has it
    Column("sealed", LargeBinary),  # that address, with the lab's key
    Column("bundle", Text),  # what of the session it shows, as JSON; unset: all
    Column("created_at", AT, nullable=False),
    Column("expires_at", AT, nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("used_at", AT),
    Column("revoked_at", AT),
)  # fmt: skip

members = Table(
    "members", metadata,
    Column("session", String(128), ForeignKey("sessions.name"), primary_key=True),
    Column("person", ID, ForeignKey("persons.id"), primary_key=True, index=True),
    Column("role", String(16), nullable=False),
    Column("by", ID, nullable=False),
    Column("link", ID, ForeignKey("links.id")),  # that let them in: with it their membership ends
    Column("since", AT, nullable=False),
    Column("expires_at", AT),
    Column("used_at", AT),
)  # fmt: skip

contents = Table(  # which files belong to which session, as the ledger tells
    "contents", metadata,
    Column("session", String(128), primary_key=True),
    Column("sha256", HASH, primary_key=True),
    Column("run_id", String(64), primary_key=True),  # or the digest of the record that holds it
    Column("node_id", String(128), primary_key=True),
    Column("name", Text, nullable=False),
    Column("media_type", String(128), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("at", String(40), nullable=False),
)  # fmt: skip
Index("contents_digest", contents.c.sha256, contents.c.session)

runs = Table(  # of each session, as the ledger tells
    "session_runs", metadata,  # the index has `runs`, and may share the database
    Column("run_id", String(64), primary_key=True),
    Column("session", String(128), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("record", HASH, nullable=False),
    Column("dag_id", String(16), nullable=False),
    Column("title", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", String(40), nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("total", Integer, nullable=False),
    Column("cached", Integer, nullable=False),
)  # fmt: skip
Index("runs_session", runs.c.session, runs.c.seq)

marks = Table(  # how far the ledger was read
    "marks", metadata,
    Column("name", String(32), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("record", HASH, nullable=False),
)  # fmt: skip

audit = Table(
    "audit", metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", AT, nullable=False, index=True),
    Column("who", String(64), nullable=False, index=True),
    Column("action", String(64), nullable=False, index=True),
    Column("session", String(128), index=True),
    Column("object", String(255), index=True),
    Column("line", LargeBinary, nullable=False),  # all of it as canonical JSON: what is hashed
    Column("head", HASH, nullable=False),  # of the chain up to here
)  # fmt: skip

audit_state = Table(  # one row: what the next entry follows, and the peaks of the Merkle tree
    "audit_state", metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("head", HASH, nullable=False),
    Column("peaks", LargeBinary, nullable=False),
)  # fmt: skip
