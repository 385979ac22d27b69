"""Pushing to and pulling from other stores, for every face of the lab."""

from __future__ import annotations

from typing import Any

from physlab.errors import ConfigurationError, StoreError, ValidationError
from physlab.lab import Lab
from physlab.service.versions.look import find_version
from physlab.transfer import MayLeave, Pulled, Pushed, RemoteStore, pull, push
from physlab.transfer.collecting import DAY_S, Garbage, collect, find_garbage
from physlab.transfer.records import PAST, Travelling, own_records
from physlab.versioning import labels
from physlab.versioning.names import names_with_folders

SHOWN = 5


def push_store(
    lab: Lab,
    remote: RemoteStore,
    name: str | None = None,
    *,
    dry_run: bool = False,
    without_held: bool = False,
    verify: bool = False,
    may_leave: MayLeave | None = None,
) -> Pushed:
    """Bring a run, a version, or everything of a lab into another store.

    Args:
        lab: The lab.
        remote: The store, opened.
        name: Run, version, or `sha256:…`; None for everything.
        dry_run: Only say what would travel.
        without_held: Leave out what may not leave, instead of sending nothing.
        verify: Read back what was written.
        may_leave: Says why a file may not leave the lab; by default what labels say. What is sealed for this lab alone
            may travel: nobody else opens it.
    """
    if may_leave is None and remote.key is None:
        may_leave = labels.may_leave(lab.store)
    told = {"dry_run": dry_run, "without_held": without_held, "verify": verify}
    try:
        return _pushed(lab, remote, name, may_leave, told)
    except StoreError as error:
        if "held" not in error.details:
            raise
        raise _named(lab, error) from error


def _pushed(
    lab: Lab, remote: RemoteStore, name: str | None, may_leave: MayLeave | None, told: dict[str, bool]
) -> Pushed:
    try:
        return push(lab.store, remote, name, may_leave=may_leave, **told)
    except ValidationError as error:  # nothing was sent: perhaps a name of a version that only this lab and folder know
        record = _version(lab, name, error)
    return push(lab.store, remote, record, may_leave=may_leave, **told)


def _version(lab: Lab, name: str | None, error: ValidationError) -> str:
    """Return the name under which a version's record travels.

    Raises:
        ValidationError: No version has the name.
    """
    try:
        return f"sha256:{find_version(lab, str(name)).record}"
    except ValidationError as other:
        raise (other if "@" in str(name) else error) from other


def _named(lab: Lab, error: StoreError) -> StoreError:
    """Return a refusal because of labels with the names of the files instead of their digests."""
    held: dict[str, str] = error.details["held"]
    names = names_with_folders(lab.store, held)
    told = sorted(f"{names[digest]}: {reason}" for digest, reason in held.items())
    more = f" … and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return StoreError(
        f"{len(told)} of the files may not leave this lab: {'; '.join(told[:SHOWN])}{more}. Nothing was sent.",
        hint=error.hint, details={**error.details, "names": names},
    )  # fmt: skip


def pull_store(lab: Lab, remote: RemoteStore, name: str | None = None, *, dry_run: bool = False) -> Pulled:
    """Bring a run, a version, or everything of another store into a lab.

    Args:
        lab: The lab.
        remote: The store, opened.
        name: Run, version, or `sha256:…`; None for everything.
        dry_run: Only say what would travel.
    """
    return pull(lab.store, remote, name, dry_run=dry_run)


def collect_store(
    lab: Lab, remote: RemoteStore, *, grace_days: float = 14, let_go: bool = False, delete: bool = False
) -> dict[str, Any]:
    """Return what nothing in another store needs, and condemn and remove it if that is wanted.

    What any record there needs stays, whichever lab sent it, and so does what this lab does not need any more. Files
    go in two steps: condemned by one collection, and removed by one that comes a time of grace later.

    Args:
        lab: The lab.
        remote: The store, opened.
        grace_days: Younger files stay, and what is condemned stays for so long [days].
        let_go: Let go, too, of records of forgotten results that name files which this lab's own collection removed, if
            only records that this lab made lead to them; records of runs stay, and need nothing. To be said each time.
        delete: Do it.

    Returns:
        files, bytes: what went, or would; condemned, condemned_bytes: what was or would be condemned now;
        waiting, waiting_bytes: what is condemned, and not for long enough; kept, young: how many files stay, and how
        many of them only because they are young; records: how many are let go; drafts: half-sent leftovers; names: the
        first hundred of what goes; deleted.

    Raises:
        ConfigurationError: There is no store.
        ResourceError: Another collection of this lab goes on.
        StoreError: The store cannot be read or written, or what says what is needed is damaged.
    """
    if not remote.check():
        raise ConfigurationError(
            f"There is no store in {remote.place.url} yet.", hint=f"Make it: physlab store push {remote.name} --all"
        )
    own = _made_here(lab) if let_go else {}
    gone = _let_go(lab, own)
    doing = collect if delete else find_garbage
    return _told(doing(lab.store, remote, grace_s=grace_days * DAY_S, let_go=gone, known=own), delete)


def _made_here(lab: Lab) -> dict[str, Travelling]:
    """Return the records that travel and did not come from elsewhere, by digest."""
    seen, foreign = list[str](), set[str]()
    for line in lab.store.journal.replay():
        if line.kind == "received" and line.record["records"]:
            foreign.update(seen[-line.record["records"] :])
        seen.append(line.digest)
    return {one.digest: one for one in own_records(lab.store) if one.digest not in foreign}


def _let_go(lab: Lab, own: dict[str, Travelling]) -> set[str]:
    """Return the records of forgotten results that name what this lab's collection removed, and of their runs."""
    removed, runs = set[str](), set[str]()
    for record in lab.store.records_of("gc"):
        removed.update(record["removed"])
        runs.update(record["runs"])
    return {
        digest
        for digest, one in own.items()
        if (one.kind == PAST and one.named & removed) or (one.kind == "run" and one.record["run_id"] in runs)
    }


def _told(found: Garbage, delete: bool) -> dict[str, Any]:
    return {
        "files": len(found.ripe), "bytes": sum(found.ripe.values()),
        "condemned": len(found.new), "condemned_bytes": sum(found.new.values()),
        "waiting": len(found.waiting), "waiting_bytes": sum(found.waiting.values()),
        "kept": found.kept, "young": found.young, "records": found.records, "drafts": found.drafts,
        "names": sorted(found.ripe)[:100], "deleted": delete,
    }  # fmt: skip
