"""What people are called whom records tell by their ids, and the id of whom the command line calls by a login."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson

from physlab.collab.audit import Trail
from physlab.collab.database import FILE
from physlab.collab.people.accounts import Accounts, Person
from physlab.collab.people.desk import open_database
from physlab.settings import Settings

_ID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")


def account_of(settings: Settings, login: str) -> Person | None:
    """Return the account of whom the command line calls by a login, a mail address or an id; None where there is none.

    Raises:
        StoreError: The database cannot be reached.
    """
    with _accounts(settings) as accounts:
        return None if accounts is None else accounts.at_the_machine(login)


def people_in(settings: Settings, told: object) -> dict[str, Person]:
    """Return the people of this lab whose ids stand in a text, or anywhere in what is JSON.

    Raises:
        StoreError: The database cannot be reached.
    """
    text = told if isinstance(told, str) else orjson.dumps(told, default=str).decode()
    ids = set(_ID.findall(text))
    if not ids:
        return {}
    with _accounts(settings) as accounts:
        return {} if accounts is None else {person.id: person for person in accounts.those(ids)}


def with_names(text: str, people: Mapping[str, Person]) -> str:
    """Return a text with the names of people in the place of their ids."""
    return _ID.sub(lambda match: people[match[0]].name if match[0] in people else match[0], text)


def named(told: Any, people: Mapping[str, Person]) -> Any:
    """Return what is JSON with the names of people in the place of their ids, to be shown."""
    if isinstance(told, dict):
        return {name: named(value, people) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return [named(value, people) for value in told]
    return with_names(told, people) if isinstance(told, str) else told


def with_logins(text: str, people: Mapping[str, Person]) -> str:
    """Return a text with their logins in the place of their ids, so that a command in it can be typed."""
    return _ID.sub(lambda match: _login(people[match[0]]) if match[0] in people else match[0], text)


def _login(person: Person) -> str:
    return person.login or person.name


@contextmanager
def _accounts(settings: Settings) -> Iterator[Accounts | None]:
    """Open the accounts of a lab; None where nobody ever made one: looking makes no database."""
    if settings.collaboration.database_url is None and not (settings.home / "collab" / FILE).exists():
        yield None
        return
    with open_database(settings) as database:
        yield Accounts(database, Trail(database))
