"""`define` and `validate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import DagArgument, Json
from physlab.cli.output import counted, escape, mark, quoted, table, voice

if TYPE_CHECKING:
    from physlab.lab import Lab, NamedDag
    from physlab.model import Problem

ROWS = 40


def define(
    source: Annotated[
        str | None, typer.Argument(metavar="[FILE|-]", help="A graph as YAML or JSON; - reads it from stdin.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", "-t", help="A sentence instead of a file.")] = None,
    picture: Annotated[Path | None, typer.Option("--picture", metavar="PNG", help="Write the picture there.")] = None,
    json: Json = False,
) -> int:
    """Read a graph, keep it under its id, check it and draw it."""
    from physlab.errors import ValidationError
    from physlab.lab import Lab
    from physlab.language import read_sentence
    from physlab.settings import load_settings

    if (source is None) == (text is None):
        raise ValidationError("Give either a file or --text.", hint="physlab define --text 'plot sin(x)/x'")
    with Lab(load_settings()) as lab:
        named = read_graph(lab, source) if source else lab.read(read_sentence(str(text)), Path.cwd())
        return _define(lab, named, picture)


def read_graph(lab: Lab, source: str) -> NamedDag:
    """Return the graph of a file, of stdin (`-`), or of that id or title."""
    if source != "-":
        return lab.find_dag(source)
    from physlab.specfile import parse_spec

    return lab.read(parse_spec(sys.stdin.read(), "stdin"), Path.cwd())


def _define(lab: Lab, named: NamedDag, picture: Path | None) -> int:
    import base64

    from physlab import service

    reply = service.define_dag(lab, spec=named.dag, base_dir=named.base_dir)
    if picture is not None:
        _write(picture, base64.b64decode(reply.body["ui_overview_png_b64"]))
    if voice.as_json:
        voice.reply(reply.as_object())
        return 0 if reply.error is None else 1
    voice.say(f"[bold]{escape(named.dag.title or 'untitled')}[/bold]", "")
    voice.say(_nodes(named, reply.body["edges"]), "")
    problems = lab.check(named).problems
    if problems:
        voice.say(problem_table(problems), "")
    voice.fact("id", reply.body["dag_id"])
    if picture is not None:
        voice.fact("picture", picture)
    if reply.error is not None:
        errors = sum(problem.severity == "error" for problem in problems)
        voice.fact("problems", f"{counted(errors, 'error')} to mend before it can run")
        return 1
    voice.next(f"physlab run {reply.body['dag_id']}")
    return 0


def _write(path: Path, content: bytes) -> None:
    from physlab.errors import StoreError

    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.", hint="Choose another path.") from error


def _nodes(named: NamedDag, edges: list[dict[str, Any]]) -> Any:
    needs: dict[str, list[str]] = {}
    for edge in edges:
        needs.setdefault(edge["to"], []).append(edge["from"])
    nodes = named.dag.nodes
    rows = [
        [node.id, f"{node.tool}.{node.method}" if node.method else node.tool, ", ".join(needs.get(node.id, []))]
        for node in nodes[:ROWS]
    ]
    if len(nodes) > ROWS:
        rows.append([f"… {len(nodes) - ROWS} more", "", ""])
    return table(("node", "tool", "needs"), rows)


def problem_table(problems: list[Problem]) -> Any:
    """Return the findings of validation as a table, errors first."""
    from rich.text import Text

    ordered = sorted(problems, key=lambda problem: problem.severity)
    rows = [
        [
            mark("fail" if problem.severity == "error" else "warn"),
            problem.node_id or "",
            Text(problem.message).append(f"\n{problem.hint}" if problem.hint else "", style="dim"),
            Text(problem.code, style="dim"),
        ]
        for problem in ordered
    ]
    return table(("", "node", "message and what to do", "code"), rows)


def validate(dag: DagArgument, json: Json = False) -> int:
    """Find everything that is wrong with a graph, at once.

    Exit code 1 when it will not run.
    """
    from physlab.lab import Lab
    from physlab.model import Problem
    from physlab.service import validate_dag
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        named = read_graph(lab, dag)
        body = validate_dag(lab, named.dag, named.base_dir).body
    code = 0 if body["ok"] else 1
    if voice.as_json:
        voice.reply(body)
        return code
    problems = [Problem.model_validate(item) for item in body["problems"]]
    errors = sum(problem.severity == "error" for problem in problems)
    if problems:
        voice.say(problem_table(problems), "")
    total = counted(len(named.dag.nodes), "node")
    if errors:
        voice.say(f"[bold red]✗[/bold red] {counted(errors, 'error')} in {total}. Mend them and validate again.")
        return code
    more = f", {counted(len(problems), 'warning')}" if problems else ""
    voice.say(f"[green]✓[/green] {escape(named.dag.title or named.dag_id)} is right: {total}{more}.")
    voice.next(f"physlab run {quoted(dag)}" if dag != "-" else "physlab define -")
    return code
