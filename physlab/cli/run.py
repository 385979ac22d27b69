"""`run`: carry a graph out and show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.joblog import tell_job_logs
from physlab.cli.options import DagArgument, Json, NoServer, Open, Results
from physlab.cli.output import counted, quoted, voice
from physlab.cli.plan import Parallelism, Policy, Refresh, RefreshNode, Site, chosen, run_line

if TYPE_CHECKING:
    from physlab.cli.detached import EventFile
    from physlab.cli.live import View
    from physlab.service import Reply


def run(
    dag: DagArgument,
    parallelism: Parallelism = None,
    offload_policy: Policy = None,
    site: Site = None,
    refresh: Refresh = False,
    refresh_node: RefreshNode = None,
    session: Annotated[str | None, typer.Option(help="The session that it belongs to.")] = None,
    fail_fast: Annotated[
        bool | None,
        typer.Option("--fail-fast/--keep-going", help="Stop at the first failed node, or finish what can be."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and the commands; run nothing.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Write the report afterwards.")] = False,
    open_results: Open = False,
    results: Results = None,
    no_server: NoServer = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background; see 'attach'.")] = False,
    json: Json = False,
    detached_as: Annotated[str | None, typer.Option("--detached-as", hidden=True)] = None,
) -> int:
    """Run a graph; what is cached is not run again.

    Exit code: 0 all is well, 1 a node failed, 130 stopped by Ctrl-C.
    """
    if results is not None:
        from physlab.settings import insist

        insist(results=str(results))
    wishes: dict[str, Any] = {
        "parallelism": parallelism,
        "offload_policy": offload_policy,
        "site": site,
        "refresh": chosen(refresh, refresh_node),
        "fail_fast": fail_fast,
        "session": session,
    }
    if dry_run:
        return _dry_run(dag, wishes)
    if detach:
        from physlab.cli.detached import start
        from physlab.errors import ValidationError

        if open_results:
            raise ValidationError("--open needs the end of the run.", hint="Leave out --open or --detach.")

        return start(dag, wishes, report=report, no_server=no_server)
    if detached_as:
        from physlab.cli.detached import EventFile

        with EventFile(detached_as) as events:
            reply = _carry_out(dag, wishes, server=not no_server, report=report, events=events)
            events.ended(reply.as_object())
        return 1 if reply.error else 0
    reply = _carry_out(dag, wishes, server=not no_server, report=report)
    code = finish(reply, open_results)
    _say_if_unseen(reply, server=not no_server)
    return code


def _say_if_unseen(reply: Reply, *, server: bool) -> None:
    """Say how to show a run in Prefect that it did not see whole."""
    from physlab.settings import load_settings

    asked = server and load_settings().server.mode != "none"
    if asked and reply.body.get("meta", {}).get("recorded") is None and "run_id" in reply.body and not voice.as_json:
        voice.note(
            f"Prefect does not show this run whole. To show it there: physlab server replay {reply.body['run_id']}"
        )


def _carry_out(
    dag: str, wishes: dict[str, Any], *, server: bool, report: bool, events: EventFile | None = None
) -> Reply:
    reply = conduct(dag, wishes, server=server, events=events)
    if report and reply.error is None:
        reply.body["report"] = publish(reply.body["run_id"])
    return reply


def _dry_run(dag: str, wishes: dict[str, Any]) -> int:
    from physlab import service
    from physlab.cli.output import escape
    from physlab.cli.plan import ROWS, show_preview
    from physlab.lab import Lab
    from physlab.preview import preview, scripts
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        named = lab.find_dag(dag)
        request = service.run_request(lab, **wishes)
        found = preview(lab, named, request, limit=None if voice.as_json else ROWS)
        commands = scripts(lab, named, request)
    if voice.as_json:
        voice.reply({**found, "scripts": commands})
        return 0
    show_preview(found)
    for name, command in commands.items():
        voice.say("", f"[dim]# {name}[/dim]", escape(command))
    voice.say("")
    voice.next(run_line(dag, wishes))
    return 0


def conduct(
    dag: str | dict[str, Any], wishes: dict[str, Any], *, server: bool, events: EventFile | None = None
) -> Reply:
    """Run a graph and show its progress.

    Args:
        dag: A file, an id, a title, or the graph itself.
        wishes: What the caller says about the run; None keeps the lab's default.
        server: False runs it without Prefect.
        events: Also hears what happens, and names the run.

    Raises:
        PhyslabError: Nothing was run.
        KeyboardInterrupt: It was stopped; what is finished is kept.
    """
    from physlab.cli.live import View
    from physlab.engine.launch import launch
    from physlab.engine.watch import Watcher
    from physlab.lab import new_run_id
    from physlab.settings import load_settings

    settings, run_id = load_settings(), events.run_id if events else new_run_id()
    view = View(title_of(dag))
    watcher = Watcher(view.planned, view.changed)
    if voice.verbose:
        tell_job_logs()
    try:
        return launch(
            settings,
            dag,
            run_id=run_id,
            watcher=events.beside(watcher) if events else watcher,
            server=server,
            announce=voice.note,
            verbose=voice.verbose,
            **wishes,
        )
    except KeyboardInterrupt:
        voice.parting = _kept(view, dag)
        raise
    finally:
        view.end()


def title_of(dag: str | dict[str, Any]) -> str:
    """Return what people call a graph, before it is read."""
    if isinstance(dag, dict):
        return str((dag.get("metadata") or {}).get("title") or dag.get("title") or "graph")
    return Path(dag).name


def _kept(view: View, dag: str | dict[str, Any]) -> str:
    kept = sum(view.counts[state] for state in ("completed", "cached"))
    resume = f" Resume with: physlab run {quoted(dag)}" if isinstance(dag, str) else ""
    return f"{kept} of {counted(len(view.states), 'node')} finished and kept.{resume}"


def publish(run: str) -> str:
    """Write the report of a run and return its path."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        return str(service.publish_report(lab, run).body["pdf_path"])


def finish(reply: Reply, open_results: bool = False) -> int:
    """Show how a run ended and return the exit code."""
    from physlab.cli.outcome import show_outcome

    if voice.as_json:
        voice.reply(reply.as_object())
    else:
        show_outcome(reply.as_object())
    if open_results:
        open_path(reply.body.get("report") or reply.body["results"])
    return 0 if reply.error is None else 1


def open_path(path: str) -> None:
    """Open a file or folder as the desktop does."""
    code = typer.launch(path)
    if code:
        voice.note(f"It cannot be opened from here; it lies at {path}")
