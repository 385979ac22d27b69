"""`backup`: save the lab, prove that it can be restored, restore it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, duration, escape, local_time, quoted, size, table, voice

if TYPE_CHECKING:
    from physlab.settings import Settings

app = typer.Typer(name="backup", help="Save the lab, prove that it can be restored, restore it.", no_args_is_help=True)
Limit = Annotated[
    str | None,
    typer.Option("--limit", metavar="RATE", help="At most so many bytes a second: 5MB/s.", show_default=False),
]
SAFE = "What was backed up before is whole; the next backup goes on from it."


def _progress(words: str) -> None:
    if not voice.as_json:
        voice.note(words)


@app.command()
def run(
    limit: Limit = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command; send nothing.")] = False,
    new_repository: Annotated[
        bool, typer.Option("--new-repository", help="Begin a new one, though backups are in another.")
    ] = False,
    json: Json = False,
) -> int:
    """Back the lab up now, while its runs go on; exit code 1 when something could not be read."""
    from physlab.lab import Lab
    from physlab.service.backup import preview_backup, run_backup
    from physlab.settings import load_settings

    voice.parting = SAFE
    with Lab(load_settings()) as lab:
        if dry_run:
            return _show_preview(preview_backup(lab, limit))
        made = run_backup(lab, limit=limit, tell=_progress, new_repository=new_repository)
    if voice.as_json:
        voice.reply(made)
    else:
        _show_made(made)
    return 0 if made["complete"] else 1


def _show_preview(found: dict[str, Any]) -> int:
    if voice.as_json:
        voice.reply(found)
        return 0
    voice.fact("to", found["repository"])
    for command in found["commands"]:
        voice.say(escape(" ".join(map(quoted, command))))
    if not found["commands"]:
        voice.say("No other program is started: files are sealed here, and those that are not there yet are sent.")
    voice.next("physlab backup run")
    return 0


def _show_made(made: dict[str, Any]) -> None:
    mark = "[green]✓[/green]" if made["complete"] else "[bold red]✗[/bold red]"
    moved = f"{size(made['added'])} new of {size(made['size'])} in {counted(made['files'], 'file')}"
    voice.say(f"{mark} Backed up as {made['snapshot'][:8]}: {moved}, {duration(made['duration_s'] * 1e3)}.")
    voice.fact("to", made["repository"])
    for words in made["covered"]:
        voice.fact("covers", words)
    for name in made["forgotten"]:
        voice.fact("forgot", name[:8])
    _show_warnings(made["warnings"])
    if made["new_password"]:
        voice.say(
            f"[bold yellow]![/bold yellow] The password was made now: {escape(made['new_password'])}. Keep a copy of "
            "that file away from this machine: it is not in the backup, and nothing opens the backup without it."
        )
    voice.next("physlab backup verify")


def _show_warnings(warnings: list[str]) -> None:
    for words in warnings:
        voice.say(f"[yellow]![/yellow] {escape(words)}")


@app.command("list")
def list_all(json: Json = False) -> int:
    """List the backups, newest first, by when they were received."""
    from physlab.lab import Lab
    from physlab.service.backup import list_backups
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = list_backups(lab)
    if voice.as_json:
        voice.reply(found)
        return 0
    if not found["backups"] and not found["gone"] and not found["strangers"]:
        voice.say("There is no backup yet.")
        voice.next("physlab backup run")
        return 0
    rows = [
        ["✓" if item["complete"] else "incomplete", item["snapshot"][:8], local_time(item["received_at"]),
         "" if item["files"] is None else f"{item['files']:,}", "" if item["size"] is None else size(item["size"]),
         "" if item["added"] is None else size(item["added"])] for item in found["backups"]
    ]  # fmt: skip
    rows += [["gone", item["snapshot"][:8], local_time(item["received_at"]), "", "", ""] for item in found["gone"]]
    rows += [
        ["stranger", item["snapshot"][:8], f"claims {item['claimed_time'][:16]}", "", "", ""]
        for item in found["strangers"]
    ]
    voice.say(table(("", "snapshot", "received", "files", "size", "new"), rows, right=("files", "size", "new")), "")
    _show_warnings(found["warnings"])
    voice.next("physlab backup restore latest /path/to/new/folder", "restore")
    return 0


@app.command()
def verify(
    share: Annotated[
        str | None,
        typer.Option(
            "--share", metavar="1/N", help="Read one of N parts, in turn, instead of all.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Read all data of the repository again, every byte; exit code 1 when something is damaged or gone."""
    from physlab.lab import Lab
    from physlab.service.backup import verify_backup
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = verify_backup(lab, share, tell=_progress)
    if voice.as_json:
        voice.reply(found)
    else:
        _show_verified(found)
    return 0 if found["ok"] else 1


def _show_verified(found: dict[str, Any]) -> None:
    what = "all data" if found["of"] == 1 else f"part {found['part']} of {found['of']} of the data"
    if found["ok"]:
        snapshots = counted(found["snapshots"], "snapshot")
        voice.say(f"[green]✓[/green] {what.capitalize()} was read and is what was sent: {snapshots}.")
        voice.next("physlab backup drill" if found["of"] == 1 else "physlab backup status")
    else:
        voice.say(*(f"[bold red]✗[/bold red] {escape(words)}" for words in found["problems"]))
        voice.next("physlab backup drill", "see what can be restored:")
    _show_warnings(found["warnings"])


