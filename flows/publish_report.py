"""The flow `publish-report`."""

from typing import Any

from prefect import flow

from physlab.engine import conduct


@flow(name="publish-report", log_prints=False, persist_result=False)
def publish_report(
    run: str,
    title: str | None = None,
    authors: list[str] | None = None,
    abstract: str = "",
    bib: list[str] | None = None,
    lab: str | None = None,
) -> dict[str, Any]:
    """Write the paper-like PDF of a run: figures, tables, bibliography and full provenance.

    Args:
        run: Run id, "latest", or the id or title of a graph (its latest run).
        title: Title of the paper; the graph's when empty.
        authors: Names below it.
        abstract: Its abstract; the graph's description when empty.
        bib: BibTeX entries, or paths of .bib files.
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.

    Returns:
        pdf_path and run_id.
    """
    return conduct.publish(run, lab, title=title, authors=authors, abstract=abstract, bib=bib)
