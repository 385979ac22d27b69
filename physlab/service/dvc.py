"""Runs in the lab's repository of Git and DVC: begun, committed, sent, brought and checked."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from physlab import dvcrepo
from physlab.durable import force_folder
from physlab.dvcrepo import MayLeave, Repository
from physlab.dvcrepo.programs import own_path
from physlab.errors import PhyslabError, StoreError, ValidationError
from physlab.lab import CALL, Lab
from physlab.report.folder import folder_name
from physlab.settings import child_environment
from physlab.versioning.labels import may_leave

KIND = "dvc"
SHOWN = 20


def repository_of(lab: Lab) -> Repository:
    """Return the lab's repository, which need not be there yet."""
    settings = lab.settings.dvc
    return Repository(
        settings.repository or lab.settings.home / "repository",
        lab.settings.home / "dvc" / "databases",
        settings.author,
        lab.settings.collaboration.person,
    )


def init_repository(lab: Lab) -> dict[str, Any]:
    """Make the repository, with the remotes that the settings name."""
    repository = repository_of(lab)
    fresh = repository.begin(_settled_remotes(lab))
    return {"repository": str(repository.folder), "fresh": fresh, "remotes": dvcrepo.remotes(repository.folder)}


def _settled_remotes(lab: Lab) -> dict[str, dict[str, str]]:
    return {
        name: {"url": remote.url, **({"endpointurl": remote.endpoint} if remote.endpoint else {})}
        for name, remote in lab.settings.dvc.remotes.items()
    }


def queue_runs(lab: Lab, runs: Iterable[str]) -> None:
    """Write down, durably, that runs are to be committed: whoever commits next does it."""
    folder = _queue(lab)
    folder.mkdir(parents=True, exist_ok=True)
    for run_id in runs:
        with open(folder / run_id, "wb") as stream:
            stream.write(secrets.token_bytes(8))  # tells this request from one that is being answered
            stream.flush()
            os.fsync(stream.fileno())
    force_folder(folder)


def queued_runs(lab: Lab) -> list[str]:
    """Return the runs that wait to be committed, oldest first."""
    folder = _queue(lab)
    return _by_age(lab, [path.name for path in folder.iterdir()] if folder.is_dir() else [])


def _by_age(lab: Lab, runs: Iterable[str]) -> list[str]:
    """Return runs in the order of the ledger: the names of those of one second do not tell it."""
    wanted = set(runs)
    known = [row["run_id"] for row in reversed(lab.runs()) if row["run_id"] in wanted] if wanted else []
    return [*known, *sorted(wanted - set(known))]


def _queue(lab: Lab) -> Path:
    return lab.settings.home / "dvc" / "queue"


def commit_runs(
    lab: Lab,
    names: Sequence[str] = (),
    *,
    every: bool = False,
    allowed: MayLeave | None = None,
    told: Callable[[dict[str, Any]], None] = lambda entry: None,
) -> list[dict[str, Any]]:
    """Commit runs, and those that wait since a process was killed; each is one commit.

    Args:
        lab: The lab.
        names: Runs, as `find_run` knows them.
        every: Also every completed run that has no commit yet.
        allowed: Says why the bytes of a SHA-256 may not leave the lab; by default what labels say.
        told: Hears of each run, as soon as its commit is made.

    Returns:
        One entry for each run, oldest first.

    Raises:
        ValidationError: A run is not there, did not complete, or holds what may not leave the lab.
        StoreError: Bytes are missing or damaged.
        ComputationError: Git or a hook refuses.
    """
    allowed = allowed or may_leave(lab.store)
    asked = [_completed(lab, name) for name in names]
    queue_runs(lab, dict.fromkeys([*asked, *(_uncommitted(lab) if every else ())]))
    made: list[dict[str, Any]] = []
    problems: list[PhyslabError] = []
    if queued_runs(lab):
        repository = repository_of(lab)
        repository.begin(_settled_remotes(lab))
        with repository.writing():
            for run_id in queued_runs(lab):
                try:
                    made.append(_commit(lab, repository, run_id, allowed))
                    told(made[-1])
                except PhyslabError as error:
                    problems.append(error)
                    if isinstance(error, ValidationError):  # it will not change by waiting
                        (_queue(lab) / run_id).unlink(missing_ok=True)
    if problems:
        raise problems[0]
    others = set(asked) - {entry["run_id"] for entry in made}  # another process was faster
    return [*({**record, "fresh": False} for record in commit_records(lab) if record["run_id"] in others), *made]