@app.command()
def restore(
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Its id or the beginning of it, or 'latest'.")],
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder; it becomes a home.")],
    limit: Limit = None,
    salvage: Annotated[bool, typer.Option("--salvage", help="Keep what can be brought from a damaged one.")] = False,
    json: Json = False,
) -> int:
    """Restore a backup into a new folder and check every hash; exit code 1 when something is not as it was."""
    from physlab.service.backup import restore_backup
    from physlab.settings import load_settings

    voice.parting = "Nothing was left behind; restore again to begin anew."
    found = restore_backup(load_settings(), snapshot, target, limit=limit, salvage=salvage, tell=_progress)
    if voice.as_json:
        voice.reply(found)
        return 0 if found["ok"] else 1
    whole = f"{counted(found['blobs'], 'file')} and {counted(found['records'], 'record')}"
    if found["ok"]:
        voice.say(f"[green]✓[/green] Restored {found['snapshot'][:8]}: {whole}, every hash as it was.")
    else:
        voice.say(f"[bold red]✗[/bold red] Restored {found['snapshot'][:8]}, and not all is as it was:")
        voice.say(*(f"  {escape(words)}" for words in found["problems"]))
    voice.fact("home", found["folder"])
    _show_warnings([*found["notes"], *(f"not in the backup: {words}" for words in found["left_out"])])
    voice.next(f"PHYSLAB_HOME={quoted(found['folder'])} physlab runs")
    return 0 if found["ok"] else 1


@app.command()
def drill(
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Which backup.")] = "latest", json: Json = False
) -> int:
    """Restore into an empty place, compare every hash, run again, remove it; exit code 1 on a difference."""
    from physlab.lab import Lab
    from physlab.service.drills import drill_backup
    from physlab.settings import load_settings

    voice.parting = "What was restored is removed by the next drill or backup."
    with Lab(load_settings()) as lab:
        record = drill_backup(lab, snapshot, tell=_progress)
    if voice.as_json:
        voice.reply(record)
    else:
        mark = "[green]✓[/green]" if record["ok"] else "[bold red]✗[/bold red]"
        voice.say(f"{mark} {escape(record['title'])}", "", escape(record["text"]))
        voice.next("physlab backup status")
    return 0 if record["ok"] else 1


@app.command()
def status(
    notify: Annotated[bool, typer.Option("--notify", help="Tell who is to be notified when it is late.")] = False,
    json: Json = False,
) -> int:
    """Say how old the newest backup is; exit code 1 when it is late."""
    from physlab.lab import Lab
    from physlab.service.backup import backup_status, report_if_late
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = backup_status(lab)
        troubles = report_if_late(lab) if notify else []
    if voice.as_json:
        voice.reply({**found, "notify": troubles})
    else:
        _show_status(found)
        _show_warnings(troubles)
    return 1 if found["late"] else 0


def _show_status(found: dict[str, Any]) -> None:
    newest, proof = found["newest"], found["verified"] or {}
    if found["late"]:
        voice.say(f"[bold red]✗[/bold red] Late: {escape(found['reason'])}.")
    else:
        voice.say(
            f"[green]✓[/green] The newest backup is {found['age_h']:.1f} h old; late is above {found['late_h']:g} h."
        )
    if newest:
        voice.fact("newest", f"{newest['snapshot'][:8]}, received {local_time(newest['received_at'])}")
    voice.fact("kept", f"{counted(found['backups'], 'backup')}, for {found['keep']}")
    voice.fact("verified", _proof(proof))
    voice.fact("drill", found["drill"] or "never: physlab backup drill")
    voice.fact("to", found["repository"])
    voice.next("physlab backup run" if found["late"] else "physlab backup list")


def _proof(proof: dict[str, Any]) -> str:
    if not proof.get("at"):
        return "never: physlab backup verify"
    if proof["problems"]:
        return f"DAMAGED, seen {local_time(proof['at'])}: {proof['problems'][0]}"
    shares = (
        f"part {proof['share']} on {local_time(proof['at'])}, {proof['parts']} parts in turn" if proof["share"] else ""
    )
    whole = f"all data on {local_time(proof['all'])}" if proof["all"] else ""
    return "; ".join(filter(None, (whole, shares)))


@app.command()
def schedule(
    when: Annotated[
        str, typer.Option("--at", metavar="WHEN", help="daily, daily at 03:30, or five fields of cron.")
    ] = "daily",
    keep: Annotated[str, typer.Option("--keep", metavar="TIME", help="How long backups are kept.")] = "30 days",
    no_server: Annotated[bool, typer.Option("--no-server", help="Print the line for cron instead.")] = False,
    json: Json = False,
) -> int:
    """Have the lab backed up by itself: on the lab's Prefect server, or by cron."""
    from physlab.lab import Lab
    from physlab.service.backup import auto_backup
    from physlab.settings import decline_tracking, load_settings

    decline_tracking()
    settings = load_settings()
    with Lab(settings) as lab:
        found = auto_backup(lab, when, keep, activate=None if no_server else _activate)
    if voice.as_json:
        voice.reply(found)
        return 0
    made = found["backup"]
    voice.fact("backup", f"{made['schedule']} ({made['cron']}, {made['timezone']}), kept for {made['retention']}")
    voice.fact("to", made["repository"])
    if made["deployment"]:
        voice.say(f"[green]✓[/green] The schedule of {made['deployment']} is active; next: {made['next_run']}.")
        voice.next(made["how"], "it needs")
    else:
        voice.say("There is no Prefect server for it. This line in a crontab does it (crontab -e):")
        voice.say(escape(made["how"]))
    return 0


def _activate(settings: Settings, cron: str, zone: str) -> dict[str, Any] | None:
    if settings.server.mode == "none":
        return None
    from physlab.engine.backups import activate_schedule

    return activate_schedule(settings, cron, zone)
