"""`version`: states of files that are kept, with what they came from."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.call import named_values
from physlab.cli.options import Json
from physlab.cli.output import counted, escape, local_time, quoted, size, table, voice

if TYPE_CHECKING:
    from physlab.versioning.history import Known

app = typer.Typer(name="version", help="States of files, kept with what they came from.", no_args_is_help=True)
Name = Annotated[
    str,
    typer.Argument(
        metavar="VERSION", help="FILE (its latest), FILE@2, FILE@2026-11-17, a tag, a lineage id, or sha256:…."
    ),
]
MOST_NAMED = 5
SCRIPTS = (".py", ".ipynb", ".sh", ".r", ".R", ".jl", ".m", ".c", ".cpp", ".cu", ".f", ".f90", ".rs", ".nb", ".C")
"""A parent with such a name tells the code."""
OTHER = typer.Argument(metavar="[OTHER]", help="The later one; unset: the first, and the one before it.")


@app.command()
def add(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders, or addresses (s3://…).")],
    parent: Annotated[
        list[str] | None,
        typer.Option("--parent", "-p", help="What they were made from: a path, or sha256:….", show_default=False),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter.", show_default=False)
    ] = None,
    code: Annotated[
        str | None, typer.Option("--code", help="Version of the code; unset: what git says here.", show_default=False)
    ] = None,
    experiment: Annotated[
        str | None, typer.Option("--experiment", help="Which experiment it belongs to.", show_default=False)
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="A name for this version.", show_default=False)] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="private, embargo:2027-01-31 or hold.", show_default=False)
    ] = None,
    external: Annotated[bool, typer.Option("--external", help="Leave the bytes where they are.")] = False,
    json: Json = False,
) -> int:
    """Register files or folders as they are now: bytes, parents, parameters and code."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.model import Call
    from physlab.settings import load_settings

    params: dict[str, Any] = {
        "artifacts": paths, "parents": parent or [], "params_json": named_values(param or (), "--param name=value"),
        "code_version": code, "metadata": {"experiment": experiment} if experiment else {}, "tag": tag, "label": label,
        "external": external,
    }  # fmt: skip
    call = Call(tool="distributed_collaboration", method="artifact_versioning", params=params)
    with Lab(load_settings()) as lab:
        body = service.answer(lab, call, Path.cwd()).body
    warnings = _code_warnings(code, body["records"][0]["code_version"], parent or ())
    if voice.as_json:
        voice.reply({**body, **({"warnings": warnings} if warnings else {})})
        return 0
    for record in body["records"]:
        state = "[blue]known[/blue]" if record["cached"] else "[green]new[/green]"
        voice.say(f"{state} [bold]{escape(record['artifact'])}[/bold] {record['hash']} {size(record['size'])}")
        voice.fact("lineage", record["lineage_id"])
    if body["records"][0]["code_version"]:
        voice.fact("code", body["records"][0]["code_version"])
    for warning in warnings:
        voice.remark(warning)
    voice.next(f"physlab version why {quoted(body['records'][0]['artifact'])}")
    return 0


def _code_warnings(given: str | None, version: str, parents: Sequence[str]) -> list[str]:
    """Say what the record does not tell of the code, or does not tell as it was meant."""
    if given and Path(given).is_file():
        return [f"--code {given} is taken as the name of a version, the file is not kept: --parent {quoted(given)}"]
    if version or any(Path(name).suffix in SCRIPTS for name in parents):
        return []
    return ["code unknown here (no git repository with a commit): give --parent SCRIPT, or --code VERSION"]


@app.command()
def log(
    artifact: Annotated[str | None, typer.Argument(metavar="[FILE]", help="Of this file; unset: of all.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the latest.")] = 30,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="Registered from this day on, in UTC.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Registered until the end of this day, in UTC.")
    ] = None,
    json: Json = False,
) -> int:
    """List versions, latest first."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = service.version_log(lab, artifact, limit, since, until)
    if voice.as_json:
        voice.reply({"versions": [known.as_object() for known in found]})
        return 0
    if not found:
        voice.say("Nothing was registered then." if since or until else "Nothing was registered yet.")
        voice.next("physlab version add FILE")
        return 0
    rows = [
        [
            known.name, known.version.content.sha256[:12], known.version.lineage_id, size(known.version.content.size),
            local_time(known.version.registered_at), known.version.code.version, ", ".join(known.tags),
            _short(known.version.params),
        ]
        for known in found
    ]  # fmt: skip
    heads = ("version", "sha256", "lineage", "size", "registered", "code", "tags", "parameters")
    spare = ("lineage", "code", "size", "registered")
    voice.say(table(heads, rows, right=("size",), free="parameters", spare=spare, width=voice.out.width), "")
    voice.next(f"physlab version show {quoted(found[0].name)}")
    return 0


@app.command()
def show(
    name: Name,
    code: Annotated[bool, typer.Option("--code", help="What differed from the commit, as git apply takes it.")] = False,
    json: Json = False,
) -> int:
    """Show one version with everything that is known of it."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        known = service.find_version(lab, name)
        patch = service.version_patch(lab, known) if code else ""
    if voice.as_json:
        voice.reply({**known.as_object(), **({"patch": patch} if code else {})})
        return 0
    voice.remark(known.remark)
    if code:
        return _tell_patch(known, patch)
    _tell(known)
    voice.next(f"physlab version restore {quoted(known.name)} TARGET")
    return 0


