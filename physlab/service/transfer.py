"""Pushing to and pulling from other stores, for every face of the lab."""

from __future__ import annotations

from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.service.versions.look import find_version
from physlab.transfer import MayLeave, Pulled, Pushed, RemoteStore, pull, push
from physlab.versioning import labels


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


def pull_store(lab: Lab, remote: RemoteStore, name: str | None = None, *, dry_run: bool = False) -> Pulled:
    """Bring a run, a version, or everything of another store into a lab.

    Args:
        lab: The lab.
        remote: The store, opened.
        name: Run, version, or `sha256:…`; None for everything.
        dry_run: Only say what would travel.
    """
    return pull(lab.store, remote, name, dry_run=dry_run)
