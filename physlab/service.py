"""One function for each public method: parameters in, reply out. The table at the end is the router."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physlab import graph
from physlab.errors import ComputationError, PhyslabError, ValidationError, from_reply, nearest
from physlab.lab import CALL, Lab, NamedDag, edges_of, few_collections, new_run_id
from physlab.model import Call, Dag, Node, NodeRecord, RunRecord, RunRequest
from physlab.planning import Plan
from physlab.run import Event, Run, walk
from physlab.submitter import PlainSubmitter, Submitter
from physlab.tools.execute import show
from physlab.tools.fingerprint import code_identity


@dataclass
class Reply:
    """What a method answers: the bare object, and the error that makes it a failure."""

    body: dict[str, Any]
    error: PhyslabError | None = None

    def as_object(self) -> dict[str, Any]:
        """Return the one JSON object of the reply."""
        return self.body if self.error is None else {**self.body, "error": self.error.as_reply()}


@dataclass
class Conductor:
    """How a run is carried out: filled in by the engine, plain by default."""

    submitter: Submitter = field(default_factory=PlainSubmitter)
    planned: Callable[[str, Plan], None] = lambda run_id, plan: None
    watch: Callable[[Event], None] = lambda event: None
    run_id: str | None = None


def define_dag(lab: Lab, *, spec: Any = None, natural_language: str | None = None, base_dir: Path) -> Reply:
    """Read a graph, store it, validate it, and draw it.

    Args:
        lab: The lab.
        spec: The graph in any accepted spelling.
        natural_language: A sentence instead of it.
        base_dir: Folder that relative file names start from.

    Raises:
        ValidationError: Neither or both are given, or it cannot be read as a graph at all.
    """
    if (spec is None) == (natural_language is None):
        raise ValidationError("Give either 'spec' or 'natural_language'.", hint="Exactly one of them.")
    if natural_language is not None:
        from physlab.language import read_sentence

        spec = read_sentence(natural_language)
    named = lab.read(spec, base_dir)
    checked = lab.check(named)
    lab.remember(named)
    from physlab.report.overview import draw_overview

    picture = draw_overview(named.dag, kinds(lab, named.dag), problems=checked.problems)
    body = {
        "dag_id": named.dag_id,
        "validated": checked.ok,
        "nodes": [node.model_dump(mode="json", exclude_defaults=True) for node in named.dag.nodes],
        "edges": edges_of(named.dag),
        "ui_overview_png_b64": base64.b64encode(picture).decode(),
        "warnings": [str(problem) for problem in checked.warnings],
    }
    try:
        checked.require()
    except ValidationError as error:
        return Reply(body, error)
    return Reply(body)


def kinds(lab: Lab, dag: Dag) -> dict[str, str]:
    """Return the kind of each node's method, for its colour."""
    found: dict[str, str] = {}
    for node in dag.nodes:
        try:
            found[node.id] = lab.registry.find(node.tool, node.method).kind
        except ValidationError:
            continue
    return found


def validate_dag(lab: Lab, dag: Any, base_dir: Path | None = None) -> Reply:
    """Return every problem of a graph."""
    named = lab.find_dag(dag, base_dir)
    checked = lab.check(named)
    return Reply(
        {
            "dag_id": named.dag_id,
            "ok": checked.ok,
            "warnings": [str(problem) for problem in checked.warnings],
            "problems": [problem.model_dump() for problem in checked.problems],
        }
    )


def run_dag(
    lab: Lab, dag: Any, request: RunRequest, *, base_dir: Path | None = None, conductor: Conductor | None = None
) -> Reply:
    """Run a graph: what is cached is not run, results get human names, the reply says what happened.

    Raises:
        ValidationError: The graph is not right; nothing was run.
    """
    named = lab.find_dag(dag, base_dir)
    record = carry_out(lab, named, request, conductor or Conductor())
    return run_reply(lab, record, named)


