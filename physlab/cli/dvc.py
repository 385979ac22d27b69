"""`dvc`: runs in a repository of Git and DVC, for people who have only these two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, quoted, size, tell_path, voice

app = typer.Typer(name="dvc", help="Runs in a repository of Git and DVC, for people without physlab.",
                  no_args_is_help=True)  # fmt: skip
remote_app = typer.Typer(name="remote", help="Places that data is sent to.", no_args_is_help=True)
app.add_typer(remote_app)
Remote = Annotated[str | None, typer.Option("--remote", "-r", metavar="NAME", help="The remote; unset: the first one.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@app.command()
def init(json: Json = False) -> int:
    """Make the repository, with the remotes that the settings name."""
    from physlab.lab import Lab
    from physlab.service.dvc import init_repository
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        body = init_repository(lab)
    if voice.as_json:
        voice.reply(body)
        return 0
    words = "is begun" if body["fresh"] else "was there, and is complete"
    voice.say(f"[green]✓[/green] The repository {words}: {escape(body['repository'])}")
    voice.next("physlab dvc commit latest" if body["remotes"] else "physlab dvc remote add storage FOLDER")
    return 0


@app.command()
def commit(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]…", help="Runs by id, title or `latest`; unset: what waits.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every completed run that has no commit yet.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="What waits since a run or a kill.", hidden=True)] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Commit runs, each with its data for DVC; what an interrupted commit left is completed."""
    from physlab.lab import Lab
    from physlab.service.dvc import commit_runs, would_commit
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        names = list(runs or ()) or ([] if every or waiting else would_commit(lab, latest=True))
        if dry_run:
            return _would(would_commit(lab, names, every=every))
        made = commit_runs(lab, names, every=every, told=_tell)
    if voice.as_json:
        voice.reply({"commits": made})
        return 0
    if not made:
        voice.say("Nothing waits to be committed.")
    voice.next("physlab dvc push" if made else "physlab dvc status")
    return 0


def _tell(entry: dict[str, Any]) -> None:
    about = f"{counted(entry['files'], 'file')}, {size(entry['size'])}{'' if entry['fresh'] else ', was there'}"
    voice.say(f"[green]✓[/green] {entry['commit'][:10]} {escape(entry['subject'])} [dim]{about}[/dim]")


def _would(runs: list[str]) -> int:
    if voice.as_json:
        voice.reply({"would_commit": runs})
    else:
        voice.say(*(f"would commit {run}" for run in runs), f"{counted(len(runs), 'commit')}; nothing was written.")
    return 0


