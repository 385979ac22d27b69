"""Starting a run from a program: on the lab's Prefect server, or without Prefect. Imports Prefect only when needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from physlab import service
from physlab.engine.watch import Watcher, watching
from physlab.errors import PhyslabError, ResourceError, ValidationError
from physlab.lab import Lab
from physlab.preview import make_plan
from physlab.settings import Settings, decline_tracking


def launch(
    settings: Settings,
    dag: str | dict[str, Any],
    *,
    run_id: str,
    watcher: Watcher,
    server: bool = True,
    announce: Callable[[str], None] = lambda words: None,
    verbose: bool = False,
    **wishes: Any,
) -> service.Reply:
    """Run a graph in this process.

    Args:
        settings: The lab's; those that `load_settings()` gives.
        dag: A file, an id, a title, or the graph itself.
        run_id: Name of the run.
        watcher: Hears of the plan and of every change of state.
        server: False runs it without Prefect.
        announce: Told in one line when the lab's server has to be started.
        verbose: Let Prefect write its own log to the console.
        **wishes: Fields of a `RunRequest`; None keeps the lab's default.

    Raises:
        PhyslabError: Nothing was run; a run with failed nodes is a reply that carries its error.
    """
    if not server or settings.server.mode == "none":
        if settings.sites.kubernetes and not wishes.get("site"):
            named = ", ".join(settings.sites.kubernetes)
            announce(f"Without a Prefect server no node goes to a pod: {named} is left out.")
        return _without_prefect(settings, dag, run_id, watcher, wishes)
    from physlab.engine.server import connected, ensure_server, server_status

    decline_tracking()
    found = server_status(settings)
    if found.kind == "lab" and not found.running:
        _require(settings, dag, wishes)
        announce("Starting the lab's Prefect server, once. It stops by itself when idle, or with: physlab server down")
    info = ensure_server(settings)
    with connected(info), watching(watcher):
        if not verbose:
            quiet_prefect()
        return _as_flow(settings, dag, run_id, wishes, info.kind == "lab")


def _without_prefect(
    settings: Settings, dag: str | dict[str, Any], run_id: str, watcher: Watcher, wishes: dict[str, Any]
) -> service.Reply:
    conductor = service.Conductor(planned=watcher.planned, watch=watcher.changed, run_id=run_id)
    with Lab(settings) as lab:
        request = service.run_request(lab, **wishes)
        return service.run_dag(lab, dag, request, base_dir=Path.cwd(), conductor=conductor)


def _as_flow(
    settings: Settings, dag: str | dict[str, Any], run_id: str, wishes: dict[str, Any], ours: bool
) -> service.Reply:
    import httpx

    from physlab.engine.conduct import describe_failure
    from physlab.engine.locator import load_flow
    from physlab.engine.results import PlainResults

    try:
        flow = load_flow("run_dag")
        if ours:  # Prefect would find the same store itself, but loads Dask and Kubernetes for it: 1.1 s
            kept = PlainResults.load("lab", _sync=True)  # type: ignore[call-arg]
            flow = flow.with_options(result_storage=cast(PlainResults, kept))
        return service.Reply(flow(dag, run_id=run_id, **wishes))
    except PhyslabError as error:
        body = describe_failure(error)
        if not body:
            raise
        error.details.pop("reply")
        return service.Reply(body, error)
    except httpx.HTTPError as gone:
        return _from_ledger(settings, run_id, gone)


def _from_ledger(settings: Settings, run_id: str, gone: Exception) -> service.Reply:
    """Answer a run whose Prefect server went away: the ledger has it all the same.

    Raises:
        ResourceError: The server was gone before anything was run.
    """
    with Lab(settings) as lab:
        try:
            record = lab.find_run(run_id)
        except ValidationError:
            raise ResourceError(
                f"The Prefect server does not answer ({gone}); nothing was run.",
                hint="Look at: physlab server status. Or run without it: --no-server.",
            ) from gone
        return service.run_reply(lab, record, lab.find_dag(record.dag_id))


def _require(settings: Settings, dag: str | dict[str, Any], wishes: dict[str, Any]) -> None:
    """Refuse a wrong graph or wish before a server is started for it."""
    with Lab(settings) as lab:
        make_plan(lab, lab.find_dag(dag), service.run_request(lab, **wishes))


def quiet_prefect() -> None:
    """Keep Prefect's own log lines off the console; the Prefect UI still gets them."""
    import prefect.main  # noqa: F401  (sets up its handlers, once)

    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not record.name.startswith("prefect"))