def carry_out(lab: Lab, named: NamedDag, request: RunRequest, conductor: Conductor) -> RunRecord:
    """Check, plan and walk a graph; return the record of the run."""
    checked = lab.check(named)
    checked.require()
    lab.remember(named)
    plan = lab.plan(checked, request.refresh)
    run_id = conductor.run_id or new_run_id()
    conductor.planned(run_id, plan)
    run = Run(
        plan=plan,
        store=lab.store,
        sites=lab.sites(request.parallelism),
        submitter=conductor.submitter,
        request=request,
        run_id=run_id,
        dag_id=named.dag_id,
        title=named.dag.title,
        code_of=code_identity,
        watch=conductor.watch,
        caps=lab.settings.caps,
        web=lab.settings.web,
    )
    with few_collections():
        return walk(run)


def run_reply(lab: Lab, record: RunRecord, named: NamedDag) -> Reply:
    """Write the results folder of a run and return its reply."""
    from physlab.report.folder import write_results
    from physlab.report.reply import reportable

    results = write_results(record, named.dag, lab.store, lab.settings.results, None)
    listed = [digest for name, digest in sorted(results.files.items())]
    body = {
        "run_id": record.run_id,
        "dag_id": record.dag_id,
        "status": record.status,
        "artifacts": sorted({f"sha256:{digest.removeprefix('sha256:')}" for digest in listed}),
        "reportable": reportable(record, lab.store, results),
        "meta": record.meta,
        "nodes": [
            {"id": node.id, "status": node.status, "cached": node.cached, "key": node.key, "error": node.error}
            for node in record.nodes
        ],
        "files": results.files,
        "results": str(results.path),
    }
    return Reply(body, failure(record))


def failure(record: RunRecord) -> PhyslabError | None:
    """Return the error that tells which nodes of a run failed, None when all is well."""
    failed = [node for node in record.nodes if node.status == "failed"]
    if record.status == "completed":
        return None
    if not failed:
        return ComputationError(f"The run {record.run_id} was stopped.", hint="Run again: finished nodes are kept.")
    first = failed[0].error or {}
    skipped = sum(node.status == "skipped" for node in record.nodes)
    return ComputationError(
        f"{len(failed)} of {len(record.nodes)} nodes failed ({skipped} skipped behind them); "
        f"first: {failed[0].id}: {first.get('message', '')}",
        hint=f"{first.get('hint', '')} See: physlab show {record.run_id}".strip(),
        details={"run_id": record.run_id, "failed": {node.id: node.error for node in failed}},
    )


def publish_report(
    lab: Lab,
    run: str,
    *,
    title: str | None = None,
    authors: list[str] | None = None,
    abstract: str = "",
    bib: list[str] | None = None,
) -> Reply:
    """Write the PDF of a run into its results folder.

    Args:
        lab: The lab.
        run: Run id, `latest`, or the id or title of a graph (its latest run).
        title: Title of the paper; the graph's by default.
        authors: Names below it.
        abstract: Text; composed from the graph by default.
        bib: BibTeX entries or files.
    """
    from physlab.report.folder import write_results
    from physlab.report.given import bibliography, logo
    from physlab.report.paper import write_report

    record = lab.find_run(run)
    named = lab.find_dag(record.dag_id)
    pdf = write_report(
        record,
        named.dag,
        lab.store,
        title=title or record.title or "Experiment Report",
        authors=authors or list(lab.settings.report.authors) or [named.dag.author or "physlab"],
        abstract=abstract or named.dag.description,
        bib=[bibliography(item) for item in bib or []],
        lab=lab.settings.report.lab,
        logo=logo(lab.settings.report.logo),
    )
    results = write_results(record, named.dag, lab.store, lab.settings.results, pdf)
    return Reply({"pdf_path": str(results.path / "report.pdf"), "run_id": record.run_id})


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


def _take(params: dict[str, Any], method: str, **names: tuple[str, ...]) -> dict[str, Any]:
    """Pick a method's parameters by their accepted names, refusing what is left."""
    rest = dict(params)
    taken = {}
    for name, spellings in names.items():
        found = [spelling for spelling in (name, *spellings) if spelling in rest]
        if len(found) > 1:
            raise ValidationError(f"{method}: '{found[0]}' and '{found[1]}' mean the same.", hint="Give one of them.")
        if found:
            taken[name] = rest.pop(found[0])
    if rest:
        known = [spelling for name, others in names.items() for spelling in (name, *others)]
        raise ValidationError(
            f"{method} knows no parameter '{next(iter(rest))}'.", hint=nearest(next(iter(rest)), known)
        )
    return taken


