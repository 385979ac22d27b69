"""People of the lab: for administrators, who showed their second factor a moment ago."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from physlab.collab.people.course import admit, read_course
from physlab.collab.people.erasure import erase
from physlab.portal.bodies import Course, NewPerson
from physlab.portal.gate import Asker, find_guest
from physlab.portal.turns import Turn

router = APIRouter(tags=["people"], route_class=Turn)
Ask = Annotated[Asker, Depends(find_guest)]


@router.get("/people")
def people(ask: Ask) -> dict[str, Any]:
    """List all accounts."""
    ask.administer("person.list")
    return {"people": [one.as_json() for one in ask.desk.people.accounts.list()]}


@router.post("/people", status_code=201)
def add_person(body: NewPerson, ask: Ask) -> dict[str, Any]:
    """Make an account; the code in the answer sets its first password, once."""
    by = ask.administer("person.add")
    accounts = ask.desk.people.accounts
    person = accounts.create(body.login, body.name, body.mail, administrator=body.administrator, by=by)
    return {**person.as_json(), "code": ask.desk.people.passwords.make_code(person.id, by=by)}


@router.post("/people/course", status_code=201)
def add_people(body: Course, ask: Ask) -> dict[str, Any]:
    """Make many accounts from a table (CSV): all of them, or none with every problem told by its line."""
    by = ask.administer("person.add")
    newcomers = read_course(ask.desk.people, body.csv)
    if body.dry_run:
        return {"people": [{"login": one.login, "name": one.name, "mail": one.mail} for one in newcomers]}
    made = admit(ask.desk.people, newcomers, by=by)
    return {"people": [{**one.person.as_json(), "code": one.code} for one in made]}


@router.get("/people/{person}")
def person(person: str, ask: Ask) -> dict[str, Any]:
    """Return an account."""
    ask.administer("person.list", person[:64])
    return ask.desk.people.accounts.get(person).as_json()


@router.post("/people/{person}/disable")
def disable(person: str, ask: Ask) -> dict[str, Any]:
    """Let a person in no more; everything that they opened is closed."""
    by = ask.administer("person.disable", person[:64])
    return ask.desk.people.accounts.disable(person, by=by).as_json()


@router.post("/people/{person}/enable")
def enable(person: str, ask: Ask) -> dict[str, Any]:
    """Let a person in again."""
    by = ask.administer("person.enable", person[:64])
    return ask.desk.people.accounts.enable(person, by=by).as_json()


@router.post("/people/{person}/password")
def password(person: str, ask: Ask) -> dict[str, Any]:
    """Make a code that sets a new password, once."""
    by = ask.administer("person.password", person[:64])
    return {"code": ask.desk.people.passwords.make_code(person, by=by)}


@router.delete("/people/{person}")
def erase_person(person: str, ask: Ask) -> dict[str, Any]:
    """Erase a person: what names them is unreadable everywhere from now on; what they did stays, by their id."""
    by = ask.administer("person.erase", person[:64])
    erase(ask.desk.people.accounts, person, by=by)
    return {"erased": person}


@router.get("/audit")
def audit(
    ask: Ask, limit: Annotated[int, Query(ge=1, le=1000)] = 100, before: int | None = None, person: str | None = None,
    action: str | None = None, thing: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Say who did what in the whole lab, the latest first."""
    ask.administer("audit.read")
    return {"entries": ask.desk.commons.trail.read(limit=limit, before=before, who=person, action=action, thing=thing)}


@router.post("/audit/checkpoint")
def checkpoint(ask: Ask) -> dict[str, Any]:
    """Sign what the audit log is now; whoever keeps the answer finds what is changed later."""
    from physlab.collab.audit.checkpoints import make_checkpoint

    ask.administer("audit.checkpoint")
    made = make_checkpoint(ask.desk.commons.database)
    return {"size": made.size, "root": made.root.hex(), "checkpoint": made.text}
