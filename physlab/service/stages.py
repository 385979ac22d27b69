"""A graph as a pipeline of DVC: written once, then each node run by `dvc repro`."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from physlab.dvcrepo.checks import require_leave
from physlab.dvcrepo.objects import write_whole
from physlab.dvcrepo.pipeline import OUTS, read_pipeline, upstream_of, write_pipeline
from physlab.dvcrepo.runfolder import spell_json
from physlab.errors import StoreError, ValidationError
from physlab.graph import needs
from physlab.lab import CALL, Lab
from physlab.model import NodeRecord, RunRequest
from physlab.report.contents import Content, read_contents
from physlab.report.folder import paths_of, shown_fields
from physlab.service.graphs import Conductor, carry_out, failure
from physlab.versioning.labels import may_leave

RESULT = "result.json"


def export_pipeline(lab: Lab, name: Any, folder: Path, base_dir: Path | None = None) -> dict[str, Any]:
    """Write a graph as a pipeline of DVC.

    Args:
        lab: The lab.
        name: A file, an id, a title, or the graph itself.
        folder: Where to.
        base_dir: Folder that relative file names start from.

    Raises:
        ValidationError: The graph is not right, a file may not leave the lab, or a node that others need is never taken
            from the cache.
    """
    named = lab.find_dag(name, base_dir)
    checked = lab.check(named)
    checked.require()
    needed = {above for node in checked.nodes.values() for above in node.upstream}
    fleeting = [one for one, node in checked.nodes.items() if one in needed and not node.lasting]
    if fleeting:
        raise ValidationError(
            f"The node '{fleeting[0]}' is never taken from the cache: each stage behind it would compute it anew.",
            hint="Remove `cache: false`, or run the graph as a whole: physlab run",
        )
    files = {one: [Path(path) for path in node.prepared.files] for one, node in checked.nodes.items()}
    digests = lab.store.digest_files([path for paths in files.values() for path in paths])
    given = {path.name: digest for path, digest in digests.items()}
    require_leave(given.items(), may_leave(lab.store))
    written = write_pipeline(named.dag, files, named.base_dir, folder)
    return {"folder": str(folder), "files": written, "stages": len(checked.nodes), "dag_id": named.dag_id}


def run_stage(lab: Lab, folder: Path, node: str) -> dict[str, Any]:
    """Run one node of a pipeline and write what it gave to `stages/NODE`, complete or not at all.

    What the node needs is taken from the lab's store, where the stages before left it, and computed where it is not
    there (on another machine, say). It has to be what the folders of these stages show.

    Raises:
        ValidationError: There is no pipeline or node, or the folder of a stage before shows something else.
        ComputationError: The node failed.
    """
    whole = lab.read(read_pipeline(folder), folder)
    part = upstream_of(whole.dag, node)
    title = f"{CALL}{node} of {whole.dag.title or folder.resolve().name}"  # a call, as far as lists of runs go
    named = lab.read(part.model_copy(update={"title": title}), folder)
    record = carry_out(lab, named, RunRequest(), Conductor())
    problem = failure(record)
    if problem is not None:
        raise problem
    contents = {content.id: content for content in read_contents(record, lab.store)}
    own = next(one for one in part.nodes if one.id == node)
    for above in needs(own):
        _require_same(lab, contents[above], folder / OUTS / above)
    target = folder / OUTS / node
    _show(lab, contents[node], target)
    status = contents[node].run
    return {"node": node, "cached": status.cached, "key": status.key, "run_id": record.run_id, "folder": str(target)}


def _result(content: Content) -> dict[str, Any]:
    """Return what a stage says of its node: nothing in it depends on when, where or in which run it was made."""
    record = _record(content)
    files = paths_of(content)
    return {
        "node": content.id,
        "tool": content.name,
        "fields": shown_fields(record.fields, files),
        "digests": record.field_digests,
        "files": {path: f"sha256:{digest}" for path, digest in sorted(files.items())},
    }


def _record(content: Content) -> NodeRecord:
    if content.record is None:
        raise StoreError(f"The node '{content.id}' left no record.", hint="Run it again: dvc repro")
    return content.record


def _require_same(lab: Lab, content: Content, folder: Path) -> None:
    """Refuse to go on from a folder that shows something else than the store has."""
    again = f"Make it again: dvc repro --force {content.id}"
    try:
        shown = json.loads((folder / RESULT).read_bytes())
    except (OSError, ValueError) as error:
        raise ValidationError(f"'{folder / RESULT}' cannot be read: {error}.", hint=again) from error
    expected = json.loads(spell_json(_result(content)))
    found = lab.store.digest_files([folder / path for path in expected["files"]])
    changed = [path for path, digest in expected["files"].items() if f"sha256:{found[folder / path]}" != digest]
    if shown != expected or changed:
        raise ValidationError(
            f"'{folder / (changed[0] if changed else RESULT)}' is not what the node '{content.id}' gives.", hint=again
        )


def _show(lab: Lab, content: Content, target: Path) -> None:
    """Write the folder of a stage. Its files are copies: DVC moves, links and unprotects what it tracks."""
    scratch = target.parent / f".{target.name}.{secrets.token_hex(8)}.tmp"
    try:
        for path, digest in paths_of(content).items():
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(lab.store.blobs.path(digest), scratch / path)
        write_whole(scratch / RESULT, spell_json(_result(content)))
        if target.exists():
            shutil.rmtree(target)
        os.rename(scratch, target)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"'{target}' cannot be written: {error.strerror or error}.", hint="Free disk space, then: dvc repro"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
