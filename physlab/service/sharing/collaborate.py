"""`collaborate_share`: a graph with its runs, files, paper and notebook, shared as one bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physlab.collab.access import Who, authorize
from physlab.collab.commons import Commons
from physlab.collab.roles import ROLES, read_role
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.service.sharing.bundles import Kept, Told, choose_bundle, find_wanted, keep_bundle, left_out
from physlab.service.sharing.share import share_session

MOST = "editor"
SHARED = ("access", "participants", "expires", "expires_in_hours", "label")


def share_bundle(
    lab: Lab, commons: Commons, who: Who, params: Mapping[str, Any], base_dir: Path | None = None,
    told: Told = lambda done, whole: None,
) -> dict[str, Any]:  # fmt: skip
    """Answer a call of `collaborate_share` for somebody.

    Each participant gets a link of their own, which shows the bundle and nothing else of the session.

    Args:
        lab: The lab.
        commons: Its people and sessions.
        who: Who asks.
        params: As `CollaborateParams` has them.
        base_dir: Folder that relative file names start from.
        told: Is told how far the bundle is.

    Raises:
        ValidationError: The call is wrong; nothing was shared.
        AccessError: Who asks may not share that session.
        StoreError: Nothing of it may leave the lab.
    """
    _check_roles(params)
    wanted = find_wanted(
        lab, params["dag_id"], session=params.get("session_id"), run_id=params.get("run_id"),
        notebook=params.get("notebook", True), base_dir=base_dir,
    )  # fmt: skip
    shared = {name: params[name] for name in SHARED if params.get(name) is not None} | {"session_id": wanted.session}
    if not who.local:
        with commons.database.reading() as connection:
            authorize(connection, who, "link.make", wanted.session, commons.now)
    reply = share_session(commons, lab.settings, who, {**shared, "dry_run": True}, bundle={})  # all of it is right
    chosen = choose_bundle(lab, wanted)
    runs = [one.record["run_id"] for one in chosen.runs]
    inside: dict[str, Any] = {
        "dag_id": wanted.dag_id, "runs": runs, "files": len(chosen.files), "left_out": left_out(lab, chosen),
        "runs_left_out": list(chosen.runs_out), "missing": list(chosen.missing),
    }  # fmt: skip
    if params.get("dry_run"):
        return {**reply, "bundle": {**inside, "sha256": None, "size": None, "path": None}}
    kept = keep_bundle(lab, commons, who, chosen, report=params.get("report", True), told=told)
    reply = share_session(commons, lab.settings, who, shared, bundle=_shown(kept, runs))
    path = str(kept.path) if who.local else None  # of this machine: nobody's elsewhere
    return {**reply, "bundle": {**inside, "sha256": kept.made.sha256, "size": kept.made.size, "path": path,
                                "name": kept.name}}  # fmt: skip


def _shown(kept: Kept, runs: list[str]) -> dict[str, Any]:
    """Return what a link to a bundle shows."""
    manifest = kept.made.manifest
    return {"dag_id": manifest.dag_id, "title": manifest.title, "runs": runs, "sha256": kept.made.sha256,
            "size": kept.made.size, "name": kept.name}  # fmt: skip


def _check_roles(params: Mapping[str, Any]) -> None:
    """Refuse roles that are about a session, not about one graph of it."""
    for word in (params["access"], *(one.get("role") for one in params["participants"])):
        if word and ROLES.index(read_role(word)) > ROLES.index(MOST):
            raise ValidationError(
                f"A bundle cannot be shared as '{word}'.",
                hint="Say read or write; for a session: physlab session share",
            )
