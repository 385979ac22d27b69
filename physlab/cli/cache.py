"""`cache`: results that need not be computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import DagArgument, Json, Yes
from physlab.cli.output import counted, duration, escape, local_time, mark, quoted, size, table, voice

if TYPE_CHECKING:
    from physlab.lab import Lab
    from physlab.store import Entry

app = typer.Typer(name="cache", help="Results that need not be computed again.", no_args_is_help=True)
Tool = Annotated[str | None, typer.Option("--tool", help="Of this tool: 'plot' or 'plot.function_2d'.")]
NodeName = Annotated[str | None, typer.Option("--node", help="Of nodes with this id.")]


@app.command("ls")
def list_results(
    tool: Tool = None,
    node: NodeName = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the latest.")] = 30,
    json: Json = False,
) -> int:
    """List results, latest first."""
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = _entries(lab, tool=tool, node=node, limit=limit)
        rows = [_row(lab, entry) for entry in found]
    if voice.as_json:
        voice.reply({"results": rows})
        return 0
    if not rows:
        voice.say("There is no such result.")
        return 0
    cells = [
        [
            row["key"][:16],
            row["node"],
            row["tool"],
            size(row["bytes"]),
            local_time(row["made_at"]),
            duration(row["duration_ms"]),
        ]
        for row in rows
    ]
    voice.say(table(("key", "node", "tool", "size", "made", "took"), cells, right=("size", "took")), "")
    voice.next(f"physlab cache rm {rows[0]['key'][:16]}")
    return 0


def _entries(
    lab: Lab, *, key: str | None = None, tool: str | None = None, node: str | None = None, limit: int | None = None
) -> list[Entry]:
    import sqlalchemy as sa

    from physlab.store import schema

    columns, wanted = schema.nodes.c, []
    if key:
        wanted.append(columns.key.startswith(key, autoescape=True))
    if tool:
        name, _, method = tool.partition(".")
        wanted += [columns.tool == name, *([columns.method == method] if method else [])]
    if node:
        wanted.append(columns.node_id == node)
    lab.store.refresh()
    return lab.store.index.entries(sa.and_(sa.true(), *wanted), limit)


def _row(lab: Lab, entry: Entry) -> dict[str, Any]:
    paths = [lab.store.blobs.path(digest) for digest in entry.blobs]
    return {
        "key": entry.key,
        "node": entry.node_id,
        "tool": f"{entry.tool}.{entry.method}" if entry.method else entry.tool,
        "bytes": sum(path.stat().st_size for path in paths if path.exists()),
        "made_at": entry.started_at,
        "duration_ms": entry.duration_ms,
        "run_id": entry.run_id,
        "device": entry.device,
    }


@app.command("why")
def explain(dag: DagArgument, node: Annotated[str, typer.Argument(metavar="NODE")], json: Json = False) -> int:
    """Say why a node is cached, or which ingredient of its key changed."""
    from physlab.lab import Lab
    from physlab.preview import why_cached
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = why_cached(lab, lab.find_dag(dag), node)
    if voice.as_json:
        voice.reply(found)
        return 0
    sign, word = mark(found["state"]), "is cached" if found["state"] == "hit" else "must run"
    voice.say(f"[{sign.style}]{sign.plain}[/] [bold]{node}[/bold] {word}: {escape(found['why'])}")
    if found["key"]:
        voice.fact("key", found["key"])
    voice.next(f"physlab run {quoted(dag)}{'' if word == 'must run' else f' --refresh-node {node}'}")
    return 0


@app.command("rm")
def remove(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="A key or its beginning (8 signs).")] = None,
    tool: Tool = None,
    node: NodeName = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Forget results, so that they are computed again.

    The records and bytes stay in the store; only the look-up forgets them.
    """
    from physlab.errors import ValidationError
    from physlab.lab import Lab
    from physlab.settings import load_settings

    if not (key or tool or node):
        raise ValidationError("Say which results: a key, --tool or --node.", hint="See: physlab cache ls")
    if key and len(key) < 8:
        raise ValidationError(f"'{key}' is too short for a key.", hint="Give 8 signs or more; see: physlab cache ls")
    with Lab(load_settings()) as lab:
        keys = sorted({entry.key for entry in _entries(lab, key=key, tool=tool, node=node)})
        if keys and not yes and not _sure(len(keys)):
            return 1
        for name in keys:
            lab.store.append("retract", {"kind": "retract", "key": name})
    if voice.as_json:
        voice.reply({"removed": keys})
    else:
        voice.say(f"{counted(len(keys), 'result')} forgotten." if keys else "There is no such result.")
    return 0


def _sure(count: int) -> bool:
    """Ask a person; a program has to say --yes."""
    import sys

    from physlab.errors import ValidationError

    if voice.as_json or not sys.stdin.isatty():
        raise ValidationError(f"This forgets {counted(count, 'result')}.", hint="Say --yes.")
    return typer.confirm(f"Forget {counted(count, 'result')}?", err=True)
