"""`version why|lineage|impact`: where something came from, and what came of it."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, local_time, quoted, voice

if TYPE_CHECKING:
    from rich.tree import Tree

    from physlab.versioning.origin import Activity, Lineage

What = Annotated[
    str, typer.Argument(metavar="WHAT", help="A file, a version (FILE@2), a tag, a lineage id, or sha256:….")
]
LONGEST = 100
"""Letters of a fact that are shown without --all."""
SHOWN = ("tool", "code", "params", "metadata", "by", "run", "device", "machine", "lineage_id")


def why(
    name: What,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Parameters and code in full.")] = False,
    json: Json = False,
) -> int:
    """Say how something came about: the whole chain back to the raw inputs, with parameters and code."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = service.lineage_of(lab, name)
    if voice.as_json:
        voice.reply(found.as_object())
        return 0
    voice.remark(found.remark)
    telling = _Telling(found, everything)
    voice.say(telling.tree(found.of, None))
    raw = [entity.name for entity in found.raw()]
    begins = f"; it begins with {escape(', '.join(raw))}" if raw else ""
    voice.say("", f"[dim]{counted(len(found.activities), 'step')}{begins}[/dim]")
    if telling.cut:
        voice.next(f"physlab version why {quoted(name)} --all", "in full")
    voice.next(f"physlab version lineage {quoted(name)} --format svg --output lineage.svg")
    return 0


class _Telling:
    """A lineage as a tree: everything is told once, and named where it comes again."""

    def __init__(self, lineage: Lineage, everything: bool) -> None:
        self.lineage, self.everything = lineage, everything
        self.above: set[str] = set()
        self.cut = False

    def tree(self, identity: str, tree: Tree | None) -> Tree:
        """Return an entity and what made it."""
        from rich.tree import Tree

        entity = self.lineage.entities[identity]
        bare = entity.name.startswith("sha256:")
        label = f"[bold]{escape(f'{identity[:19]}…' if bare else entity.name)}[/bold]"
        if not bare:
            label += f" [dim]{identity[:23] if entity.kind != 'value' else identity[:18]}…[/dim]"
        same = entity.facts.get("same_bytes")
        if same:
            label += f" [dim]the same bytes: {escape(', '.join(same))}[/dim]"
        branch, new = self._branch(identity, label, tree, Tree)
        if new:
            for activity, made in self.lineage.made:
                if made == identity:
                    self._activity(self.lineage.activities[activity], branch)
        return branch

    def _branch(self, identity: str, label: str, tree: Tree | None, make: type[Tree]) -> tuple[Tree, bool]:
        new = identity not in self.above
        self.above.add(identity)
        label += "" if new else " [dim](see above)[/dim]"
        return (tree.add(label) if tree is not None else make(label, guide_style="dim", highlight=False)), new

    def _activity(self, activity: Activity, tree: Tree) -> None:
        verb = "registered" if activity.kind == "registration" else "made by"
        label = f"{verb} [bold]{escape(activity.name)}[/bold] [dim]{local_time(activity.at)}[/dim]"
        branch, new = self._branch(activity.id, label, tree, type(tree))
        if not new:
            return
        for name in SHOWN:
            fact = activity.facts.get(name)
            if fact:
                branch.add(f"[dim]{name}[/dim] {escape(self._short(fact))}")
        for user, entity, role in self.lineage.used:
            if user == activity.id and entity in self.lineage.entities:
                self.tree(entity, branch.add(f"[dim]from {escape(role)}[/dim]"))

    def _short(self, value: Any) -> str:
        if isinstance(value, dict):  # what was left at nothing says nothing
            value = {name: item for name, item in value.items() if item not in (None, "", {}, [])}
        text = value if isinstance(value, str) else jsonlib.dumps(value, ensure_ascii=False)
        if self.everything or len(text) <= LONGEST:
            return text
        self.cut = True
        return f"{text[: LONGEST - 1]}…"


def lineage(
    name: What,
    form: Annotated[str, typer.Option("--format", "-f", help="svg, json, prov or openlineage.")] = "json",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there.", show_default=False)
    ] = None,
) -> int:
    """Write where something came from in a format that others read: a picture, W3C PROV, OpenLineage."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = service.lineage_of(lab, name)
        text = service.lineage_text(found, form)
    voice.remark(found.remark)
    if output is None:
        sys.stdout.write(f"{text}\n")
        return 0
    write_output(output, text)
    voice.say(f"[green]✓[/green] {escape(str(output))}")
    return 0


def write_output(path: Path, text: str) -> None:
    """Write a file that was asked for, complete or not at all.

    Raises:
        StoreError: It cannot be written.
    """
    from physlab.durable import replace_file
    from physlab.errors import StoreError

    folder = quoted(str(path.absolute().parent))
    try:
        replace_file(path, f"{text}\n".encode())
    except OSError as error:
        raise StoreError(
            f"'{path}' cannot be written: {error.strerror or error}.",
            hint=f"Name a file in a folder that is there and can be written: mkdir -p {folder}",
        ) from error


def impact(name: What, json: Json = False) -> int:
    """Say what was made from something, step by step, and which runs it is part of."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found, runs = service.impact_of(lab, name)
    if voice.as_json:
        voice.reply({**found.as_object(), "runs": runs})
        return 0
    voice.remark(found.remark)
    if not found.activities:
        voice.say("Nothing was made from it.")
        return 0
    for activity in found.activities.values():
        made = [found.entities[item].name for user, item in found.made if user == activity.id]
        arrow = f" → {escape(', '.join(made))}" if made else ""
        voice.say(f"[bold]{escape(activity.name)}[/bold] [dim]{local_time(activity.at)}[/dim]{arrow}")
    if runs:
        voice.fact("runs", ", ".join(runs))
    return 0
