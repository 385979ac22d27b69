"""Tool calls: one tool as a run of one node, or a public method. The table is the router."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from physlab import graph
from physlab.errors import ValidationError, from_reply
from physlab.lab import CALL, Lab, NamedDag
from physlab.model import Call, Dag, Node, NodeRecord, RunRequest
from physlab.service.graphs import Conductor, Reply, carry_out, define_dag, publish_report, run_dag, validate_dag
from physlab.service.jobs import job_submit
from physlab.service.notebook.answer import lab_notebook, notebook_export
from physlab.service.sharing.answer import collaborate_share, session_share
from physlab.service.versions.answer import artifact_versioning
from physlab.service.wishes import needed, read_run_call, run_request, take
from physlab.tools.call import check_params
from physlab.tools.execute import show


def call_tool(lab: Lab, call: Call, base_dir: Path) -> Reply:
    """Run one tool, cached like any node, and return its bare fields."""
    node = Node(id="call", tool=call.tool, method=call.method, params=call.params)
    dag = Dag(nodes=(node,), title=f"{CALL}{call.tool}")
    named = NamedDag(dag, graph.identity(dag), base_dir)
    errors = lab.check(named).errors
    if errors:
        code = errors[0].code if len({item.code for item in errors}) == 1 else ValidationError.code
        message, hint = (
            " ".join(filter(None, texts)) for texts in zip(*((e.message, e.hint) for e in errors), strict=True)
        )
        problems = [item.model_dump() for item in errors]
        raise from_reply({"code": code, "message": message, "hint": hint, "details": {"problems": problems}})
    record = carry_out(lab, named, RunRequest(parallelism=1), Conductor())
    [outcome] = record.nodes
    if outcome.error is not None:
        raise from_reply(outcome.error)
    made = NodeRecord.model_validate(lab.store.record(str(outcome.record)))
    folder = lab.settings.home / "calls" / str(outcome.record)[:16]
    fields = {name: show(value, lab.store.blobs) for name, value in made.fields.items()}
    artifacts = []
    for artifact in made.artifacts:
        target = folder / artifact.name
        lab.store.blobs.export(artifact.sha256, target)
        artifacts.append({"kind": artifact.role, "path": str(target), "sha256": artifact.uri})
    _name_paths(fields, {str(lab.store.blobs.path(a.sha256)): str(folder / a.name) for a in made.artifacts})
    cached = outcome.cached or bool(made.meta.get("cached"))  # a service's answer may have been kept as well
    meta = {**made.meta, "cached": cached, "warnings": list(made.warnings)}
    return Reply({**fields, "artifacts": artifacts, "meta": meta})


def _name_paths(value: Any, names: Mapping[str, str]) -> None:
    """Put the human paths of files in the place of their paths in the store."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        if isinstance(item, str) and item in names:
            value[key] = names[item]
        else:
            _name_paths(item, names)


def _call_define(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    sentence = params.get("natural_language")
    if sentence is None and set(params) == {"description"}:
        return define_dag(lab, natural_language=params["description"], base_dir=base_dir)
    if "spec" in params or sentence is not None:
        taken = take(params, "define_dag", spec=(), natural_language=())
        return define_dag(lab, **taken, base_dir=base_dir)
    return define_dag(lab, spec=params or None, base_dir=base_dir)


def _call_validate(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    taken = take(params, "validate_dag", dag_id=("dag", "name", "spec"))
    return validate_dag(lab, needed(taken, "dag_id", "validate_dag"), base_dir)


def _call_run(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    dag, wishes = read_run_call(params)
    return run_dag(lab, dag, run_request(lab, **wishes), base_dir=base_dir)


def _call_publish(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    taken = take(
        params, "publish_report", run_id=("run", "dag_id"), title=(), authors=(), bib=(), abstract=(), format=(),
        include_artifacts=(),
    )  # fmt: skip
    if taken.pop("format", "pdf") != "pdf":
        raise ValidationError("publish_report writes PDF.", hint='Leave "format" out or say "pdf".')
    taken.pop("include_artifacts", None)
    run = needed(taken, "run_id", "publish_report")
    taken.pop("run_id")
    return publish_report(lab, run, **taken)


def _call_job(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    checked = check_params(lab.registry.find("distributed_collaboration", "job_submit"), params)
    return Reply(job_submit(lab, checked.model_dump(exclude_none=True), base_dir))


def _call_versioning(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    checked = check_params(lab.registry.find("distributed_collaboration", "artifact_versioning"), params)
    given = checked.model_dump(exclude_none=True)
    if given["auto_backup"]:
        return Reply(artifact_versioning(lab, given, base_dir))
    artifacts = given.get("artifacts")
    listed = [artifacts] if isinstance(artifacts, str) else artifacts
    return Reply(artifact_versioning(lab, {**given, "artifacts": listed}, base_dir))


def _call_share(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    checked = check_params(lab.registry.find("distributed_collaboration", "session_share"), params)
    return Reply(session_share(lab, checked.model_dump(exclude_none=True)))


def _call_notebook(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    checked = check_params(lab.registry.find("distributed_collaboration", "lab_notebook"), params)
    return Reply(lab_notebook(lab, checked.model_dump(exclude_none=True), base_dir))


def _call_notebook_export(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    checked = check_params(lab.registry.find("distributed_collaboration", "notebook_export"), params)
    return Reply(notebook_export(lab, checked.model_dump(exclude_none=True), base_dir))


def _call_collaborate(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    checked = check_params(lab.registry.find("experiment_orchestrator", "collaborate_share"), params)
    return Reply(collaborate_share(lab, checked.model_dump(exclude_none=True), base_dir))


METHODS: dict[str, Callable[[Lab, dict[str, Any], Path], Reply]] = {
    "define_dag": _call_define,
    "validate_dag": _call_validate,
    "run_dag": _call_run,
    "publish_report": _call_publish,
    "job_submit": _call_job,
    "artifact_versioning": _call_versioning,
    "session_share": _call_share,
    "lab_notebook": _call_notebook,
    "notebook_add": _call_notebook,
    "notebook_export": _call_notebook_export,
    "collaborate_share": _call_collaborate,
}


def answer(lab: Lab, call: Call, base_dir: Path) -> Reply:
    """Answer any tool call.

    Raises:
        PhyslabError: The call is wrong or failed.
    """
    if call.tool in ("experiment_orchestrator", "distributed_collaboration"):
        return METHODS[str(call.method)](lab, call.params, base_dir)
    return call_tool(lab, call, base_dir)
