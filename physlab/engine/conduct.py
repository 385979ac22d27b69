"""The bodies of the lab's flows: settings from a block or a file, the service, and what the UI shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.settings import get_current_settings

from physlab import service
from physlab.engine.backups import activated
from physlab.engine.blocks import settings_from_block
from physlab.engine.kubernetes import launch_pods
from physlab.engine.ownership import begin_run
from physlab.engine.pages import Progress, publish_pages
from physlab.engine.server import server_status
from physlab.engine.submitter import PrefectSubmitter
from physlab.engine.watch import Watcher, watchers
from physlab.errors import PhyslabError, StoreError
from physlab.lab import Lab, NamedDag, new_run_id, slug
from physlab.model import Call, RunRequest
from physlab.settings import Settings, load_settings

Dagish = str | dict[str, Any]


@contextmanager
def _lab(name: str | None) -> Iterator[Lab]:
    with Lab(settings_from_block(name) if name else load_settings(), launch=launch_pods) as lab:
        yield lab


def _answer(reply: service.Reply) -> dict[str, Any]:
    if reply.error is not None:
        reply.error.details = {**reply.error.details, "reply": reply.body}
        raise reply.error
    return reply.body


def define(spec: Dagish | None, natural_language: str | None, lab: str | None) -> dict[str, Any]:
    """Carry out `define_dag`."""
    with _lab(lab) as opened:
        if isinstance(spec, str):
            named = opened.find_dag(spec)
            return _answer(service.define_dag(opened, spec=named.dag, base_dir=named.base_dir))
        return _answer(service.define_dag(opened, spec=spec, natural_language=natural_language, base_dir=Path.cwd()))


def validate(dag: Dagish, lab: str | None) -> dict[str, Any]:
    """Carry out `validate_dag`."""
    with _lab(lab) as opened:
        return _answer(service.validate_dag(opened, dag))


def publish(run: str, lab: str | None, **wishes: Any) -> dict[str, Any]:
    """Carry out `publish_report`."""
    with _lab(lab) as opened:
        return _answer(service.publish_report(opened, run, **wishes))


def answer(tool: str, method: str, given: dict[str, Any]) -> dict[str, Any]:
    """Answer a method of the lab itself, from the arguments of its flow; what is None was not given."""
    params = {name: value for name, value in given.items() if value is not None and name != "lab"}
    with _lab(given["lab"]) as opened:
        body = _answer(service.answer(opened, Call(tool=tool, method=method, params=params), Path.cwd()))
        return activated(opened.settings, body)


def scrub(share: str, stores: list[str] | None, repair: bool, lab: str | None) -> dict[str, Any]:
    """Carry out `scrub_stores`; damage that stays makes the run fail, so that whoever watches flows is told."""
    from dataclasses import asdict

    from physlab.service.replicas import repair_replicas, scrub_stores

    with _lab(lab) as opened:
        found = scrub_stores(opened, stores, share)
        if repair:
            done = repair_replicas(opened)
            found = {**found, "repaired": asdict(done), "ok": not done.lost and not _unread(found)}
    if not found["ok"]:
        bad = [item["name"] for one in found["stores"] for item in one.get("damage", ())]
        raise StoreError(
            f"{len(bad)} files are damaged ({', '.join(bad[:5])}), {len(_unread(found))} stores could not be read.",
            hint="See and mend: physlab store scrub; physlab store repair",
            details={"reply": found},
        )
    return found


def _unread(found: dict[str, Any]) -> list[str]:
    return [one["store"] for one in found["stores"] if "error" in one]


def run(dag: Dagish, lab: str | None, run_id: str | None = None, **wishes: Any) -> dict[str, Any]:
    """Carry out `run_dag` inside a running flow: every node a task run."""
    run_id = run_id or new_run_id()
    with _lab(lab) as opened:
        request = service.run_request(opened, **wishes)
        named = opened.find_dag(dag)
        begin_run(f"{slug(named.dag.title) or named.dag_id} {run_id}")
        return _run(opened, named, request, run_id)


def _run(lab: Lab, dag: NamedDag, request: RunRequest, run_id: str) -> dict[str, Any]:
    progress = Progress()
    told = (Watcher(progress.planned, progress.changed), *watchers())
    submitter = PrefectSubmitter(database_url=database_url(lab.settings))
    conductor = service.Conductor(
        submitter=submitter,
        planned=_tell(lambda watcher: watcher.planned, told),
        watch=_tell(lambda watcher: watcher.changed, told),
        run_id=run_id,
    )
    reply = service.run_dag(lab, dag, request, conductor=conductor)
    if not submitter.server_gone:
        publish_pages(lab.find_run(run_id), reply.body)
    return _answer(reply)


def _tell(part: Callable[[Watcher], Callable[..., None]], told: tuple[Watcher, ...]) -> Callable[..., None]:
    def tell(*news: Any) -> None:
        for watcher in told:
            part(watcher)(*news)

    return tell


def database_url(settings: Settings) -> str | None:
    """Return the server's database when the flow talks to this lab's own server."""
    info = server_status(settings)
    return info.database_url if info.api_url and info.api_url == get_current_settings().api.url else None


def describe_failure(error: PhyslabError) -> dict[str, Any]:
    """Return the reply that a failed run gave, from its error."""
    return dict(error.details.get("reply", {}))
