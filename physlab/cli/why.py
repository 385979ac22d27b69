"""`why`: where a result came from, back to the raw inputs."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli import origin
from physlab.cli.options import Json
from physlab.cli.output import escape, mark, show_problem, voice

if TYPE_CHECKING:
    from rich.tree import Tree

LONG = 60


def why(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN|FILE", help="A run, as for show; a file or version by itself, as for version why."),
    ],
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NODE|FILE]", help="Of the run: a node, a file of the results, or sha256:…."),
    ] = None,
    json: Json = False,
) -> int:
    """Say how a node or file came about, back to the raw files."""
    if name is None:
        return _lone(run, json)
    from physlab.lab import Lab
    from physlab.lineage import lineage
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = lineage(lab, lab.find_run(run), name)
    if voice.as_json:
        voice.reply(found)
        return 0
    sign = mark(found["status"])
    because = f" [dim]because: {escape(found['why'])}[/dim]" if found["why"] else ""
    voice.say(f"[{sign.style}]{sign.plain}[/] [bold]{found['node']}[/bold] {found['status']}{because}")
    if found["sha256"]:
        voice.fact("file", f"sha256:{found['sha256']}")
    voice.say("")
    if found["made"]:
        voice.say(_tree(found["made"]))
    if found["error"]:
        show_problem(found["error"]["message"], found["error"].get("hint", ""), title=found["node"])
    return 0


def _lone(name: str, json: bool) -> int:
    """Answer for a file or version by itself; of a run something has to be named."""
    from physlab.errors import ValidationError
    from physlab.lab import Lab
    from physlab.settings import load_settings

    try:
        return origin.why(name, json)
    except ValidationError as error:
        with Lab(load_settings()) as lab:
            try:
                run = lab.find_run(name)
            except ValidationError:
                raise error from None
        first = run.nodes[0].id if run.nodes else "NODE"
        raise ValidationError(
            f"'{name}' is a run: which of its nodes or files is meant?", hint=f"Such as: physlab why {name} {first}"
        ) from error


def _tree(made: dict[str, Any], tree: Tree | None = None, lead: str = "") -> Tree:
    """Return a record and what it was made from as a tree."""
    from rich.tree import Tree

    label = f"{lead}[bold]{made['node']}[/bold] {escape(made['tool'])}"
    if made.get("shown_above"):
        label += " [dim](see above)[/dim]"
    branch = tree.add(label) if tree is not None else Tree(label, guide_style="dim", highlight=False)
    if made.get("shown_above"):
        return branch
    sources = {entry["source"] for entry in made["inputs"]}
    values = {name: value for name, value in made["params"].items() if value not in (None, "", {}, [], *sources)}
    values |= {"seed": made["seed"]} if made["seed"] else {}
    if values:
        told = (f"[dim]{escape(name)} =[/dim] {escape(_short(value))}" for name, value in values.items())
        branch.add("[dim],[/dim] ".join(told))
    for where, sha256 in made["files"].items():
        branch.add(f"[dim]file {escape(where)} =[/dim] sha256:{sha256}")
    versions = ", ".join(f"{name} {value}" for name, value in made["code"].items() if name != "fingerprint")
    code = f"code {made['code'].get('fingerprint', '')[:12]}{', ' + versions if versions else ''}"
    branch.add(f"[dim]{escape(code)} · {made['device']} · run {made['run_id']}[/dim]")
    for entry in made["inputs"]:
        arrow = f"[dim]{escape(entry['parameter'])} ← {escape(entry['source'])}[/dim] "
        digest = f"[dim]sha256:{entry['content'][:16]}…[/dim] "
        if entry["made"]:
            _tree(entry["made"], branch, arrow + digest)
        else:
            branch.add(arrow + digest)
    return branch


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else jsonlib.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONG else text[: LONG - 1] + "…"
