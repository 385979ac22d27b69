"""A lab that is served in this process, with everybody who may ask it something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
import sqlalchemy as sa
from starlette.testclient import TestClient

from physlab.collab import schema
from physlab.collab.access import Who
from physlab.collab.commons import Commons, open_commons
from physlab.collab.database import MICRO, Database
from physlab.collab.people import People
from physlab.collab.people.passwords import Passwords
from physlab.lab import Lab
from physlab.model import RunRecord, RunRequest
from physlab.portal.app import API, make_app
from physlab.service import Conductor, carry_out
from tests.unit.collab.conftest import StillClock
from tests.unit.conftest import node, open_lab

ORIGIN = "http://127.0.0.1:8460"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of the tests
SESSION, OTHER = "hydrogen", "helium"
MEMBERS = ("viewer", "commenter", "editor", "admin", "owner")


@dataclass
class Asking:
    """Somebody with a browser or a program.

    Attributes:
        http: Their requests.
        csrf: What their pages send.
    """

    http: TestClient
    csrf: str = ""

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Ask; return the response."""
        headers = {"origin": ORIGIN, "x-csrf-token": self.csrf, **more.pop("headers", {})}
        given = {"json": body} if isinstance(body, dict) else {"content": body} if body is not None else {}
        return self.http.request(
            method, path if path.startswith("/") else f"{API}/{path}", headers=headers, **given, **more
        )


@dataclass
class Stage:
    """The lab, and who there is.

    Attributes:
        lab: The lab.
        commons: What is shared.
        people: Accounts.
        clock: Stands still.
        app: What answers.
        ids: Persons by what they are called here.
        run: A run of the session.
        file: A file of that run: its SHA-256.
        entry: An entry of the notebook: its id.
        record: Its record.
        code: Sets somebody's first password.
        links: Ids of links by their role.
    """

    lab: Lab
    commons: Commons
    people: People
    clock: StillClock
    app: Any
    ids: dict[str, str] = field(default_factory=dict)
    run: str = ""
    file: str = ""
    entry: str = ""
    record: str = ""
    code: str = ""
    links: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def who(self, name: str) -> Who:
        """Return a person as access is decided; they have just shown a second factor."""
        return Who(self.ids[name], proved_at=self.clock.now())

    def stranger(self) -> Asking:
        """Return somebody who shows nothing."""
        return Asking(TestClient(self.app, base_url=ORIGIN, raise_server_exceptions=False))

    def signed_in(self, name: str) -> Asking:
        """Return a person who just signed in with both factors."""
        with self.commons.database.writing() as connection:
            cookie = self.people.visits.open_visit(connection, person=self.ids[name], proved=True)
        return self._with(cookie)

    def guest(self, role: str) -> Asking:
        """Return whoever opened the session's link of a role."""
        with self.commons.database.writing() as connection:
            cookie = self.people.visits.open_visit(connection, link=self.links[role])
        return self._with(cookie)

    def _with(self, cookie: str) -> Asking:
        asking = self.stranger()
        asking.http.cookies.set("physlab", cookie)
        asking.csrf = asking("GET", "me").json()["csrf"]
        return asking

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Undo afterwards whatever happens to the database, so that every request meets the same state."""
        engine = self.commons.database.engine
        saved = {}
        with engine.connect() as connection:
            for table in schema.metadata.sorted_tables:
                saved[table] = [dict(row._mapping) for row in connection.execute(table.select())]
        yield
        with self.commons.database.writing() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(table.delete())
            for table in schema.metadata.sorted_tables:
                if saved[table]:
                    connection.execute(table.insert(), saved[table])

    def program(self, name: str, *, reads_only: bool) -> Asking:
        """Return a program with a token of a person."""
        token, _ = self.people.tokens.add(self.ids[name], "test", 30, reads_only=reads_only)
        asking = self.stranger()
        asking.http.headers["authorization"] = f"Bearer {token}"
        return asking


@contextmanager
def set_stage(folder: Path, **settings: Any) -> Iterator[Stage]:
    """Serve a lab with one run, one entry, and somebody in every role."""
    clock = StillClock()
    with open_lab(folder, **settings) as lab:
        commons = open_commons(lab.settings.home, lab.store, lab.settings.collaboration.database_url, clock)
        if commons.database.is_file:
            _do_not_wait_for_the_disk(commons.database)
        people = People(commons.database, commons.trail)
        people.passwords = people.door.passwords = Passwords(people.accounts, passes=1, memory_kib=64)
        app = make_app(lab.settings, commons, people)
        stage = Stage(lab, commons, people, clock, app)
        _fill(stage)
        yield stage
        app.state.desk.notes.close()
        people.close()
        commons.close()


def _do_not_wait_for_the_disk(database: Database) -> None:
    """Make a test's database quick; what is lost when the machine dies is nobody's."""
    database.engine.dispose()
    sa.event.listen(
        database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF") and None
    )


def _fill(stage: Stage) -> None:
    for name in (*MEMBERS, "stranger", "foreign"):
        stage.ids[name] = stage.people.accounts.create(name, f"{name.title()} Person", f"{name}@example.org").id
    stage.ids["administrator"] = stage.people.accounts.create("root", "Root", administrator=True).id
    _add_factor(stage, "administrator")
    for name in stage.ids:
        stage.people.passwords.set_by_code(stage.people.passwords.make_code(stage.ids[name]), PASSWORD)
    stage.commons.sessions.begin(stage.who("owner"), SESSION, "The hydrogen atom")
    stage.commons.sessions.begin(stage.who("foreign"), OTHER)
    for name in MEMBERS[:-1]:
        stage.commons.sessions.admit(stage.who("owner"), SESSION, stage.ids[name], name)
    for role in MEMBERS[:3]:
        end = stage.clock.now() + 90 * 24 * 3600 * MICRO
        stage.links[role], stage.tokens[role] = stage.commons.links.make(stage.who("owner"), SESSION, role, end)
    record = run(stage, SESSION)
    stage.run = record.run_id
    stage.commons.contents.catch_up()
    stage.file = stage.commons.contents.listed(SESSION)[0].sha256
    made = stage.signed_in("owner")(
        "POST", f"sessions/{SESSION}/notebook", {"title": "First light", "runs": [stage.run], "artifacts": [stage.file]}
    )
    assert made.status_code == 201, made.text
    stage.entry, stage.record = made.json()["entry_id"], made.json()["record"]
    stage.code = stage.people.passwords.make_code(stage.ids["stranger"])


def _add_factor(stage: Stage, name: str) -> None:
    """Give a person an authenticator app."""
    made = stage.people.totp.enrol(stage.ids[name], name, "phone", by=stage.ids[name])
    code = pyotp.TOTP(made.secret).at(stage.clock.now() // MICRO)
    with stage.commons.database.writing() as connection:
        assert stage.people.totp.confirm(connection, stage.ids[name], made.factor, code)


def run(stage: Stage, session: str, *more: str) -> RunRecord:
    """Run a graph that writes files, in a session."""
    nodes = [node("curve", "draw", write=["static", *more])]
    named = stage.lab.read({"metadata": {"title": "A curve"}, "nodes": nodes}, stage.lab.settings.home)
    return carry_out(stage.lab, named, RunRequest(session=session), Conductor())
