"""The results folder of a run: its files under human names, as hard links into the store."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from physlab.errors import StoreError
from physlab.keys import digest_bytes
from physlab.model import Dag, RunRecord, is_stored_array, is_stored_file
from physlab.report.contents import Content, clean, read_files, stored_digest
from physlab.store import Store


@dataclass(frozen=True)
class Results:
    """A results folder, the SHA-256 of each of its files by path inside it, and the nodes it tells of."""

    path: Path
    files: dict[str, str]
    contents: list[Content] = field(repr=False)


def write_results(run: RunRecord, dag: Dag, store: Store, root: Path, report: bytes | None) -> Results:
    """Show a run under human names in `root/<title>/<run id>/`, complete or not at all.

    Figures, data, animations and logs are hard links to the store where the file system allows it; `run.json` holds the
    records, and `latest` beside the folder leads to it.

    Args:
        run: The run.
        dag: Its graph; its title names the folder.
        store: Where the bytes are.
        root: Folder of all results.
        report: The PDF, when there is one; without it, one that is there already stays.

    Returns:
        The folder and the digest of every file in it.

    Raises:
        StoreError: A file is missing in the store, or the folder cannot be written.
    """
    contents = read_files(run, store)
    home = root / folder_name(run.title or dag.title)
    target = home / clean(run.run_id)
    try:
        home.mkdir(parents=True, exist_ok=True)
        if report is None and (target / "report.pdf").is_file():
            report = (target / "report.pdf").read_bytes()
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=home))
        try:
            fresh.chmod(0o755)
            files = _fill(fresh, run, dag, contents, store, report)
            _swap(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        _point(home / "latest", target.name)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"The results of run {run.run_id} cannot be written to {target}: {error.strerror or error}.",
            hint="Free disk space, or choose another folder with --results; the store still has everything.",
        ) from error
    return Results(target, files, contents)


def folder_name(title: str) -> str:
    """Return the folder that the results of a title lie in."""
    return clean(title, 60).lower().replace("_", "-") or "untitled"


def _fill(
    folder: Path, run: RunRecord, dag: Dag, contents: list[Content], store: Store, report: bytes | None
) -> dict[str, str]:
    files: dict[str, str] = {}
    for content in contents:
        for path, digest in paths_of(content).items():
            store.blobs.export(digest, folder / path)
            files[path] = digest
    own = {"run.json": summary(run, dag, contents)} | ({"report.pdf": report} if report is not None else {})
    for path, data in own.items():
        (folder / path).write_bytes(data)
        files[path] = digest_bytes(data)
    return files


def paths_of(content: Content) -> dict[str, str]:
    """Return the files of a node: path in the folder to digest."""
    if content.record is None:
        return {}
    found = {item.path: item.artifact.sha256 for item in content.items}
    for name, path in content.fields.items():
        found[path] = str(stored_digest(content.record.fields[name]))
    if content.log and content.record.log:
        found[content.log] = content.record.log
    return found


def summary(run: RunRecord, dag: Dag, contents: list[Content]) -> bytes:
    """Return `run.json`: the run, its graph, and each node with its values and the paths of its files."""
    nodes = {content.id: _node(content) for content in contents}
    whole = {
        "run": run.model_dump(mode="json"),
        "dag": dag.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "nodes": nodes,
    }
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _node(content: Content) -> dict[str, Any]:
    if content.record is None:
        return {"status": content.run.status, "error": content.run.error, "why": content.run.why}
    files = paths_of(content)
    places = {digest: path for path, digest in files.items()}
    record = content.record.model_dump(mode="json", exclude={"fields", "artifacts"})
    captions = {item.path: item.artifact.caption for item in content.items}
    return {
        "status": content.run.status,
        "fields": shown_fields(content.record.fields, files),
        "files": {path: {"sha256": digest, "caption": captions.get(path, "")} for digest, path in places.items()},
        "record": record,
    }


def shown_fields(fields: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a node with the paths of what lies in the store.

    Args:
        fields: As its record has them.
        files: SHA-256 of each file of the node, by path.
    """
    places = {digest: path for path, digest in files.items()}
    return {name: _shown(value, places) for name, value in fields.items()}


def _shown(value: Any, places: Mapping[str, str]) -> Any:
    """Return a field with the paths of what lies in the store."""
    if is_stored_array(value) or is_stored_file(value):
        [stored] = value.values()
        return {"file": places.get(stored["sha256"]), **stored}
    if isinstance(value, dict):
        return {name: _shown(item, places) for name, item in value.items()}
    return [_shown(item, places) for item in value] if isinstance(value, list) else value


def _swap(fresh: Path, target: Path) -> None:
    """Put the new folder in the place of the old one."""
    if target.exists():
        old = fresh.with_name(fresh.name + ".old")
        os.rename(target, old)
        os.rename(fresh, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(fresh, target)


def _point(link: Path, name: str) -> None:
    """Let `latest` lead to a folder, without a moment in which it leads nowhere."""
    temporary = link.with_name(f".latest.{name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(name, target_is_directory=True)
    os.replace(temporary, link)
