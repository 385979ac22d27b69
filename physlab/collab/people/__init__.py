"""People: their accounts, every proof of who somebody is, and what stands for them afterwards."""

from physlab.collab.people.accounts import Accounts, Newcomer, Person
from physlab.collab.people.desk import People, open_database, open_people
from physlab.collab.people.passkeys import RelyingParty
from physlab.collab.people.tokens import Bearer
from physlab.collab.people.visits import Visit

__all__ = [
    "Accounts",
    "Bearer",
    "Newcomer",
    "People",
    "Person",
    "RelyingParty",
    "Visit",
    "open_database",
    "open_people",
]