@app.command()
def push(
    remote: Remote = None,
    latest: Annotated[bool, typer.Option("--latest", help="Data of the latest commit only, not of all.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Read what is there; replace what has other bytes.")] = False,
    without_held: Annotated[
        bool, typer.Option("--without-held", help="Send the other runs where some may not leave the lab.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Send data to a remote, after both digests of each file were found right."""
    from physlab.dvcrepo.programs import Git
    from physlab.lab import Lab
    from physlab.service.dvc import push_data, repository_of
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        body = push_data(
            lab, remote, latest=latest, repair=repair, dry_run=dry_run, without_held=without_held, told=voice.note
        )
        folder = repository_of(lab).folder
        origins = Git(folder).ask("remote").stdout.decode().split()
    if voice.as_json:
        voice.reply(body)
        return 0
    for run, reason in body["held"].items():
        voice.say(f"[yellow]![/yellow] {escape(run)} stays here: {escape(reason)}.")
    what = f"{counted(body['files'], 'file')}, {size(body['bytes'])}"
    if dry_run:
        voice.say(f"Would send what the remote {body['remote']} lacks of {what}; nothing was sent.")
        return 0
    voice.say(f"[green]✓[/green] The remote {body['remote']} has {what}.")
    to = "origin" if "origin" in origins or not origins else origins[0]
    if not origins:
        voice.next(f"git -C {quoted(str(folder))} remote add origin ADDRESS", "commits have no way out yet:")
    voice.next(f"git -C {quoted(str(folder))} push --tags {to} HEAD", "commits" if origins else "then")
    return 0


@app.command()
def pull(remote: Remote = None, json: Json = False) -> int:
    """Bring the data of the latest commit; what is not what it was is refused and named."""
    from physlab.lab import Lab
    from physlab.service.dvc import pull_data
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        body = pull_data(lab, remote, voice.note)
    if voice.as_json:
        voice.reply(body)
    else:
        voice.say(
            f"[green]✓[/green] {counted(body['files'], 'file')} are here, {size(body['bytes'])}, both digests right."
        )
    return 0


@app.command()
def verify(
    remote: Remote = None,
    at_remote: Annotated[
        bool, typer.Option("--at-remote", help="Read what the first remote has, not what is here.")
    ] = False,
    json: Json = False,
) -> int:
    """Read all data of the latest commit and compare MD5 and SHA-256; exit code 1 when something is wrong."""
    from physlab.lab import Lab
    from physlab.service.dvc import verify_data
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        body = verify_data(lab, remote, at_remote=at_remote)
    if voice.as_json:
        voice.reply(body)
    elif body["ok"]:
        place = f"at the remote {body['remote']}" if body["remote"] else "here"
        voice.say(
            f"[green]✓[/green] {counted(body['files'], 'file')} {place} have both digests, {size(body['bytes'])}."
        )
    else:
        voice.say(*(f"[bold red]✗[/bold red] {escape(f'{path}: {word}')}" for path, word in body["damaged"].items()))
        voice.next("physlab dvc push --repair" if body["remote"] else "physlab dvc pull")
    return 0 if body["ok"] else 1


@app.command()
def status(json: Json = False) -> int:
    """Say what is committed, what waits, and what has no commit yet."""
    from physlab.lab import Lab
    from physlab.service.dvc import repository_status
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        body = repository_status(lab)
    if voice.as_json:
        voice.reply(body)
        return 0
    voice.fact("folder", body["repository"] if body["exists"] else f"{body['repository']} (not begun)")
    voice.fact("remotes", ", ".join(f"{name} {options.get('url', '')}" for name, options in body["remotes"].items()))
    for entry in body["commits"][-10:]:
        voice.fact("commit", f"{entry['commit'][:10]} {entry['subject']}")
    voice.fact("waiting", ", ".join(body["waiting"]) or "none")
    voice.fact("without", f"{counted(len(body['uncommitted']), 'run')} not committed")
    for line in body["problems"]:
        voice.fact("problem", line)
    voice.next(_next(body))
    return 0


def _next(body: dict[str, Any]) -> str:
    if not body["exists"]:
        return "physlab dvc init"
    return "physlab dvc commit --all" if body["waiting"] or body["uncommitted"] else "physlab dvc push"


@app.command("import")
def import_file(
    url: Annotated[str, typer.Argument(metavar="REPOSITORY", help="Another repository of DVC: a folder or address.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file or folder in it that DVC tracks.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="PATH", help="Where to show it.", show_default=False)
    ] = None,
    rev: Annotated[str, typer.Option("--rev", metavar="REV", help="A commit, branch or tag; unset: the latest.")] = "",
    json: Json = False,
) -> int:
    """Bring data of another repository as an input: its MD5 is checked, its SHA-256 and origin are kept."""
    from physlab.lab import Lab
    from physlab.service.dvcimport import import_data
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        made = import_data(lab, url, path, out or Path(Path(path).name), rev)
    if voice.as_json:
        voice.reply({"files": made})
        return 0
    for entry in made:
        voice.say(f"[green]✓[/green] {escape(entry['file'])}, {size(entry['size'])}, sha256:{entry['sha256'][:16]}…")
    return 0


@app.command()
def path(json: Json = False) -> int:
    """Print where the repository is."""
    from physlab.lab import Lab
    from physlab.service.dvc import repository_of
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        folder = str(repository_of(lab).folder)
    return tell_path(folder)


@app.command()
def stage(
    node: Annotated[str, typer.Argument(metavar="NODE", help="A node of the pipeline in the working directory.")],
    json: Json = False,
) -> int:
    """Run one node of a pipeline that `physlab export dvc` wrote: what its dvc.yaml calls."""
    from physlab.lab import Lab
    from physlab.service.stages import run_stage
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        body = run_stage(lab, Path.cwd(), node)
    if voice.as_json:
        voice.reply(body)
    else:
        word = "was cached" if body["cached"] else "is computed"
        voice.say(f"[green]✓[/green] {escape(node)} {word}; see {Path('stages') / node}.")
    return 0


@remote_app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="A folder, ssh://host/folder, or s3://bucket/prefix.")],
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="URL", help="S3-compatible service.", show_default=False)
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Further option of DVC, such as user=ada.", show_default=False),
    ] = None,
    secrets: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="KEY", help="Option asked for, such as password.", show_default=False),
    ] = None,
    json: Json = False,
) -> int:
    """Add a remote, or change one; users, keys and passwords are kept out of what is committed."""
    from physlab.errors import ValidationError
    from physlab.lab import Lab
    from physlab.service.dvc import add_remote
    from physlab.settings import load_settings

    given = dict(item.partition("=")[::2] for item in options or ())
    if not all(given.values()):
        raise ValidationError(f"--set takes KEY=VALUE, not {options}.", hint="Such as: --set user=ada")
    given |= {key: str(typer.prompt(key, hide_input=True, err=True)) for key in secrets or ()}
    with Lab(load_settings()) as lab:
        body = add_remote(lab, name, url if "://" in url else str(Path(url).absolute()), endpoint, given)
    if voice.as_json:
        voice.reply(body)
        return 0
    voice.say(f"[green]✓[/green] The remote {name} is {escape(body['url'])}.")
    if body["kept_here"]:
        voice.fact("kept here", f"{', '.join(body['kept_here'])} (.dvc/config.local, which is not committed)")
    voice.next(f"physlab dvc push --remote {name}")
    return 0


@remote_app.command("list")
def list_remotes(json: Json = False) -> int:
    """List the remotes."""
    from physlab.lab import Lab
    from physlab.service.dvc import repository_status
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = repository_status(lab)["remotes"]
    if voice.as_json:
        voice.reply({"remotes": found})
        return 0
    for name, options in found.items():
        voice.fact(name, options.get("url", ""))
    if not found:
        voice.say("There is no remote yet.")
        voice.next("physlab dvc remote add storage FOLDER")
    return 0
