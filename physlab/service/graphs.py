"""One function for each public method on graphs: parameters in, reply out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physlab.collector import few_collections
from physlab.errors import ComputationError, PhyslabError, StoreError, ValidationError
from physlab.graph import edges_of
from physlab.lab import CALL, Lab, NamedDag, new_run_id, slug
from physlab.model import Dag, RunRecord, RunRequest
from physlab.planning import Plan
from physlab.run import Event, Run, walk
from physlab.service.jobs import job_submit
from physlab.service.notebook.answer import lab_notebook, notebook_export
from physlab.service.papers import write_paper
from physlab.service.sessions import report_session
from physlab.service.sharing.answer import collaborate_share, session_share
from physlab.service.versions.answer import artifact_versioning
from physlab.service.wishes import read_run_call, run_request
from physlab.sites.office import OfficeSite
from physlab.specfile import parse_spec
from physlab.submitter import PlainSubmitter, Submitter
from physlab.tools.fingerprint import code_identity
from physlab.versioning.code import code_state
from physlab.versioning.environment import environment_lock
from physlab.versioning.labels import may_leave


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
    within: tuple[str, ...] = ()  # the graphs of which this one is a node


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
    conductor = conductor or Conductor()
    record = carry_out(lab, named, request, conductor)
    reply = run_reply(lab, record, named)
    if reply.error is None and not conductor.within:
        reply.body["meta"] = {**reply.body["meta"], **_commit_later(lab, record.run_id)}
    return reply


def _commit_later(lab: Lab, run_id: str) -> dict[str, str]:
    """Let a run enter the lab's repository where the settings say so; that it cannot does not undo the run."""
    if lab.settings.dvc.commit != "runs":
        return {}
    from physlab.service.dvc import commit_later

    try:
        commit_later(lab, run_id)
    except StoreError as error:
        return {"commit_problem": str(error)}
    return {"commit": "waiting"}


def carry_out(lab: Lab, named: NamedDag, request: RunRequest, conductor: Conductor) -> RunRecord:
    """Check, plan and walk a graph; return the record of the run."""
    checked = lab.check(named)
    checked.require()
    lab.prepare(request.site)
    lab.remember(named)
    plan = lab.plan(checked, request.refresh, request)
    run_id = conductor.run_id or new_run_id()
    conductor.planned(run_id, plan)
    clusters = lab.clusters(request.site)
    run = Run(
        plan=plan,
        store=lab.store,
        sites=[*lab.sites(request.parallelism), *clusters],
        submitter=conductor.submitter,
        request=request,
        run_id=run_id,
        dag_id=named.dag_id,
        title=named.dag.title,
        code_of=code_identity,
        watch=conductor.watch,
        caps=lab.settings.caps,
        office=OfficeSite(lambda method, params: _answer_node(lab, method, params, named, conductor.within)),
        web=lab.settings.web,
        means=lab.mean_durations() if clusters else {},
        may_leave=may_leave(lab.store) if any(item.method.leaves for item in checked.nodes.values()) else _free,
        about={} if named.dag.title.startswith(CALL) else _origin(lab, named, request.session),
    )
    with few_collections():
        return walk(run)


def _free(digest: str) -> str | None:
    """Say that bytes may leave the lab."""


def _origin(lab: Lab, named: NamedDag, session: str | None) -> dict[str, Any]:
    """Return what a run must say of its session, its code and its packages, so that its state can be put back."""
    code = code_state(lab.store, named.base_dir)
    known = {"code": code.model_dump(mode="json", exclude_defaults=True)} if code.commit else {}
    belongs = session or lab.settings.collaboration.session
    return {"session": belongs, "environment": environment_lock(lab.store), **known}


def _answer_node(
    lab: Lab, method: str, params: Mapping[str, Any], named: NamedDag, within: tuple[str, ...]
) -> dict[str, Any]:
    """Answer a node that asks the lab itself; a graph that it runs is a run of its own."""
    return _FOR_NODES[method](lab, dict(params), named, within)


def _body(reply: Reply) -> dict[str, Any]:
    if reply.error is not None:
        raise reply.error
    return reply.body


def _define_inside(lab: Lab, given: dict[str, Any], named: NamedDag, _: tuple[str, ...]) -> dict[str, Any]:
    spec = _written(lab, given["spec"], named.base_dir) if "spec" in given else None
    told = given.get("natural_language")
    return _body(define_dag(lab, spec=spec, natural_language=told, base_dir=named.base_dir))


def _run_inside(lab: Lab, given: dict[str, Any], named: NamedDag, within: tuple[str, ...]) -> dict[str, Any]:
    dag, wishes = read_run_call(given)
    inner, above = lab.find_dag(dag, named.base_dir), (*within, named.dag_id)
    if inner.dag_id in above:
        raise ValidationError(
            f"The graph {inner.dag_id} would run inside itself.", hint="Let the node run another graph."
        )
    return _body(run_dag(lab, inner, run_request(lab, **wishes), conductor=Conductor(within=above)))


def _publish_inside(lab: Lab, given: dict[str, Any], *_: Any) -> dict[str, Any]:
    given.pop("format", None)
    return _body(publish_report(lab, given.pop("run_id"), **given))


_FOR_NODES: dict[str, Callable[[Lab, dict[str, Any], NamedDag, tuple[str, ...]], dict[str, Any]]] = {
    "define_dag": _define_inside,
    "validate_dag": lambda lab, given, named, _: _body(validate_dag(lab, given["dag_id"], named.base_dir)),
    "run_dag": _run_inside,
    "publish_report": _publish_inside,
    "report_generate": lambda lab, given, named, _: report_session(lab, **given),
    "job_submit": lambda lab, given, named, _: job_submit(lab, given, named.base_dir),
    "session_share": lambda lab, given, named, _: session_share(lab, given),
    "collaborate_share": lambda lab, given, named, _: collaborate_share(lab, given, named.base_dir),
    "artifact_versioning": lambda lab, given, named, _: artifact_versioning(
        lab, given, named.base_dir, slug(named.dag.title) or named.dag_id
    ),
    "lab_notebook": lambda lab, given, named, _: lab_notebook(lab, given, named.base_dir),
    "notebook_export": lambda lab, given, named, _: notebook_export(lab, given, named.base_dir),
}


def _written(lab: Lab, spec: str, base_dir: Path) -> Any:
    """Return the graph of a text in JSON or YAML, of a file, or of a name."""
    if "\n" in spec or spec.lstrip().startswith(("{", "[")):
        return parse_spec(spec, "spec")
    return lab.find_dag(spec, base_dir).dag


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
        bib: BibTeX entries or files, beside those of the graph.
    """
    from physlab.report.folder import write_results

    record = lab.find_run(run)
    named = lab.find_dag(record.dag_id)
    pdf = write_paper(lab, record, named, title=title, authors=authors, abstract=abstract, bib=bib)
    results = write_results(record, named.dag, lab.store, lab.settings.results, pdf)
    body = {"pdf_path": str(results.path / "report.pdf"), "run_id": record.run_id}
    said = _commit_later(lab, record.run_id) if record.status == "completed" else {}
    return Reply(body | {name: text for name, text in said.items() if name == "commit_problem"})