def _call_define(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    sentence = params.get("natural_language")
    if sentence is None and set(params) == {"description"}:
        return define_dag(lab, natural_language=params["description"], base_dir=base_dir)
    if "spec" in params or sentence is not None:
        taken = _take(params, "define_dag", spec=(), natural_language=())
        return define_dag(lab, **taken, base_dir=base_dir)
    return define_dag(lab, spec=params or None, base_dir=base_dir)


def _call_validate(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    taken = _take(params, "validate_dag", dag_id=("dag", "name", "spec"))
    return validate_dag(lab, _needed(taken, "dag_id", "validate_dag"), base_dir)


def read_run_call(params: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the graph and the wishes that the parameters of a `run_dag` call spell.

    Raises:
        ValidationError: A parameter is unknown, or no graph is named.
    """
    taken = _take(
        params,
        "run_dag",
        dag_id=("dag", "name", "spec"),
        parallelism=(),
        offload_policy=("execution_policy",),
        refresh=(),
        fail_fast=(),
        cache_enabled=(),
        parallel_execution=(),
    )
    dag = _needed(taken, "dag_id", "run_dag")
    if taken.pop("cache_enabled", True) is False:
        taken["refresh"] = True
    if taken.pop("parallel_execution", True) is False:
        taken["parallelism"] = 1
    return dag, {name: wish for name, wish in taken.items() if name != "dag_id"}


def _call_run(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    dag, wishes = read_run_call(params)
    return run_dag(lab, dag, run_request(lab, **wishes), base_dir=base_dir)


def run_request(lab: Lab, **changes: Any) -> RunRequest:
    """Return the lab's defaults for a run with the changes of one call.

    Raises:
        ValidationError: A value is out of its range.
    """
    import pydantic

    try:
        return lab.settings.run.request(**changes)
    except pydantic.ValidationError as error:
        item = error.errors()[0]
        name = ".".join(map(str, item["loc"][:1]))
        raise ValidationError(f"{name} = {item['input']!r}: {item['msg']}.", hint="See: physlab run --help.") from error


def _call_publish(lab: Lab, params: dict[str, Any], base_dir: Path) -> Reply:
    taken = _take(
        params, "publish_report", run_id=("run", "dag_id"), title=(), authors=(), bib=(), abstract=(), format=(),
        include_artifacts=(),
    )  # fmt: skip
    if taken.pop("format", "pdf") != "pdf":
        raise ValidationError("publish_report writes PDF.", hint='Leave "format" out or say "pdf".')
    taken.pop("include_artifacts", None)
    run = _needed(taken, "run_id", "publish_report")
    taken.pop("run_id")
    return publish_report(lab, run, **taken)


def _needed(taken: Mapping[str, Any], name: str, method: str) -> Any:
    if taken.get(name) is None:
        raise ValidationError(f"{method} needs '{name}'.", hint="See: physlab tools show experiment_orchestrator.")
    return taken[name]


METHODS: dict[str, Callable[[Lab, dict[str, Any], Path], Reply]] = {
    "define_dag": _call_define,
    "validate_dag": _call_validate,
    "run_dag": _call_run,
    "publish_report": _call_publish,
}


def answer(lab: Lab, call: Call, base_dir: Path) -> Reply:
    """Answer any tool call.

    Raises:
        PhyslabError: The call is wrong or failed.
    """
    if call.tool in ("experiment_orchestrator", "distributed_collaboration"):
        if call.method not in METHODS:
            raise ValidationError(
                f"'{call.method}' is not available in this version.", hint=f"Available: {', '.join(METHODS)}."
            )
        return METHODS[call.method](lab, call.params, base_dir)
    return call_tool(lab, call, base_dir)
