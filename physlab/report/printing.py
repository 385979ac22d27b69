"""HTML → PDF, sealed: the page finds the fonts it comes with and what it holds itself, and nothing else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from weasyprint import CSS, HTML
from weasyprint.logger import LOGGER
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from physlab import keys
from physlab.errors import StoreError
from physlab.report import words

# Fonts that matplotlib brings: a page looks the same on every machine, and like its figures.
FACES = (
    ("Paper", "normal", "normal", "STIXGeneral"),
    ("Paper", "bold", "normal", "STIXGeneralBol"),
    ("Paper", "normal", "italic", "STIXGeneralItalic"),
    ("Paper Mono", "normal", "normal", "DejaVuSansMono"),
    ("DejaVu Sans", "normal", "normal", "DejaVuSans"),
    ("DejaVu Sans", "bold", "normal", "DejaVuSans-Bold"),
)
LOST = ("Failed to load", "Failed to render")
_FACE = '@font-face {{ font-family: "{}"; font-weight: {}; font-style: {}; src: url("data:font/ttf;name={},"); }}\n'


class Sealed(URLFetcher):  # type: ignore[misc]
    """A fetcher that knows `data:` and the fonts of the page."""

    def __init__(self) -> None:
        super().__init__(allowed_protocols={"data"}, allow_redirects=False, fail_on_errors=True)

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
        """Return what an address holds; a font face goes by its short name, since CSS is slow to read megabytes."""
        if url.startswith("data:font/ttf;name="):
            name = url.removeprefix("data:font/ttf;name=").rstrip(",")
            return URLFetcherResponse(url, _fonts()[name], {"Content-Type": "font/ttf"})
        return super().fetch(url, headers)


@cache
def _fonts() -> dict[str, bytes]:
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise StoreError(
            "The fonts of the report are missing.", hint="Install matplotlib again: pip install matplotlib."
        )
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    return {face[3]: (folder / f"{face[3]}.ttf").read_bytes() for face in FACES}


@cache
def own_style() -> str:
    """Return the style sheet of reports."""
    return files("physlab.report").joinpath("style.css").read_text(encoding="utf-8")


def print_page(
    page: str,
    names: Mapping[str, str],
    *,
    sheet: str | None = None,
    fetcher: Sealed | None = None,
    variant: str | None = None,
    attachments: Sequence[Any] = (),
    finish: Callable[[Any, Any], None] | None = None,
) -> bytes:
    """Return HTML as PDF; the same page gives the same bytes.

    Args:
        page: HTML that holds everything it shows.
        names: For each `data:` address of a picture the name of its file, for messages.
        sheet: Style sheet; that of reports by default.
        fetcher: Knows what else the page may refer to; by default nothing.
        variant: The standard that it follows, such as `pdf/a-3b`.
        attachments: Files that the PDF holds, as WeasyPrint takes them.
        finish: Gets the document and the objects of its PDF, before they are written.

    Raises:
        StoreError: A picture is broken, or refers to something outside itself.
    """
    fetcher = fetcher or Sealed()
    whole = "".join(_FACE.format(*face) for face in FACES) + (own_style() if sheet is None else sheet)
    identifier = bytes.fromhex(keys.digest_bytes(page.encode())[:32])
    try:
        with _font_folder() as fonts, _listening() as holes:
            style = CSS(string=whole, font_config=fonts, url_fetcher=fetcher)
            document = HTML(string=page, url_fetcher=fetcher).render(stylesheets=[style], font_config=fonts)
            more = {"pdf_variant": variant, "attachments": list(attachments) or None}
            pdf = bytes(document.write_pdf(pdf_identifier=identifier, finisher=finish, **more))
    except FatalURLFetchingError as error:
        raise _hole(str(error), names) from error
    if holes:
        raise _hole(holes[0], names)
    return pdf


def _hole(said: str, names: Mapping[str, str]) -> StoreError:
    name = next((name for address, name in names.items() if address in said), words.cut(said, 120))
    return StoreError(
        f"A figure cannot be printed: it is no valid SVG, or refers to something outside itself ({name}).",
        hint="A figure in SVG must hold everything it shows; save it as PNG, or without links to other files.",
    )


@contextmanager
def _font_folder() -> Iterator[FontConfiguration]:
    """Give a font configuration, and remove its folder: a command ends without freeing what it made."""
    fonts = FontConfiguration()
    try:
        yield fonts
    finally:
        fonts.__del__()


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Give what WeasyPrint could not show in this thread; it only logs that, and would leave a hole."""
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == threading.get_ident() and record.getMessage().startswith(LOST):
                heard.append(record.getMessage())

    ear = Ear(logging.ERROR)
    LOGGER.addHandler(ear)
    try:
        yield heard
    finally:
        LOGGER.removeHandler(ear)
