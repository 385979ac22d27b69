"""The notebook of a session."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from physlab.collab.audit import Event
from physlab.errors import AccessError, ConfigurationError, ValidationError
from physlab.model.notebook import Name, Source
from physlab.notebook.book import Page, open_book
from physlab.notebook.search import search
from physlab.notebook.signatures import sign_entry
from physlab.notebook.writing import Draft, remark, revise, write
from physlab.portal.bodies import NewEntry, NewKey, Revision, Said, Signature
from physlab.portal.gate import Asker, find_guest
from physlab.portal.problems import UNSEEN
from physlab.portal.turns import Turn, takes_long
from physlab.service.notebook.pages import entry_html, make_pdf, make_sheet, voices
from physlab.service.notebook.people import owned_by, register_of
from physlab.versioning.labels import may_leave

router = APIRouter(tags=["notebook"], route_class=Turn)
Ask = Annotated[Asker, Depends(find_guest)]
Limit = Annotated[int, Query(ge=1, le=200)]
_ID = re.compile(r"[0-9a-f]{32}")


@router.get("/sessions/{session}/notebook")
def entries(session: Name, ask: Ask) -> dict[str, Any]:
    """List the entries, the oldest first, each in its last revision."""
    scope = ask.may("notebook.read", session)
    pages = open_book(ask.desk.commons.store, session).latest()
    return {"entries": [_brief(ask, page) for page in pages if _is_in(scope, page)]}


@router.get("/sessions/{session}/notebook/{entry}")
def entry(session: Name, entry: str, ask: Ask) -> dict[str, Any]:
    """Return an entry: what it says, remarks, signatures; `ID@2` is its second revision."""
    return _told(ask, _page(ask, "notebook.read", session, entry))


@router.post("/sessions/{session}/notebook", status_code=201)
def add(session: Name, body: NewEntry, ask: Ask) -> dict[str, Any]:
    """Write an entry; files are named by their digests and must belong to the session."""
    ask.may("notebook.write", session)
    return _kept(ask, session, body, None, "")


@router.post("/sessions/{session}/notebook/{entry}/revisions", status_code=201)
def add_revision(session: Name, entry: str, body: Revision, ask: Ask) -> dict[str, Any]:
    """Revise an entry; refused when somebody else did so meanwhile."""
    page = _page(ask, "notebook.write", session, entry)
    if page.record != body.revises:
        raise ValidationError(
            f"The entry has revision {page.entry.revision} meanwhile.", hint="Read it again, then revise that one."
        )
    return _kept(ask, session, body, page, body.reason)


@router.post("/sessions/{session}/notebook/{entry}/remarks", status_code=201)
def add_remark(session: Name, entry: str, body: Said, ask: Ask) -> dict[str, Any]:
    """Comment on an entry; whoever may write may also approve it or request changes."""
    page = _page(ask, "notebook.comment" if body.word == "comment" else "notebook.write", session, entry)
    if ask.who.person is None and body.word != "comment":
        raise AccessError("A review needs an account.", hint="Sign in, then open the link again.")
    said = remark(ask.desk.commons.store, page, ask.who.name.replace(":", "."), body.text, body.word)
    return said.model_dump(mode="json")


@router.get(
    "/sessions/{session}/notebook/{entry}/pdf",
    responses={200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}},
)
@takes_long
def printed(session: Name, entry: str, ask: Ask) -> Response:
    """Return an entry as PDF/A-3 with the seal of the lab."""
    page = _page(ask, "notebook.read", session, entry)
    _refuse_held(ask, page)
    store = ask.desk.commons.store
    names = _names(ask, *voices(open_book(store, session).revisions(page.entry.entry_id)))
    pdf, _ = make_pdf(store, ask.desk.settings, [page], names)
    name = f"{page.entry.entry_id}-r{page.entry.revision}.pdf"
    return Response(
        pdf, media_type="application/pdf", headers={"content-disposition": f'attachment; filename="{name}"'}
    )


@router.get(
    "/sessions/{session}/notebook/{entry}/sheet",
    responses={
        200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "It is the one that the asker has."},
    },
)
@takes_long
def sheet(session: Name, entry: str, request: Request, ask: Ask) -> Response:
    """Return small pictures of all files of an entry, as one picture."""
    page = _page(ask, "notebook.read", session, entry)
    _refuse_held(ask, page)
    headers = {"etag": f'"{page.record}"', "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(make_sheet(ask.desk.commons.store, page.entry.attachments), media_type="image/png", headers=headers)


@router.get("/sessions/{session}/notebook/{entry}/html")
def rendered(session: Name, entry: str, ask: Ask) -> dict[str, Any]:
    """Return an entry as safe HTML: formulas and pictures are in it, and nothing in it is active."""
    page = _page(ask, "notebook.read", session, entry)
    _refuse_held(ask, page)
    html, problems = entry_html(ask.desk.commons.store, page, _names(ask, *voices([page])))
    return {"html": html, "problems": problems}


@router.get("/sessions/{session}/search")
def find(session: Name, ask: Ask, q: Annotated[str, Query(max_length=1000)], limit: Limit = 20) -> dict[str, Any]:
    """Search the notebook: words, "phrases", tag:, author:, since:, until:."""
    scope = ask.may("notebook.read", session)
    found = search([open_book(ask.desk.commons.store, session)], q, limit=limit)
    return {"entries": [{**_brief(ask, hit.page), "snippet": hit.text} for hit in found if _is_in(scope, hit.page)]}


@router.post("/sessions/{session}/notebook/{entry}/signatures", status_code=201)
def sign(session: Name, entry: str, body: Signature, ask: Ask) -> dict[str, Any]:
    """Sign an entry with one's own key."""
    page = _page(ask, "notebook.sign", session, entry)
    try:
        secret = owned_by(ask.desk.settings).unlock(ask.person, body.passphrase)
    except ConfigurationError as error:
        raise ValidationError("You have no key to sign with.", hint="Make one: POST /api/v1/keys") from error
    made = sign_entry(ask.desk.commons.store, page, ask.person, secret, body.meaning)
    return made.model_dump(mode="json")


