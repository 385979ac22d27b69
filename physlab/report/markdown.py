"""What was done in a session as Markdown: results in sections, every call with its parameters, files by digest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from physlab.model import RunRecord
from physlab.report import words
from physlab.report.captions import plain_caption
from physlab.report.contents import Content, Item, previews, twins

SECTIONS = ("cas", "plots", "constants", "units", "events", "artifacts")
_CALL = "call "
_APART = r" \quad "


@dataclass
class Session:
    """A report in the making: its lines, and the files that it shows by path."""

    lines: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def say(self, *lines: str) -> None:
        """Add lines."""
        self.lines.extend(lines)


def write_session(
    runs: Sequence[tuple[RunRecord, Sequence[Content]]],
    *,
    title: str,
    author: str,
    include: Collection[str] = SECTIONS,
) -> Session:
    """Return the report on some runs.

    Args:
        runs: Each run with what it holds, in the order of time.
        title: Heading of the report.
        author: Name below it; empty for none.
        include: Which sections.

    Returns:
        Markdown lines, and the files that they link to: path → digest.
    """
    made = Session()
    first, last = (words.date(run.started_at) for run in (runs[0][0], runs[-1][0]))
    made.say(f"# {_text(title)}", "", *([f"*{_text(author)}*", ""] if author else []))
    nodes = sum(len(run.nodes) for run, _ in runs)
    when = first if first == last else f"{first} to {last}"
    made.say(f"{words.count(len(runs), 'run')} of {words.count(nodes, 'step')}, {when}.")
    contents = [(run, content) for run, held in runs for content in held if content.record is not None]
    for name, section in _SECTIONS.items():
        if name in include:
            lines = list(section(contents, made))
            if lines:
                made.say("", f"## {_TITLES[name]}", "", *lines)
    if "events" in include:
        made.say("", "## Calls", "", *_events(runs))
    return made


_Held = Sequence[tuple[RunRecord, Content]]
_TITLES = {
    "cas": "Formulas", "constants": "Constants", "units": "Units", "plots": "Figures", "artifacts": "Files",
}  # fmt: skip


def _formulas(contents: _Held, made: Session) -> Iterator[str]:
    for _, content in contents:
        fields = content.record.fields if content.record else {}
        latex = fields.get("particular_latex") or fields.get("latex")
        if content.run.tool not in ("cas", "graphing_calculator") or not latex:
            continue
        asked = fields.get("original") or fields.get("ode_original") or fields.get("expression") or ""
        yield f"**{content.id}**, {content.name}" + (f" of `{asked}`:" if asked else ":")
        shown = latex if isinstance(latex, list) else [latex]
        yield from ("", f"$$ {_APART.join(map(str, shown))} $$", "")
        number = fields.get("evalf")
        if isinstance(number, int | float) and not isinstance(number, bool):
            yield f"which is {words.number(number)}{_unit(fields.get('unit'))}."
            yield ""


def _constants(contents: _Held, made: Session) -> Iterator[str]:
    rows = [content.record.fields for _, content in contents if content.run.tool == "constants_get" and content.record]
    if rows:
        yield from ("| constant | value | standard uncertainty | source |", "|---|---|---|---|")
    for row in {str(row["name"]): row for row in rows}.values():
        sigma = "exact" if row["exact"] else f"{words.number(row['uncertainty'])}{_unit(row['unit'])}"
        value = f"{words.number(row['value'], 12)}{_unit(row['unit'])}"
        yield f"| {_cell(row['description'] or row['name'])} | {value} | {sigma} | {_cell(row['source'])} |"


def _units(contents: _Held, made: Session) -> Iterator[str]:
    for _, content in contents:
        if content.run.tool == "units_convert" and content.record:
            given, out = content.record.fields["input"], content.record.fields["output"]
            yield f"- {_quantity(given)} = {_quantity(out)}"


def _figures(contents: _Held, made: Session) -> Iterator[str]:
    for run, content in contents:
        for group in twins(content.items):
            path = _keep(made, run, group[0])
            caption = _text(plain_caption(content, group[0]))
            yield from (f"![{caption}]({path})", "", f"*{caption} Step `{content.id}`.*", "")
        for item in content.items:
            if item.artifact.role == "animation":
                stills = sorted(previews(item, content.items), key=lambda still: "_sheet" not in still.artifact.name)
                film = _keep(made, run, item)
                shown = f"![film]({_keep(made, run, stills[0])})" if stills else item.artifact.name
                yield from (f"[{shown}]({film})", "", f"*Film: {_text(plain_caption(content, item))}*", "")


def _artifacts(contents: _Held, made: Session) -> Iterator[str]:
    rows = [(content, item) for _, content in contents for item in content.items if item.artifact.role != "thumbnail"]
    if rows:
        yield from ("| step | file | kind | size | SHA-256 |", "|---|---|---|---|---|")
    for content, item in rows:
        artifact = item.artifact
        name, size = _cell(artifact.name), words.size(artifact.size)
        yield f"| `{content.id}` | {name} | {artifact.media_type} | {size} | `{artifact.sha256}` |"


def _events(runs: Sequence[tuple[RunRecord, Sequence[Content]]]) -> Iterator[str]:
    for run, held in runs:
        if not run.title.startswith(_CALL):
            yield from (f"### {_text(run.title or run.dag_id)}, run `{run.run_id}`", "")
        yield from ("| step | call | parameters | outcome |", "|---|---|---|---|")
        for content in held:
            given = ", ".join(f"{name} = {words.value(value, 60)}" for name, value in _asked(content).items())
            outcome: str = content.run.status
            if content.run.error:
                outcome += f": {content.run.error.get('message', '')}"
            elif content.record and outcome == "completed":
                outcome += f" in {words.duration(content.record.duration_ms)}"
            yield f"| `{content.id}` | {content.name} | {_cell(words.cut(given, 200))} | {_cell(outcome)} |"
        yield ""


_SECTIONS = {
    "cas": _formulas, "constants": _constants, "units": _units, "plots": _figures, "artifacts": _artifacts,
}  # fmt: skip


def _keep(made: Session, run: RunRecord, item: Item) -> str:
    path = f"{run.run_id}/{item.path}"
    made.files[path] = item.artifact.sha256
    return path


def _asked(content: Content) -> dict[str, Any]:
    """Return the parameters that differ from their defaults."""
    params = content.record.written if content.record else {}
    fields = content.method.params.model_fields if content.method else {}
    usual = {name: info.get_default(call_default_factory=True) for name, info in fields.items()}
    return {name: value for name, value in params.items() if name not in usual or value != usual[name]}


def _quantity(value: Any) -> str:
    return f"{words.number(value['value'], 12)}{_unit(value['unit'])}"


def _unit(name: Any) -> str:
    return f" {name}" if name and name not in ("1", "dimensionless") else ""


def _text(text: str) -> str:
    """Return a text on one line, without what Markdown would take for its own."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in " ".join(text.split()))


def _cell(text: Any) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
