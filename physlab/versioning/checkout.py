"""A past state put back into a folder: experiment, inputs, code, environment and artifacts, each verified."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

from physlab.durable import force_folder
from physlab.errors import StoreError, ValidationError
from physlab.keys import digest_stream
from physlab.lab import Lab, NamedDag
from physlab.model import NodeRecord, RunRecord
from physlab.report.folder import write_results
from physlab.store import Store
from physlab.versioning import external
from physlab.versioning.git import ask_git
from physlab.versioning.letgo import explained

EXPERIMENT, LOCK, CODE, RESULTS, FOREIGN = "experiment.json", "environment.lock", "code", "results", "inputs"


@dataclass
class State:
    """What was put back.

    Attributes:
        folder: Where.
        run_id: Of which run.
        files: Path in the folder → SHA-256, each verified.
        missing: What could not be put back, and why.
    """

    folder: Path
    run_id: str
    files: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def as_object(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        return {"folder": str(self.folder), "run_id": self.run_id, "files": self.files, "missing": self.missing}


def checkout(lab: Lab, run: RunRecord, named: NamedDag, folder: Path) -> State:
    """Put the state of a run into a new folder, complete or not at all.

    The folder holds `experiment.json`, which runs there as it did then; the files that it read, under their relative
    paths or below `inputs`; `results`, `environment.lock`, and `code` with the commit and what differed from it.

    Args:
        lab: The lab.
        run: The run.
        named: Its graph.
        folder: A folder that is not there yet, or is empty.

    Raises:
        ValidationError: Something stands in the folder.
        StoreError: A byte of an input or artifact is missing or damaged, or the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValidationError(f"'{folder}' is not empty.", hint="Name a folder that is not there yet.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            scratch.chmod(0o755)
            state = _fill(lab, run, named, scratch)
            if folder.exists():
                folder.rmdir()
            os.replace(scratch, folder)
            force_folder(folder.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except StoreError as error:
        raise explained(lab.store, error, f"physlab run {quote(named.dag.title or named.dag_id)}") from error
    except OSError as error:
        raise StoreError(
            f"'{folder}' cannot be written: {error.strerror or error}.", hint="Choose another folder."
        ) from error
    return State(folder, state.run_id, state.files, state.missing)


def _fill(lab: Lab, run: RunRecord, named: NamedDag, folder: Path) -> State:
    state = State(folder, run.run_id)
    graph = _put_inputs(lab, run, named, state)
    (folder / EXPERIMENT).write_text(json.dumps(graph, indent=2, ensure_ascii=False))
    results = write_results(run, named.dag, lab.store, folder / ".results", None)
    shutil.copytree(results.path, folder / RESULTS)
    shutil.rmtree(folder / ".results")
    for name, sha256 in results.files.items():
        _check(folder / RESULTS / name, sha256)
        state.files[f"{RESULTS}/{name}"] = sha256
    lock = run.meta.get("environment")
    if lock:
        _put(lab.store, lock, folder / LOCK, state)
    else:
        state.missing.append("the list of packages: the run is older than that was kept")
    _put_code(lab.store, run.meta.get("code") or {}, state)
    return state


# --- inputs --------------------------------------------------------------------------------------------------------


def _put_inputs(lab: Lab, run: RunRecord, named: NamedDag, state: State) -> dict[str, Any]:
    """Put every file that a node read into the folder, and return the graph with the paths that they have there."""
    graph = named.dag.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    records = {node.id: node.record for node in run.nodes if node.record}
    for node in graph.get("nodes", ()):
        record = records.get(node["id"])
        if record is None:
            continue
        made = NodeRecord.model_validate(lab.store.record(record))
        node["params"] = _placed(node.get("params", {}), made.params, lab.store, state)
    return graph


def _placed(written: Any, recorded: Any, store: Store, state: State) -> Any:
    """Return parameters as they were written, with the files beside the graph."""
    if isinstance(recorded, Mapping):
        if len(recorded) == 1 and isinstance(recorded.get("$file"), str) and isinstance(written, str):
            return _put_input(written, recorded["$file"], store, state)
        if isinstance(written, Mapping):
            return {name: _placed(value, recorded.get(name), store, state) for name, value in written.items()}
    if isinstance(recorded, list) and isinstance(written, list) and len(written) == len(recorded):
        return [_placed(a, b, store, state) for a, b in zip(written, recorded, strict=True)]
    return written


def _put_input(written: str, sha256: str, store: Store, state: State) -> str:
    path = PurePosixPath(written)
    inside = not path.is_absolute() and ".." not in path.parts and path.parts[:1] not in ((RESULTS,), (CODE,))
    name = str(path) if inside else f"{FOREIGN}/{sha256[:12]}/{path.name}"
    if state.files.get(name) not in (None, sha256):
        name = f"{FOREIGN}/{sha256[:12]}/{path.name}"
    if name not in state.files:
        place = None if store.blobs.path(sha256).exists() else external.place_of(store, sha256)
        if place is None:
            _put(store, sha256, state.folder / name, state)
        else:  # registered to stay where it is, and verified there
            (state.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (state.folder / name).symlink_to(place)
            state.files[name] = sha256
    return name


def _put(store: Store, sha256: str, target: Path, state: State) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(store.blobs.verified(sha256), target)
    _check(target, sha256)
    state.files[target.relative_to(state.folder).as_posix()] = sha256


def _check(path: Path, sha256: str) -> None:
    with open(path, "rb") as stream:
        found, _ = digest_stream(stream)
    if found != sha256.removeprefix("sha256:"):
        raise StoreError(f"'{path.name}' is not what it was: sha256:{found[:16]}….", hint="Run: physlab store verify.")


# --- code ----------------------------------------------------------------------------------------------------------


def _put_code(store: Store, code: Mapping[str, Any], state: State) -> None:
    """Put the repository back as it was: the commit, and what differed from it."""
    if not code.get("commit"):
        return
    target = state.folder / CODE
    repository = Path(str(code.get("repository", "")))
    diff = code.get("diff")
    if diff:
        _put(store, diff, state.folder / "code.diff", state)
    archive = ask_git(repository, "archive", "--format=tar", code["commit"]) if repository.is_dir() else None
    if archive is None:
        state.missing.append(
            f"commit {code['commit'][:12]} of {repository}: git does not find it there; what differed is in code.diff"
            if diff else f"commit {code['commit'][:12]} of {repository}: git does not find it there"
        )  # fmt: skip
        return
    target.mkdir()
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        members.extractall(target, filter="data")
    if diff and _apply(target, store.blobs.read(diff)) is None:
        state.missing.append("the changes of the code do not apply to the commit; they are in code.diff")
    for path in sorted(target.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with open(path, "rb") as stream:
                state.files[path.relative_to(state.folder).as_posix()] = digest_stream(stream)[0]


def _apply(target: Path, diff: bytes) -> bytes | None:
    outside = {"GIT_CEILING_DIRECTORIES": str(target.resolve().parent)}  # of whatever repository lies above
    return ask_git(target, "apply", "--binary", "--whitespace=nowarn", "-", given=diff, environment=outside)
