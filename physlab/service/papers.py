"""The paper of a run, as the lab's settings want it."""

from __future__ import annotations

from physlab.lab import Lab, NamedDag
from physlab.model import RunRecord


def write_paper(
    lab: Lab, run: RunRecord, named: NamedDag, *, title: str | None = None, authors: list[str] | None = None,
    abstract: str = "", bib: list[str] | None = None,
) -> bytes:  # fmt: skip
    """Return the PDF of a run.

    Args:
        lab: The lab.
        run: The run.
        named: Its graph.
        title: Title of the paper; the run's by default.
        authors: Names below it.
        abstract: Text; composed from the graph by default.
        bib: BibTeX entries or files, beside those of the graph.
    """
    from physlab.report.given import bibliography, logo
    from physlab.report.paper import write_report

    return write_report(
        run,
        named.dag,
        lab.store,
        title=title or run.title or "Experiment Report",
        authors=authors or list(lab.settings.report.authors) or [named.dag.author or "physlab"],
        abstract=abstract or named.dag.description,
        bib=[*(bibliography(item, named.base_dir) for item in named.dag.bib), *map(bibliography, bib or ())],
        lab=lab.settings.report.lab,
        logo=logo(lab.settings.report.logo),
    )
