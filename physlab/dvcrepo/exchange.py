"""Data to and from a remote: sent when it is whole, believed when both digests are right."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from physlab.dvcrepo import config
from physlab.dvcrepo.checks import MayLeave, Wanted, compare, damage, may_leave, require_leave, wanted
from physlab.dvcrepo.programs import dvc, run_own
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
    dry_run: bool = False,
    allowed: MayLeave = may_leave,
) -> dict[str, Wanted]:
    """Send the data of all commits, or of the latest alone; return what the remote now has.

    With `dry_run` everything is checked and nothing sent.

    Raises:
        ValidationError: Something of it may not leave the lab.
        StoreError: Something of it is damaged here; nothing was sent.
        ComputationError: DVC refuses.
    """
    with repository.writing():
        files = wanted(repository, ["HEAD"] if latest else ["HEAD", *repository.commits()])
        require_leave([(one.path, one.twin.sha256) for one in files.values()], allowed)
        _require_whole(damage(repository, files.values(), store), "Nothing was sent.", "Bring them: physlab dvc pull")
        if dry_run:
            return files
        _mend_rwlock(repository)
        dvc(repository.folder, repository.own, ["push", "--remote", remote, *([] if latest else ["--all-commits"])])
    return files


def pull(repository: Repository, store: Store, remote: str) -> dict[str, Wanted]:
    """Bring the data of the latest commit, show it, and give the store what it lacks; return what is there now.

    Raises:
        StoreError: What came is damaged or missing; each such file is named, and none of them is kept.
        ComputationError: DVC refuses.
    """
    with repository.writing():
        files = wanted(repository)
        for one, _ in damage(repository, files.values(), store):
            repository.cache.path(one.twin.md5).unlink(missing_ok=True)
        _mend_rwlock(repository)
        refusal = None
        try:
            dvc(repository.folder, repository.own, ["fetch", "--remote", remote])
        except ComputationError as error:
            refusal = error
        _name_damage(repository, remote, files.values(), store, refusal)
        for one in files.values():
            if not store.blobs.path(one.twin.sha256).exists():
                store.blobs.put(repository.cache.path(one.twin.md5))
        for run in repository.runs():
            repository.show(run)
    return files


def _name_damage(
    repository: Repository, remote: str, files: Iterable[Wanted], store: Store, refusal: ComputationError | None
) -> None:
    """Raise an error that names each file that did not come as it was, and what the remote has in its place."""
    bad = {one.twin.md5: (one, problem) for one, problem in damage(repository, files, store)}
    if not bad:
        if refusal is not None:
            raise refusal
        return
    for one, problem in bad.values():
        if problem != "missing":  # it came, and was not what its name says
            repository.cache.path(one.twin.md5).unlink(missing_ok=True)
    found = [(one, problem or "did not arrive") for one, problem in remote_damage(
        repository, remote, [one for one, _ in bad.values()], every=True)]  # fmt: skip
    _require_whole(found, f"The remote {remote} does not have what was sent.", "physlab dvc push, where they are whole")


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
    said = run_own(repository.folder, repository.own, ["physlab.dvcrepo.reading", remote], "\n".join(by_md5))
    for line in said.splitlines():
        answer = json.loads(line)
        one = by_md5[answer["md5"]]
        problem = answer.get("error") or compare(one.twin, answer["sha256"], answer["found"])
        if problem or every:
            yield one, problem


def _mend_rwlock(repository: Repository) -> None:
    """Remove DVC's list of locks where a killed process left half of it; DVC itself forgets those of the dead."""
    path = repository.folder / ".dvc" / "tmp" / "rwlock"
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        path.unlink(missing_ok=True)


def _require_whole(found: Iterable[tuple[Wanted, str]], sentence: str, hint: str) -> None:
    bad = {one.path: problem for one, problem in found}
    if bad:
        named = "".join(f"\n  - {path}: {problem}" for path, problem in list(bad.items())[:SHOWN])
        raise StoreError(f"{len(bad)} files are damaged. {sentence}{named}", hint=hint, details={"damaged": bad})
