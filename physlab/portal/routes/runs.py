"""Runs, graphs and files of a session."""

from __future__ import annotations

import mimetypes
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from physlab.collab.contents import Held
from physlab.errors import AccessError
from physlab.model import NodeRecord, RunRecord
from physlab.model.notebook import Name
from physlab.portal.gate import Asker, find_guest
from physlab.portal.problems import UNSEEN
from physlab.portal.turns import Turn, takes_long
from physlab.service.sharing.bundles import SUFFIX, fetch_bundle
from physlab.transfer.serving import file_answer
from physlab.versioning.labels import may_leave
from physlab.versioning.register import Named, Wish, register

router = APIRouter(tags=["runs and files"], route_class=Turn)
Ask = Annotated[Asker, Depends(find_guest)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Digest = Annotated[str, Query(pattern=r"^[0-9a-f]{64}$")]
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PLACE = re.compile(r"([0-9a-f]{64}),([^,]{0,64}),(.{0,128})")


@router.get("/sessions/{session}/runs")
def runs(session: Name, ask: Ask, limit: Limit = 100, before: int | None = None) -> dict[str, Any]:
    """List the runs of a session, the latest first; go on with `before` = the last one's `seq`."""
    scope = ask.may("run.see", session)
    contents = ask.desk.commons.contents
    contents.catch_up()
    return {"runs": contents.runs(session, limit, before, None if scope is None else scope.get("runs", []))}


@router.get("/sessions/{session}/runs/{run}")
def run(session: Name, run: str, ask: Ask) -> dict[str, Any]:
    """Return a run: its nodes, what became of each, and its origin."""
    return _run(ask, session, run).brief()


@router.get("/sessions/{session}/runs/{run}/nodes/{node}")
def node(session: Name, run: str, node: str, ask: Ask) -> dict[str, Any]:
    """Return what a node was asked, from what, by which code, and what it gave."""
    record = _run(ask, session, run)
    found = next((one for one in record.nodes if one.id == node), None)
    if found is None:
        raise UNSEEN
    told: dict[str, Any] = {"node_id": node, "status": found.status, "error": found.error}
    if found.record is not None:
        made = NodeRecord.model_validate(ask.desk.commons.store.record(found.record))
        told |= made.model_dump(mode="json") | {"record": found.record}
    return told


@router.get("/sessions/{session}/runs/{run}/graph")
def graph(session: Name, run: str, ask: Ask) -> dict[str, Any]:
    """Return the graph of a run, as it was written."""
    from physlab.store import schema

    record, store = _run(ask, session, run), ask.desk.commons.store
    table = schema.dags
    rows = store.index.rows(table.select().where(table.c.dag_id == record.dag_id).order_by(table.c.seq.desc()).limit(1))
    if not rows:
        raise UNSEEN
    return {"dag_id": record.dag_id, "dag": store.record(rows[0]["digest"])["dag"]}


def _run(ask: Asker, session: str, run: str) -> RunRecord:
    scope = ask.may("run.see", session, run[:64])
    contents = ask.desk.commons.contents
    contents.catch_up()
    row = contents.run(session, run)
    if row is None or (scope is not None and run not in scope.get("runs", [])):
        raise UNSEEN
    return RunRecord.model_validate(ask.desk.commons.store.record(row["record"]))


@router.get("/sessions/{session}/artifacts")
def artifacts(
    session: Name, ask: Ask, limit: Limit = 100, run: str | None = None, after: str | None = None
) -> dict[str, Any]:
    """List the files of a session; go on with `after` = `next` of the answer before."""
    scope = ask.may("artifact.read", session)
    contents = ask.desk.commons.contents
    contents.catch_up()
    match = _PLACE.fullmatch(after) if after is not None else None
    place = (match[1], match[2], match[3]) if match else None
    found = contents.listed(session, run, limit, place, None if scope is None else scope.get("runs", []))
    more = f"{found[-1].sha256},{found[-1].run_id},{found[-1].node_id}" if len(found) == limit else None
    return {"artifacts": [_held(one) for one in found], "next": more}


BYTES: dict[str, Any] = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


@router.get(
    "/sessions/{session}/artifacts/{digest}",
    responses={
        200: {"description": "The bytes.", **BYTES}, 206: {"description": "A part of them.", **BYTES},
        304: {"description": "They are those that the asker has."}, 416: {"description": "There is no such part."},
    },
)  # fmt: skip
@takes_long
def artifact(session: Name, digest: str, request: Request, ask: Ask) -> Response:
    """Return the bytes of a file, whole or a part of them; HEAD tells about it."""
    scope = ask.may("artifact.read", session, digest[:64])
    commons = ask.desk.commons
    if not _DIGEST.fullmatch(digest):
        raise UNSEEN
    commons.contents.catch_up()
    held = commons.contents.holds(session, digest, None if scope is None else scope.get("runs", []))
    if (scope or {}).get("sha256") == digest or (held is not None and held.name.endswith(SUFFIX)):
        found = fetch_bundle(commons, commons.store, ask.who, session, digest)  # looks at everything inside, too
        return file_answer(request, found.path, digest, name=_safe(found.name))
    if held is None:
        raise UNSEEN
    why = may_leave(commons.store)(digest)
    if why is not None:
        raise AccessError(f"{held.name} does not leave the lab: {why}.", hint="Ask who labelled it.")
    if not commons.store.check_blobs([digest]):
        raise UNSEEN
    return file_answer(request, commons.store.blobs.path(digest), digest, name=_safe(held.name))


@router.post("/sessions/{session}/artifacts", status_code=201)
async def add_artifact(
    session: Name, request: Request, ask: Ask, name: Annotated[str, Query(min_length=1, max_length=255)]
) -> dict[str, Any]:
    """Add a file to a session: the body is its bytes, as a version of that name."""
    from starlette.concurrency import run_in_threadpool

    safe = _safe(name)
    await run_in_threadpool(ask.may, "version.add", session, safe)
    with tempfile.TemporaryDirectory(prefix="physlab-upload-") as folder:
        path = Path(folder) / "body"
        with path.open("wb") as stream:
            async for piece in request.stream():
                stream.write(piece)
        wish = Wish([Named(f"{session}/{safe}", path)], code_version="", session=session,
                    metadata={"added_by": ask.who.name})  # fmt: skip
        [made] = await run_in_threadpool(register, ask.desk.commons.store, wish, Path(folder))
    content = made.version.content
    return {"sha256": content.sha256, "size": content.size, "name": safe, "version": made.record}


def _safe(name: str) -> str:
    """Return the last part of a name without what a header or a path could stumble over."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r"[^\w.+@ -]", "_", last)[:200].strip(". ") or "file"


def _held(held: Held) -> dict[str, Any]:
    kind = held.media_type or mimetypes.guess_type(held.name)[0]
    return {"sha256": held.sha256, "name": held.name, "media_type": kind, "size": held.size, "run_id": held.run_id,
            "node_id": held.node_id, "at": held.at}  # fmt: skip
