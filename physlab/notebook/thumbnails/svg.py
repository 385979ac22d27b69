"""Drawings of lines (SVG), such as plots: drawn as pixels by what prints papers, which fetches nothing for them."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

from physlab.errors import ComputationError
from physlab.notebook.thumbnails.pdf import first_page
from physlab.notebook.thumbnails.thumbnail import Thumbnail
from physlab.tools.process import find_program

SUFFIXES = (".svg",)
LARGEST = 5_000_000
"""A larger drawing is named, not shown [bytes]."""
WORDS = "SVG drawing"
_PAGE = (
    "@page{size:400px 300px;margin:0}html,body{margin:0}img{display:block;width:400px;height:300px;object-fit:contain}"
)


def look(path: Path, width_px: int, scratch: Path) -> Thumbnail:
    """Return a drawing as pixels; without poppler it is only named."""
    program = find_program(["pdftoppm"])
    data = path.read_bytes()
    if len(data) > LARGEST:
        return Thumbnail("file", f"{WORDS}, too large to be shown")
    if program is None:
        return Thumbnail("picture", f"{WORDS} (shown where pdftoppm of poppler-utils is installed)")
    drawn = scratch / "drawing.pdf"
    drawn.write_bytes(_printed(data))
    small = first_page(program, drawn, width_px, scratch)
    drawn.unlink()
    return Thumbnail("picture", WORDS, small)


def _printed(data: bytes) -> bytes:
    """Return a drawing on a page of its own.

    Raises:
        ComputationError: It is none.
    """
    from xml.etree import ElementTree

    from weasyprint import HTML
    from weasyprint.logger import LOGGER
    from weasyprint.urls import URLFetcher, URLFetcherResponse

    class Sealed(URLFetcher):  # type: ignore[misc]
        """Whatever lies elsewhere is empty, so that what is here is drawn all the same."""

        def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
            if url.startswith("data:"):
                return super().fetch(url, headers)
            return URLFetcherResponse(url, b"", {"Content-Type": "text/plain"})

    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - expat refuses bombs, and this child has little memory
    except ElementTree.ParseError as error:
        raise ComputationError(f"It is no SVG drawing: {error}.", hint="Attach the file as it was written.") from error
    if root.tag.rpartition("}")[2] != "svg":
        raise ComputationError("It is XML, but no SVG drawing.", hint="Attach the file as it was written.")
    fetcher = Sealed(allowed_protocols={"data"}, allow_redirects=False)
    source = f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}"
    text = f'<style>{_PAGE}</style><img src="{source}">'
    said: list[str] = []
    listener = logging.Handler(logging.ERROR)
    listener.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    LOGGER.addHandler(listener)
    try:
        drawn = bytes(HTML(string=text, url_fetcher=fetcher).write_pdf())
    finally:
        LOGGER.removeHandler(listener)
    if any(source in line for line in said):  # told by its log alone; the page is empty then
        raise ComputationError("It holds what cannot be drawn.", hint="Attach a picture of it (PNG), too.")
    return drawn