def _tell_patch(known: Known, patch: str) -> int:
    """Print what differed from the commit, and nothing else, so that git can read it."""
    state = known.version.code
    if patch:
        sys.stdout.write(patch)
    elif state.commit:
        voice.note(f"The code of {known.name} is commit {state.commit}; nothing differed from it.")
    else:
        told = f"only called '{state.version}'" if state.version else "unknown"
        voice.note(f"The code of {known.name} is {told}: it was not registered in a git repository.")
    return 0


def _tell(known: Known) -> None:
    version = known.version
    voice.say(f"[bold]{escape(known.name)}[/bold] {escape(version.artifact)}")
    voice.fact("sha256", version.content.sha256)
    files = f", {counted(version.content.files, 'file')}" if version.content.kind == "folder" else ""
    voice.fact("content", f"{version.content.kind}, {size(version.content.size)}{files}")
    voice.fact("lineage", version.lineage_id)
    for parent in version.parents:
        voice.fact("parent", f"{parent.path or ''} sha256:{parent.sha256[:16]}…".strip())
    for what, told in (("params", version.params), ("metadata", version.metadata)):
        if told:
            voice.fact(what, jsonlib.dumps(told, ensure_ascii=False))
    if version.code.version:
        voice.fact("code", f"{version.code.version} {version.code.repository or ''}".strip())
    if version.code.diff:
        voice.fact("changes", f"sha256:{version.code.diff[:16]}…: physlab version show {quoted(known.name)} --code")
    if known.tags:
        voice.fact("tags", ", ".join(known.tags))
    voice.fact("when", f"{local_time(version.registered_at)}, by {version.by}")


@app.command()
def diff(name: Name, other: Annotated[str | None, OTHER] = None, json: Json = False) -> int:
    """Say how two versions differ: origin and content; exit code 1 when the content does."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = service.diff_versions(lab, name, other)
    if voice.as_json:
        voice.reply(found)
        return 0 if found["equal"] else 1
    for remark in found.get("remarks", ()):
        voice.remark(remark)
    voice.say(f"[bold]{escape(found['before'])}[/bold] → [bold]{escape(found['after'])}[/bold]")
    for what, (before, after) in found["origin"].items():
        voice.say(f"  {escape(what)}: {escape(_short(before))} → {escape(_short(after))}")
    _tell_lines(found["code"])
    if found["equal"]:
        voice.say("[green]✓[/green] The content is the same.")
        if "code" in found["origin"]:
            voice.next(f"physlab version show {quoted(found['after'])} --code")
        return 0
    for verb, names in (("added", found["added"]), ("removed", found["removed"])):
        for item in names:
            voice.say(f"  [bold]{escape(item)}[/bold] was {verb}")
    for item, told in found["files"].items():
        voice.say(f"  [bold]{escape(item)}[/bold] [dim]{told['kind']}[/dim]")
        _tell_lines(told["lines"], coloured=told["kind"] == "text")
    return 1


def _tell_lines(lines: Sequence[str], *, coloured: bool = True, indent: str = "    ") -> None:
    """Print lines of a difference."""
    for line in lines:
        colour = {"+": "green", "-": "red"}.get(line[:1], "") if coloured else ""
        voice.say(f"{indent}[{colour}]{escape(line)}[/]" if colour else f"{indent}{escape(line)}")


@app.command()
def restore(
    name: Name,
    target: Annotated[Path | None, typer.Argument(metavar="[TO]", help="Where to; unset: where it came from.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what stands there unregistered.")] = False,
    json: Json = False,
) -> int:
    """Write a version back, verified; what stands there is replaced only if it is registered too."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        done = service.restore_version(lab, name, target, force=force)
    voice.remark(done.get("remark"))
    if voice.as_json:
        voice.reply(done)
    elif done["files"]:
        voice.say(f"[green]✓[/green] {escape(done['path'])} is {escape(done['version'])}: {done['hash']}.")
    else:
        voice.say(f"[green]✓[/green] {escape(done['path'])} was {escape(done['version'])} already.")
    return 0


