"""How a run ended, in a few lines."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from physlab.cli.output import counted, duration, escape, mark, show_problem, voice

SHOWN = 6
FAILURES = 5


def show_outcome(reply: dict[str, Any]) -> None:
    """Print the reply of `run_dag` for people."""
    nodes, meta = reply["nodes"], reply["meta"]
    counts = Counter(node["status"] for node in nodes)
    took = duration(meta["duration_ms"])
    sign = mark("completed" if reply["status"] == "completed" else "failed")
    voice.say(f"[{sign.style}]{sign.plain}[/] {_sentence(reply['status'], counts, len(nodes))} [dim]{took}[/dim]")
    voice.say("")
    _values(reply)
    voice.fact("run", reply["run_id"])
    voice.fact("results", shortest(reply["results"]))
    _figures(reply)
    for node, reason in meta.get("fallbacks", {}).items():
        voice.fact("fallback", f"{node}: {reason}")
    if meta.get("recording_problem"):
        voice.fact("recorded", meta["recording_problem"])
    if meta.get("commit_problem"):
        voice.fact("commit", meta["commit_problem"])
    if reply.get("report"):
        voice.fact("report", shortest(reply["report"]))
    if reply["status"] == "completed":
        if not reply.get("report"):
            voice.next(f"physlab report {reply['run_id']}")
        return
    _failures([node for node in nodes if node["status"] == "failed"])
    voice.next(f"physlab show {reply['run_id']}")


def _sentence(status: str, counts: Counter[str], total: int) -> str:
    if counts["cached"] == total:
        return f"All {counted(total, 'node')} were cached." if total != 1 else "The one node was cached."
    names = {
        "completed": "computed",
        "cached": "cached",
        "failed": "failed",
        "skipped": "skipped",
        "cancelled": "stopped",
    }
    parts = ", ".join(f"{counts[name]:,} {word}" for name, word in names.items() if counts[name])
    if status == "completed":
        return f"{counted(total, 'node')} done: {parts}."
    return f"The run of {counted(total, 'node')} {'was stopped' if status == 'cancelled' else 'failed'}: {parts}."


def _values(reply: dict[str, Any]) -> None:
    """Print what a small run found."""
    from physlab.cli.values import FEW_NODES, main_values, show_values
    from physlab.lab import Lab
    from physlab.report.contents import read_contents
    from physlab.settings import load_settings

    if len(reply["nodes"]) > FEW_NODES or reply["status"] != "completed" or voice.as_json:
        return
    with Lab(load_settings()) as lab:
        values = main_values(read_contents(lab.find_run(reply["run_id"]), lab.store))
    if values:
        show_values(values)
        voice.say("")


def _figures(reply: dict[str, Any]) -> None:
    figures = reply.get("reportable", {}).get("figures", [])
    for index, figure in enumerate(figures[:SHOWN]):
        path = Path(figure["path"])
        inside = path.relative_to(reply["results"]) if path.is_relative_to(reply["results"]) else path
        voice.fact("figures" if index == 0 else "", inside)
    if len(figures) > SHOWN:
        voice.fact("", f"… {len(figures) - SHOWN} more")


def _failures(failed: list[dict[str, Any]]) -> None:
    for node in failed[:FAILURES]:
        error = node["error"] or {}
        show_problem(error.get("message", ""), error.get("hint", ""), title=node["id"])
    if len(failed) > FAILURES:
        voice.say(f"[dim]… and {len(failed) - FAILURES} more failed nodes[/dim]")


def shortest(path: str) -> str:
    """Return a path as short as it can be typed from here."""
    whole, here = Path(path), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else escape(path)