def would_commit(lab: Lab, names: Sequence[str] = (), *, every: bool = False, latest: bool = False) -> list[str]:
    """Return the runs that `commit_runs` would commit; with `latest` and nothing that waits, the latest run."""
    asked = [_completed(lab, name) for name in names]
    found = _by_age(lab, [*asked, *(_uncommitted(lab) if every else ()), *queued_runs(lab)])
    return [_completed(lab, "latest")] if latest and not found else found


def _uncommitted(lab: Lab) -> list[str]:
    """Return the completed runs that have no commit, oldest first; a single tool call is none."""
    known = {record["run_id"] for record in commit_records(lab)}
    rows = [row for row in lab.runs() if row["status"] == "completed" and not row["title"].startswith(CALL)]
    return [row["run_id"] for row in reversed(rows) if row["run_id"] not in known]


def _completed(lab: Lab, name: str) -> str:
    record = lab.find_run(name)
    if record.status != "completed":
        raise ValidationError(
            f"The run {record.run_id} is {record.status}: only completed runs are committed.",
            hint=f"Run it again, or look: physlab show {record.run_id}",
        )
    return record.run_id


def _commit(lab: Lab, repository: Repository, run_id: str, allowed: MayLeave) -> dict[str, Any]:
    """Commit one run, write it into the ledger, and take it from the queue."""
    request = _queue(lab) / run_id
    token = request.read_bytes() if request.exists() else b""
    record = lab.find_run(run_id)
    dag = lab.find_dag(record.dag_id).dag
    report = lab.settings.results / folder_name(record.title or dag.title) / run_id / "report.pdf"
    shown = dvcrepo.show_run(record, dag, lab.store, report if report.is_file() else None)
    taken = {f"what {place} takes": digest for place, digest in shown.inputs.items()}
    dvcrepo.require_leave([*shown.files.items(), *taken.items()], allowed)
    done = repository.commit(shown, run_id, lab.store)
    entry = {name: value for name, value in asdict(done).items() if name != "fresh"}
    if all(known["commit"] != done.commit for known in commit_records(lab)):
        now = datetime.now(UTC).isoformat()
        ids = {"run_id": run_id, "dag_id": record.dag_id, "repository": str(repository.folder)}
        lab.store.append(KIND, {"kind": KIND, **ids, **entry, "committed_at": now})
        lab.store.flush()
    if request.exists() and request.read_bytes() == token:
        request.unlink(missing_ok=True)
    return {"run_id": run_id, **asdict(done)}


def commit_records(lab: Lab) -> list[dict[str, Any]]:
    """Return what the ledger knows of commits, oldest first."""
    lab.store.refresh()
    return lab.store.records_of(KIND)


def commit_later(lab: Lab, run_id: str) -> None:
    """Let a process of its own commit a run, with whatever else waits; it goes on when this one ends.

    Raises:
        StoreError: The disk refuses; the run itself is whole.
    """
    settings, log = lab.settings, lab.settings.home / "dvc" / "commit.log"
    ours = {"PHYSLAB_HOME": settings.home, "PHYSLAB_RESULTS": settings.results.absolute(),
            "PHYSLAB_DVC__REPOSITORY": repository_of(lab).folder, "PHYSLAB_DVC__AUTHOR": settings.dvc.author,
            "PHYSLAB_STORE__INDEX_URL": settings.store.index_url, **own_path()}  # fmt: skip
    try:
        queue_runs(lab, [run_id])
        with log.open("ab") as stream:
            subprocess.Popen(
                [sys.executable, "-P", "-m", "physlab", "--quiet", "dvc", "commit", "--waiting"],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
                env=child_environment({name: str(value) for name, value in ours.items() if value is not None}),
            )  # fmt: skip
    except OSError as error:
        raise StoreError(
            f"The commit of run {run_id} cannot be begun: {error.strerror or error}.",
            hint=f"Free disk space, then: physlab dvc commit {run_id}",
        ) from error


