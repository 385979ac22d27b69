"""Papers of arXiv, through its Atom interface (https://info.arxiv.org/help/api/user-manual.html)."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from physlab.errors import ComputationError, ValidationError
from physlab.model import Web
from physlab.tools.archives.params import ArxivParams
from physlab.tools.archives.web import Client
from physlab.tools.archives.webanswer import Answer, Service, malformed, not_yet
from physlab.tools.context import Context

ATOM = "{http://www.w3.org/2005/Atom}"
ARXIV = "{http://arxiv.org/schemas/atom}"
SEARCH = "{http://a9.com/-/spec/opensearch/1.1/}"
FIELD = re.compile(r"\b(ti|au|abs|co|jr|cat|rn|id|all|submittedDate|lastUpdatedDate):|\b(AND|OR|ANDNOT)\b|[()]")


def service(web: Web) -> Service:
    """Return arXiv as these settings have it."""
    return Service("arXiv", "arxiv_url", web.arxiv_url, web.arxiv_delay_s)


class _NoDocumentType(ElementTree.TreeBuilder):
    """Builds a tree and refuses a document type, the only place where entities are declared."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ValueError(f"it declares the document type '{name}'")


def search_text(params: ArxivParams) -> str:
    """Return the query in arXiv's syntax: plain words must all occur, anywhere."""
    parts = []
    if params.query is not None and FIELD.search(params.query):
        parts.append(f"({params.query})" if params.category else params.query)
    elif params.query is not None:
        words = re.findall(r'"[^"]+"|[^\s"]+', params.query)
        parts += [f"all:{word}" for word in words]
    if params.category:
        parts.append(f"cat:{params.category}")
    return " AND ".join(parts)


def search(params: ArxivParams, context: Context) -> dict[str, Any]:
    """Search arXiv.

    Args:
        params: What to look for, how many, in which order.
        context: Settings, limits, the call's folder.

    Returns:
        Papers, the query as it was sent, and how many papers match in all.

    Raises:
        ValidationError: arXiv does not understand the query.
        ResourceError: arXiv cannot be reached and has not answered this before.
        ComputationError: The answer is no feed.
    """
    client = Client(context, params.max_age)
    arxiv = service(context.web)
    text = search_text(params)
    fields = (
        ("search_query", text),
        ("start", str(params.start)),
        ("max_results", str(params.max_results)),
        ("sortBy", params.sort_by),
        ("sortOrder", params.sort_order),
    )
    papers, total = client.ask(
        arxiv,
        "/api/query",
        fields,
        accept="application/atom+xml",
        read=lambda answer: read_feed(answer, arxiv, params.start),
    )
    if params.download_pdfs:
        _download(papers, arxiv, client, context)
    client.finish()
    return {
        "papers": papers,
        "query": params.query or "",
        "search_query": text,
        "total_found": total,
        "returned": len(papers),
        "start": params.start,
    }


def read_feed(answer: Answer, arxiv: Service, start: int) -> tuple[list[dict[str, Any]], int]:
    """Read a feed: its papers, and how many there are in all.

    Raises:
        ComputationError: It is no Atom feed.
        ValidationError: It is an error in the form of a feed.
        ResourceError: It is empty although it says that papers match, which arXiv's servers sometimes do for a moment.
    """
    try:
        parser = ElementTree.XMLParser(target=_NoDocumentType())  # noqa: S314
        feed = ElementTree.fromstring(answer.body.read_bytes(), parser)  # noqa: S314
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise malformed("Atom feed", answer, str(error)) from error
    total = (feed.findtext(f"{SEARCH}totalResults") or "").strip()
    if feed.tag != f"{ATOM}feed" or not total.isdigit():
        raise malformed("Atom feed", answer, f"its root is '{feed.tag}', its total '{total}'")
    entries = feed.findall(f"{ATOM}entry")
    for entry in entries:
        if "/api/errors" in _text(entry, f"{ATOM}id"):
            raise ValidationError(
                f"arXiv refuses the query: {_text(entry, f'{ATOM}summary')}.",
                hint="See https://info.arxiv.org/help/api/user-manual.html for its syntax.",
            )
    if not entries and int(total) > start:
        raise not_yet(arxiv, f"an empty page although {total} papers match")
    return [_paper(entry, answer) for entry in entries], int(total)


def _text(entry: ElementTree.Element, tag: str) -> str:
    return " ".join((entry.findtext(tag) or "").split())


def _paper(entry: ElementTree.Element, answer: Answer) -> dict[str, Any]:
    address = _secure(_text(entry, f"{ATOM}id"))
    _, found, name = address.partition("/abs/")
    if not found or re.fullmatch(r"[A-Za-z.\-]*/?[0-9.]+(v[0-9]+)?", name) is None:
        raise malformed("list of papers", answer, f"an entry has the id '{address[:100]}'")
    links = {
        link.get("title") or link.get("rel"): _secure(link.get("href") or "") for link in entry.iter(f"{ATOM}link")
    }
    primary = entry.find(f"{ARXIV}primary_category")
    return {
        "id": name,
        "title": _text(entry, f"{ATOM}title"),
        "summary": _text(entry, f"{ATOM}summary"),
        "authors": [_text(author, f"{ATOM}name") for author in entry.findall(f"{ATOM}author")],
        "published": _text(entry, f"{ATOM}published"),
        "updated": _text(entry, f"{ATOM}updated"),
        "categories": [item.get("term", "") for item in entry.findall(f"{ATOM}category")],
        "primary_category": primary.get("term") if primary is not None else None,
        "pdf_url": links.get("pdf") or f"https://arxiv.org/pdf/{name}",
        "abs_url": address,
        "doi": _text(entry, f"{ARXIV}doi") or None,
        "journal_ref": _text(entry, f"{ARXIV}journal_ref") or None,
        "comment": _text(entry, f"{ARXIV}comment") or None,
    }


def _secure(url: str) -> str:
    """Return an address with https: feeds still say http, and arXiv serves both."""
    return "https://" + url.removeprefix("http://") if url.startswith("http://") else url


def _download(papers: list[dict[str, Any]], arxiv: Service, client: Client, context: Context) -> None:
    """Fetch the PDFs: from the configured address, one after the other, within the limit for all together."""
    left = context.web.max_download_mb if not context.allow_large else float("inf")
    for paper in papers:
        name = f"{paper['id'].replace('/', '_')}.pdf"
        path = client.fetch_file(arxiv, f"/pdf/{paper['id']}", name, limit_mb=left, check=_is_pdf)
        left -= path.stat().st_size / 1e6
        caption = f"{', '.join(paper['authors'][:3])}: {paper['title']} (arXiv:{paper['id']})."
        paper["pdf_path"] = context.save(path, name, role="document", caption=caption, field="papers")
        paper["pdf_sha256"] = client.sources[-1]["sha256"]


def _is_pdf(path: Any) -> None:
    with path.open("rb") as file:
        if file.read(5) != b"%PDF-":
            raise ComputationError(
                "arXiv sent something else than a PDF.", hint="The paper may have none; see its abs_url. Or run again."
            )
