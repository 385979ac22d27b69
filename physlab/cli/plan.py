"""`plan`: what a run would do, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from physlab.cli.options import DagArgument, Json
from physlab.cli.output import counted, duration, escape, mark, quoted, table, voice

if TYPE_CHECKING:
    from rich.table import Table

ROWS = 30
STATES = {"hit": "cached", "miss": "runs", "pending": "waits"}

Parallelism = Annotated[
    int | None, typer.Option("--parallelism", "-j", min=1, max=16, help="Nodes at once.", show_default=False)
]
Policy = Annotated[
    Literal["local_first", "remote_first", "auto"] | None,
    typer.Option("--offload-policy", "--policy", help="Where nodes go.", show_default=False),
]
Site = Annotated[
    str | None,
    typer.Option("--site", metavar="NAME", help="The cluster to use, or local for none.", show_default=False),
]
Refresh = Annotated[bool, typer.Option("--refresh", help="Run every node, cached or not.")]
RefreshNode = Annotated[
    list[str] | None,
    typer.Option("--refresh-node", metavar="NODE", help="Run this node, cached or not; repeat it for more."),
]


def plan(
    dag: DagArgument,
    parallelism: Parallelism = None,
    offload_policy: Policy = None,
    site: Site = None,
    refresh: Refresh = False,
    refresh_node: RefreshNode = None,
    all_nodes: Annotated[bool, typer.Option("--all", "-a", help="Show every node.")] = False,
    json: Json = False,
) -> int:
    """Say what a run would do, and why.

    What is cached, what runs because of what, where, and for how long.
    """
    from physlab import service
    from physlab.lab import Lab
    from physlab.preview import preview
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        named = lab.find_dag(dag)
        wishes = {"parallelism": parallelism, "offload_policy": offload_policy, "site": site}
        request = service.run_request(lab, refresh=chosen(refresh, refresh_node), **wishes)
        found = preview(lab, named, request, limit=None if all_nodes or voice.as_json else ROWS)
    if voice.as_json:
        voice.reply(found)
        return 0
    show_preview(found)
    voice.next(run_line(dag, wishes))
    return 0


def run_line(dag: str, wishes: Mapping[str, Any]) -> str:
    """Return the command that runs what was planned, where it was planned."""
    words = [(option, wishes.get(name)) for option, name in (("--site", "site"), ("--policy", "offload_policy"))]
    return " ".join([f"physlab run {quoted(dag)}", *(f"{option} {quoted(value)}" for option, value in words if value)])


def chosen(refresh: bool, nodes: list[str] | None) -> bool | list[str]:
    """Return what the two refresh options ask for."""
    return True if refresh else nodes or False


def show_preview(found: dict[str, Any]) -> None:
    """Print a preview."""
    counts, total = found["counts"], found["total"]
    voice.say(f"[bold]{escape(found['title'] or found['dag_id'])}[/bold]", "", _nodes(found["nodes"]))
    if len(found["nodes"]) < total:
        voice.say(f"[dim]… and {total - len(found['nodes']):,} more, most of them cached; all of them: --all[/dim]")
    if counts["hit"] == total:
        voice.say("", f"[cyan]●[/cyan] All {counted(total, 'node')} are cached; a run computes nothing.")
        return
    runs = counts["miss"] + counts["pending"]
    expected = f", about {duration(found['expected_s'] * 1e3)}" if found["expected_s"] is not None else ""
    _say_where(found["nodes"])
    voice.say("", f"▸ {runs:,} of {counted(total, 'node')} to run, {counts['hit']:,} cached{expected}.")


def _say_where(nodes: list[dict[str, Any]]) -> None:
    """Say why nodes go where they go, once for each reason, when there is more than one place."""
    reasons = Counter((node["site"], node["placement"]) for node in nodes if node["site"] is not None)
    if {site for site, _ in reasons} <= {"local"}:
        return
    voice.say("")
    for (site, reason), count in reasons.most_common():
        voice.fact(site, f"{counted(count, 'node')}: {reason}")


def _nodes(nodes: list[dict[str, Any]]) -> Table:
    rows = []
    for node in nodes:
        parts = f"in {node['parts']} parts" if (node["parts"] or 1) > 1 else ""
        reason = "; ".join(filter(None, (node["why"], node["fallback"] and f"on the CPU: {node['fallback']}", parts)))
        runs = node["site"] is not None
        where, about = (f"{node['site']} · {node['device']}", duration(node["expected_ms"])) if runs else ("", "")
        rows.append([mark(node["state"]), node["id"], node["tool"], STATES[node["state"]], reason, where, about])
    return table(("", "node", "tool", "state", "because", "where", "about"), rows, right=("about",))