@app.command()
def tag(
    tag_name: Annotated[str, typer.Argument(metavar="TAG", help="The tag.")],
    name: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="What it stands for; unset: nothing.")] = None,
    move: Annotated[bool, typer.Option("--move", help="Take it from the version that has it.")] = False,
    json: Json = False,
) -> int:
    """Give a version a name, or take the name away."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        known = service.tag_version(lab, tag_name, name, move=move)
    if voice.as_json:
        remark = {"remark": known.remark} if known and known.remark else {}
        voice.reply({"tag": tag_name, "version": known.name if known else None, **remark})
    else:
        voice.remark(known.remark if known else "")
        said = f"stands for {escape(known.name)}" if known else "stands for nothing any more"
        voice.say(f"[green]✓[/green] {escape(tag_name)} {said}.")
    return 0


@app.command()
def tags(json: Json = False) -> int:
    """List the tags."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = service.all_tags(lab)
    if voice.as_json:
        voice.reply({"tags": {name: known.as_object() for name, known in found.items()}})
        return 0
    rows = [[name, known.name, known.version.lineage_id] for name, known in found.items()]
    voice.say(table(("tag", "version", "lineage"), rows) if rows else "There are no tags.")
    return 0


@app.command()
def label(
    name: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="What; unset: list all labels.")] = None,
    text: Annotated[
        str | None, typer.Argument(metavar="[LABEL]", help="private, embargo:2027-01-31, hold, hold:DAY, open.")
    ] = None,
    why: Annotated[str, typer.Option("--why", help="The reason, for the ledger.")] = "",
    json: Json = False,
) -> int:
    """Say what may not leave the lab (private, embargo) or not be deleted (hold); `open` ends both."""
    from physlab import service
    from physlab.errors import ValidationError
    from physlab.lab import Lab
    from physlab.settings import load_settings

    if name is not None and text is None:
        raise ValidationError(f"Which label for '{name}'?", hint="private, embargo:2027-01-31, hold or open.")
    with Lab(load_settings()) as lab:
        done = service.label_version(lab, name, text, why) if name and text else None
        found = service.all_labels(lab)
    if voice.as_json:
        voice.reply(done or {"labels": found})
    elif done:
        voice.remark(done.get("remark"))
        voice.say(f"[green]✓[/green] {escape(done['version'] or 'What')} is {done['label']}: {done['hash'][:23]}….")
    else:
        rows = [
            [item["name"] + (f" ({counted(item['files'], 'file')})" if item["files"] is not None else ""),
             item["hash"][:19], ", ".join(item["labels"]), "; ".join(item["why"])]
            for item in found
        ]  # fmt: skip
        heads = ("what", "sha256", "labels", "why")
        voice.say(table(heads, rows, free="why", spare=("sha256",), width=voice.out.width) if rows
                  else "Nothing is labelled.")  # fmt: skip
    return 0


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="Unset: all.")] = None, json: Json = False
) -> int:
    """Read the bytes of versions and compare their hashes; exit code 1 when something is wrong."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = service.verify_versions(lab, name)
    if voice.as_json:
        voice.reply(found.as_object())
        return 1 if found.problems else 0
    for item in found.gone:
        voice.remark(item)
    if found.problems:
        voice.say(*(f"[bold red]✗[/bold red] {escape(item)}" for item in found.problems))
        return 1
    if not found.versions:
        voice.say("Nothing was registered yet.")
        return 0
    checked = [counted(found.files, "file")] if found.files else []
    if found.external:
        named = ", ".join(found.external[:MOST_NAMED]) + (", …" if len(found.external) > MOST_NAMED else "")
        checked.append(f"{counted(len(found.external), 'external file')} ({named})")
    verb = "is" if found.files + len(found.external) == 1 else "are"
    of = f" as {found.versions[0]}" if name else f" in {counted(len(found.versions), 'version')}"
    voice.say(f"[green]✓[/green] {escape(' and '.join(checked))} {verb} what was registered{escape(of)}.")
    return 0


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else jsonlib.dumps(value, ensure_ascii=False)
    return "" if value in ({}, None) else text if len(text) <= 60 else f"{text[:59]}…"
