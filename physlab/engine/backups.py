"""Backups on Prefect: the bodies of the two flows, their events, and their schedules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.exceptions import ObjectNotFound

from physlab.engine.blocks import settings_from_block
from physlab.engine.locator import load_flow, root
from physlab.engine.server import connected, server_status
from physlab.errors import StoreError
from physlab.lab import Lab, slug
from physlab.service.backup import backup_status, report_if_late, run_backup, verify_backup
from physlab.service.drills import drill_backup
from physlab.settings import Settings, load_settings, own_variables

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

DAILY, MONTHLY = "daily_backup", "backup_drill"
POOL = "lab"
SENT_S = 10.0
"""So long an event may take to reach the server before the flow goes on without it [s]."""
SECRETS = ("PASSWORD", "PASSPHRASE", "TOKEN", "API_KEY", "WEBHOOK", "URL")
WORKER = f"prefect worker start --pool {POOL}"


@contextmanager
def _lab(name: str | None, folder: str | None) -> Iterator[Lab]:
    cwd = Path(folder) if folder else None
    with Lab(settings_from_block(name, cwd) if name else load_settings(cwd)) as lab:
        yield lab


def back_up(limit: str | None, share: str | None, lab: str | None, folder: str | None) -> dict[str, Any]:
    """Carry out `daily_backup`: tell if the last one is late, back up, read this day's share of the data again.

    Raises:
        PhyslabError: The backup failed, is not complete, or the repository is damaged; all were told.
    """
    log = get_run_logger()
    with _lab(lab, folder) as opened:
        report = reporter(opened.settings)
        report_if_late(opened, report)
        made = run_backup(opened, limit=limit, tell=log.info, report=report, wait=True)
        proof = verify_backup(opened, share or opened.settings.backup.share, tell=log.info, report=report, wait=True)
        status = backup_status(opened)
    create_markdown_artifact(_page(made, proof, status), key="daily-backup", description="The lab's latest backup")
    for words in (*made["warnings"], *proof["warnings"]):
        log.warning(words)
    _require(made["unread"], "The backup is not complete", "Make them readable, then: physlab backup run")
    _require(proof["problems"], "The repository is damaged", "See what can be restored: physlab backup drill")
    names = ("snapshot", "repository", "files", "size", "added", "duration_s", "forgotten", "warnings")
    return {**{name: made[name] for name in names}, "verified": status["verified"]}


def drill(lab: str | None, folder: str | None) -> dict[str, Any]:
    """Carry out `backup_drill`.

    Raises:
        PhyslabError: It failed, or something differs; it was told.
    """
    log = get_run_logger()
    with _lab(lab, folder) as opened:
        record = drill_backup(opened, tell=log.info, report=reporter(opened.settings), wait=True)
    text = f"# {record['title']}\n\n{record['text']}"
    create_markdown_artifact(text, key="backup-drill", description="A backup restored and held against the lab")
    _require(record["problems"], "The restore drill found differences", "Look at: physlab backup drill")
    return {name: record[name] for name in ("title", "ok", "snapshot", "measured")}


def _require(problems: list[str], what: str, hint: str) -> None:
    if problems:
        raise StoreError(f"{what}: {'; '.join(problems[:5])}.", hint=hint, details={"problems": problems})


def reporter(settings: Settings) -> Any:
    """Return what tells Prefect of an event of this lab's backups, so that automations can act on it."""
    name = slug(str(settings.home.absolute())) or "lab"
    resource = {"prefect.resource.id": f"physlab.backup.{name}", "prefect.resource.name": f"backup of {settings.home}"}

    def report(event: str, message: str, details: dict[str, Any]) -> None:
        emit_event(event=event, resource=resource, payload={"message": message, "details": details})
        EventsWorker.drain_all(timeout=SENT_S)  # the process may end right after a failure, and nobody would hear of it

    return report


