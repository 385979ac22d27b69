"""What a run looks like while it runs: a table for a small graph, a bar for a large one, lines for a log file."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from physlab.cli.output import counted, duration, escape, mark, table, voice

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text

    from physlab.planning import Plan
    from physlab.run import Event

SMALL = 25
NAMED = 5
LINES_EVERY_S = 5.0
FINAL = ("completed", "cached", "failed", "skipped", "cancelled")


class View:
    """Shows a run on stderr. Told of changes by several threads; with `--quiet` it shows nothing.

    Args:
        title: Title of the graph.
    """

    def __init__(self, title: str = "") -> None:
        self.title = title
        self.states: dict[str, str] = {}
        self._tools: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._began = time.monotonic()
        self._guard = threading.Lock()
        self._live: Live | None = None
        self._spinner: Spinner | None = None
        self._last_line = 0.0

    @property
    def counts(self) -> Counter[str]:
        """How many nodes are in each state."""
        with self._guard:
            return Counter(self.states.values())

    def planned(self, run_id: str, plan: Plan) -> None:
        """Begin with a plan."""
        self.begin(run_id, [(node.id, node.checked.method.full_name) for node in plan.nodes.values()])

    def begin(self, run_id: str, nodes: Sequence[tuple[str, str]]) -> None:
        """Begin with the nodes (id and tool), each after what it needs."""
        self.run_id = run_id
        self._tools = dict(nodes)
        self.states = dict.fromkeys(self._tools, "pending")
        if voice.quiet:
            return
        if voice.err.is_terminal:
            from rich.live import Live

            self._live = Live(console=voice.err, get_renderable=self.draw, refresh_per_second=8, transient=True)
            self._live.start()
        elif not voice.as_json:
            voice.err.print(f"{self._head()} run {run_id}", style="dim", soft_wrap=True)

    def changed(self, event: Event) -> None:
        """Take in a change of state."""
        with self._guard:
            self.states[event.node_id] = event.status
            if event.status == "running":
                self._since[event.node_id] = time.monotonic()
            self._took[event.node_id] = event.duration_ms
            if event.error:
                self._notes[event.node_id] = (
                    str(event.error.get("message", "")).split("\n")[0].removesuffix(" Its last lines:")
                )
        if self._live is None and not voice.quiet and not voice.as_json:
            self._line(event)

    def end(self) -> None:
        """Stop showing."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self, event: Event) -> None:
        """Write a line: for each node of a small graph, now and then for a large one; failures always."""
        if len(self.states) <= SMALL or event.status == "failed":
            if event.status in FINAL:
                voice.err.print(self._one(event.node_id), soft_wrap=True)
        elif event.status in FINAL and time.monotonic() - self._last_line > LINES_EVERY_S:
            self._last_line = time.monotonic()
            voice.err.print(self._progress(), style="dim", soft_wrap=True)

    def draw(self) -> Group:
        """Return the present picture."""
        from rich.console import Group

        small = len(self.states) <= SMALL
        return Group(*((self._heading(), "", self._table()) if small else (self._heading(), "", *self._bar())))

    def _head(self) -> str:
        return escape(f"{self.title or 'run'} · {counted(len(self.states), 'node')} ·")

    def _heading(self) -> str:
        passed = duration((time.monotonic() - self._began) * 1e3 // 1000 * 1000)
        return f"[bold]{escape(self.title or 'run')}[/bold] [dim]· {self._progress()} · {passed}[/dim]"

    def _progress(self) -> str:
        counts, total = self.counts, len(self.states)
        parts = [f"{sum(counts[state] for state in FINAL):,} of {total:,} done"]
        parts += [f"{counts[state]:,} {state}" for state in ("cached", "running", "failed", "skipped") if counts[state]]
        return ", ".join(parts)

    def _note(self, name: str) -> str:
        state = self.states[name]
        if state == "running":
            return duration((time.monotonic() - self._since.get(name, self._began)) * 1e3)
        if state == "completed":
            return duration(self._took.get(name))
        return self._notes.get(name, "" if state == "pending" else state)

    def _table(self) -> Any:
        from rich.spinner import Spinner
        from rich.text import Text

        self._spinner = self._spinner or Spinner("dots", style="bold")
        with self._guard:
            states = dict(self.states)
        rows = []
        for name, state in states.items():
            sign = self._spinner if state == "running" else mark(state)
            style = {"running": "bold", "pending": "dim", "skipped": "dim"}.get(state, "")
            tone = "red" if state == "failed" else "dim"
            note = Text(self._note(name), style=tone, overflow="ellipsis", no_wrap=True)
            rows.append([sign, Text(name, style=style), Text(self._tools[name], style="dim"), note])
        made = table(("", "node", "tool", ""), rows)
        made.show_header = False
        return made

    def _bar(self) -> list[Any]:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        counts, total = self.counts, len(self.states)
        done = sum(counts[state] for state in FINAL)
        bar = Table.grid(padding=(0, 2))
        bar.add_row(ProgressBar(total=max(total, 1), completed=done, width=60), self._rest(counts, done))
        shown: list[Any] = [bar]
        with self._guard:
            running = [name for name, state in self.states.items() if state == "running"]
            failed = [name for name, state in self.states.items() if state == "failed"]
        for names in (running, failed):
            shown += map(self._one, names[:NAMED])
            if len(names) > NAMED:
                shown.append(Text(f"  … {len(names) - NAMED:,} more", style="dim"))
        return shown

    def _one(self, name: str) -> Text:
        from rich.text import Text

        return Text.assemble(mark(self.states[name]), f" {name} ", (self._note(name), "dim"))

    def _rest(self, counts: Counter[str], done: int) -> str:
        """Return how long the rest will take at the pace so far; cached nodes took no time."""
        worked = done - counts["cached"]
        left = len(self.states) - done
        if worked < NAMED or not left:
            return ""
        pace = (time.monotonic() - self._began) / worked
        return f"[dim]about {duration(pace * left * 1e3)} left[/dim]"
