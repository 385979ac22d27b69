"""Pushing to and pulling from other stores, for every face of the lab."""

from __future__ import annotations

from physlab.errors import StoreError
from physlab.lab import Lab
from physlab.transfer import MayLeave, Pulled, Pushed, RemoteStore, pull, push
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
        return push(lab.store, remote, name, may_leave=may_leave, **told)
    except StoreError as error:
        if "held" not in error.details:
            raise
        raise _named(lab, error) from error


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
