"""Whether the data of commits is what it was: both digests of each file, here or at a remote."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from physlab.dvcrepo.objects import Twin
from physlab.dvcrepo.repository import Repository
from physlab.dvcrepo.runfolder import DATA
from physlab.errors import ValidationError
from physlab.keys import sha256_and_md5
from physlab.store import Store

MayLeave = Callable[[str], str | None]
"""Says why the bytes of a SHA-256 may not leave the lab; None where they may."""
SHOWN = 20
MISSING = "missing"


@dataclass(frozen=True)
class Wanted:
    """A file that commits name.

    Attributes:
        path: Where it is shown in the repository.
        twin: Its digests.
    """

    path: str
    twin: Twin


def wanted(repository: Repository, *, latest: bool = True, without: Collection[str] = ()) -> dict[str, Wanted]:
    """Return every file of data of the latest commit, or of all, by MD5; the latest that names one says its path.

    Args:
        repository: The repository.
        latest: Leave out the data of earlier commits.
        without: Folders of runs that are left out.
    """
    found: dict[str, Wanted] = {}
    for run, twins in repository.maps(latest=latest):
        for path, twin in twins.items() if run not in without else ():
            found.setdefault(twin.md5, Wanted(f"{run}/{DATA}/{path}", twin))
    return found


def held_back(repository: Repository, allowed: MayLeave, *, latest: bool = True) -> dict[str, str]:
    """Return the runs that have to stay in the lab, by their folder, each with the reason.

    A run stays for a file of its own, and for one that went into it: what is computed from private data tells of them.
    """
    found: dict[str, str] = {}
    for run, twins in repository.maps(latest=latest):
        for path, twin in twins.items():
            if reason := allowed(twin.sha256):
                found.setdefault(run, f"{path}: {reason}")
    for run, inputs in repository.inputs(latest=latest):
        for place, digest in inputs.items():
            if reason := allowed(digest):
                found.setdefault(run, f"what {place} takes: {reason}")
    return found


def require_leave(files: Iterable[tuple[str, str]], allowed: MayLeave) -> None:
    """Refuse files that have to stay in the lab.

    Args:
        files: Path and SHA-256 of each; commits show different bytes under one path.
        allowed: Says why one may not leave.

    Raises:
        ValidationError: Some have to.
    """
    bare = [(path, digest.removeprefix("sha256:")) for path, digest in files]
    kept = [(path, digest, reason) for path, digest in bare if (reason := allowed(digest))]
    if kept:
        named = "".join(f"\n  - {path}: {reason}" for path, _, reason in kept[:SHOWN])
        raise ValidationError(
            f"{len(kept)} of {len(bare)} files may not leave the lab:{named}",
            hint="Nothing was written or sent. Other runs: physlab runs",
            details={"kept": [{"path": path, "sha256": digest, "reason": reason} for path, digest, reason in kept]},
        )


def damage(repository: Repository, files: Iterable[Wanted], store: Store | None = None) -> Iterator[tuple[Wanted, str]]:
    """Yield the files whose bytes in the cache are missing or others than both digests say.

    What is one file with the store's is not read where the store knows that it did not change.
    """
    every = list(files)
    shared = [one for one in every if store is not None and _is_shared(repository, one, store)]
    good = store.check_blobs(one.twin.sha256 for one in shared) if store is not None and shared else set()
    for one in every:
        if one.twin.sha256 not in good or one not in shared:
            problem = _problem(repository, one)
            if problem:
                yield one, problem


def _is_shared(repository: Repository, one: Wanted, store: Store) -> bool:
    try:
        return os.path.samefile(repository.cache.path(one.twin.md5), store.blobs.path(one.twin.sha256))
    except OSError:
        return False


def _problem(repository: Repository, one: Wanted) -> str:
    try:
        with open(repository.cache.path(one.twin.md5), "rb") as stream:
            return compare(one.twin, *sha256_and_md5(stream)[:2])
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def compare(twin: Twin, sha256: str, md5: str) -> str:
    """Say in which of its names the bytes of a file differ; empty when in none."""
    names = [name for name, same in (("MD5", md5 == twin.md5), ("SHA-256", sha256 == twin.sha256)) if not same]
    return f"other bytes ({' and '.join(names)} differ)" if names else ""
