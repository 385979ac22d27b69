"""Bundles of a lab: made of its runs, kept as versions, handed to whoever may have them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physlab.bundle import Chosen, Made, Paper, Wanted, choose, read_bundle, write_bundle
from physlab.bundle.names import blob_of
from physlab.collab.access import Who, authorize, find_link
from physlab.collab.audit import Event
from physlab.collab.audit.checkpoints import lab_key
from physlab.collab.commons import Commons
from physlab.collab.database import written
from physlab.errors import AccessError, UnseenError, ValidationError
from physlab.lab import Lab, slug
from physlab.model import RunRecord
from physlab.report.contents import read_files
from physlab.report.folder import folder_name, paths_of
from physlab.service.papers import write_paper
from physlab.spills import refuse_spills, spill_of
from physlab.store import Store
from physlab.versioning.labels import may_leave
from physlab.versioning.names import names_with_folders
from physlab.versioning.register import Named, Wish, register

SUFFIX = ".physlab.zip"
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Kept:
    """A bundle that the lab keeps as a version.

    Attributes:
        made: The bundle.
        name: Of its versions.
        path: Where people find it.
        held: What stayed here because it may not leave: name → reason.
        chosen: What went in.
    """

    made: Made
    name: str
    path: Path
    held: Mapping[str, str]
    chosen: Chosen = field(repr=False)


@dataclass(frozen=True)
class Fetched:
    """A bundle, ready to be sent.

    Attributes:
        path: Where its bytes are.
        name: What it is called.
        sha256: Of its bytes.
        size: How many they are.
    """

    path: Path
    name: str
    sha256: str
    size: int


def find_wanted(
    lab: Lab, name: str, *, session: str | None = None, run_id: str | None = None, notebook: bool = True,
    base_dir: Path | None = None,
) -> Wanted:  # fmt: skip
    """Return what a name means: a run, or a graph with all its runs of a session.

    Args:
        lab: The lab.
        name: `latest`, a run's id or its beginning; else a graph: its id, title or file.
        session: Whose runs; by default that of the run, of a graph the current one.
        run_id: One run of the graph.
        notebook: Whether what the notebook says comes along.
        base_dir: Folder that relative file names start from.

    Raises:
        ValidationError: There is neither.
    """
    rows = [row["run_id"] for row in lab.runs() if row["status"] not in ("running", "interrupted")]
    asked = run_id or name
    if asked == "latest" or any(run == asked or (len(asked) >= 4 and run.startswith(asked)) for run in rows):
        run = lab.find_run(asked)
        if run_id is None or run.dag_id == lab.find_dag(name, base_dir, what="graph").dag_id:
            return Wanted(run.dag_id, session or run.session, run.run_id, notebook)
    if run_id is not None:
        raise ValidationError(f"The graph '{name}' has no finished run '{run_id}'.", hint="See: physlab runs")
    dag_id = lab.find_dag(name, base_dir, what="graph").dag_id
    return Wanted(dag_id, session or lab.settings.collaboration.session, None, notebook)


def choose_bundle(lab: Lab, wanted: Wanted) -> Chosen:
    """Return what would go into a bundle; a file that holds a secret stays here.

    Raises:
        ValidationError: There is nothing of that name in the session, or its graph or notebook holds a secret.
        StoreError: Nothing of it may leave.
    """
    labelled = may_leave(lab.store)

    def reason(digest: str) -> str | None:
        path = lab.store.blobs.path(digest)
        return labelled(digest) or (spill_of(path) if path.is_file() else None)

    chosen = choose(lab.store, wanted, reason)
    told = {**chosen.records, **chosen.notebook}
    refuse_spills({f"the {one.record['kind']} {name[:12]}": _plain(one.record) for name, one in told.items()})
    return chosen


def _plain(record: Mapping[str, Any]) -> str:
    return json.dumps(dict(record), ensure_ascii=False, indent=0, default=str).replace("\\n", "\n")


def make_bundle(
    lab: Lab, commons: Commons, who: Who, chosen: Chosen, target: Path, *, report: bool = True,
    told: Told = lambda done, whole: None,
) -> Made:  # fmt: skip
    """Write a bundle into a file.

    Args:
        lab: The lab.
        commons: Its people and sessions.
        who: Who has it made.
        chosen: What goes in.
        target: The file; it must not be there.
        report: Whether the paper of the latest completed run comes along.
        told: Is told how far it is.
    """
    made = write_bundle(
        lab.store, chosen, lab_key(commons.database), target, made_by=who.name, made_at=str(written(commons.now)),
        papers=_papers(lab, chosen, report), told=told,
    )  # fmt: skip
    about = {"dag_id": chosen.wanted.dag_id, "runs": len(chosen.runs), "left_out": len(chosen.held)}
    commons.trail.note(Event(who.name, "bundle.make", chosen.wanted.session, made.sha256, about))
    return made


def _papers(lab: Lab, chosen: Chosen, report: bool) -> dict[str, Paper]:
    runs = [RunRecord.model_validate(dict(one.record)) for one in chosen.runs]
    completed = [run.run_id for run in runs if run.status == "completed"]
    found = {}
    for run in runs:
        results = {name: digest for content in read_files(run, lab.store) for name, digest in paths_of(content).items()}
        wants = report and completed[-1:] == [run.run_id]
        found[run.run_id] = Paper(write_paper(lab, run, lab.find_dag(run.dag_id)) if wants else None, results)
    return found


def left_out(lab: Lab, chosen: Chosen) -> dict[str, str]:
    """Return what stays because it may not leave: what people call it → the reason."""
    called = names_with_folders(lab.store, dict(chosen.held))
    return {called[digest]: reason for digest, reason in sorted(chosen.held.items())}


def keep_bundle(
    lab: Lab, commons: Commons, who: Who, chosen: Chosen, *, report: bool = True,
    told: Told = lambda done, whole: None,
) -> Kept:  # fmt: skip
    """Make a bundle and keep it as a version of `bundles/<title>.physlab.zip`, shown in the folder of results."""
    title = str(chosen.graph.record["dag"].get("title", ""))
    name = f"bundles/{slug(title) or chosen.wanted.dag_id}{SUFFIX}"
    room = lab.settings.home / "bundles"
    room.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="making-", dir=room) as scratch:
        made = make_bundle(lab, commons, who, chosen, Path(scratch) / "bundle.zip", report=report, told=told)
        about = {"bundle": chosen.wanted.dag_id, "runs": [one.record["run_id"] for one in chosen.runs]}
        wish = Wish([Named(name, made.path)], code_version="", metadata=about, session=chosen.wanted.session)
        register(lab.store, wish, room)
    place = lab.settings.results / folder_name(title) / f"{chosen.wanted.dag_id}-{made.sha256[:12]}{SUFFIX}"
    lab.store.blobs.export(made.sha256, place)
    return Kept(made, name, place.absolute(), left_out(lab, chosen), chosen)


def fetch_bundle(commons: Commons, store: Store, who: Who, session: str, sha256: str | None = None) -> Fetched:
    """Return a bundle for somebody who may have it, and note that they had it.

    Args:
        commons: The lab's people and sessions.
        store: The lab's.
        who: Who asks: a member, or whoever opened a link.
        session: Of the bundle.
        sha256: Which; None: the one that their link is for.

    Raises:
        UnseenError: There is none that they may see.
        AccessError: They may not, or something in it was made private since.
    """
    with commons.database.reading() as connection:
        authorize(connection, who, "bundle.fetch", session, commons.now)
        row = find_link(connection, who.link) if who.link is not None and who.person is None else None
    wanted = _of_link(row, sha256)
    commons.contents.catch_up()
    held = commons.contents.holds(session, wanted)
    if held is None or not held.name.endswith(SUFFIX) or not store.check_blobs([wanted]):
        raise _unseen()
    path = store.blobs.path(wanted)
    checked = read_bundle(path)
    if checked.signer.line != lab_key(commons.database).public.line or checked.manifest.session != session:
        raise _unseen()
    reason_of = may_leave(store)
    if any(reason_of(digest) for name in checked.manifest.files if (digest := blob_of(name)) is not None):
        raise AccessError(
            "A file in this bundle may not leave the lab any more.", hint="Ask whoever shared it for a new one."
        )
    commons.trail.note(Event(who.name, "bundle.fetch", session, wanted))
    return Fetched(path, held.name, wanted, held.size)


def _of_link(row: Any, sha256: str | None) -> str:
    """Return which bundle is asked for; a link that is for one shows no other."""
    import json

    own = None if row is None or row.bundle is None else str(json.loads(row.bundle).get("sha256", ""))
    if own is not None and sha256 in (None, own):
        return own
    if own is not None or sha256 is None:
        raise _unseen()
    return sha256


def _unseen() -> UnseenError:
    return UnseenError("There is no such bundle, or you may not see it.", hint="Ask whoever shared it for a new link.")