def _page(made: dict[str, Any], proof: dict[str, Any], status: dict[str, Any]) -> str:
    """Return what the UI shows of a backup."""
    part = "all data" if proof["of"] == 1 else f"part {proof['part']} of {proof['of']}"
    facts = {
        "snapshot": f"`{made['snapshot'][:8]}`", "received": made["received_at"], "to": f"`{made['repository']}`",
        "files": f"{made['files']:,}", "bytes": f"{made['size']:,}", "new bytes": f"{made['added']:,}",
        "took": f"{made['duration_s']:.1f} s", "forgotten": len(made["forgotten"]),
        "read again": f"{part}: {'whole' if proof['ok'] else 'DAMAGED'}", "kept": status["keep"],
    }  # fmt: skip
    rows = [f"| {name} | {value} |" for name, value in facts.items()]
    lists = [f"- covers {words}" for words in made["covered"]] + [f"- **!** {words}" for words in made["warnings"]]
    return "\n".join(["# Backup of the lab", "", "| | |", "|---|---|", *rows, "", *lists]) + "\n"


def activate_schedule(settings: Settings, cron: str, zone: str) -> dict[str, Any] | None:
    """Make the daily backup and the monthly drill active on the Prefect server that runs; None where none does.

    Args:
        settings: The lab's.
        cron: When the backup begins.
        zone: Time zone of that.

    Returns:
        deployment, next_run (ISO, UTC) and how: the worker that they need.
    """
    info = server_status(settings)
    if info.api_url is None or not info.running:
        return None
    with connected(info), get_client(sync_client=True) as client:
        _make_pool(client)
        _deploy(client, DAILY, settings, cron, zone)
        _deploy(client, MONTHLY, settings, None, zone)
    return {"deployment": f"daily-backup/{POOL}", "next_run": _next_run(cron, zone), "how": WORKER}


def activated(settings: Settings, body: dict[str, Any]) -> dict[str, Any]:
    """Return the reply of a call; one that has the lab back itself up has its schedule active, where a server runs."""
    policy = body.get("backup")
    if policy is None or settings.server.mode == "none":
        return body
    return {**body, "backup": {**policy, **(activate_schedule(settings, policy["cron"], policy["timezone"]) or {})}}


def _make_pool(client: SyncPrefectClient) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate

    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def _deploy(client: SyncPrefectClient, name: str, settings: Settings, cron: str | None, zone: str) -> UUID:
    """Deploy a flow as `deployments/prefect.yaml` has it, with its schedule active."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    plan, flow = _plan_of(name), load_flow(name)
    [schedule] = plan["schedules"]
    when = CronSchedule(cron=cron or schedule["cron"], timezone=zone)
    return client.create_deployment(
        flow_id=client.create_flow_from_name(flow.name),
        name=plan["name"],
        description=plan["description"],
        tags=plan["tags"],
        parameters={**plan["parameters"], "folder": str(Path.cwd())},
        job_variables={"env": _open_variables(settings)},
        entrypoint=plan["entrypoint"],
        work_pool_name=POOL,
        work_queue_name="default",
        pull_steps=[{"physlab.engine.locator.set_root": {}}],
        parameter_openapi_schema=flow.parameters.model_dump(),
        enforce_parameter_schema=True,
        schedules=[DeploymentScheduleCreate(schedule=when, active=True, slug=schedule["slug"])],
    )


def _open_variables(settings: Settings) -> dict[str, str]:
    """Return what leads a worker to this lab, as far as it is no secret: a deployment is no place for those."""
    mine = {name: text for name, text in own_variables().items() if not name.endswith(SECRETS) and "@" not in text}
    return {**mine, "PHYSLAB_HOME": str(settings.home)}


def _plan_of(name: str) -> dict[str, Any]:
    from ruamel.yaml import YAML

    plan = YAML(typ="safe").load(root() / "deployments" / "prefect.yaml")
    return next(dict(item) for item in plan["deployments"] if item["entrypoint"] == f"flows/{name}.py:{name}")


def _next_run(cron: str, zone: str) -> str:
    from datetime import UTC

    from prefect.server.schemas.schedules import CronSchedule
    from prefect.utilities.asyncutils import run_coro_as_sync

    dates: Any = run_coro_as_sync(CronSchedule(cron=cron, timezone=zone).get_dates(1))
    return str(dates[0].astimezone(UTC).isoformat()) if dates else ""
