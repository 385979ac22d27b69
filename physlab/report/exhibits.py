"""The numbered figures and tables of a report: in the order of the graph, each with its caption and files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from physlab.model import Dag
from physlab.report import words
from physlab.report.captions import caption
from physlab.report.contents import Content, Item, is_table, previews, twins
from physlab.report.overview import draw_overview_svg
from physlab.report.pictures import data_uri, embed
from physlab.report.tables import ALIKE, Table, read_table, scalar_table, scalars, sweep_table
from physlab.store import Store

FRAMES = 12  # previews of an animation
WHOLE_TABLES = ("data.table",)  # methods whose table is the result itself


@dataclass(frozen=True)
class Exhibit:
    """One figure or table."""

    number: int
    caption: Markup
    node_id: str | None = None
    files: Sequence[Item] = ()
    pictures: Sequence[str] = ()
    table: Table | None = None
    moves: bool = False
    look: str = "picture"
    alt: str = ""

    @property
    def label(self) -> Markup:
        """`Fig. 2` or `Table 1`, linked."""
        kind, word = ("table", "Table") if self.table else ("figure", "Fig.")
        return Markup('<a href="#{0}-{2}">{1}&nbsp;{2}</a>').format(kind, word, self.number)


@dataclass
class Numbering:
    """Counts figures and tables apart."""

    figures: int = 0
    tables: int = 0

    def figure(self) -> int:
        """Return the number of the next figure."""
        self.figures += 1
        return self.figures

    def table(self) -> int:
        """Return the number of the next table."""
        self.tables += 1
        return self.tables


def overview(dag: Dag, contents: Sequence[Content], numbering: Numbering) -> Exhibit:
    """Return the picture of the graph, with what became of each node."""
    kinds = {content.id: content.method.kind for content in contents if content.method}
    statuses = {content.id: content.run.status for content in contents}
    picture = data_uri(draw_overview_svg(dag, kinds, statuses=statuses).encode(), "image/svg+xml")
    text = Markup(
        "The graph of the experiment: each box is a step, each arrow a value that one step passes to another."
    )
    return Exhibit(numbering.figure(), text, pictures=[picture], look="wide", alt="The graph of the experiment")


def exhibits(contents: Sequence[Content], store: Store, numbering: Numbering) -> Iterator[Exhibit]:
    """Yield every figure and table: what each node drew and tabulated, then the scalar results.

    Raises:
        StoreError: A file is missing, damaged or not what it says it is.
    """
    for content in contents:
        for group in twins(content.items):
            yield _figure(content, group, store, numbering)
        for item in content.items:
            if item.artifact.role == "animation":
                yield _film(content, item, store, numbering)
        for item in content.items:
            if is_table(item.artifact):
                table = read_table(item, store, whole=content.name in WHOLE_TABLES)
                text = caption(content, item)
                if table.notes:
                    text += Markup(" ") + escape(" ".join(table.notes))
                yield Exhibit(numbering.table(), text, content.id, [item], table=table)
    yield from _scalar_exhibits(contents, numbering)


def _scalar_exhibits(contents: Sequence[Content], numbering: Numbering) -> Iterator[Exhibit]:
    alike: Mapping[tuple[str, ...], list[Content]] = defaultdict(list)
    for content in contents:
        if content.record:
            alike[(content.name, *(item.name for item in scalars(content)))].append(content)
    single = []
    for (name, *_), group in alike.items():
        sweep = sweep_table(group) if len(group) >= ALIKE else None
        if sweep is None:
            single += group
            continue
        every = sum(content.name == name and content.record is not None for content in contents)
        steps = f"{'the ' if every == len(group) else ''}{len(group)} steps"
        text = Markup("Results of {} that use <code>{}</code>.").format(steps, name)
        yield Exhibit(numbering.table(), text, table=sweep)
    order = {content.id: index for index, content in enumerate(contents)}
    table = scalar_table(sorted(single, key=lambda content: order[content.id]))
    if table is not None:
        yield Exhibit(numbering.table(), Markup("Scalar results of the steps."), table=table)


def _figure(content: Content, group: list[Item], store: Store, numbering: Numbering) -> Exhibit:
    picture = embed(group[0], store)
    for other in group[1:]:
        _require(other, store)
    return Exhibit(
        numbering.figure(), caption(content, group[0]), content.id, group, [picture] if picture else [],
        alt=words.cut(group[0].artifact.caption or group[0].artifact.name, 200),
    )  # fmt: skip


def _film(content: Content, item: Item, store: Store, numbering: Numbering) -> Exhibit:
    """Show an animation by its previews; a moving picture (GIF) by its first frame."""
    _require(item, store)
    shown = previews(item, content.items)[:FRAMES]
    pictures = [embed(preview, store) for preview in shown] or [embed(item, store)]
    text = caption(content, item) + Markup(" Animation ({}): see the file.").format(words.size(item.artifact.size))
    return Exhibit(
        numbering.figure(), text, content.id, [item], [picture for picture in pictures if picture], moves=True,
        alt=words.cut(item.artifact.caption or item.artifact.name, 200),
    )  # fmt: skip


def _require(item: Item, store: Store) -> None:
    from physlab.store.blobs import damaged

    if not store.blobs.intact(item.artifact.sha256):
        raise damaged(item.artifact.sha256, store.blobs.path(item.artifact.sha256))


@dataclass(frozen=True)
class Mentions:
    """Which exhibits each node has."""

    of: Mapping[str, list[Exhibit]] = field(default_factory=dict)

    def links(self, node_id: str) -> Markup:
        """Return ` (Fig. 2, Table 1)`, or nothing."""
        found = self.of.get(node_id, [])[:6]
        return Markup(" ({})").format(Markup(", ").join(item.label for item in found)) if found else Markup("")
