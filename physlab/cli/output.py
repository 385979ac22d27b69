"""What a command says and where: results on stdout, everything else on stderr, one JSON object with `--json`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from physlab.errors import PhyslabError

WIDE = 200
MARKS = {
    "pending": ("·", "dim"),
    "running": ("▸", "bold"),
    "completed": ("✓", "green"),
    "cached": ("●", "cyan"),
    "failed": ("✗", "bold red"),
    "skipped": ("–", "dim"),
    "cancelled": ("■", "yellow"),
    "interrupted": ("■", "yellow"),
    "hit": ("●", "cyan"),
    "miss": ("▸", "bold"),
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "fail": ("✗", "bold red"),
}


@dataclass
class Voice:
    """How this process speaks.

    Attributes:
        verbose: Tell more on stderr.
        quiet: Tell nothing on stderr but errors.
        stream: Where the one JSON object goes; None speaks to people.
        parting: What to say when a signal stops the command.
    """

    verbose: bool = False
    quiet: bool = False
    stream: TextIO | None = None
    parting: str = "Nothing that was finished is lost."

    @property
    def as_json(self) -> bool:
        """True when a program reads."""
        return self.stream is not None

    @cached_property
    def out(self) -> Console:
        """The console for results; wide where no terminal limits it, so that a line stays a line."""
        from rich.console import Console

        width = None if sys.stdout.isatty() else shutil.get_terminal_size((WIDE, 0)).columns
        return Console(highlight=False, width=width)

    @cached_property
    def err(self) -> Console:
        """The console for progress, notes and errors."""
        from rich.console import Console

        return Console(stderr=True, highlight=False)

    def keep_stdout(self) -> None:
        """Keep stdout for one JSON object: whatever else is printed, by this process or its children, is log."""
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(2, 1)
        self.stream = os.fdopen(kept, "w", encoding="utf-8")

    def reply(self, body: Any) -> None:
        """Print the one JSON object."""
        stream = self.stream or sys.stdout
        stream.write(json.dumps(body, ensure_ascii=False, default=str) + "\n")
        stream.flush()

    def say(self, *parts: RenderableType) -> None:
        """Print a result for people; long lines stay whole, so that a path can be copied."""
        if not self.as_json:
            for part in parts:
                self.out.print(part, soft_wrap=isinstance(part, str))

    def note(self, words: str) -> None:
        """Print something that is not the result."""
        if not self.quiet:
            self.err.print(words, style="dim", soft_wrap=True)

    def remark(self, words: str | None) -> None:
        """Print what must not be overlooked, if there is anything, beside the result; a program finds it in that."""
        if words and not self.as_json:
            self.err.print(f"[bold yellow]![/bold yellow] {escape(words)}", soft_wrap=True)

    def next(self, command: str, what: str = "next") -> None:
        """Print the command to type next."""
        self.say(f"[dim]{what:<9}[/dim] [bold]{escape(command)}[/bold]")

    def fact(self, name: str, value: object) -> None:
        """Print one named value."""
        self.say(f"[dim]{name:<9}[/dim] {escape(str(value))}")


voice = Voice()


def tell_path(path: str) -> int:
    """Print where something lies, bare, so that a shell can use it; return the exit code."""
    if voice.as_json:
        voice.reply({"path": path})
    else:
        voice.say(escape(path))
    return 0


def escape(text: str) -> str:
    """Return a text that Rich prints as it is, and that does nothing to a terminal."""
    from rich.markup import escape as rich_escape

    return rich_escape(harmless(text))


_ACTIVE = dict.fromkeys(
    (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"
)
"""Signs that a terminal obeys, and those that turn the direction of what follows; not tab and new line."""


def harmless(text: str) -> str:
    """Return a text in which each sign is only seen: others wrote it, and this terminal is not theirs."""
    return text if text.isprintable() else text.translate(_ACTIVE)


def quoted(word: str) -> str:
    """Return a word as a shell takes it."""
    import shlex

    return shlex.quote(word)


def counted(count: int, noun: str) -> str:
    """Return `1 node`, `2 nodes`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def local_time(iso: str) -> str:
    """Return a UTC time as the clock on the wall shows it."""
    from datetime import datetime

    return f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M}"


def mark(status: str) -> Text:
    """Return the sign of a state."""
    from rich.text import Text

    return Text(*MARKS.get(status, ("?", "")))


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[str] = (),
    free: str = "",
    spare: Sequence[str] = (),
    width: int | None = None,
) -> Table:
    """Return a calm table; texts are printed as they are, and a column without any is left out.

    Args:
        columns: Heads.
        rows: Cells, texts or what Rich prints.
        right: Columns that stand at the right.
        free: The column of free text, cut with `…` where the width asks for it; every other cell stays whole.
        spare: Columns that are left out where the width asks for it, the first first.
        width: Letters of a line; None cuts nothing, and folds what is too wide.
    """  # fmt: skip
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", border_style="dim")
    cells = list(rows)
    kept = [index for index in range(len(columns)) if not cells or any(row[index] != "" for row in cells)]
    room = None
    if width is not None:
        kept, room = _fitting(columns, cells, kept, free, spare, width)
    for index in kept:
        name = columns[index]
        made.add_column(
            name, justify="right" if name in right else "left", overflow="fold", no_wrap=width is not None,
            min_width=_widest(columns, cells, index) if width is not None and name != free else None,
        )  # fmt: skip
    for row in cells:
        shown = [_cut(row[index], room) if columns[index] == free else row[index] for index in kept]
        made.add_row(*(Text(harmless(cell)) if isinstance(cell, str) else cell for cell in shown))
    return made


LEAST, BETWEEN = 12, 3
"""Letters of free text below which a spare column goes, and letters between two columns."""


def _fitting(
    columns: Sequence[str], cells: Sequence[Sequence[Any]], kept: list[int], free: str, spare: Sequence[str], width: int
) -> tuple[list[int], int]:
    """Return which columns have room in a line, and how many letters the free one has."""
    least = min(LEAST, _widest(columns, cells, columns.index(free))) if free in columns else 0
    for name in (None, *spare):
        kept = [index for index in kept if columns[index] != name]
        whole = [index for index in kept if columns[index] != free]
        room = width - sum(_widest(columns, cells, index) + BETWEEN for index in whole)
        if room >= least:
            break
    return kept, max(room, 4)


def _widest(columns: Sequence[str], cells: Sequence[Sequence[Any]], index: int) -> int:
    return max([len(columns[index]), *(len(str(row[index])) for row in cells)])


def _cut(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else f"{text[: room - 1]}…"


def duration(ms: float | None) -> str:
    """Return a duration as people say it."""
    if ms is None:
        return ""
    seconds = ms / 1e3
    if seconds < 0.9995:
        return f"{ms:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"


def size(count: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def show_error(error: PhyslabError) -> None:
    """Print an error: as JSON for programs, else what went wrong and what to do."""
    if voice.as_json:
        voice.reply({"error": error.as_reply()})
    else:
        show_problem(error.message, error.hint)


def show_problem(message: str, hint: str = "", title: str = "") -> None:
    """Print what went wrong and what to do in a frame on stderr."""
    from rich import box
    from rich.panel import Panel
    from rich.text import Text

    body = Text(harmless(message.rstrip()))
    if hint:
        body.append(harmless(f"\n\n{hint}" if "\n" in message.strip() else f"\n{hint}"), style="dim")
    voice.err.print(
        Panel(body, title=title or None, title_align="left", border_style="red", box=box.ROUNDED, padding=(0, 1))
    )