@router.get("/keys")
def keys(ask: Ask) -> dict[str, Any]:
    """List the public keys that one signs with."""
    known = register_of(ask.desk.settings).of(ask.person)
    return {"keys": [{"id": one.public.id, "key": one.public.line, "since": one.since, "until": one.until}
                     for one in known]}  # fmt: skip


@router.post("/keys", status_code=201)
def add_key(body: NewKey, ask: Ask) -> dict[str, Any]:
    """Make the key that one signs with; the lab keeps it locked, and only the passphrase opens it."""
    ask.desk.people.visits.require_fresh(ask.seat())
    made = owned_by(ask.desk.settings).init(ask.person, body.passphrase)
    ask.desk.notes.note(Event(ask.who.name, "key.make", None, made.public.id))
    return {"id": made.public.id, "key": made.public.line, "since": made.since}


def _refuse_held(ask: Asker, page: Page) -> None:
    """Refuse to show what is labelled not to leave the lab.

    Raises:
        AccessError: A file of the entry is.
    """
    held = may_leave(ask.desk.commons.store)
    for item in page.entry.attachments:
        why = held(item.sha256)
        if why is not None:
            raise AccessError(f"{item.name} does not leave the lab: {why}.", hint="Ask who labelled it.")


def _page(ask: Asker, action: str, session: str, entry: str) -> Page:
    scope = ask.may(action, session, entry[:70])
    try:
        page = open_book(ask.desk.commons.store, session).find(entry)
    except ValidationError as error:
        raise UNSEEN from error
    if not _is_in(scope, page):
        raise UNSEEN
    return page


def _is_in(scope: dict[str, Any] | None, page: Page) -> bool:
    """Say whether an entry is shown: of a bundle those that speak of its runs."""
    return scope is None or bool({source.run_id for source in page.entry.sources} & set(scope.get("runs", [])))


def _kept(ask: Asker, session: str, body: NewEntry, before: Page | None, reason: str) -> dict[str, Any]:
    commons = ask.desk.commons
    commons.contents.catch_up()
    sources = []
    for name in body.runs:
        row = commons.contents.run(session, name)
        if row is None:
            raise ValidationError(f"The session has no run '{name}'.", hint=f"See: GET /sessions/{session}/runs")
        sources.append(Source(record=row["record"], run_id=name))
    with tempfile.TemporaryDirectory(prefix="physlab-entry-") as folder:
        files = [
            _file(ask, session, digest, Path(folder) / str(number)) for number, digest in enumerate(body.artifacts)
        ]
        draft = Draft(
            title=body.title, author=ask.person, content=body.content, conclusions=body.conclusions,
            tools_used=body.tools_used, tags=body.tags, files=files, runs=sources, template=body.template,
        )  # fmt: skip
        page = write(commons.store, session, draft) if before is None else revise(commons.store, before, draft, reason)
    return _told(ask, page)


def _file(ask: Asker, session: str, digest: str, folder: Path) -> Path:
    """Return a file of a session under its own name."""
    commons = ask.desk.commons
    held = commons.contents.holds(session, digest)
    if held is None or may_leave(commons.store)(digest) is not None or not commons.store.check_blobs([digest]):
        raise ValidationError(
            f"The session has no file {digest[:12]}….", hint=f"Add it first: POST /sessions/{session}/artifacts"
        )
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "_", held.name)
    target = folder / (name[-60:] if name.strip(". ") else "file")  # a name leads nowhere else
    commons.store.blobs.export(digest, target)
    return target


def _names(ask: Asker, *people: str) -> dict[str, str]:
    """Return what people are called whom the records tell by their ids; who spoke at the command line has a name."""
    ids = [one for one in dict.fromkeys(people) if _ID.fullmatch(one)]
    return dict(ask.desk.people.accounts.names_of(ids)) if ids else {}


def _state(page: Page, names: Mapping[str, str]) -> str:
    """Return the state of a revision, with the name of who is to sign it."""
    return page.state.replace(page.awaits, names.get(page.awaits, page.awaits)) if page.awaits else page.state


def _brief(ask: Asker, page: Page) -> dict[str, Any]:
    entry = page.entry
    names = _names(ask, entry.author, page.awaits)
    return {
        "author_name": names.get(entry.author, entry.author),
        "entry_id": entry.entry_id, "revision": entry.revision, "record": page.record, "title": entry.title,
        "author": entry.author, "at": entry.at, "tags": entry.tags, "state": _state(page, names),
        "attachments": len(entry.attachments), "signatures": len(page.signatures), "remarks": len(page.remarks),
    }  # fmt: skip


def _told(ask: Asker, page: Page) -> dict[str, Any]:
    names = _names(ask, *voices([page]))
    return {
        "names": names,
        **page.entry.model_dump(mode="json"), "record": page.record, "state": _state(page, names),
        "remarks": [item.model_dump(mode="json") for item in page.remarks],
        "signatures": [item.model_dump(mode="json") for item in page.signatures],
    }  # fmt: skip