def push_data(
    lab: Lab,
    remote: str | None = None,
    *,
    latest: bool = False,
    repair: bool = False,
    dry_run: bool = False,
    without_held: bool = False,
    allowed: MayLeave | None = None,
    told: Callable[[str], None] = lambda words: None,
) -> dict[str, Any]:
    """Send the data of commits to a remote, after it was found whole; with `dry_run` stop before that.

    With `without_held`, runs that hold or were made from what may not leave the lab stay here, and are named.

    Raises:
        ValidationError: Something of it may not leave the lab.
        StoreError: Something of it is damaged; nothing was sent.
        ConfigurationError: There is no repository, or no such remote.
        ComputationError: DVC refuses.
    """
    repository = repository_of(lab)
    repository.require()
    chosen = dvcrepo.choose_remote(repository, remote)
    held = dvcrepo.held_back(repository, allowed or may_leave(lab.store), latest=latest)
    if held and not without_held:
        named = "".join(f"\n  - {run}: {reason}" for run, reason in list(held.items())[:SHOWN])
        raise ValidationError(
            f"{len(held)} of the committed runs may not leave the lab:{named}",
            hint="Nothing was sent. Send the others: physlab dvc push --without-held", details={"held": held},
        )  # fmt: skip
    files = dvcrepo.push(
        repository, lab.store, chosen, latest=latest, repair=repair, dry_run=dry_run, without=held, told=told
    )
    return {"remote": chosen, "sent": not dry_run, "held": held, **_counted(files)}


def pull_data(lab: Lab, remote: str | None = None, told: Callable[[str], None] = lambda words: None) -> dict[str, Any]:
    """Bring the data of the latest commit from a remote, and to the store what it lacks."""
    repository = repository_of(lab)
    repository.require()
    chosen = dvcrepo.choose_remote(repository, remote)
    return {"remote": chosen, **_counted(dvcrepo.pull(repository, lab.store, chosen, told))}


def add_remote(lab: Lab, name: str, url: str, endpoint: str | None, given: Mapping[str, str]) -> dict[str, Any]:
    """Add a remote to the repository, or change one.

    Args:
        lab: The lab.
        name: What to call it.
        url: A folder, ssh://host/folder or s3://bucket/prefix.
        endpoint: URL of an S3-compatible service.
        given: Further options of DVC; those that are nobody else's business are not committed.

    Raises:
        ValidationError: The name or an option is not one.
    """
    init_repository(lab)
    repository = repository_of(lab)
    options = {"url": url, **({"endpointurl": endpoint} if endpoint else {}), **given}
    kept = repository.add_remote(name, options)
    return {"name": name, "url": dvcrepo.remotes(repository.folder)[name]["url"], "kept_here": kept}


def verify_data(lab: Lab, remote: str | None = None, *, at_remote: bool = False) -> dict[str, Any]:
    """Read all data of the latest commit, here or at a remote, and compare both digests of each file."""
    repository = repository_of(lab)
    repository.require()
    files = dvcrepo.wanted(repository)
    if at_remote or remote:
        chosen: str | None = dvcrepo.choose_remote(repository, remote)
        found = dvcrepo.remote_damage(repository, str(chosen), files.values())
    else:
        chosen, found = None, dvcrepo.damage(repository, files.values())
    bad = {one.path: problem for one, problem in found}
    return {"remote": chosen, **_counted(files), "ok": not bad, "damaged": bad}


def repository_status(lab: Lab) -> dict[str, Any]:
    """Say what is committed, what waits, and what has no commit yet."""
    repository = repository_of(lab)
    made = commit_records(lab)
    return {
        "repository": str(repository.folder),
        "exists": repository.exists,
        "remotes": dvcrepo.remotes(repository.folder) if repository.exists else {},
        "commits": [{name: record[name] for name in ("run_id", "commit", "subject")} for record in made],
        "waiting": queued_runs(lab),
        "uncommitted": _uncommitted(lab),
        "problems": _problems(lab),
    }


def _problems(lab: Lab) -> list[str]:
    """Return what the processes that commit after runs said last, while something waits."""
    log = lab.settings.home / "dvc" / "commit.log"
    if not queued_runs(lab) or not log.is_file():
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]


def _counted(files: dict[str, dvcrepo.Wanted]) -> dict[str, int]:
    return {"files": len(files), "bytes": sum(one.twin.size for one in files.values())}
