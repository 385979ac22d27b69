"""Data to and from a remote: sent when it is whole, believed when both digests are right."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from physlab.dvcrepo import config
from physlab.dvcrepo.checks import MISSING, Wanted, compare, damage, wanted
from physlab.dvcrepo.programs import run_own
from physlab.dvcrepo.repository import Repository
from physlab.errors import ComputationError, ConfigurationError, StoreError, nearest
from physlab.store import Store

SHOWN = 20


def choose_remote(repository: Repository, name: str | None) -> str:
    """Return a remote of the repository: the one of this name, or the default.

    Raises:
        ConfigurationError: There is none.
    """
    known = config.remotes(repository.folder)
    chosen = name or config.read(repository.folder, config.SHARED).get("core", {}).get("remote")
    if chosen in known:
        return str(chosen)
    if not known:
        raise ConfigurationError(
            "The repository has no remote yet.", hint="Add one: physlab dvc remote add storage /mnt/storage/lab"
        )
    if chosen is None:
        raise ConfigurationError("No remote is the default.", hint=f"Name one with --remote: {', '.join(known)}.")
    raise ConfigurationError(f"There is no remote '{chosen}'.", hint=nearest(chosen, known))


def push(
    repository: Repository,
    store: Store,
    remote: str,
    *,
    latest: bool = False,
    repair: bool = False,
    dry_run: bool = False,
    without: Collection[str] = (),
    told: Callable[[str], None] = lambda words: None,
) -> dict[str, Wanted]:
    """Send the data of all commits, or of the latest alone; return what the remote now has.

    Args:
        repository: The repository.
        store: Where the bytes come from.
        remote: Name of the remote.
        latest: Leave out the data of earlier commits.
        repair: Read what the remote has first, and send anew what has other bytes there.
        dry_run: Check everything and send nothing.
        without: Folders of runs whose data stay here.
        told: Hears what is begun, in one line.

    Raises:
        StoreError: Something of it is damaged here; nothing was sent.
        ComputationError: The remote cannot be reached, or refuses.
    """
    with repository.writing():
        files = wanted(repository, latest=latest, without=without)
        _require_whole(damage(repository, files.values(), store), "Nothing was sent.", "Bring them: physlab dvc pull")
        lists = _lists(repository, latest=latest, without=without)
        if dry_run or not files:
            return files
        if repair:
            told(f"Reading what {remote} has of {len(files)} files …")
            bad = [one.twin.md5 for one, problem in remote_damage(repository, remote, files.values()) if
                   problem != MISSING]  # fmt: skip
            _carry(repository, "remove", remote, bad)
        size_mb = sum(one.twin.size for one in files.values()) / 1e6
        told(f"Sending what {remote} lacks of {len(files)} files, {size_mb:.1f} MB …")
        failed = _carry(repository, "send", remote, [*files, *lists])
    if failed:
        raise ComputationError(
            f"{len(failed)} of {len(files)} files did not reach {remote}.",
            hint="Run it again: what arrived is not sent twice. physlab dvc push",
        )
    return files


def pull(
    repository: Repository, store: Store, remote: str, told: Callable[[str], None] = lambda words: None
) -> dict[str, Wanted]:
    """Bring the data of the latest commit, show it, and give the store what it lacks; return what is there now.

    Raises:
        StoreError: What came is damaged or missing; each such file is named, and none of them is kept.
        ComputationError: The remote cannot be reached.
    """
    with repository.writing():
        files = wanted(repository)
        lacking = [one for one, _ in damage(repository, files.values(), store)]
        for one in lacking:
            repository.cache.path(one.twin.md5).unlink(missing_ok=True)
        _lists(repository, latest=True)
        if lacking:
            told(f"Bringing {len(lacking)} of {len(files)} files from {remote} …")
        _carry(repository, "bring", remote, [one.twin.md5 for one in lacking])
        _name_damage(repository, remote, lacking)
        for one in files.values():
            if not store.blobs.path(one.twin.sha256).exists():
                store.blobs.put(repository.cache.path(one.twin.md5))
        for run in repository.runs():
            repository.show(run)
    return files


def _lists(repository: Repository, *, latest: bool, without: Collection[str] = ()) -> list[str]:
    """Return what DVC calls the folders of data of commits, each there and whole: it is made of what the map says."""
    maps = repository.maps(latest=latest)
    return sorted({repository.cache.put_folder(twins) for run, twins in maps if twins and run not in without})


def _name_damage(repository: Repository, remote: str, files: Iterable[Wanted]) -> None:
    """Raise an error that names each file that did not come as it was, and what the remote has in its place."""
    bad = []
    for one, problem in damage(repository, files):
        bad.append(one)
        if problem != MISSING:  # it came, and was not what its name says
            repository.cache.path(one.twin.md5).unlink(missing_ok=True)
    if bad:
        found = remote_damage(repository, remote, bad, every=True)
        _require_whole(
            ((one, problem or "did not arrive") for one, problem in found),
            f"The remote {remote} does not have what was sent.",
            "Where the files are whole: physlab dvc push --repair",
        )


def remote_damage(
    repository: Repository, remote: str, files: Iterable[Wanted], *, every: bool = False
) -> Iterator[tuple[Wanted, str]]:
    """Yield the files that are missing at a remote or have other bytes there; reads them all.

    Args:
        repository: The repository.
        remote: Name of the remote.
        files: Which files.
        every: Yield the whole ones as well, without words.

    Raises:
        ComputationError: The remote cannot be reached.
    """
    by_md5 = {one.twin.md5: one for one in files}
    for answer in _carry(repository, "read", remote, by_md5):
        one = by_md5[answer["md5"]]
        problem = answer.get("error") or compare(one.twin, answer["sha256"], answer["found"])
        if problem or every:
            yield one, problem


def _carry(repository: Repository, command: str, remote: str, names: Iterable[str]) -> list[dict[str, Any]]:
    """Let a process of its own work with objects at a remote; return what it says of them."""
    listed = "\n".join(names)
    if not listed:
        return []
    said = run_own(repository.folder, repository.own, ["physlab.dvcrepo.courier", command, remote], listed)
    return [json.loads(line) for line in said.splitlines()]


def _require_whole(found: Iterable[tuple[Wanted, str]], sentence: str, hint: str) -> None:
    bad = {one.path: problem for one, problem in found}
    if bad:
        named = "".join(f"\n  - {path}: {problem}" for path, problem in list(bad.items())[:SHOWN])
        raise StoreError(f"{len(bad)} files are damaged. {sentence}{named}", hint=hint, details={"damaged": bad})
