"""Copies of everything in several stores: what there is, reading it, and mending it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from physlab.errors import ConfigurationError, StoreError
from physlab.lab import Lab
from physlab.transfer import MayLeave, RemoteStore, open_remote
from physlab.transfer.checking import LAB, Checked, Notes, check_lab, check_remote, read_share
from physlab.transfer.replicas import Repair, Repaired, Survey, survey
from physlab.versioning import labels


@contextlib.contextmanager
def replica_stores(lab: Lab, limit: float | None = None) -> Iterator[list[RemoteStore]]:
    """Open the stores that the settings call replicas.

    Raises:
        ConfigurationError: There is none.
        StoreError: One cannot be reached.
    """
    names = [name for name, said in lab.settings.stores.items() if said.replica]
    if not names:
        raise ConfigurationError(
            "No store is a replica.", hint="Say replica = true under [stores.NAME]; see: physlab config show"
        )
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(open_remote(lab.settings, name, limit)) for name in names]


def survey_replicas(lab: Lab, may_leave: MayLeave | None = None) -> Survey:
    """Say in which replicas each file is, by names alone."""
    with replica_stores(lab) as remotes:
        return survey(lab.store, remotes, lab.settings.replicas.copies, may_leave or _labels(lab, remotes))


def repair_replicas(lab: Lab, limit: float | None = None, may_leave: MayLeave | None = None) -> Repaired:
    """Make missing and damaged copies good, the lab's own included."""
    with replica_stores(lab, limit) as remotes:
        copies, folder = lab.settings.replicas.copies, lab.settings.home / "transfer"
        return Repair(lab.store, remotes, copies, folder, may_leave or _labels(lab, remotes)).run()


def _labels(lab: Lab, remotes: Sequence[RemoteStore]) -> MayLeave | None:
    """Return what labels keep in the lab; where all copies are sealed for the lab alone, that is nothing."""
    return labels.may_leave(lab.store) if any(remote.key is None for remote in remotes) else None


def scrub_stores(
    lab: Lab, names: Sequence[str] | None = None, share: str = "1/1", limit: float | None = None
) -> dict[str, Any]:
    """Read a share of the lab's and of other stores' files; the next call reads the part after it.

    Args:
        lab: The lab.
        names: Stores, `lab` for the lab itself; None for all that there are.
        share: Such as `1/30`.
        limit: Bytes a second.

    Returns:
        ok, share, and for each store: files, size, part, damage; or the error for one that cannot be read.

    Raises:
        ValidationError: There is no such store or share.
    """
    wanted, notes = read_share(share), Notes(lab.settings.home / "transfer")
    found: list[dict[str, Any]] = []
    for name in names or (LAB, *lab.settings.stores):
        part = notes.next_share(name, wanted)
        entry: dict[str, Any] = {"store": name, "part": f"{part.start + 1}/{part.of}"}
        try:
            done = _check(lab, name, part, limit)
        except (StoreError, ConfigurationError) as error:
            found.append({**entry, "error": error.as_reply()})
            continue
        notes.finished(name, part, done.damage)
        found.append({**entry, **asdict(done)})
    ok = all("error" not in one and not one["damage"] for one in found)
    reply = {"ok": ok, "share": share, "stores": found}
    lab.store.append("scrub", {"kind": "scrub", "at": datetime.now(UTC).isoformat(timespec="seconds"), **_plain(reply)})
    return reply


def _plain(reply: dict[str, Any]) -> dict[str, Any]:
    """Return a reply as JSON has it."""
    stores = [
        {**one, **({"damage": [dict(item) for item in one["damage"]]} if "damage" in one else {})}
        for one in reply["stores"]
    ]
    return {**reply, "stores": stores}


def _check(lab: Lab, name: str, part: Any, limit: float | None) -> Checked:
    if name == LAB:
        lab.store.flush()
        return check_lab(lab.store, part)
    with open_remote(lab.settings, name, limit) as remote:
        return check_remote(remote, part) if remote.check() else Checked()
