"""Run record → PDF: a paper with captions, references and full provenance."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from physlab import __version__, graph
from physlab.model import Dag, RunRecord
from physlab.report import prose, words
from physlab.report.bibliography import read_bibliography
from physlab.report.contents import Content, read_contents
from physlab.report.exhibits import Exhibit, Mentions, Numbering, exhibits, overview
from physlab.report.provenance import provenance
from physlab.store import Store


def write_report(
    run: RunRecord,
    dag: Dag,
    store: Store,
    *,
    title: str,
    authors: Sequence[str] = (),
    abstract: str = "",
    bib: Sequence[str] = (),
    lab: str = "",
    logo: bytes = b"",
) -> bytes:
    """Return the paper of a run; the same run gives the same bytes.

    Nothing is fetched and no file is read but those of the store: every text is escaped, every picture embedded.

    Args:
        run: The run.
        dag: Its graph.
        store: Where the records and files of its nodes are.
        title: Title of the paper.
        authors: Names below the title.
        abstract: Text that may cite references as `[@key]`; empty: composed from the graph and the run.
        bib: BibTeX entries.
        lab: Name of the lab.
        logo: PNG or SVG beside it.

    Returns:
        PDF.

    Raises:
        ValidationError: A BibTeX entry is broken, or a citation has no entry.
        StoreError: A record or file is missing, damaged or no picture.
    """
    page, names = compose(run, dag, store, title=title, authors=authors, abstract=abstract, bib=bib, lab=lab, logo=logo)
    from physlab.report.printing import print_page

    return print_page(page, names)


def compose(
    run: RunRecord,
    dag: Dag,
    store: Store,
    *,
    title: str,
    authors: Sequence[str],
    abstract: str,
    bib: Sequence[str],
    lab: str,
    logo: bytes = b"",
) -> tuple[str, dict[str, str]]:
    """Return the paper as HTML that refers to nothing outside itself, and the file name of each picture in it."""
    references = read_bibliography(bib)
    emblem = _address(logo) if logo else ""
    contents = in_order(dag, read_contents(run, store))
    numbering = Numbering()
    picture = overview(dag, contents, numbering)
    shown = list(exhibits(contents, store, numbering))
    told = not abstract.strip() or prose.paragraphs(abstract) == prose.paragraphs(dag.description)
    summary = prose.abstract(abstract, dag, contents, shown, references)
    page = str(
        _template().render(
            title=title,
            authors=list(authors),
            lab=lab,
            logo=emblem,
            run=run,
            date=words.date(run.started_at),
            created=_moment(run.started_at),
            version=__version__,
            description=f"Run {run.run_id} of graph {run.dag_id}",
            keywords=[*dict.fromkeys(content.run.tool for content in contents), run.dag_id],
            abstract=summary,
            trouble=prose.trouble(contents),
            introduction=prose.introduction(dag, run, contents, references, told),
            overview=picture,
            methods=list(prose.methods(graph.connect(dag), contents, _mentions(shown))),
            software=prose.software(contents),
            results=prose.results(shown),
            notes=prose.warnings(contents),
            exhibits=shown,
            availability=prose.availability(run),
            references=references.listing(),
            provenance=list(provenance(run, contents)),
        )
    )
    pictures = {address: item.files[0].path for item in shown if item.files for address in item.pictures}
    return page, {**pictures, emblem: "the logo"} if emblem else pictures


def in_order(dag: Dag, contents: Sequence[Content]) -> list[Content]:
    """Return the contents so that each node stands after what it needs."""
    by_id = {content.id: content for content in contents}
    upstream = {n.id: [s for s in graph.needs(n) if s in by_id] for n in graph.connect(dag).nodes if n.id in by_id}
    upstream |= {name: [] for name in by_id if name not in upstream}
    order = dict.fromkeys(graph.order(upstream))
    return [by_id[name] for name in (order | dict.fromkeys(by_id))]


def _mentions(shown: Sequence[Exhibit]) -> Mentions:
    found: dict[str, list[Exhibit]] = defaultdict(list)
    for exhibit in shown:
        if exhibit.node_id:
            found[exhibit.node_id].append(exhibit)
    return Mentions(found)


def _address(logo: bytes) -> str:
    kind = "png" if logo.startswith(b"\x89PNG") else "svg+xml"
    return f"data:image/{kind};base64,{base64.b64encode(logo).decode()}"


def _moment(text: str) -> str:
    """Return an ISO time with second precision, as PDF metadata want it; empty when it is none."""
    try:
        return datetime.fromisoformat(text).isoformat(timespec="seconds")
    except ValueError:
        return ""


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    return environment.from_string(files("physlab.report").joinpath("template.html").read_text(encoding="utf-8"))
