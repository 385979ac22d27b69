"""`runs` and `show`: what was run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import Json, RunArgument
from physlab.cli.output import counted, duration, escape, local_time, mark, quoted, show_problem, table, voice

if TYPE_CHECKING:
    from physlab.lab import Lab
    from physlab.model import RunRecord

ROWS = 60
LOG_LINES = 20


def runs(
    all_runs: Annotated[bool, typer.Option("--all", "-a", help="Single tool calls too, and all of them.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the latest.")] = 20,
    json: Json = False,
) -> int:
    """List the runs of this lab, latest first."""
    from physlab.lab import CALL, Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = [row for row in lab.runs() if all_runs or not row["title"].startswith(CALL)]
    shown = found if all_runs else found[:limit]
    if voice.as_json:
        names = ("run_id", "dag_id", "title", "status", "cached", "total", "started_at", "duration_ms")
        voice.reply({"runs": [{name: row[name] for name in names} for row in shown]})
        return 0
    if not shown:
        voice.say("Nothing was run yet.")
        voice.next("physlab define --text 'hydrogen 2p state with animation'")
        return 0
    columns = ("", "run", "title", "status", "cached", "began", "took")
    right = ("cached", "took")
    voice.say(table(columns, map(_row, shown), right=right, free="title", spare=("status",), width=voice.out.width))
    if len(shown) < len(found):
        voice.say(f"[dim]… and {len(found) - len(shown):,} earlier: --all[/dim]")
    voice.say("")
    voice.next(f"physlab show {shown[0]['run_id']}")
    return 0


def _row(row: dict[str, Any]) -> list[Any]:
    ended = row["status"] not in ("running", "interrupted")
    cached = f"{row['cached']}/{row['total']}" if ended else ""
    title = row["title"] or row["dag_id"]
    took = duration(row["duration_ms"]) if ended else ""
    return [mark(row["status"]), row["run_id"], title, row["status"], cached, local_time(row["started_at"]), took]


def show(
    run: RunArgument,
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", help="A node: its values and parameters.", show_default=False)
    ] = None,
    json: Json = False,
) -> int:
    """Show a run: its nodes, figures and failures; or the values of one node."""
    from physlab.lab import Lab
    from physlab.report.reply import reportable
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        unfinished = _unfinished(lab, run)
        if unfinished is not None and node is None:
            return _show_unfinished(lab, unfinished)
        record = lab.find_run(run)
        if node is not None:
            return _show_node(lab, record, node)
        found = reportable(record, lab.store)
    if voice.as_json:
        voice.reply({**record.model_dump(mode="json"), "reportable": found})
        return 0
    _show(record, found)
    return 0


def _show_node(lab: Lab, record: RunRecord, name: str) -> int:
    """Show what one node gave and what it was given."""
    from physlab.cli.values import node_values, parameters, show_values
    from physlab.errors import ValidationError, nearest
    from physlab.report.contents import read_contents, read_files
    from physlab.tools.execute import show as shown

    found = next((node for node in record.nodes if node.id == name), None)
    if found is None:
        hint = nearest(name, (node.id for node in record.nodes))
        raise ValidationError(f"Run {record.run_id} has no node '{name}'.", hint=hint)
    with_files = [content for content in read_files(record, lab.store) if content.id == name]
    [content] = with_files or read_contents(record.model_copy(update={"nodes": (found,)}), lab.store)
    made = content.record
    if voice.as_json:
        fields = made.fields.items() if made else ()
        body: dict[str, Any] = {"id": name, "tool": found.tool, "method": found.method, "status": found.status}
        body["fields"] = {field: shown(value, lab.store.blobs, inline_bytes=0) for field, value in fields}
        body["record"] = made.model_dump(mode="json") if made else None
        voice.reply({**body, "error": found.error} if found.error else body)
        return 0
    sign = mark(found.status)
    voice.say(
        f"[{sign.style}]{sign.plain}[/] [bold]{escape(name)}[/bold] [dim]· {content.name} {found.status}[/dim]", ""
    )
    show_values(node_values(content))
    if parameters(content):
        voice.say("", "[dim]parameters[/dim]")
        show_values(parameters(content))
    if found.error:
        _show_failure(name, found.error)
    voice.say("")
    voice.next(f"physlab show {record.run_id} {quoted(name)} --json", "whole")
    voice.next(f"physlab why {record.run_id} {quoted(name)}")
    return 0


def _unfinished(lab: Lab, run: str) -> dict[str, Any] | None:
    """Return the row of a run that has no record yet, when it is the one that is meant."""
    rows = [row for row in lab.runs() if row["run_id"].startswith(run)] if len(run) >= 4 else []
    return rows[0] if len(rows) == 1 and rows[0]["status"] in ("running", "interrupted") else None


def _show_unfinished(lab: Lab, row: dict[str, Any]) -> int:
    from physlab.store import schema

    made = [entry.node_id for entry in lab.store.index.entries(schema.nodes.c.run_id == row["run_id"])][::-1]
    if voice.as_json:
        names = ("run_id", "dag_id", "title", "status", "started_at")
        voice.reply({**{name: row[name] for name in names}, "made": made})
        return 0
    voice.say(f"[bold]{escape(row['title'] or row['dag_id'])}[/bold] [dim]·[/dim] {row['status']}", "")
    voice.say(*(f"[green]✓[/green] {name}" for name in made[:ROWS]))
    if row["status"] == "interrupted":
        voice.say("", f"Its process ended without a word; {counted(len(made), 'computed node')} kept.")
        voice.next(f"physlab run {row['dag_id']}")
    return 0


def _show(record: RunRecord, found: dict[str, list[dict[str, Any]]]) -> None:
    sign = mark(record.status)
    head = f"[{sign.style}]{sign.plain}[/] [bold]{escape(record.title or record.dag_id)}[/bold]"
    voice.say(f"{head} [dim]· {record.status} in {duration(record.duration_ms)}[/dim]", "")
    many = len(record.nodes) > ROWS
    nodes = sorted(record.nodes, key=lambda node: node.status == "cached") if many else record.nodes
    rows = [
        [
            mark(node.status),
            node.id,
            f"{node.tool}.{node.method}" if node.method else node.tool,
            node.status,
            node.why,
            duration(node.duration_ms) if node.status == "completed" else "",
        ]
        for node in nodes[:ROWS]
    ]
    voice.say(table(("", "node", "tool", "state", "because", "took"), rows, right=("took",)))
    if len(nodes) > ROWS:
        voice.say(f"[dim]… and {len(nodes) - ROWS:,} more; all of them: --json[/dim]")
    voice.say("")
    voice.fact("run", f"{record.run_id}, {local_time(record.started_at)}")
    voice.fact("graph", record.dag_id)
    for index, figure in enumerate(found["figures"][:ROWS]):
        voice.fact("" if index else "figures", f"{figure['path']}  {figure['caption']}")
    places = Counter(node.site for node in record.nodes if node.site not in (None, "local"))
    for place, count in places.most_common():
        voice.fact("ran on", f"{place}: {counted(count, 'node')}")
    for node in record.nodes:
        for reason in node.history if node.status == "completed" else ():
            voice.fact("again", reason)
        if node.error and node.status == "failed":
            _show_failure(node.id, node.error)
    voice.next(
        f"physlab show {record.run_id} {quoted(record.nodes[0].id) if len(record.nodes) == 1 else 'NODE'}", "values"
    )
    if record.status == "completed":
        voice.next(f"physlab report {record.run_id}")
    else:
        voice.next(f"physlab run {record.dag_id}")


def _show_failure(name: str, error: dict[str, Any]) -> None:
    """Print a failure with the last lines of its log, unless the message holds them already."""
    lines = error.get("details", {}).get("log_tail", [])
    text = "\n".join(lines[-LOG_LINES:])
    message = error["message"] if not text or text in error["message"] else f"{error['message']}\n{text}"
    show_problem(message, error.get("hint", ""), title=name)


def efficiency(run: RunArgument = "latest", json: Json = False) -> int:
    """Compare what a run asked for with what it used, and say what to ask for next time."""
    from physlab.lab import Lab
    from physlab.service.efficiency import efficiency as compare
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = compare(lab, run)
    if voice.as_json:
        voice.reply(found)
        return 0
    rows = [
        [node["id"], node["site"], duration(node["duration_s"] * 1e3), _of(node["cores_used"], node["asked"]["cpu"]),
         _of(node["peak_mb"] and node["peak_mb"] / 953.7, node["asked"].get("memory_gb"))] for node in found["nodes"]
    ]  # fmt: skip
    voice.say(table(("node", "site", "took", "cores used of asked", "GB used of asked"), rows), "")
    for job in found["jobs"]:
        used = f", used {job['cpu_s']:.0f} s of processor" if job["cpu_s"] is not None else ""
        took = duration((job["elapsed_s"] or 0) * 1e3)
        voice.fact(f"job {job['job']}", f"{job['site']}, {job['state']}, {took}{used}{_accelerators(job)}")
    hours = found["core_hours"]
    held = f" of {hours['reserved']:.3g} reserved" if hours["reserved"] else ""
    voice.fact("core hours", f"{hours['used']:.3g} used{held}")
    voice.fact("saved", f"{duration(found['saved_s'] * 1e3)} by the cache")
    for node, block in found["resources"].items():
        asked = ", ".join(f"{name}: {value:g}" for name, value in block.items())
        voice.say(f"{escape(node)}:  resources: {{{asked}}}")
    return 0


def _accelerators(job: dict[str, Any]) -> str:
    """Say how busy a job's accelerators were, or that nobody measured it."""
    if not job["gpus"]:
        return ""
    busy = "use not measured" if job["gpu_percent"] is None else f"{job['gpu_percent']:g} % busy"
    return f", {counted(job['gpus'], 'accelerator')}: {busy}"


def _of(used: float | None, asked: float | None) -> str:
    """Return `0.9 of 2`."""
    return ("" if used is None else f"{used:.2g}") + (f" of {asked:g}" if asked is not None else "")
